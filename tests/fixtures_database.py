"""A real PostgreSQL for tests: one server a session, one database a test.

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
def make_database(database_server: str) -> Iterator[Callable[[str], str]]:
    """Make a database, from a template or from nothing (`""`), and return its address."""
    made: list[str] = []

    def make(template: str) -> str:
        name = f"candlewax_test_{os.getpid()}_{next(_numbers)}"
        source = f" TEMPLATE {template}" if template else ""
        with psycopg.connect(database_server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}{source}")
        made.append(name)
        return make_conninfo(database_server, dbname=name)

    yield make
    if not os.environ.get("CANDLEWAX_TEST_DSN"):
        return  # they go with the server
    with psycopg.connect(database_server, autocommit=True) as connection:
        for name in made:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def database_template(make_database: Callable[[str], str]) -> str:
    """Name of a database that has the schema and nothing else."""
    dsn = make_database("")
    upgrade(dsn)
    prepare(dsn)
    with psycopg.connect(dsn) as connection:
        return connection.info.dbname


@pytest.fixture
def database(make_database: Callable[[str], str], database_template: str) -> str:
    """Address of a fresh database with the schema."""
    return make_database(database_template)


@pytest.fixture
def empty_database(make_database: Callable[[str], str]) -> str:
    """Address of a fresh database with nothing in it."""
    return make_database("")


@pytest.fixture
def postgres_folder(tmp_path: Path) -> Path:
    """Folder for a server of the test's own, below one that only its owner may enter."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    return closed / "pg"
