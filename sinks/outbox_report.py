"""What became of the alerts: counts that add up, and the newest rows."""

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import class_row

from sinks.nanoseconds import ns_of
from sinks.outbox_row import COLUMNS, STATES, OutboxRow, timestamp


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """An alert and what became of it at one target.

    Attributes:
        id: of the outbox row.
        fired_at: our time when the spec fired, ns UTC.
        severity: `info`, `warning` or `critical`.
        spec: id of the spec; empty when the alert itself is not stored any more.
        venue: of the series, or empty.
        symbol: of the series, or empty.
        target: name of the target.
        state: one of `STATES`.
        attempts: calls to the target.
        carried_by: id of the row whose message carried it, or None.
        acked_by: who took note of it, or None.
        ended_at: our time when it was true no more, ns UTC; None when no end was told.
        error: what the last attempt was answered, or why there was none.
        text: the message.
    """

    id: int
    fired_at: int
    severity: str
    spec: str
    venue: str
    symbol: str
    target: str
    state: str
    attempts: int
    carried_by: int | None
    acked_by: str | None
    ended_at: int | None
    error: str | None
    text: str


def counts(connection: psycopg.Connection, *, since: int | None = None) -> dict[str, int]:
    """Return how many rows are in each state, 0 included; the sum is what was fired.

    Args:
        connection: any.
        since: only what was fired then, ns UTC, or later; None for all.
    """
    found = dict.fromkeys(STATES, 0)
    for states in counts_by_target(connection, since=since).values():
        for state, count in states.items():
            found[state] += count
    return found


def counts_by_target(
    connection: psycopg.Connection, *, since: int | None = None
) -> dict[str, dict[str, int]]:
    """Return, for each target that was ever sent to, how many rows are in each state.

    Args:
        connection: any.
        since: as in `counts`.
    """
    found: dict[str, dict[str, int]] = {}
    rows = connection.execute(
        "SELECT target, state, count(*) FROM outbox"
        " WHERE %(since)s::timestamptz IS NULL OR fired_at >= %(since)s"
        " GROUP BY target, state ORDER BY target",
        {"since": None if since is None else timestamp(since)},
    )
    for target, state, count in rows:
        states = found.setdefault(str(target), dict.fromkeys(STATES, 0))
        states[str(state)] = int(count)
    return found


def newest(
    connection: psycopg.Connection, *, since: int | None = None, limit: int = 50
) -> list[Told]:
    """Return the alerts that were fired last, the newest first.

    Args:
        connection: any.
        since: as in `counts`.
        limit: number of rows; 0 for all.
    """
    with connection.cursor(row_factory=class_row(Told)) as cursor:
        return cursor.execute(
            f"SELECT o.id, {ns_of('o.fired_at')} AS fired_at,"
            " o.severity, coalesce(a.spec, '') AS spec, coalesce(a.venue, '') AS venue,"
            " coalesce(a.symbol, '') AS symbol, o.target, o.state, o.attempts, o.carried_by,"
            f" k.acked_by, {ns_of('e.ended_at')} AS ended_at,"
            " o.error, o.text"
            " FROM outbox o LEFT JOIN alerts a ON a.key = o.alert_key"
            " LEFT JOIN alert_acks k ON k.key = o.alert_key"
            " LEFT JOIN alert_endings e ON e.key = o.alert_key"
            " WHERE %(since)s::timestamptz IS NULL OR o.fired_at >= %(since)s"
            " ORDER BY o.fired_at DESC, o.id DESC LIMIT %(limit)s",
            {
                "since": None if since is None else timestamp(since),
                "limit": limit or None,
            },
        ).fetchall()


def unanswered(connection: psycopg.Connection, *, limit: int = 100) -> list[OutboxRow]:
    """Return the newest rows of which nobody knows whether they arrived."""
    query = sql.SQL(
        "SELECT {columns} FROM outbox WHERE state = 'unknown' ORDER BY outbox.fired_at DESC, id"
        " LIMIT {limit}"
    ).format(columns=COLUMNS, limit=limit)
    with connection.cursor(row_factory=class_row(OutboxRow)) as cursor:
        return cursor.execute(query).fetchall()
