"""Alerts that people do not want: mutes and snoozes, and what they suppress."""

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import class_row

from sinks.nanoseconds import ns_of
from sinks.outbox_row import COLUMNS, REPEAT_MARK, OutboxRow, timestamp

LONGEST_S = 365 * 86_400
"""How long a mute may last that has an end."""


class Mute(msgspec.Struct, frozen=True, kw_only=True):
    """What is not to be sent.

    Attributes:
        id: number by which people lift it; 0 before it is stored.
        target: only to this target; None for every one.
        spec: only alerts of this spec; None for every one.
        symbol: only alerts about this symbol; None for every one.
        ends_at: until then, ns UTC; None until it is lifted.
        created_by: who wanted it.
    """

    id: int = 0
    target: str | None
    spec: str | None
    symbol: str | None
    ends_at: int | None
    created_by: str

    @property
    def what(self) -> str:
        """What it silences, for people."""
        parts = [part for part in (self.spec, self.symbol) if part is not None]
        return " on ".join(parts) if parts else "everything"


def add_mute(connection: psycopg.Connection, mute: Mute, *, now: int) -> int:
    """Store a mute and return its number; what waits is suppressed by the next `suppress`.

    One that would last longer than `LONGEST_S` ends then.
    """
    longest = now + LONGEST_S * 1_000_000_000
    row = connection.execute(
        "INSERT INTO alert_mutes (target, spec, symbol, ends_at, created_at, created_by)"
        " VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        (
            mute.target,
            mute.spec,
            mute.symbol,
            None if mute.ends_at is None else timestamp(min(mute.ends_at, longest)),
            timestamp(now),
            mute.created_by,
        ),
    ).fetchone()
    if row is None:
        raise RuntimeError("an insert gave no row")
    return int(row[0])


def lift_mutes(
    connection: psycopg.Connection, *, target: str | None, what: str | None = None
) -> list[Mute]:
    """End mutes and return them.

    Args:
        connection: in autocommit mode.
        target: only those of this target, and those of every target.
        what: a mute's number, spec or symbol; None for all.
    """
    query = sql.SQL(
        "DELETE FROM alert_mutes WHERE (target IS NULL OR {target}::text IS NULL"
        " OR target = {target}) AND ({what}::text IS NULL OR id::text = {what} OR spec = {what}"
        " OR symbol = {what}) RETURNING {columns}"
    ).format(target=target, what=what, columns=_columns())
    with connection.cursor(row_factory=class_row(Mute)) as cursor:
        return cursor.execute(query).fetchall()


def active_mutes(
    connection: psycopg.Connection, *, now: int, target: str | None = None
) -> list[Mute]:
    """Return the mutes that hold now.

    Args:
        connection: any.
        now: our clock, ns UTC.
        target: only those that concern this target; None for all.
    """
    query = sql.SQL(
        "SELECT {columns} FROM alert_mutes WHERE (ends_at IS NULL OR ends_at > {now})"
        " AND ({target}::text IS NULL OR target IS NULL OR target = {target}) ORDER BY id"
    ).format(columns=_columns(), now=timestamp(now), target=target)
    with connection.cursor(row_factory=class_row(Mute)) as cursor:
        return cursor.execute(query).fetchall()


def suppress(connection: psycopg.Connection, *, now: int) -> list[OutboxRow]:
    """End what waits and is muted.

    A marked row ends as `unknown`: its first attempt may have arrived.

    Args:
        connection: in autocommit mode.
        now: our clock, ns UTC.

    Returns:
        The rows as they are now.
    """
    query = sql.SQL(
        """
        UPDATE outbox SET
            state = CASE WHEN starts_with(outbox.text, {mark}) THEN 'unknown'
                    ELSE 'suppressed' END,
            error = muted.reason, finished_at = now()
        FROM (
            SELECT DISTINCT ON (o.id) o.id AS row, 'muted by ' || m.created_by AS reason
            FROM alert_mutes m
            JOIN outbox o ON o.state = 'pending' AND (m.target IS NULL OR m.target = o.target)
            LEFT JOIN alerts a ON a.key = o.alert_key
            WHERE (m.ends_at IS NULL OR m.ends_at > {now})
              AND (m.spec IS NULL OR m.spec = a.spec)
              AND (m.symbol IS NULL OR m.symbol = a.symbol)
            ORDER BY o.id, m.id
        ) muted
        WHERE outbox.id = muted.row AND outbox.state = 'pending'
        RETURNING {columns}
        """
    ).format(mark=REPEAT_MARK, now=timestamp(now), columns=COLUMNS)
    with connection.cursor(row_factory=class_row(OutboxRow)) as cursor:
        return cursor.execute(query).fetchall()


def _columns() -> sql.SQL:
    return sql.SQL(f"id, target, spec, symbol, {ns_of('ends_at')} AS ends_at, created_by")
