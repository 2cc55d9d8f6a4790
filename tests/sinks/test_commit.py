"""A transaction that fails leaves a connection that can be used, or none."""

from collections.abc import Iterator

import psycopg
import pytest

from sinks.commit import Commit
from sinks.store_connection import complete, connect


def refused(_: psycopg.Transaction) -> Iterator[bytes]:
    yield b"SELECT 1"  # in a failed transaction it is refused, as a cancelled ROLLBACK is


def fail(commit: Commit, connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero), commit.of(connection):
        connection.execute("SELECT 1 / 0")


def test_after_a_failure_the_connection_goes_on(database: str) -> None:
    commit = Commit()
    with connect(complete(database), session=False) as connection:
        fail(commit, connection)
        assert not commit.is_in_doubt
        with commit.of(connection):
            connection.execute("SELECT 1")
        assert commit.is_in_doubt


def test_a_rollback_that_fails_ends_the_connection(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Commit()
    with connect(complete(database), session=False) as connection:
        with monkeypatch.context() as patch:
            patch.setattr(psycopg.Transaction, "_get_rollback_commands", refused)
            fail(commit, connection)
        assert connection.closed
        with pytest.raises(psycopg.OperationalError, match="closed"), commit.of(connection):
            pass
