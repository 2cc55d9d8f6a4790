"""Sessions that change a database's schema, or look at it: one at a time changes it.

An advisory lock belongs to the session that holds it: a process that is killed half way leaves no
lock behind.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from market.errors import ConfigError

LOCK = 0x43414E444C45  # "CANDLE"; one lock for versions and for storage
LOCK_WAIT_S = 60.0
STATEMENT_LOCK_TIMEOUT = "5s"
CONNECT_TIMEOUT_S = 5
OLDEST_SERVER = 140000


def connect(dsn: str) -> psycopg.Connection:
    """Open a connection in autocommit mode, as the steps here need it.

    Raises:
        ConfigError: the address is malformed, nothing answers there, or it is too old.
    """
    try:
        place = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        # The driver's text quotes the address, password included.
        raise ConfigError(
            "the database's address is malformed: expected "
            "postgresql://user:password@host:port/database in DATABASE_URL"
        ) from None
    name = "{}:{}/{}".format(
        place.get("host", "localhost"), place.get("port", "5432"), place.get("dbname", "")
    )
    patience = place.get("connect_timeout", CONNECT_TIMEOUT_S)
    try:
        connection = psycopg.connect(make_conninfo(dsn, connect_timeout=patience), autocommit=True)
    except psycopg.OperationalError as error:
        raise ConfigError(
            f"the database at {name} does not let us in: {str(error).strip()}; start it, or "
            "correct DATABASE_URL, or leave it unset to use the embedded PostgreSQL"
        ) from None
    version = connection.info.server_version
    if version < OLDEST_SERVER:
        connection.close()
        raise ConfigError(
            f"the database at {name} is PostgreSQL {version // 10000}: 14 or newer is needed"
        )
    return connection


@contextmanager
def locked(dsn: str) -> Iterator[psycopg.Connection]:
    """Connect, in autocommit mode, and hold the lock that versions and storage steps share.

    Raises:
        ConfigError: as `connect`, another session holds the lock for a minute, or one holds a
            table.
    """
    connection = connect(dsn)
    try:
        _lock(connection)
        yield connection
    except psycopg.errors.LockNotAvailable as error:
        raise ConfigError(
            "a table is locked by another session of the database, so its schema cannot be "
            f"changed now: {str(error).strip()}; try again, or see pg_stat_activity"
        ) from None
    finally:
        connection.close()


def _lock(connection: psycopg.Connection) -> None:
    # A killed client's statement ends within a second, and its lock with it; on systems that
    # cannot see that, it ends with TCP's own timeout.
    with suppress(psycopg.errors.InvalidParameterValue):
        connection.execute("SET client_connection_check_interval = '1s'")
    connection.execute(f"SET lock_timeout = '{STATEMENT_LOCK_TIMEOUT}'")
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone()
        if row is not None and row[0]:
            return
        if time.monotonic() > deadline:
            raise ConfigError(
                f"another process has been changing this database's schema for {LOCK_WAIT_S:.0f} s:"
                " wait for it to end, or find it in pg_locks (locktype advisory) and end it"
            )
        time.sleep(0.05)
