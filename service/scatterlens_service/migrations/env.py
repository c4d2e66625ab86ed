"""Alembic's entry: runs the migrations on the connection, and in the transaction, it was given."""

from alembic import context

from scatterlens_service.ledger.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
)
context.run_migrations()
