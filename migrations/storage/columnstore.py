"""Old chunks by column, a fifth of their size: TimescaleDB Community only."""

import psycopg

from migrations.storage.report import StorageStep
from migrations.storage.server import Server, ServerKind, scalar
from migrations.storage.timed_tables import TimedTable

OLDEST = (2, 20)
"""Before, a row that was there already could make others of its batch vanish, or take minutes."""
SEGMENT_BY = "venue,symbol"


def statements(table: TimedTable) -> tuple[str, ...]:
    """Return the SQL that turns it on for a table."""
    return (
        (
            f"ALTER TABLE {table.name} SET (timescaledb.enable_columnstore = true, "
            f"timescaledb.segmentby = '{SEGMENT_BY}', timescaledb.orderby = '{table.column} DESC')"
        ),
        (
            f"CALL add_columnstore_policy('{table.name}', "
            f"after => INTERVAL '{table.columnstore_days} days', if_not_exists => true)"
        ),
    )


def turn_on(connection: psycopg.Connection, table: TimedTable) -> StorageStep:
    """Have chunks kept by column from some age on."""
    step = look(connection, table)
    if step.is_done:
        return step
    with connection.transaction():
        for statement in statements(table):
            connection.execute(statement)
    return StorageStep(
        step.what, is_done=True, reason=f"made: chunks older than {table.columnstore_days} days"
    )


def look(connection: psycopg.Connection, table: TimedTable) -> StorageStep:
    """Tell whether it is on."""
    what = f"columnstore {table.name}"
    is_on = scalar(
        connection,
        "SELECT compression_enabled FROM timescaledb_information.hypertables "
        f"WHERE hypertable_name = '{table.name}' AND hypertable_schema = current_schema()",
    )
    is_scheduled = scalar(
        connection,
        "SELECT 1 FROM timescaledb_information.jobs WHERE hypertable_name = "
        f"'{table.name}' AND hypertable_schema = current_schema() "
        "AND proc_name IN ('policy_compression', 'policy_columnstore')",
    )
    if is_on != "True" or is_scheduled is None:
        return StorageStep(what, is_done=False, reason="not there")
    return StorageStep(
        what, is_done=True, reason=f"there: chunks older than {table.columnstore_days} days"
    )


def obstacle(server: Server) -> str:
    """Return why this server cannot have it; empty when it can."""
    if server.kind is ServerKind.PLAIN:
        return "plain PostgreSQL does not have it"
    if server.kind is ServerKind.APACHE:
        return "the Apache edition does not have it: TimescaleDB Community does"
    if server.is_older(OLDEST):
        return f"TimescaleDB {server.timescaledb} is older than 2.20: update it"
    return ""
