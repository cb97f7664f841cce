"""Every read of the record, a file a subject."""
