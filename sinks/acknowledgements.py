"""Who has taken note of an alert, and whom to tell when nobody has."""

from collections.abc import Sequence

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from sinks.outbox_row import COLUMNS, OutboxRow, timestamp

WINDOW_NS = 3_600_000_000_000
"""An alert that could not be escalated for so long, with nobody to send it, is not any more."""


def acknowledge(
    connection: psycopg.Connection, keys: Sequence[str], *, by: str, now: int
) -> list[str]:
    """Record that somebody took note of some alerts.

    Args:
        connection: in autocommit mode.
        keys: of the alerts.
        by: who, for people.
        now: our clock, ns UTC.

    Returns:
        The keys that nobody had acknowledged before.
    """
    rows = connection.execute(
        "INSERT INTO alert_acks (key, acked_at, acked_by) SELECT key, %s, %s"
        " FROM unnest(%s::text[]) AS key ON CONFLICT (key) DO NOTHING RETURNING key",
        (timestamp(now), by, sorted(set(keys))),
    )
    return [str(key) for (key,) in rows]


def acknowledged_by(connection: psycopg.Connection, key: str) -> str | None:
    """Return who acknowledged an alert first."""
    row = connection.execute("SELECT acked_by FROM alert_acks WHERE key = %s", (key,)).fetchone()
    return None if row is None else str(row[0])


def carried_keys(connection: psycopg.Connection, outbox_id: int) -> list[str]:
    """Return the alerts of the message that an outbox row stands for, its own first."""
    rows = connection.execute(
        "SELECT alert_key FROM outbox WHERE id = %(id)s OR carried_by = %(id)s"
        " ORDER BY (id <> %(id)s), id",
        {"id": outbox_id},
    )
    return [str(key) for (key,) in rows]


def escalate(
    connection: psycopg.Connection, *, target: str, now: int, after_ns: int
) -> list[OutboxRow]:
    """Give critical alerts that nobody acknowledged to a second target, once.

    It counts from when the alert fired. One that was muted everywhere, or of which every row still
    waits for its first target, is left alone.

    Args:
        connection: in autocommit mode.
        target: the second target.
        now: our clock, ns UTC.
        after_ns: how long an alert may stay without acknowledgement.

    Returns:
        The new rows.
    """
    query = sql.SQL(
        """
        INSERT INTO outbox
            (alert_key, target, severity, text, fired_at, waits_until, escalates)
        SELECT DISTINCT ON (o.alert_key)
            o.alert_key, {target}, o.severity,
            coalesce(a.text, o.text), o.fired_at, {now}, o.target
        FROM outbox o LEFT JOIN alerts a ON a.key = o.alert_key
        WHERE o.severity = 'critical'
          AND o.fired_at <= {latest} AND o.fired_at > {earliest}
          AND o.state IN ('sent', 'digested', 'unknown', 'failed', 'expired')
          AND o.escalates IS NULL AND o.target <> {target}
          AND NOT EXISTS (SELECT FROM alert_acks k WHERE k.key = o.alert_key)
        ORDER BY o.alert_key, o.id
        ON CONFLICT (alert_key, target) DO NOTHING
        RETURNING {columns}
        """
    ).format(
        target=target,
        now=timestamp(now),
        latest=timestamp(now - after_ns),
        earliest=timestamp(now - after_ns - WINDOW_NS),
        columns=COLUMNS,
    )
    with connection.cursor(row_factory=class_row(OutboxRow)) as cursor:
        return cursor.execute(query).fetchall()
