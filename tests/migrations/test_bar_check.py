"""Our own bars, through the store, against what the database makes of the same trades."""

from collections.abc import Callable, Iterator

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.events import Bar, GapInterval
from market.intervals import SECOND
from migrations.bar_check import BarCheck, check_bars
from migrations.bar_of_trades import Values
from migrations.storage import ServerKind, aggregates, prepare
from migrations.storage.aggregate_windows import Pending
from migrations.storage.server import Server
from migrations.upgrade import upgrade
from sinks.insertion import insert
from sinks.rows import gap_row, pack, unpack
from sinks.tables import TABLES
from tests.migrations.traded_bars import BEGIN, END, NAMES, bars_of, some_trades, store

MICROSECOND = 1000
FOR_EVER: dict[str, float] = {}
KEY = "venue = 'binance' AND symbol = 'BTC-USDT'"


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def check(connection: psycopg.Connection, since: int = 0, most: int = 100) -> BarCheck:
    return check_bars(connection, since=since, keep_days=FOR_EVER, most=most)


def told(found: BarCheck) -> list[tuple[str, int, str]]:
    return [(each.interval, each.start, each.unlike.column) for each in found.differences]


def one(connection: psycopg.Connection, query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])


@pytest.fixture
def stored(connection: psycopg.Connection) -> list[Bar]:
    trades = some_trades(1)
    bars = bars_of(trades, *NAMES)
    store(connection, trades, bars)
    return bars


def middle(bars: list[Bar], name: str) -> Bar:
    """Return a bar that is neither the first nor the last."""
    of_name = sorted((bar for bar in bars if bar.interval == name), key=lambda bar: bar.start)
    return of_name[len(of_name) // 2]


def at(ns: int) -> str:
    return f"to_timestamp({ns // 1000} / 1000000.0)"


def within(bar: Bar) -> str:
    return f"time >= {at(bar.start)} AND time < {at(bar.end)}"


def test_our_bars_are_what_the_database_makes_of_our_trades(
    connection: psycopg.Connection, stored: list[Bar]
) -> None:
    found = check(connection)
    assert found.differences == []
    assert (found.bars, found.excused, found.unseen, found.stale, found.apart) == (0, 0, 0, 0, 0)
    assert found.series == len(NAMES)
    # Of each series the bar of the oldest and of the newest trade are not held.
    closed = {name: sum(bar.interval == name for bar in stored) for name in NAMES}
    assert closed["1m"] > 200
    assert found.held == sum(count - 1 for count in closed.values())


@given(st.integers(0, 10**9))
@settings(max_examples=5)
def test_whatever_the_trades_are(servers_connection: psycopg.Connection, seed: int) -> None:
    trades = some_trades(seed, f"v{seed}:A-B", count=400)
    store(servers_connection, trades, bars_of(trades, "1m", "1h"))
    found = check(servers_connection)
    assert found.differences == []
    assert found.held > 50


@pytest.fixture(scope="module")
def servers_connection(make_whole_database: Callable[[], str]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(make_whole_database(), autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("name", ["1m", "1h", "90s"])
def test_a_number_that_was_changed_is_told_and_nothing_else(
    connection: psycopg.Connection, stored: list[Bar], name: str
) -> None:
    bar = middle(stored, name)
    place = f"{KEY} AND \"interval\" = '{name}' AND start = {at(bar.start)}"
    for column in Values.__struct_fields__:
        right = getattr(bar, column)
        for value in (right + 1, right):
            connection.execute(f"UPDATE bars SET {column} = %s WHERE {place}".encode(), (value,))
            found = check(connection)
            if value == right:
                assert found.bars == 0
            else:
                assert told(found) == [(name, bar.start, column)]
                [difference] = found.differences
                assert difference.unlike.bar == value
                assert difference.unlike.trades == pytest.approx(right, rel=1e-9)


def test_a_bar_that_was_deleted_is_told(connection: psycopg.Connection, stored: list[Bar]) -> None:
    bar = middle(stored, "5m")
    connection.execute(
        f"DELETE FROM bars WHERE {KEY} AND \"interval\" = '5m' AND start = {at(bar.start)}".encode()
    )
    found = check(connection)
    assert told(found) == [("5m", bar.start, "bar")]
    assert (found.differences[0].unlike.bar, found.differences[0].unlike.trades) == (
        None,
        bar.count,
    )


def test_a_trade_that_was_deleted_is_told_of_every_bar_it_was_in(
    connection: psycopg.Connection, stored: list[Bar]
) -> None:
    bar = middle(stored, "1m")
    number = one(
        connection,
        f"DELETE FROM trades WHERE trade_id = (SELECT trade_id FROM trades WHERE {KEY} AND "
        f"{within(bar)} LIMIT 1) RETURNING trade_id",
    )
    assert number
    found = check(connection)
    wrong = {
        (each.interval, each.start)
        for each in stored
        if each.start <= bar.start and bar.end <= each.end and each.interval in {"1m", "5m", "1h"}
    }
    assert {(name, start) for name, start, column in told(found) if column == "count"} >= wrong
    assert {column for _, _, column in told(found)} >= {"count", "volume", "notional"}
    assert found.bars in {
        len(wrong) + 1,
        len(wrong) + 2,
    }  # one of 90 s, and of 2 h where it is held


def test_trades_that_are_all_gone_are_told(
    connection: psycopg.Connection, stored: list[Bar]
) -> None:
    bar = middle(stored, "1m")
    connection.execute(f"DELETE FROM trades WHERE {KEY} AND {within(bar)}".encode())
    assert ("1m", bar.start, "trades") in told(check(connection))


def test_what_a_bar_says_of_itself_and_the_venue_s_own_bars_are_left_out(
    connection: psycopg.Connection, stored: list[Bar]
) -> None:
    bar = middle(stored, "1m")
    for mark in ("partial = true", "gap = true", "count = 0"):
        connection.execute(
            f"UPDATE bars SET volume = volume + 1, {mark} WHERE {KEY} AND \"interval\" = '1m' "
            f"AND start = {at(bar.start)}".encode()
        )
        found = check(connection)
        assert (found.bars, found.apart) == (0, 1)
        connection.execute(f"UPDATE bars SET partial = false, gap = false WHERE {KEY}".encode())


def test_flat_bars_where_nothing_was_traded_are_right(
    connection: psycopg.Connection, stored: list[Bar]
) -> None:
    bar = middle(stored, "1m")
    connection.execute(f"DELETE FROM trades WHERE {KEY} AND {within(bar)}".encode())
    connection.execute(
        "UPDATE bars SET volume = 0, buy_volume = 0, notional = 0, vwap = close, count = 0 "
        f"WHERE {KEY} AND \"interval\" = '1m' AND start = {at(bar.start)}".encode()
    )
    assert not [name for name, _, _ in told(check(connection)) if name == "1m"]


def test_bars_of_a_time_in_which_the_flow_did_not_run_are_counted_apart(
    connection: psycopg.Connection, stored: list[Bar]
) -> None:
    first = middle(stored, "1m")
    # From the middle of one bar to the middle of another three bars on, as a stop and a start are.
    cut = f"time >= {at(first.start + 30 * SECOND)} AND time < {at(first.end + 150 * SECOND)}"
    connection.execute(f"DELETE FROM trades WHERE {KEY} AND {cut}".encode())
    # The bars are there: a backfill has put the venue's candles in, with more trades than we saw.
    connection.execute("DELETE FROM bars WHERE \"interval\" <> '1m'")
    found = check(connection)
    assert found.bars == 0
    assert (found.excused, found.unseen) == (0, 4)


def test_a_bar_that_was_put_right_may_know_more_trades_and_not_fewer(
    connection: psycopg.Connection, stored: list[Bar]
) -> None:
    bar = middle(stored, "1m")
    place = f"{KEY} AND \"interval\" = '1m' AND start = {at(bar.start)}"
    connection.execute("DELETE FROM bars WHERE \"interval\" <> '1m'")
    more = "SET revision = 1, volume = volume + 1, count = count + 1"
    connection.execute(f"UPDATE bars {more} WHERE {place}".encode())
    found = check(connection)
    assert (found.bars, found.unseen) == (0, 1)
    connection.execute(f"UPDATE bars SET count = {bar.count} WHERE {place}".encode())
    assert check(connection).bars == 1


@pytest.mark.parametrize("mark", ["partial = true", "gap = true", "revision = 1"])
def test_a_bar_that_was_forming_when_a_run_ended_is_counted_apart(
    connection: psycopg.Connection, stored: list[Bar], mark: str
) -> None:
    connection.execute("DELETE FROM bars WHERE \"interval\" <> '1m'")
    bar = middle(stored, "1m")
    later = bar.end + 180 * SECOND
    gone = f"time >= {at(bar.end)} AND time < {at(later)}"
    connection.execute(f"DELETE FROM trades WHERE {KEY} AND {gone}".encode())
    connection.execute(
        f"DELETE FROM bars WHERE start >= {at(bar.start)} AND start < {at(later)}".encode()
    )
    connection.execute("UPDATE bars SET revision = 0")
    assert told(check(connection)) == [("1m", bar.start, "bar")]  # the market may have been silent
    connection.execute(f"UPDATE bars SET {mark} WHERE start = {at(later)}".encode())
    found = check(connection)
    assert (found.bars, found.unseen) == (0, 1)


@pytest.mark.parametrize("channel", ["all", "trade", "store"])
def test_what_the_ledger_explains_is_counted_apart_from_the_last_trade_before_on(
    connection: psycopg.Connection, stored: list[Bar], channel: str
) -> None:
    bar = middle(stored, "1m")
    connection.execute(f"DELETE FROM trades WHERE {KEY} AND {within(bar)}".encode())
    wrong = check(connection).bars
    assert wrong >= 1
    # The run ended in that bar and the next one began some bars later: its gap tells only that.
    gap = GapInterval(
        instrument="binance:BTC-USDT" if channel != "store" else ":",
        channel=channel,
        reason="connecting",
        started=bar.end - SECOND,
        ended=bar.end,
    )
    insert(connection, TABLES["gaps"], unpack(pack("gaps", [gap_row(gap)])))
    found = check(connection)
    assert (found.bars, found.excused) == (0, wrong)


def test_a_gap_of_the_book_alone_explains_nothing(
    connection: psycopg.Connection, stored: list[Bar]
) -> None:
    bar = middle(stored, "1m")
    connection.execute(
        f"UPDATE bars SET close = 1 WHERE {KEY} AND \"interval\" = '1m' "
        f"AND start = {at(bar.start)}".encode()
    )
    gap = GapInterval(
        instrument="binance:BTC-USDT", channel="book", reason="hole", started=BEGIN, ended=END
    )
    insert(connection, TABLES["gaps"], unpack(pack("gaps", [gap_row(gap)])))
    assert check(connection).bars == 1


def test_since_and_retention_cut_what_is_looked_at(
    connection: psycopg.Connection, stored: list[Bar]
) -> None:
    bar = middle(stored, "1m")
    connection.execute(
        f"UPDATE bars SET close = 1 WHERE {KEY} AND \"interval\" = '1m' "
        f"AND start = {at(bar.start)}".encode()
    )
    assert check(connection, since=bar.start).bars == 1
    assert check(connection, since=bar.start + MICROSECOND).bars == 0
    found = check_bars(connection, keep_days={"trades": 30.0}, most=9)
    assert (found.bars, found.held, found.series) == (0, 0, len(NAMES))


def test_all_are_counted_and_few_are_returned(
    connection: psycopg.Connection, stored: list[Bar]
) -> None:
    connection.execute("UPDATE bars SET close = close + 1, high = high + 1")
    found = check(connection, most=3)
    assert len(found.differences) == 3
    assert found.bars == found.held > 200


def test_series_without_trades_and_bars_of_no_time_are_not_looked_at(
    connection: psycopg.Connection, stored: list[Bar]
) -> None:
    bar = middle(stored, "1m")
    others = [
        msgspec.structs.replace(bar, instrument="merged:BTC-USDT"),
        msgspec.structs.replace(bar, interval="100tick", volume=1.0),
    ]
    store(connection, [], others)
    found = check(connection)
    assert (found.bars, found.without_trades, found.series) == (0, 2, len(NAMES))


def test_a_series_that_nobody_keeps_lacks_nothing(connection: psycopg.Connection) -> None:
    trades = some_trades(3, count=200)
    store(connection, trades, [])
    assert check(connection).series == 0


@pytest.mark.timescaledb
def test_the_aggregates_own_queries_make_our_bars(
    timescale_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade(timescale_database)
    if prepare(timescale_database).kind is ServerKind.COMMUNITY:
        return  # test_community.py has the real ones
    trades = some_trades(1)
    bars = bars_of(trades, *NAMES)
    community = Server(ServerKind.COMMUNITY, "17", "2.29")
    asked = []

    def nothing(_: psycopg.Connection, aggregate: aggregates.Aggregate) -> Pending:
        asked.append(aggregate.name)
        return Pending(())

    monkeypatch.setattr("migrations.bar_check.read_server", lambda _: community)
    monkeypatch.setattr("migrations.bar_check.read_pending", nothing)
    with psycopg.connect(timescale_database, autocommit=True) as connection:
        store(connection, trades, bars)
        # The same queries as plain views: they differ from the real ones in how they are kept.
        for aggregate in aggregates.AGGREGATES:
            made = f"CREATE VIEW {aggregate.name} AS {aggregates.select(aggregate)}"
            connection.execute(made.encode())
        found = check(connection)
        assert asked == ["trades_1m", "trades_5m", "trades_1h"]
        assert found.differences == []
        # Trades of one moment are in any order there: the trades themselves settle these.
        assert 0 < found.stale < found.held / 2
        bar = middle(bars, "5m")
        connection.execute(
            f"UPDATE bars SET low = 1 WHERE {KEY} AND \"interval\" = '5m' "
            f"AND start = {at(bar.start)}".encode()
        )
        assert told(check(connection)) == [("5m", bar.start, "low")]
