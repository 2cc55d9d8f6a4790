"""The server is told apart, and what it can do is added once."""

import psycopg
import pytest

from market.errors import ConfigError
from migrations.storage import CHUNKED, ServerKind, inspect, prepare
from migrations.upgrade import upgrade


def has_timescaledb(dsn: str) -> bool:
    with psycopg.connect(dsn) as connection:
        query = "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"
        return connection.execute(query).fetchone() is not None


def test_every_step_says_what_it_did_and_does_it_once(empty_database: str) -> None:
    upgrade(empty_database)
    assert not any(step.is_done for step in inspect(empty_database).steps[1:])
    first = prepare(empty_database)
    assert len(first.steps) == 1 + len(CHUNKED)
    assert all(step.is_done and "made" in step.reason for step in first.steps[1:])
    again = prepare(empty_database)
    assert all(step.is_done and "already" in step.reason for step in again.steps[1:])
    assert all(step.is_done for step in inspect(empty_database).steps[1:])


def test_a_plain_server_is_called_plain(database: str) -> None:
    if has_timescaledb(database):
        pytest.skip("this server has TimescaleDB")
    report = inspect(database)
    assert report.kind is ServerKind.PLAIN
    assert report.timescaledb_version is None
    assert report.steps[0].what == "extension timescaledb"
    assert not report.steps[0].is_done
    assert "plain PostgreSQL" in report.steps[0].reason
    assert [step.what for step in report.steps[1:]] == [
        "index trades_time_brin",
        "index book_tops_time_brin",
        "index bars_start_brin",
        "index features_time_brin",
    ]


def test_a_server_with_the_extension_gets_hypertables(database: str) -> None:
    if not has_timescaledb(database):
        pytest.skip("this server has no TimescaleDB")
    report = inspect(database)
    assert report.kind in (ServerKind.APACHE, ServerKind.COMMUNITY)
    assert report.timescaledb_version is not None
    assert [step.what for step in report.steps[1:]] == [
        f"hypertable {chunked.table}" for chunked in CHUNKED
    ]


def test_a_lack_can_be_made_fatal(database: str) -> None:
    if has_timescaledb(database):
        pytest.skip("this server has TimescaleDB")
    with pytest.raises(ConfigError, match=r"require_timescaledb.*plain PostgreSQL"):
        prepare(database, require_timescaledb=True)


def test_rows_that_were_there_before_stay(empty_database: str) -> None:
    upgrade(empty_database)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        # As a plain server left it, before it got the extension.
        connection.execute("CREATE INDEX trades_time_brin ON trades USING brin (time)")
        connection.execute(
            "INSERT INTO trades SELECT 'binance', 'BTC-USDT', now() - interval '1 hour' * number, "
            "number, 1, 1, 'buy', now() FROM generate_series(1, 100) AS number"
        )
        report = prepare(empty_database)
        assert all(step.is_done for step in report.steps[1:])
        assert connection.execute("SELECT count(*) FROM trades").fetchone() == (100,)
        if report.kind is not ServerKind.PLAIN:
            assert report.steps[1].reason == "made, with the rows it had, a chunk is 1 day"
            chunks = connection.execute("SELECT count(*) FROM show_chunks('trades')").fetchone()
            assert chunks is not None
            assert chunks[0] >= 5
