"""Runs the migrations in the schema of the connection that `monitor.store.migrate` hands over."""

from alembic import context

from monitor.store.schema import metadata

connection = context.config.attributes["connection"]
schema = context.config.attributes["schema"]
context.configure(
    connection=connection, target_metadata=metadata, version_table="schema_version", version_table_schema=schema
)
with context.begin_transaction():
    context.run_migrations()
