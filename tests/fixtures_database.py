"""A real PostgreSQL for tests: one server a session, an empty schema a test.

The server is the embedded one, unless CANDLEWAX_TEST_DSN names another; its role must be allowed to
create databases.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from migrations.storage import prepare
from migrations.upgrade import upgrade
from sinks.embedded_postgres import EmbeddedPostgres
from sinks.tables import TABLES

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def database_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server."""
    given = os.environ.get("CANDLEWAX_TEST_DSN")
    if given:
        yield given
        return
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres") / "pg") as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            # It lives as long as the tests. Those that kill a server start their own.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield dsn


@pytest.fixture(scope="session")
def make_database(database_server: str) -> Iterator[Callable[[], str]]:
    """Make an empty database and return its address."""
    made: list[str] = []

    def make() -> str:
        name = f"candlewax_test_{os.getpid()}_{next(_numbers)}"
        with psycopg.connect(database_server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        made.append(name)
        return make_conninfo(database_server, dbname=name)

    yield make
    if not os.environ.get("CANDLEWAX_TEST_DSN"):
        return  # they go with the server
    with psycopg.connect(database_server, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def with_schema(dsn: str) -> str:
    """Give a database the schema, as a start of the program does."""
    upgrade(dsn)
    prepare(dsn)
    return dsn


@pytest.fixture(scope="session")
def kept_database(make_database: Callable[[], str]) -> str:
    """Address of the database that `database` empties."""
    return with_schema(make_database())


@pytest.fixture
def database(kept_database: str) -> str:
    """Address of a database with the schema and no rows, for tests that keep the schema as it is.

    Emptying one takes a tenth of the time of making one.
    """
    with psycopg.connect(kept_database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
        tables = ", ".join(
            f'"{name}"' for name in [*TABLES, "outbox", "filter_specs", "filter_generations"]
        )
        connection.execute(f"TRUNCATE {tables} RESTART IDENTITY")
    return kept_database


@pytest.fixture
def fresh_database(make_database: Callable[[], str]) -> str:
    """Address of a database of the test's own with the schema, which it may change."""
    return with_schema(make_database())


@pytest.fixture
def empty_database(make_database: Callable[[], str]) -> str:
    """Address of a fresh database with nothing in it."""
    return make_database()


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
