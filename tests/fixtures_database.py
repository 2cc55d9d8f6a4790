"""Real servers for tests: one of a kind a session, an empty schema a test.

What asks for a database runs on each kind: the embedded PostgreSQL, and the real TimescaleDB that
`make timescaledb` unpacks (marked `timescaledb`). CANDLEWAX_TEST_DSN names a server to use in place
of that one; its role must be allowed to create databases.

CANDLEWAX_TEST_SERVER, `embedded` or `timescaledb`, leaves one kind. The end-to-end tests run on one
kind at a time, the embedded one unless it says otherwise. `make test` runs all there is to the
embedded server, `make test-timescaledb` all there is to the other.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from sinks.embedded_postgres import EmbeddedPostgres
from tests.servers import timescaledb_packages
from tests.servers.own_server import OwnServer
from tests.servers.schema import remove_rows, with_schema
from tests.servers.timescaledb_server import TimescaleServer

EMBEDDED = "embedded"
TIMESCALEDB = "timescaledb"
GIVEN = "given"
DSN_VARIABLE = "CANDLEWAX_TEST_DSN"
SERVER_VARIABLE = "CANDLEWAX_TEST_SERVER"

IN_MEMORY = Path("/dev/shm")
"""Making a database takes a seventh of the time that it takes on a disk."""
ROOM = 4 << 30

_numbers = itertools.count(1)


def pytest_configure() -> None:
    """Refuse to run on a server that cannot be had, rather than to skip everything.

    Raises:
        pytest.UsageError: CANDLEWAX_TEST_SERVER names no kind, or one that is not there.
    """
    asked = os.environ.get(SERVER_VARIABLE, EMBEDDED)
    if asked not in (EMBEDDED, TIMESCALEDB):
        raise pytest.UsageError(
            f"{SERVER_VARIABLE} is {asked!r}: expected {EMBEDDED} or {TIMESCALEDB}"
        )
    lack = timescaledb_packages.lack() if asked == other_kind() else ""
    if lack:
        raise pytest.UsageError(lack)


def other_kind() -> str:
    """Return the kind of server beside the embedded one."""
    return GIVEN if os.environ.get(DSN_VARIABLE) else TIMESCALEDB


def whole_suite_kind() -> str:
    """Return the kind of server that tests run on which run on one."""
    return EMBEDDED if os.environ.get(SERVER_VARIABLE, EMBEDDED) == EMBEDDED else other_kind()


class Servers:
    """The servers of a session, each started when it is first asked for."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._addresses: dict[str, str] = {}
        self._kept: dict[str, tuple[str, psycopg.Connection]] = {}
        self._template = ""
        self._made: list[str] = []

    def address(self, kind: str) -> str:
        """Return the address of a server; the test is skipped when it cannot be had."""
        if kind not in self._addresses:
            self._addresses[kind] = self._start(kind)
        return self._addresses[kind]

    def make(self, kind: str, template: str = "template0") -> str:
        """Make an empty database, or a copy of another one, and return its address.

        Nobody can be connected to `template0`; TimescaleDB's scheduler may be to `template1`.
        """
        server = self.address(kind)
        name = f"candlewax_test_{os.getpid()}_{next(_numbers)}"
        # Without fsync files are copied in half the time that their pages take through the log.
        way = "STRATEGY file_copy" if kind == EMBEDDED else ""
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} {way}")
        self._made.append(name)
        return make_conninfo(server, dbname=name)

    def make_whole(self, kind: str) -> str:
        """Make a database with the schema and no rows, and return its address."""
        if kind != EMBEDDED:
            return with_schema(self.make(kind))
        if not self._template:
            with_schema(self.make(kind))
            self._template = self._made[-1]
        return self.make(kind, self._template)

    def emptied(self, kind: str) -> str:
        """Return the one database that is emptied for each test."""
        if kind not in self._kept:
            made = self.make_whole(kind)
            connection = psycopg.connect(made, autocommit=True)
            self._running.callback(connection.close)
            self._kept[kind] = made, connection
        address, connection = self._kept[kind]
        remove_rows(connection)
        return address

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
            if lack := timescaledb_packages.lack():
                pytest.skip(lack)
            return self._running.enter_context(TimescaleServer())
        path = Path(self._running.enter_context(quick_folder()))
        dsn = self._running.enter_context(EmbeddedPostgres(path / "pg"))
        with psycopg.connect(dsn, autocommit=True) as connection:
            # It lives as long as the tests. Those that kill a server start their own.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("ALTER SYSTEM SET full_page_writes = off")
            # A worker a second goes through the databases that tests leave behind.
            connection.execute("ALTER SYSTEM SET autovacuum_naptime = '1h'")
            connection.execute("SELECT pg_reload_conf()")
            # Thousands of rounds at each of thousands of connections are half of what one costs.
            connection.execute("SET scram_iterations = 1")
            password = sql.Literal(connection.info.password)
            connection.execute(sql.SQL("ALTER ROLE candlewax PASSWORD {}").format(password))
        return dsn


def quick_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder for a database, in memory where there is room; used as a context manager."""
    is_there = IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM
    return tempfile.TemporaryDirectory(
        prefix="candlewax-tests-", dir=IN_MEMORY if is_there else None
    )


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Servers of every kind."""
    servers = Servers()
    yield servers
    servers.stop()


def server_kinds() -> list[object]:
    """Return the kinds that tests run on."""
    asked = os.environ.get(SERVER_VARIABLE)
    other = pytest.param(other_kind(), marks=pytest.mark.timescaledb)
    kinds: dict[str | None, list[object]] = {EMBEDDED: [EMBEDDED], TIMESCALEDB: [other]}
    return kinds.get(asked, [EMBEDDED, other])


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


@pytest.fixture(scope="session")
def make_whole_database(servers: Servers, server_kind: str) -> Callable[[], str]:
    """Make a database with the schema and return its address."""
    servers.address(server_kind)
    return lambda: servers.make_whole(server_kind)


@pytest.fixture
def database(servers: Servers, server_kind: str) -> str:
    """Address of a database with the schema and no rows, for tests that keep the schema as it is.

    Emptying one takes a tenth of the time of making one.
    """
    return servers.emptied(server_kind)


@pytest.fixture
def fresh_database(make_whole_database: Callable[[], str]) -> str:
    """Address of a database of the test's own with the schema, which it may change."""
    return make_whole_database()


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
    return servers.make(other_kind())


@pytest.fixture(scope="module")
def own_server(
    request: pytest.FixtureRequest, servers: Servers, server_kind: str
) -> Iterator[OwnServer]:
    """A server of a module's own, started, which its tests may stop and kill."""
    if server_kind == GIVEN:
        pytest.skip(f"the server in {DSN_VARIABLE} is not for us to kill")
    server: OwnServer
    if server_kind == TIMESCALEDB:
        servers.address(TIMESCALEDB)  # or the test is skipped
        server = TimescaleServer()
        end = server.close
    else:
        server = EmbeddedPostgres(request.getfixturevalue("kept_folder"))
        end = server.stop
    server.start()
    yield server
    end()


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
