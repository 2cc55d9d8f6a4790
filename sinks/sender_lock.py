"""Who of several senders is the one that sends."""

import psycopg

_LOCK_FAMILY = 0x6361_6E64  # "cand": the upper half of the advisory lock


def take_lock(connection: psycopg.Connection) -> bool:
    """Try to become this outbox's one sender, for as long as the connection lives.

    The lock is named by the table, so that two installations in one database do not meet.
    """
    row = connection.execute(
        "SELECT pg_try_advisory_lock((%s::bigint << 32) | 'outbox'::regclass::oid::bigint)",
        (_LOCK_FAMILY,),
    ).fetchone()
    return row is not None and row[0] is True
