"""Archives of millions scored without a database: files in, Parquet out, on one machine or on a Ray cluster."""
