"""Bring a database to a version of the schema, safely from many processes at once.

The version of a process that is killed half way is rolled back.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, NullPool, create_engine

from market.errors import ConfigError
from migrations.schema_version import known_revision, revision_of, revisions
from migrations.session import locked
from migrations.storage import aggregates


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
    with locked(dsn) as session:
        before = known_revision(session)
        with _wrapped(session) as connection:
            command.upgrade(_config(connection), revision)
            return Migrated(before, revision_of(session))


def downgrade(dsn: str, revision: str) -> Migrated:
    """Undo the versions after `revision`; `base` undoes all. Tables go with their rows.

    What TimescaleDB Community makes of trades goes first; `migrations.storage` makes it again.

    Raises:
        ConfigError: as `upgrade`, or there is no such version.
    """
    if revision not in {"base", *revisions()}:
        raise ConfigError(f"no schema version {revision!r}: base, {', '.join(revisions())}")
    with locked(dsn) as session:
        aggregates.remove(session)
        before = known_revision(session)
        with _wrapped(session) as connection:
            command.downgrade(_config(connection), revision)
            return Migrated(before, revision_of(session))


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
        aggregates.remove(self.session)
        if known_revision(self.session) is not None:
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
