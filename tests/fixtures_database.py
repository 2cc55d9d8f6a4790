"""Real servers for tests: one of a kind a session, an empty schema a test.

What asks for a database runs on each kind: the embedded PostgreSQL, and the real TimescaleDB that
`make timescaledb` unpacks. CANDLEWAX_TEST_DSN names a server to use in place of both; its role must
be allowed to create databases.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from migrations.storage import prepare
from migrations.upgrade import upgrade
from sinks.embedded_postgres import EmbeddedPostgres
from tests.servers import timescaledb_packages
from tests.servers.timescaledb_server import TimescaleServer

EMBEDDED = "embedded"
TIMESCALEDB = "timescaledb"
GIVEN = "given"
DSN_VARIABLE = "CANDLEWAX_TEST_DSN"

_numbers = itertools.count(1)


class Servers:
    """The servers of a session, each started when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = ExitStack()
        self._addresses: dict[str, str] = {}
        self._kept: dict[str, str] = {}
        self._made: list[str] = []

    def address(self, kind: str) -> str:
        """Return the address of a server; the test is skipped when it cannot be had."""
        if kind not in self._addresses:
            self._addresses[kind] = self._start(kind)
        return self._addresses[kind]

    def make(self, kind: str) -> str:
        """Make an empty database and return its address."""
        server = self.address(kind)
        name = f"candlewax_test_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        self._made.append(name)
        return make_conninfo(server, dbname=name)

    def kept(self, kind: str) -> str:
        """Return the one database that is emptied for each test."""
        if kind not in self._kept:
            self._kept[kind] = with_schema(self.make(kind))
        return self._kept[kind]

    def best(self) -> str:
        """Return the kind that has most to offer here."""
        if os.environ.get(DSN_VARIABLE):
            return GIVEN
        is_there = timescaledb_packages.is_there() and not timescaledb_packages.obstacle()
        return TIMESCALEDB if is_there else EMBEDDED

    def stop(self) -> None:
        """End what was started; on a server that was given, drop what was made."""
        if GIVEN in self._addresses:
            with psycopg.connect(self._addresses[GIVEN], autocommit=True) as connection:
                for name in self._made:
                    connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._running.close()

    def _start(self, kind: str) -> str:
        if kind == GIVEN:
            return os.environ[DSN_VARIABLE]
        if kind == TIMESCALEDB:
            reason = timescaledb_packages.obstacle()
            if reason:
                pytest.skip(f"no TimescaleDB: {reason}")
            if not timescaledb_packages.is_there():
                pytest.skip("no TimescaleDB: run `make timescaledb` first")
            return self._running.enter_context(TimescaleServer())
        dsn = self._running.enter_context(EmbeddedPostgres(self._folder / "pg"))
        with psycopg.connect(dsn, autocommit=True) as connection:
            # It lives as long as the tests. Those that kill a server start their own.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        return dsn


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers of every kind."""
    servers = Servers(tmp_path_factory.mktemp("postgres"))
    yield servers
    servers.stop()


def server_kinds() -> list[object]:
    """Return the kinds that tests run on."""
    if os.environ.get(DSN_VARIABLE):
        return [pytest.param(GIVEN, marks=pytest.mark.timescaledb)]
    return [EMBEDDED, pytest.param(TIMESCALEDB, marks=pytest.mark.timescaledb)]


@pytest.fixture(scope="session", params=server_kinds())
def server_kind(request: pytest.FixtureRequest) -> str:
    """Kind of the server that a test runs on: each test runs on every kind."""
    return str(request.param)


@pytest.fixture(scope="session")
def database_server(servers: Servers, server_kind: str) -> str:
    """Address of a server."""
    return servers.address(server_kind)


@pytest.fixture(scope="session")
def make_database(servers: Servers, server_kind: str) -> Callable[[], str]:
    """Make an empty database and return its address."""
    servers.address(server_kind)
    return lambda: servers.make(server_kind)


def with_schema(dsn: str) -> str:
    """Give a database the schema, as a start of the program does."""
    upgrade(dsn)
    prepare(dsn)
    return dsn


@pytest.fixture
def database(servers: Servers, server_kind: str) -> str:
    """Address of a database with the schema and no rows, for tests that keep the schema as it is.

    Emptying one takes a tenth of the time of making one.
    """
    kept = servers.kept(server_kind)
    with psycopg.connect(kept, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
        names = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "AND relkind = 'r' AND relname <> 'alembic_version'"
        ).fetchall()
        tables = ", ".join(f'"{name}"' for (name,) in names)
        connection.execute(f"TRUNCATE {tables} RESTART IDENTITY")
    return kept


@pytest.fixture
def fresh_database(make_database: Callable[[], str]) -> str:
    """Address of a database of the test's own with the schema, which it may change."""
    return with_schema(make_database())


@pytest.fixture
def empty_database(make_database: Callable[[], str]) -> str:
    """Address of a fresh database with nothing in it."""
    return make_database()


@pytest.fixture
def plain_database(servers: Servers) -> str:
    """Address of a fresh database with nothing in it, on a server without TimescaleDB."""
    return servers.make(EMBEDDED)


@pytest.fixture
def timescale_database(servers: Servers) -> str:
    """Address of a fresh database with nothing in it, on a server with TimescaleDB."""
    return servers.make(GIVEN if os.environ.get(DSN_VARIABLE) else TIMESCALEDB)


@pytest.fixture(scope="session")
def kept_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a server's data, stopped, for tests that start, stop and kill it."""
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700)
    with EmbeddedPostgres(closed / "pg"):
        return closed / "pg"


@pytest.fixture
def postgres_folder(tmp_path: Path) -> Path:
    """Folder for a server of the test's own, below one that only its owner may enter."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    return closed / "pg"
