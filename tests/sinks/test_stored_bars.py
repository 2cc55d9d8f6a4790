"""Bars come back from the store as they went in."""

import psycopg

from market.events import Bar
from sinks.insertion import insert
from sinks.rows import bar_row, pack, unpack
from sinks.stored_bars import read_bars
from sinks.tables import TABLES

SECOND = 1_000_000_000
START = 1_700_000_040 * SECOND


def bar(number: int, *, interval: str = "1m", instrument: str = "binance:BTC-USDT") -> Bar:
    length = 60 * SECOND
    return Bar(
        instrument=instrument,
        interval=interval,
        start=START + number * length,
        end=START + (number + 1) * length,
        open=100.1,
        high=102.5,
        low=99.9,
        close=101.25 + number,
        volume=3.5,
        buy_volume=1.25,
        notional=350.0,
        count=7,
        revision=number % 2,
        partial=number == 0,
        gap=number == 3,
    )


def test_what_was_stored_is_read_in_order_and_nothing_else(database: str) -> None:
    bars = [bar(number) for number in (3, 1, 0, 2)]
    others = [bar(1, interval="5m"), bar(1, instrument="binance:ETH-USDT")]
    with psycopg.connect(database) as connection:
        with connection.transaction():
            rows = unpack(pack("bars", [bar_row(one) for one in (*bars, *others)]))
            insert(connection, TABLES["bars"], rows)
        found = read_bars(
            connection,
            "binance:BTC-USDT",
            "1m",
            start=START + 60 * SECOND,
            end=START + 240 * SECOND,
        )
        assert found == [bar(1), bar(2), bar(3)]
        within = read_bars(
            connection, "binance:BTC-USDT", "1m", start=START + SECOND, end=START + 179 * SECOND
        )
        assert within == [bar(1)]
