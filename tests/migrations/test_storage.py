"""The server is told apart, and what it can do is added once."""

import logging

import psycopg
import pytest

from market.errors import ConfigError
from migrations.storage import TIMED, ServerKind, aggregates, columnstore, inspect, prepare
from migrations.storage import retention as policies
from migrations.storage.aggregate_windows import DAY_US, Window
from migrations.storage.server import Server
from migrations.upgrade import upgrade

KEEP = {"trades": 30.0, "book_tops": 14.0, "features": 90.0}
OLD_TRADES = (
    "INSERT INTO trades SELECT 'binance', 'BTC-USDT', now() - interval '1 hour' * number, "
    "number, 1, 1, 'buy', now() FROM generate_series(1, 100) AS number"
)

MANY_TRADES = (
    "INSERT INTO trades SELECT 'binance', 'ETH-USDT', now() - interval '1 minute' * number, "
    "number, 1, 1, 'buy', now() FROM generate_series(1, 50000) AS number"
)
"""Enough that moving them lasts longer than to begin to look at it."""


def rows_of(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query).fetchall()


def like_a_plain_server(connection: psycopg.Connection) -> None:
    """Give a database the steps of a plain server, as one that got the extension later has them."""
    for table in TIMED:
        connection.execute(f"CREATE INDEX {table.brin} ON {table.name} USING brin ({table.column})")


def test_every_step_says_what_it_did_and_does_it_once(empty_database: str) -> None:
    upgrade(empty_database)
    before = inspect(empty_database)
    pieces = slice(1, 1 + len(TIMED))
    assert not any(step.is_done for step in before.steps[pieces])
    first = prepare(empty_database, keep_days=KEEP)
    assert all(step.is_done and "made" in step.reason for step in first.steps[pieces])
    again = prepare(empty_database, keep_days=KEEP)
    assert all(step.is_done and "already" in step.reason for step in again.steps[pieces])
    looked = inspect(empty_database, keep_days=KEEP)
    assert all(step.is_done for step in looked.steps[pieces])
    names = [step.what for step in first.steps]
    assert [step.what for step in looked.steps] == names
    assert [step.is_done for step in looked.steps] == [step.is_done for step in again.steps]


def test_a_plain_server_is_called_plain_and_says_what_it_lacks(plain_database: str) -> None:
    upgrade(plain_database)
    prepare(plain_database, keep_days=KEEP)
    report = inspect(plain_database, keep_days=KEEP)
    assert report.kind is ServerKind.PLAIN
    assert report.timescaledb_version is None
    told = {step.what: (step.is_done, step.reason) for step in report.steps}
    lack = "this server does not have it: plain PostgreSQL"
    assert told["extension timescaledb"] == (False, lack)
    assert told["index trades_time_brin"] == (True, "there")
    assert told["columnstore"] == (False, "plain PostgreSQL does not have it")
    assert told["continuous aggregates"] == (False, "plain PostgreSQL does not have them")
    assert told["retention trades"] == (
        True,
        "30 days, by DELETE in batches of a running flow or `db retain`",
    )
    assert told["retention bars"] == (True, "rows stay for ever")


@pytest.mark.timescaledb
def test_a_server_with_the_extension_gets_hypertables_without_a_default_index(
    timescale_database: str,
) -> None:
    upgrade(timescale_database)
    report = prepare(timescale_database)
    assert report.kind in (ServerKind.APACHE, ServerKind.COMMUNITY)
    assert report.timescaledb_version is not None
    assert [step.what for step in report.steps[1 : 1 + len(TIMED)]] == [
        f"hypertable {table.name}" for table in TIMED
    ]
    chunks = rows_of(
        timescale_database,
        "SELECT hypertable_name, column_name, time_interval "
        "FROM timescaledb_information.dimensions ORDER BY 1",
    )
    lengths = {str(name): (str(column), str(length)) for name, column, length in chunks}
    assert lengths == {
        "bars": ("start", "7 days, 0:00:00"),
        "book_tops": ("time", "1 day, 0:00:00"),
        "book_updates": ("time", "1 day, 0:00:00"),
        "features": ("time", "7 days, 0:00:00"),
        "trades": ("time", "1 day, 0:00:00"),
    }
    indexes = rows_of(
        timescale_database,
        "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'trades'",
    )
    assert indexes == [("trades_pkey",)]


@pytest.mark.timescaledb
def test_the_apache_edition_is_told_from_community(timescale_database: str) -> None:
    upgrade(timescale_database)
    report = prepare(timescale_database, keep_days=KEEP)
    told = {step.what: (step.is_done, step.reason) for step in report.steps}
    if report.kind is ServerKind.COMMUNITY:
        assert all(is_done for is_done, _ in told.values()), told
        assert "continuous aggregate trades_1h" in told
        assert told["retention trades"] == (True, "policy made: 30 days")
        return
    edition = "the Apache edition does not have"
    assert told["columnstore"] == (False, f"{edition} it: TimescaleDB Community does")
    assert told["continuous aggregates"] == (False, f"{edition} them: TimescaleDB Community does")
    assert told["retention trades"] == (
        True,
        "30 days, by drop_chunks of a running flow or `db retain`",
    )


@pytest.mark.timescaledb
def test_what_only_community_has_fails_for_the_licence_alone(timescale_database: str) -> None:
    """Names and arguments of functions are looked up before the licence is."""
    upgrade(timescale_database)
    if prepare(timescale_database).kind is ServerKind.COMMUNITY:
        return  # there it was done, and every other test here says so
    with psycopg.connect(timescale_database, autocommit=True) as connection:
        for table in TIMED:
            for statement in columnstore.statements(table):
                with pytest.raises(psycopg.errors.FeatureNotSupported, match="apache"):
                    connection.execute(statement.encode())
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="apache"):
                connection.execute(policies.statements(table, 30)[1].encode())
        first = aggregates.AGGREGATES[0]
        with pytest.raises(psycopg.errors.FeatureNotSupported, match="apache"):
            connection.execute(aggregates.statements(first)[0].encode())
        for statement in aggregates.policy(first, 30):
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="apache"):
                connection.execute(statement.replace("'trades_1m'", "'trades'").encode())
        for is_forced in (False, True):
            statement = Window(0, DAY_US, is_forced=is_forced).statement(first)
            with pytest.raises(psycopg.errors.FeatureNotSupported, match="apache"):
                connection.execute(statement.replace("'trades_1m'", "'trades'").encode())


@pytest.mark.timescaledb
def test_an_aggregate_without_the_right_policy_is_not_done(timescale_database: str) -> None:
    upgrade(timescale_database)
    if prepare(timescale_database).kind is ServerKind.COMMUNITY:
        return  # test_community.py has the real ones
    first = aggregates.AGGREGATES[0]
    with psycopg.connect(timescale_database, autocommit=True) as connection:
        assert aggregates.look(connection, first, KEEP).reason == "not there"
        connection.execute(f"CREATE VIEW {first.name} AS SELECT 1 AS start")
        assert "an older version" in aggregates.look(connection, first, KEEP).reason
        connection.execute(aggregates.statements(first)[1].encode())
        step = aggregates.look(connection, first, {"trades": 1})
        assert not step.is_done
        assert step.reason == "no refresh policy that begins INTERVAL '64800 seconds' ago"


def test_a_refresh_stays_within_what_is_kept() -> None:
    first = aggregates.AGGREGATES[0]
    assert "INTERVAL '172800 seconds'" in aggregates.policy(first, 0)[1]
    assert "INTERVAL '172800 seconds'" in aggregates.policy(first, 30)[1]
    assert "INTERVAL '64800 seconds'" in aggregates.policy(first, 1)[1]
    starts = [aggregate.start_h for aggregate in aggregates.AGGREGATES]
    assert starts == sorted(starts)
    assert starts[0] >= aggregates.LATEST_TRADE_H


@pytest.mark.parametrize(
    ("version", "is_older"),
    [("2.19.3", True), ("2.20.0", False), ("2.29.2-dev", False), ("3.0", False)],
)
def test_an_old_community_is_told_to_update(version: str, is_older: bool) -> None:
    reason = columnstore.obstacle(Server(ServerKind.COMMUNITY, "17.1", version))
    assert ("2.20" in reason) is is_older
    assert (
        "2.20" in aggregates.obstacle(Server(ServerKind.COMMUNITY, "17.1", version))
    ) is is_older


def test_a_lack_can_be_made_fatal(plain_database: str) -> None:
    upgrade(plain_database)
    with pytest.raises(ConfigError, match=r"require_timescaledb.*plain PostgreSQL"):
        prepare(plain_database, require_timescaledb=True)


@pytest.mark.timescaledb
def test_what_is_required_and_there_is_no_obstacle(timescale_database: str) -> None:
    upgrade(timescale_database)
    assert prepare(timescale_database, require_timescaledb=True).steps[0].is_done


@pytest.mark.timescaledb
def test_a_server_that_gets_the_extension_later_is_converted_with_a_warning_and_progress(
    timescale_database: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrations.storage.chunks.PROGRESS_S", 0.001)
    upgrade(timescale_database)
    with psycopg.connect(timescale_database, autocommit=True) as connection:
        like_a_plain_server(connection)
        connection.execute(OLD_TRADES)
        connection.execute(MANY_TRADES)
    with caplog.at_level(logging.WARNING):
        report = prepare(timescale_database)
    made = {step.what: step.reason for step in report.steps}
    assert made["hypertable trades"] == "made, with the rows it had, a chunk is 1 day"
    assert made["hypertable bars"] == "made, a chunk is 7 days"
    told = [record for record in caplog.records if record.name == "migrations.storage.chunks"]
    assert {record.__dict__["table"] for record in told} == {"trades"}
    assert "it is locked until that is done" in told[0].getMessage()
    assert any(0 <= record.__dict__.get("about_percent", -1) <= 99 for record in told)
    (chunks,) = rows_of(timescale_database, "SELECT count(*) FROM show_chunks('trades')")
    assert int(str(chunks[0])) >= 5
    assert rows_of(timescale_database, "SELECT count(*) FROM trades") == [(50_100,)]
    assert rows_of(timescale_database, "SELECT count(*) FROM ONLY trades") == [(0,)]
    # What only a plain server needs is gone.
    assert rows_of(timescale_database, "SELECT to_regclass('trades_time_brin')") == [(None,)]


def test_a_plain_server_keeps_its_rows(plain_database: str) -> None:
    upgrade(plain_database)
    with psycopg.connect(plain_database, autocommit=True) as connection:
        connection.execute(OLD_TRADES)
    assert prepare(plain_database).steps[1].is_done
    assert rows_of(plain_database, "SELECT count(*) FROM trades") == [(100,)]
