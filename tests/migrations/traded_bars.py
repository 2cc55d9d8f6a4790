"""Trades as venues tell them, our own bars of them, and both in the store."""

import random

import psycopg

from market.bars import BarBuilder
from market.events import Bar, Side, Trade
from market.intervals import DAY, SECOND, Interval
from sinks.insertion import insert
from sinks.rows import Row, bar_row, pack, trade_rows, unpack
from sinks.tables import TABLES

BEGIN = 20_000 * DAY + 22 * 3600 * SECOND
"""Two hours before a midnight."""
END = BEGIN + 4 * 3600 * SECOND
NAMES = ("1m", "5m", "1h", "90s", "2h")
"""Lengths of bars: those of the aggregates, and others."""
_SIDES = {Side.BUY: True, Side.SELL: False, Side.UNKNOWN: None}


def some_trades(seed: int, instrument: str = "binance:BTC-USDT", count: int = 3000) -> list[Trade]:
    """Return trades as they come: bursts of one moment, some in one message, some late."""
    drawn = random.Random(seed)
    at, price = BEGIN, 100.0
    trades: list[Trade] = []
    while len(trades) < count:
        at += drawn.randrange((END - BEGIN) // count * 6) // 1000 * 1000
        arrived = at + drawn.randrange(50_000_000)
        for number in range(drawn.randrange(1, 6)):
            price = round(price * (1 + drawn.uniform(-1, 1) / 1000), 2)
            late = drawn.randrange(20) == 0
            trades.append(
                Trade(
                    instrument=instrument,
                    ts_event=at - (drawn.randrange(20 * SECOND) // 1000 * 1000 if late else 0),
                    ts_recv=arrived + number // 2 * 1_000_000,
                    price=price,
                    size=drawn.choice([1.0, 0.1, 1e-8, drawn.uniform(0.001, 1000)]),
                    side=drawn.choice([Side.BUY, Side.SELL, Side.UNKNOWN]),
                    trade_id=str(len(trades)),
                )
            )
    return [trade for trade in trades if trade.ts_event >= BEGIN]


def bars_of(trades: list[Trade], *names: str) -> list[Bar]:
    """Return the newest revision of every bar that our own code makes."""
    made: dict[tuple[str, int], Bar] = {}
    for name in names:
        builder = BarBuilder(trades[0].instrument, Interval.parse(name))
        builder.resume(0)
        told: list[Bar] = []
        for trade in trades:
            told += builder.add(trade.ts_event, trade.price, trade.size, _SIDES[trade.side])
        made.update({(bar.interval, bar.start): bar for bar in told})
    return list(made.values())


def store(connection: psycopg.Connection, trades: list[Trade], bars: list[Bar]) -> None:
    rows: dict[str, list[Row]] = {
        "trades": trade_rows(trades),
        "bars": [bar_row(bar) for bar in bars],
    }
    with connection.transaction():
        for name, of_table in rows.items():
            if of_table:
                insert(connection, TABLES[name], unpack(pack(name, of_table)))
