"""How long rows stay: by policies of TimescaleDB Community, by our own job elsewhere.

The job is `sinks.retention`; this file makes the policies and says who does it.
"""

from collections.abc import Mapping

import psycopg

from migrations.storage.report import StorageStep
from migrations.storage.server import Server, ServerKind, scalar
from migrations.storage.timed_tables import TimedTable


def statements(table: TimedTable, days: float) -> tuple[str, ...]:
    """Return the SQL that replaces the policy of a table; without days it only takes it away."""
    remove = f"SELECT remove_retention_policy('{table.name}', if_exists => true)"
    if not days:
        return (remove,)
    return (
        remove,
        f"SELECT add_retention_policy('{table.name}', drop_after => {_interval(days)})",
    )


def keep(
    connection: psycopg.Connection,
    table: TimedTable,
    server: Server,
    keep_days: Mapping[str, float],
) -> StorageStep:
    """Have the server drop what is older than its days, where it can do that by itself."""
    step = look(connection, table, server, keep_days)
    if step.is_done or server.kind is not ServerKind.COMMUNITY:
        return step
    days = keep_days.get(table.name, 0)
    with connection.transaction():
        for statement in statements(table, days):
            connection.execute(statement)
    reason = f"policy made: {days:g} days" if days else "policy taken away: for ever"
    return StorageStep(step.what, is_done=True, reason=reason)


def look(
    connection: psycopg.Connection,
    table: TimedTable,
    server: Server,
    keep_days: Mapping[str, float],
) -> StorageStep:
    """Tell how long rows of a table stay, and by whom the older ones go."""
    what = f"retention {table.name}"
    days = keep_days.get(table.name, 0)
    if server.kind is ServerKind.COMMUNITY:
        return _look_at_policy(connection, table, days)
    if not days:
        return StorageStep(what, is_done=True, reason="rows stay for ever")
    how = "drop_chunks" if server.kind is ServerKind.APACHE else "DELETE in batches"
    return StorageStep(
        what, is_done=True, reason=f"{days:g} days, by {how} of a running flow or `db retain`"
    )


def _look_at_policy(connection: psycopg.Connection, table: TimedTable, days: float) -> StorageStep:
    what = f"retention {table.name}"
    job = (
        "FROM timescaledb_information.jobs WHERE proc_name = 'policy_retention' "
        f"AND hypertable_name = '{table.name}' AND hypertable_schema = current_schema()"
    )
    if not days:
        if scalar(connection, f"SELECT 1 {job}") is None:
            return StorageStep(what, is_done=True, reason="rows stay for ever")
        return StorageStep(what, is_done=False, reason="there is a policy and none is wanted")
    wanted = f"(config->>'drop_after')::interval = {_interval(days)}"
    is_right = scalar(connection, f"SELECT {wanted} {job}")
    reason = f"{days:g} days, by a policy" if is_right == "True" else f"no policy of {days:g} days"
    return StorageStep(what, is_right == "True", reason)


def _interval(days: float) -> str:
    return f"INTERVAL '{days:g} days'"
