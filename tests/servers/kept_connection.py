"""A session that stays open between looks at a database.

What polls looks some hundred times in a test, and a new session costs the server twenty times what
a small query does.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

_last: dict[str, psycopg.Connection] = {}


@contextmanager
def kept_connection(dsn: str) -> Iterator[psycopg.Connection]:
    """Lend a session in autocommit mode, the one of before where it still lives.

    Nothing is prepared: the schema may be another one at the next look.

    Raises:
        psycopg.OperationalError: the server cannot be reached.
    """
    connection = _last.pop(dsn, None)
    for other in list(_last):  # of a test that is over
        _last.pop(other).close()
    if connection is None or not _lives(connection):
        connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=None)
    try:
        yield connection
    except BaseException:
        connection.close()
        raise
    if inner := _last.pop(dsn, None):
        inner.close()
    _last[dsn] = connection


def _lives(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("SELECT")
    except psycopg.OperationalError:
        connection.close()
        return False
    return True
