"""What the server can do for the tables beyond plain SQL, added step by step after the versions.

Three kinds of server are told apart: plain PostgreSQL, TimescaleDB under the Apache licence, and
TimescaleDB Community. Each step can be repeated, and says what it did or why it did not: a server
that gets the extension later is converted at the next start.
"""

import enum
import logging

import msgspec
import psycopg

from market.errors import ConfigError
from migrations.upgrade import connect, locked

OLDEST_TIMESCALEDB = (2, 13)
"""First version with `by_range`."""

_log = logging.getLogger(__name__)


class ServerKind(enum.StrEnum):
    """What the database server is."""

    PLAIN = "PostgreSQL"
    APACHE = "TimescaleDB Apache"
    COMMUNITY = "TimescaleDB Community"


class StorageStep(msgspec.Struct, frozen=True):
    """One thing that a server may do.

    Attributes:
        what: `"hypertable trades"`.
        is_done: whether it is in force.
        reason: since when, or why not.
    """

    what: str
    is_done: bool
    reason: str


class StorageReport(msgspec.Struct, frozen=True):
    """What server this is and what is on and off there.

    Attributes:
        kind: which of the three.
        server_version: PostgreSQL's, `"18.4"`.
        timescaledb_version: None without the extension.
        steps: in the order they are tried.
    """

    kind: ServerKind
    server_version: str
    timescaledb_version: str | None
    steps: tuple[StorageStep, ...]


class _Chunked(msgspec.Struct, frozen=True):
    """A table that time cuts into pieces."""

    table: str
    column: str
    length: str


CHUNKED = (
    _Chunked("trades", "time", "1 day"),
    _Chunked("book_tops", "time", "1 day"),
    _Chunked("bars", "start", "7 days"),
    _Chunked("features", "time", "7 days"),
)


def prepare(dsn: str, *, require_timescaledb: bool = False) -> StorageReport:
    """Add what this server can do, and report it. The versions must have been run before.

    Args:
        dsn: libpq address.
        require_timescaledb: refuse a server without the extension.

    Raises:
        ConfigError: the database cannot be reached, or lacks what is required.
    """
    with locked(dsn) as connection:
        extension = _create_extension(connection)
        version = _timescaledb(connection)
        if version is None:
            if require_timescaledb:
                raise ConfigError(
                    "store.require_timescaledb is set and this database has no TimescaleDB: "
                    f"{extension.reason}; or set store.require_timescaledb = false"
                )
            steps = [_create_brin(connection, chunked) for chunked in CHUNKED]
        else:
            steps = [_create_hypertable(connection, chunked, version) for chunked in CHUNKED]
        return _report(connection, (extension, *steps))


def inspect(dsn: str) -> StorageReport:
    """Report without changing anything.

    Raises:
        ConfigError: the database cannot be reached.
    """
    with connect(dsn) as connection:
        version = _timescaledb(connection)
        extension = StorageStep(
            "extension timescaledb",
            version is not None,
            _lack(connection) or "available, not created" if version is None else version,
        )
        steps = []
        for chunked in CHUNKED:
            if version is None:
                there = _exists(connection, _brin_name(chunked))
                what = f"index {_brin_name(chunked)}"
            else:
                there = _is_hypertable(connection, chunked.table)
                what = f"hypertable {chunked.table}"
            steps.append(StorageStep(what, there, "there" if there else "not there"))
        return _report(connection, (extension, *steps))


def _report(connection: psycopg.Connection, steps: tuple[StorageStep, ...]) -> StorageReport:
    version = _timescaledb(connection)
    kind = ServerKind.PLAIN
    if version is not None:
        licence = _scalar(connection, "SELECT current_setting('timescaledb.license', true)")
        kind = ServerKind.COMMUNITY if licence == "timescale" else ServerKind.APACHE
    server = _scalar(connection, "SHOW server_version") or "?"
    return StorageReport(kind, server.split()[0], version, steps)


def _create_extension(connection: psycopg.Connection) -> StorageStep:
    what = "extension timescaledb"
    version = _timescaledb(connection)
    if version is not None:
        return StorageStep(what, is_done=True, reason=version)
    lack = _lack(connection)
    if lack:
        return StorageStep(what, is_done=False, reason=lack)
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except psycopg.errors.InsufficientPrivilege:
        return StorageStep(
            what,
            is_done=False,
            reason=f"role {connection.info.user} may not create it: run CREATE EXTENSION "
            "timescaledb in this database as a superuser",
        )
    return StorageStep(what, is_done=True, reason=f"created, {_timescaledb(connection)}")


def _lack(connection: psycopg.Connection) -> str:
    """Return why the extension cannot be created; empty when it can."""
    query = "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"
    if connection.execute(query).fetchone() is None:
        return "this server does not have it: plain PostgreSQL"
    preloaded = _scalar(
        connection, "SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries'"
    )
    if preloaded is None:  # hidden from ordinary roles, but a loaded library's settings are not
        query = "SELECT name FROM pg_settings WHERE name LIKE 'timescaledb.%' LIMIT 1"
        preloaded = _scalar(connection, query) or ""
    if "timescaledb" not in preloaded:
        return "it is installed but not loaded: add it to shared_preload_libraries and restart"
    return ""


def _create_hypertable(
    connection: psycopg.Connection, chunked: _Chunked, version: str
) -> StorageStep:
    what = f"hypertable {chunked.table}"
    if _is_hypertable(connection, chunked.table):
        return StorageStep(what, is_done=True, reason="was one already")
    if _version_tuple(version) < OLDEST_TIMESCALEDB:
        oldest = ".".join(map(str, OLDEST_TIMESCALEDB))
        return StorageStep(
            what, is_done=False, reason=f"TimescaleDB {version} is older than {oldest}: update it"
        )
    query = f"SELECT 1 FROM {chunked.table} LIMIT 1"
    has_rows = connection.execute(query).fetchone() is not None
    if has_rows:
        _log.warning(
            "turning a table with rows into a hypertable; it is locked until that is done",
            extra={"table": chunked.table},
        )
    # The primary key serves queries; the default index on time would only cost inserts.
    connection.execute(
        f"SELECT create_hypertable('{chunked.table}', "
        f"by_range('{chunked.column}', INTERVAL '{chunked.length}'), "
        f"create_default_indexes => false, migrate_data => {str(has_rows).lower()})"
    )
    reason = "made, with the rows it had" if has_rows else "made"
    return StorageStep(what, is_done=True, reason=f"{reason}, a chunk is {chunked.length}")


def _create_brin(connection: psycopg.Connection, chunked: _Chunked) -> StorageStep:
    name = _brin_name(chunked)
    what = f"index {name}"
    if _exists(connection, name):
        return StorageStep(what, is_done=True, reason="was there already")
    connection.execute(f"CREATE INDEX {name} ON {chunked.table} USING brin ({chunked.column})")
    return StorageStep(what, is_done=True, reason="made: this server has no hypertables")


def _brin_name(chunked: _Chunked) -> str:
    return f"{chunked.table}_{chunked.column}_brin"


def _exists(connection: psycopg.Connection, name: str) -> bool:
    return _scalar(connection, f"SELECT to_regclass('{name}')::text") is not None


def _is_hypertable(connection: psycopg.Connection, table: str) -> bool:
    query = (
        "SELECT hypertable_name FROM timescaledb_information.hypertables "
        f"WHERE hypertable_name = '{table}' AND hypertable_schema = current_schema()"
    )
    return _scalar(connection, query) is not None


def _timescaledb(connection: psycopg.Connection) -> str | None:
    return _scalar(connection, "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")


def _version_tuple(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].split(".") if part.isdigit())


def _scalar(connection: psycopg.Connection, query: str) -> str | None:
    row = connection.execute(query).fetchone()
    return None if row is None or row[0] is None else str(row[0])
