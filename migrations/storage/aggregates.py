"""Bars that the database makes of the stored trades by itself: TimescaleDB Community only.

They are a cross-check of our own bars, which are the truth on every kind of server: 1m from
trades, 5m from 1m, 1h from 5m, each kept up to date by a policy. What is older than the policies
look is put in by `aggregate_fill`.
"""

from collections.abc import Mapping, Sequence

import msgspec
import psycopg

from migrations.storage.report import StorageStep
from migrations.storage.server import Server, ServerKind, exists, scalar

OLDEST = (2, 20)
LATEST_TRADE_H = 48
"""A trade that comes later than this many hours is not seen by the aggregates."""


class Aggregate(msgspec.Struct, frozen=True, kw_only=True):
    """One length of bars.

    Attributes:
        name: of the view.
        source: what it is made of.
        length: of a bar.
        interval: the same as our bars' interval is named.
        start_h: hours back from now that a refresh looks at.
        end: what a refresh leaves to the next one.
        every: how often it is refreshed.
        query: the columns after venue, symbol and start.
        column: time of the source.
        is_live: whether what is not refreshed yet is computed when asked for.
    """

    name: str
    source: str
    length: str
    interval: str
    start_h: int
    end: str
    every: str
    query: str
    column: str = "start"
    is_live: bool = False


_OF_TRADES = (
    "first(price, time) AS open, max(price) AS high, min(price) AS low, "
    "last(price, time) AS close, sum(size) AS volume, "
    "sum(CASE side WHEN 'buy' THEN size WHEN 'unknown' THEN size / 2 ELSE 0 END) AS buy_volume, "
    "sum(price * size) AS notional, count(*) AS count"
)
_OF_BARS = (
    "first(open, start) AS open, max(high) AS high, min(low) AS low, last(close, start) AS close, "
    "sum(volume) AS volume, sum(buy_volume) AS buy_volume, sum(notional) AS notional, "
    "sum(count) AS count"
)

AGGREGATES = (
    Aggregate(
        name="trades_1m",
        source="trades",
        length="1 minute",
        interval="1m",
        start_h=LATEST_TRADE_H,
        end="1 minute",
        every="1 minute",
        query=_OF_TRADES,
        column="time",
        is_live=True,
    ),
    Aggregate(
        name="trades_5m",
        source="trades_1m",
        length="5 minutes",
        interval="5m",
        start_h=LATEST_TRADE_H + 24,
        end="5 minutes",
        every="5 minutes",
        query=_OF_BARS,
    ),
    Aggregate(
        name="trades_1h",
        source="trades_5m",
        length="1 hour",
        interval="1h",
        start_h=7 * 24,
        end="1 hour",
        every="30 minutes",
        query=_OF_BARS,
    ),
)


def select(aggregate: Aggregate) -> str:
    """Return the query of an aggregate; it answers on any server with the extension."""
    bucket = f"time_bucket(INTERVAL '{aggregate.length}', {aggregate.column})"
    return (
        f"SELECT venue, symbol, {bucket} AS start, {aggregate.query} "
        f"FROM {aggregate.source} GROUP BY venue, symbol, {bucket}"
    )


def statements(aggregate: Aggregate) -> tuple[str, ...]:
    """Return the SQL that makes it; `policy` keeps it up to date."""
    live = "false" if aggregate.is_live else "true"
    return (
        (
            f"CREATE MATERIALIZED VIEW {aggregate.name} WITH (timescaledb.continuous, "
            f"timescaledb.materialized_only = {live}) AS {select(aggregate)} WITH NO DATA"
        ),
        f"COMMENT ON VIEW {aggregate.name} IS '{_comment(aggregate)}'",
    )


def _comment(aggregate: Aggregate) -> str:
    # It tells one that an older version made from what this one makes: change both together.
    return (
        f"Bars of {aggregate.length} that the database makes of trades, a check of bars: of an "
        "unknown side one half is bought."
    )


def policy(aggregate: Aggregate, trades_days: float) -> tuple[str, ...]:
    """Return the SQL that replaces what keeps it up to date.

    Args:
        aggregate: which.
        trades_days: how long trades are kept; 0 for ever. A refresh never looks at times whose
            trades may be gone: it would take the bars away too.
    """
    return (
        f"SELECT remove_continuous_aggregate_policy('{aggregate.name}', if_exists => true)",
        (
            f"SELECT add_continuous_aggregate_policy('{aggregate.name}', "
            f"start_offset => {_start(aggregate, trades_days)}, "
            f"end_offset => INTERVAL '{aggregate.end}', "
            f"schedule_interval => INTERVAL '{aggregate.every}')"
        ),
    )


def make(
    connection: psycopg.Connection,
    aggregate: Aggregate,
    keep_days: Mapping[str, float],
) -> StorageStep:
    """Make an aggregate that is not there, and its policy anew when trades stay other days.

    One that an older version made in another way is made anew, with those that are made of it.
    """
    step = look(connection, aggregate, keep_days)
    if step.is_done:
        return step
    is_there = exists(connection, aggregate.name) and not _is_outdated(connection, aggregate)
    # All of it can be rolled back: only filling it with what is there could not.
    with connection.transaction():
        if not is_there:
            remove(connection, AGGREGATES[AGGREGATES.index(aggregate) :])
        for statement in () if is_there else statements(aggregate):
            connection.execute(statement)
        for statement in policy(aggregate, keep_days.get("trades", 0)):
            connection.execute(statement)
    reason = "refresh policy made anew" if is_there else f"made from {aggregate.source}"
    return StorageStep(step.what, is_done=True, reason=reason)


def look(
    connection: psycopg.Connection,
    aggregate: Aggregate,
    keep_days: Mapping[str, float],
) -> StorageStep:
    """Tell whether it is there, and refreshed no further back than trades are kept."""
    what = f"continuous aggregate {aggregate.name}"
    if not exists(connection, aggregate.name):
        return StorageStep(what, is_done=False, reason="not there")
    if _is_outdated(connection, aggregate):
        reason = "made by an older version, in another way: `candlewax db upgrade`"
        return StorageStep(what, is_done=False, reason=reason)
    start = _start(aggregate, keep_days.get("trades", 0))
    # A job's hypertable is the materialised one before some version, and the view after it.
    is_right = scalar(
        connection,
        f"SELECT bool_and((job.config->>'start_offset')::interval = {start}) "
        "FROM timescaledb_information.continuous_aggregates AS made "
        "JOIN timescaledb_information.jobs AS job "
        "ON job.hypertable_name IN (made.materialization_hypertable_name, made.view_name) "
        "WHERE job.proc_name = 'policy_refresh_continuous_aggregate' "
        f"AND made.view_schema = current_schema() AND made.view_name = '{aggregate.name}'",
    )
    if is_right == "True":
        return StorageStep(what, is_done=True, reason="there")
    return StorageStep(what, is_done=False, reason=f"no refresh policy that begins {start} ago")


def _is_outdated(connection: psycopg.Connection, aggregate: Aggregate) -> bool:
    query = f"SELECT obj_description('{aggregate.name}'::regclass, 'pg_class')"
    return scalar(connection, query) != _comment(aggregate)


def start_s(aggregate: Aggregate, trades_days: float) -> int:
    """Return how many seconds back from now the policy looks, trades being kept so many days."""
    start_h = float(aggregate.start_h)
    if aggregate.source == "trades" and trades_days:
        start_h = min(start_h, trades_days * 24 * 3 / 4)
    return round(start_h * 3600)


def _start(aggregate: Aggregate, trades_days: float) -> str:
    return f"INTERVAL '{start_s(aggregate, trades_days)} seconds'"


def remove(connection: psycopg.Connection, which: Sequence[Aggregate] = AGGREGATES) -> None:
    """Take them away: no version of the schema can change what they are made of before."""
    for aggregate in reversed(which):
        if exists(connection, aggregate.name):
            connection.execute(f"DROP MATERIALIZED VIEW {aggregate.name}")


def obstacle(server: Server) -> str:
    """Return why this server cannot have them; empty when it can."""
    if server.kind is ServerKind.PLAIN:
        return "plain PostgreSQL does not have them"
    if server.kind is ServerKind.APACHE:
        return "the Apache edition does not have them: TimescaleDB Community does"
    if server.is_older(OLDEST):
        return f"TimescaleDB {server.timescaledb} is older than 2.20: update it"
    return ""
