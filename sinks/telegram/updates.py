"""How far a bot has read: an update acts once, whoever reads it and however often it comes."""

import psycopg

from sinks.outbox_row import timestamp

STALE_NS = 6 * 86_400 * 1_000_000_000
"""After a week of silence Telegram numbers updates anew (Bot API, Update; read 2026-11-20)."""


def next_update(connection: psycopg.Connection, bot: str, *, now: int) -> int:
    """Return the update to ask for next; 0 when there is none to go on from."""
    row = connection.execute(
        "SELECT next_update FROM telegram_polls WHERE bot = %s AND read_at > %s",
        (bot, timestamp(now - STALE_NS)),
    ).fetchone()
    return 0 if row is None else int(row[0])


def take(connection: psycopg.Connection, bot: str, update_id: int, *, now: int) -> bool:
    """Record that an update is about to be acted on; False when it was before.

    Args:
        connection: in autocommit mode.
        bot: its number.
        update_id: of the update.
        now: our clock, ns UTC.
    """
    row = connection.execute(
        "INSERT INTO telegram_polls AS known (bot, next_update, read_at) VALUES (%s, %s, %s)"
        " ON CONFLICT (bot) DO UPDATE"
        " SET next_update = excluded.next_update, read_at = excluded.read_at"
        " WHERE known.next_update < excluded.next_update OR known.read_at <= %s RETURNING bot",
        (bot, update_id + 1, timestamp(now), timestamp(now - STALE_NS)),
    ).fetchone()
    return row is not None
