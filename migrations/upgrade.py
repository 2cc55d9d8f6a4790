"""Bring a database to a version of the schema, safely from many processes at once.

An advisory lock belongs to the session that holds it: a process that is killed half way leaves no
lock behind, and its version is rolled back.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Connection, NullPool, create_engine

from market.errors import ConfigError

LOCK = 0x43414E444C45  # "CANDLE"; one lock for versions and for storage.py
LOCK_WAIT_S = 60.0
STATEMENT_LOCK_TIMEOUT = "5s"
CONNECT_TIMEOUT_S = 5
OLDEST_SERVER = 140000


class Migrated(msgspec.Struct, frozen=True):
    """What `upgrade` or `downgrade` did; a revision is None for an empty database."""

    before: str | None
    after: str | None


def upgrade(dsn: str, revision: str = "head") -> Migrated:
    """Run the versions that the database lacks, up to `revision`.

    Args:
        dsn: libpq address, URL or key=value.
        revision: id of a version, or `head` for the newest.

    Raises:
        ConfigError: the database cannot be reached, is older than PostgreSQL 14, has a version
            that this program does not know, or another process holds the lock for a minute.
    """
    with locked(dsn) as session, _wrapped(session) as connection:
        before = _known_revision(connection)
        command.upgrade(_config(connection), revision)
        return Migrated(before, _revision(connection))


def downgrade(dsn: str, revision: str) -> Migrated:
    """Undo the versions after `revision`; `base` undoes all. Tables go with their rows.

    What TimescaleDB Community makes of trades goes first; `migrations.storage` makes it again.

    Raises:
        ConfigError: as `upgrade`, or there is no such version.
    """
    from migrations.storage import aggregates  # noqa: PLC0415  it is built on this file

    if revision not in {"base", *revisions()}:
        raise ConfigError(f"no schema version {revision!r}: base, {', '.join(revisions())}")
    with locked(dsn) as session:
        aggregates.remove(session)
        with _wrapped(session) as connection:
            before = _known_revision(connection)
            command.downgrade(_config(connection), revision)
            return Migrated(before, _revision(connection))


class WholeChange:
    """A change of versions and rows that is made at once or not at all; `whole_change` makes one.

    Args:
        session: not in autocommit mode, holding the lock; for what else belongs to the change.
        connection: the same, for alembic.
    """

    def __init__(self, session: psycopg.Connection, connection: Connection) -> None:
        self.session = session
        self._connection = connection

    def upgrade(self, revision: str = "head") -> None:
        """Run the versions that the database lacks, up to `revision`."""
        command.upgrade(_config(self._connection), revision)

    def clear(self) -> None:
        """Drop our tables with their rows, and what says which version they were."""
        from migrations.storage import aggregates  # noqa: PLC0415  it is built on this file

        aggregates.remove(self.session)
        if _known_revision(self._connection) is not None:
            command.downgrade(_config(self._connection), "base")
        self.session.execute("DROP TABLE IF EXISTS alembic_version")


@contextmanager
def whole_change(dsn: str) -> Iterator[WholeChange]:
    """Hold the lock, and make everything that is done meanwhile in one transaction.

    Whatever ends it before its end, a kill or a power failure too, leaves the database as it was.

    Raises:
        ConfigError: as `upgrade`, or nobody knows whether it was made: the connection was lost
            while it was committed.
    """
    with locked(dsn) as session, _wrapped(session) as connection, connection.begin():
        try:
            session.execute("SELECT 1")  # the driver begins: what opens a transaction is within
            yield WholeChange(session, connection)
        except BaseException:
            with suppress(psycopg.Error):
                session.rollback()
            connection.invalidate()  # or it would be rolled back again, which a lost one refuses
            raise
        try:
            session.commit()
        except psycopg.OperationalError:
            connection.invalidate()
            if not session.closed:
                raise
            raise ConfigError(
                "the connection to the database was lost while the change was committed: the "
                "database has all that it had before, or all of the new; `candlewax db status` "
                "tells which rows there are"
            ) from None


def current(dsn: str) -> str | None:
    """Return the version of the database, None when it has none.

    Raises:
        ConfigError: the database cannot be reached.
    """
    with connect(dsn) as session, _wrapped(session) as connection:
        return _revision(connection)


def newest() -> str:
    """Return the version that this program is written for."""
    return revisions()[-1]


def revisions() -> list[str]:
    """Return all versions, the oldest first."""
    scripts = ScriptDirectory(str(Path(__file__).parent))
    return [script.revision for script in scripts.walk_revisions()][::-1]


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
        ConfigError: as `upgrade`.
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


@contextmanager
def _wrapped(connection: psycopg.Connection) -> Iterator[Connection]:
    connection.autocommit = False  # alembic leaves beginning a transaction to the driver
    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=NullPool)
    with engine.connect() as wrapped:
        yield wrapped


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _revision(connection: Connection) -> str | None:
    is_begun = connection.in_transaction()
    revision = MigrationContext.configure(connection).get_current_revision()
    if not is_begun:
        connection.rollback()
    return revision


def _known_revision(connection: Connection) -> str | None:
    revision = _revision(connection)
    if revision is not None and revision not in revisions():
        raise ConfigError(
            f"the database has schema version {revision}, and this program knows none newer than "
            f"{newest()}: install the Candlewax that made it, or a newer one"
        )
    return revision
