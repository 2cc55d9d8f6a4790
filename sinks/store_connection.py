"""How the store connects, and which of the database's troubles pass by themselves."""

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from market.errors import ConfigError

DRIVER_SETTINGS = {
    # A database that vanished without a word is noticed in seconds, not after TCP's quarter hour.
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
    "application_name": "candlewax store",
}
"""What the address does not say itself."""
SESSION = "SET lock_timeout = '2s'; SET statement_timeout = '30s'; SET timezone = 'UTC'"

LIMITS = "SET LOCAL lock_timeout = '2s'; SET LOCAL statement_timeout = '30s'"
"""The same for one transaction: behind a pooler no other client's session is changed."""

RETRIABLE = (
    psycopg.OperationalError,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
)
"""No connection, a deadlock, a lock or disk that is busy, a standby; all else is a bug."""
AT_ONCE = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
"""Of those, the ones that are over when they are told: the server is well."""


def complete(dsn: str) -> str:
    """Return an address with the time limits that it does not set itself.

    Args:
        dsn: libpq address, URL or key=value.

    Raises:
        ConfigError: the address is malformed.
    """
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        # The driver's text quotes the address, password included.
        raise ConfigError(
            "the store's address is malformed: expected "
            "postgresql://user:password@host:port/database in DATABASE_URL"
        ) from None
    missing = {name: text for name, text in DRIVER_SETTINGS.items() if name not in given}
    return make_conninfo(dsn, **missing)


def connect(dsn: str, *, session: bool = True) -> psycopg.Connection:
    """Open a connection in autocommit mode, whose statements do not last for ever.

    Nothing is prepared on the server, so that a pooler may be in between.

    Args:
        dsn: as `complete` gives it.
        session: set the limits for the whole session; without, the caller sets `LIMITS`.

    Raises:
        psycopg.OperationalError: the database does not answer.
    """
    connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=None)
    if not session:
        return connection
    try:
        connection.execute(SESSION)
    except psycopg.Error:
        connection.close()
        raise
    return connection
