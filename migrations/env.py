"""Alembic runs this file; `upgrade.py` hands it the connection."""

from alembic import context
from sqlalchemy import Connection

connection = context.config.attributes.get("connection")
if not isinstance(connection, Connection):
    raise TypeError("migrations are run by migrations.upgrade, or `candlewax db upgrade`")
# One transaction a version: what is done stays done, and a version is whole or not there.
context.configure(connection=connection, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
