"""Alembic's environment: `journal.Journal.migrate` hands over a connection with an open transaction."""

from alembic import context

from galeno.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
