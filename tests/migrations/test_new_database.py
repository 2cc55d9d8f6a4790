"""A role and a database are made once, and what is there stays."""

import itertools
import os
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from market.errors import ConfigError
from migrations.new_database import NewDatabase, make
from migrations.storage import prepare
from migrations.upgrade import upgrade
from sinks.secret import Secret

PASSWORD = "pass'word / %41 ä"
_numbers = itertools.count(1)

Make = Callable[..., NewDatabase]


@pytest.fixture
def made(database_server: str) -> Iterator[Make]:
    """Make with names of the test's own, which go afterwards."""
    name = f"candlewax_new_{os.getpid()}_{next(_numbers)}"

    def make_new(password: str = PASSWORD, admin: str = database_server) -> NewDatabase:
        return make(admin, role=f"{name} role", database=name, password=Secret(password))

    yield make_new
    with psycopg.connect(database_server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f'DROP ROLE IF EXISTS "{name} role"'.encode())


def test_it_is_made_once_and_can_be_used(made: Make) -> None:
    new = made()
    assert new.made == ("role", "database")
    assert new.shape.startswith("postgresql://candlewax_new_")
    assert ":PASSWORD@127.0.0.1:" in new.shape
    assert PASSWORD not in repr(new)
    upgrade(new.dsn.reveal())
    report = prepare(new.dsn.reveal())
    assert all(
        step.is_done for step in report.steps if step.what.startswith(("hypertable", "index"))
    )
    assert made().made == ()
    with psycopg.connect(new.dsn.reveal()) as connection:
        row = connection.execute(
            "SELECT current_user = pg_get_userbyid(datdba), "
            "(SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles "
            "WHERE rolname = current_user) FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    assert row == (True, False)


def test_a_role_with_another_password_is_told(made: Make) -> None:
    made()
    with pytest.raises(ConfigError, match="exists and does not get in with this password") as told:
        made("another")
    assert "another" not in str(told.value).replace("another --role", "")


def test_an_administrator_who_is_none_is_told(made: Make, database_server: str) -> None:
    new = made()
    admin = make_conninfo(new.dsn.reveal(), dbname="postgres")
    with pytest.raises(ConfigError, match="may not make that"):
        make(admin, role="somebody else", database="elsewhere", password=Secret("x"))


def test_a_server_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match="does not let us in"):
        make("postgresql://u:hidden@127.0.0.1:1/x", role="r", database="d", password=Secret("x"))
