"""What the store takes and gives: `python -m bench.store [--rounds 30] [--dsn ADDRESS]`.

On the embedded PostgreSQL, and on the server that `--dsn` or CANDLEWAX_TEST_DSN names, each in a
database of its own. Ways of writing the same trades take turns in one run, some thousand rows at a
time:

* `copy`: psycopg's binary COPY of rows that are made already, the floor;
* `sink`: the store's writer, from packed batches as the flow hands them over to the commit;
* `sink from events`: the same, with what the flow does to pack them;
* `sink, known rows`: all of them are there already, as after a restart;
* `executemany`: as one writes it first; of fewer rows.

All write into the table `trades` with its key, so many rows a commit. Then a million trades, a
million book tops, a day of bars of fifty instruments and a month of alerts are loaded, and what
people ask is timed, every view among it. Prints tables and writes `bench/results/store.json`.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeAlias

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from bench.__main__ import RESULTS, machine
from flows.collector import tune_collector
from market.events import Bar, Side, Trade
from market.instruments import Instrument, symbol_of, venue_of
from market.intervals import SECOND
from migrations.storage import prepare
from migrations.upgrade import upgrade
from sinks.embedded_postgres import EmbeddedPostgres
from sinks.insertion import moment
from sinks.rows import RowBatch, bar_row, instrument_row, pack, trade_rows
from sinks.settings import StoreSettings
from sinks.tables import TABLES
from sinks.writer import Writer

MINUTE = 60 * SECOND
START = 1_795_132_800 * SECOND  # a midnight
SLICE = 20_000
"""Rows of one turn."""
FEWER = 2_000
BATCH = 5_000
"""Rows of a commit."""
HANDED = 500
"""Rows that the flow packs together: those of a micro-batch."""
LOADED = 1_000_000
TOPS = 1_000_000
ALERTS = 30_000
"""In thirty days, every tenth a signal of a strategy."""
SYMBOLS = 50

PlainRow: TypeAlias = tuple[str, str, datetime, str, float, float, str, datetime]


def make_trades(count: int, part: int = 0) -> list[Trade]:
    """Return trades of five venues and ten symbols, a quarter with long ids.

    Those of another part are others, a quarter of an hour later.
    """
    chance = random.Random(part)
    start = START + part * 15 * MINUTE
    names = [
        f"{venue}:{base}-USDT"
        for venue in ("binance", "bitstamp", "bybit", "htx", "massive")
        for base in ("BTC", "ETH", "SOL", "XRP", "ADA", "DOT", "LTC", "BNB", "TRX", "UNI")
    ]
    return [
        Trade(
            instrument=names[number % len(names)],
            ts_event=start + number * 40_000_000,
            ts_recv=start + number * 40_000_000 + 20_000_000,
            price=60_000 + chance.random() * 100,
            size=chance.random(),
            side=Side.BUY if chance.random() < 0.5 else Side.SELL,
            trade_id=f"{chance.getrandbits(96):024x}" if number % 4 == 0 else f"{part}{number:07}",
        )
        for number in range(count)
    ]


def chunks(trades: Sequence[Trade], size: int = 0) -> list[Sequence[Trade]]:
    """Cut trades into batches."""
    size = size or BATCH
    return [trades[at : at + size] for at in range(0, len(trades), size)]


def plain_rows(trades: Sequence[Trade]) -> list[PlainRow]:
    """Return rows as psycopg takes them."""
    return [
        (
            venue_of(trade.instrument),
            symbol_of(trade.instrument),
            moment(trade.ts_event),
            trade.trade_id,
            trade.price,
            trade.size,
            trade.side.value,
            moment(trade.ts_recv),
        )
        for trade in trades
    ]


class Floor:
    """psycopg's binary COPY of made rows, a batch a commit."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg.connect(dsn)

    def write(self, batches: Sequence[Sequence[PlainRow]]) -> None:
        """COPY the rows."""
        table = TABLES["trades"]
        kinds = [kind for _, kind in table.columns]
        command = f"COPY trades ({table.column_list}) FROM STDIN (FORMAT BINARY)"
        for batch in batches:
            with self._connection.cursor() as cursor, cursor.copy(command) as copy:
                copy.set_types(kinds)
                for row in batch:
                    copy.write_row(row)
            self._connection.commit()

    def execute(self, batches: Sequence[Sequence[PlainRow]]) -> None:
        """Insert row by row."""
        table = TABLES["trades"]
        places = ", ".join(["%s"] * len(table.columns))
        with self._connection.cursor() as cursor:
            for batch in batches:
                cursor.executemany(
                    f"INSERT INTO trades ({table.column_list}) VALUES ({places})"
                    " ON CONFLICT DO NOTHING",
                    batch,
                )
                self._connection.commit()

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()


class Sink:
    """The store's writer, as a flow has it."""

    def __init__(self, dsn: str) -> None:
        settings = StoreSettings(flush_rows=BATCH, flush_interval_s=1.0, buffer_rows=10_000_000)
        self._writer = Writer(dsn, settings, name="bench", notify=False, patient=True)
        self.write([pack("instruments", [instrument_row(one) for one in instruments()])])

    def write(self, batches: Iterable[RowBatch]) -> None:
        """Hand batches over until all are committed."""
        for batch in batches:
            self._writer.put(batch)
        self._writer.barrier(60.0)

    def close(self) -> None:
        """End the thread."""
        self._writer.close(10.0)


def packed(trades: Sequence[Trade]) -> RowBatch:
    """Return a batch as the flow hands it over."""
    return pack("trades", trade_rows(trades))


def rates(dsn: str, rounds: int, say: Callable[[str], None]) -> list[dict[str, float | str]]:
    """Return rows a second of each way, medians, and what part of the floor they are.

    The ways take turns slice by slice, in another order each time: a machine that changes its
    speed changes all of them.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("TRUNCATE trades")
    names = ("copy", "sink", "sink, known rows", "sink from events", "executemany")
    counts = dict.fromkeys(names, SLICE) | {"executemany": FEWER}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    chance = random.Random(0)
    floor, sink = Floor(dsn), Sink(dsn)
    try:
        for number in range(rounds + 1):
            say(f"round {number} of {rounds}")
            fresh = {
                name: make_trades(counts[name], number * len(names) + place)
                for place, name in enumerate(names)
            }
            rows = [plain_rows(some) for some in chunks(fresh["copy"])]
            few = [plain_rows(some) for some in chunks(fresh["executemany"])]
            ready = [packed(some) for some in chunks(fresh["sink"], HANDED)]
            known = [packed(some) for some in chunks(fresh["sink, known rows"], HANDED)]
            events = chunks(fresh["sink from events"], HANDED)
            sink.write(known)
            ways: dict[str, Callable[[], None]] = {
                "copy": partial(floor.write, rows),
                "sink": partial(sink.write, ready),
                "sink, known rows": partial(sink.write, known),
                "sink from events": partial(sink.write, map(packed, events)),
                "executemany": partial(floor.execute, few),
            }
            for name in chance.sample(names, len(names)):
                began = time.perf_counter()
                ways[name]()
                if number:  # the first round warms up
                    seconds[name].append(time.perf_counter() - began)
    finally:
        floor.close()
        sink.close()
    table: list[dict[str, float | str]] = []
    for name in names:
        each = counts[name]
        shares = [
            (each / mine) / (SLICE / its)
            for mine, its in zip(seconds[name], seconds["copy"], strict=True)
        ]
        table.append(
            {
                "name": name,
                "rows_per_s": round(each / statistics.median(seconds[name])),
                "ratio_to_copy": round(statistics.median(shares), 3),
            }
        )
    return table


def instruments() -> list[Instrument]:
    """Return what the bars are of."""
    return [
        Instrument(
            venue="binance",
            symbol=f"S{number:02}-USDT",
            native=f"S{number:02}USDT",
            base=f"S{number:02}",
            quote="USDT",
        )
        for number in range(SYMBOLS)
    ]


LOAD_TOPS = """
INSERT INTO book_tops
SELECT 'binance', symbol, %(day)s + n * interval '1 second', %(day)s + n * interval '1 second', n,
       levels.prices, levels.sizes, levels.prices, levels.sizes, 0.1, 0, 'live'
FROM generate_series(0, %(seconds)s - 1) AS n CROSS JOIN unnest(%(symbols)s::text[]) AS symbol
CROSS JOIN (SELECT array_agg(101.0 - level) AS prices, array_agg(1.0) AS sizes
            FROM generate_series(1, 10) AS level) AS levels
"""
LOAD_ALERTS = """
INSERT INTO alerts
       (key, spec, spec_hash, venue, symbol, "interval", time, fired_at, severity, text, "values",
        targets, signal)
SELECT 'k' || n, 'spec-' || n %% 20, 'hash', 'binance', 'S07-USDT', '1m', fired_at, fired_at,
       'info', 'BTC-USDT rsi(14) 29.3 below 30', '{"position.price": 64000.5, "position.side": 1}',
       '{console}', CASE n %% 10 WHEN 0 THEN 'entry' ELSE '' END
FROM (SELECT n, now() - n * interval '30 days' / %(alerts)s AS fired_at
      FROM generate_series(0, %(alerts)s - 1) AS n) AS each
"""


def load(dsn: str) -> dict[str, int]:
    """Store trades, a day of bars, book tops of a second each, and alerts of the last thirty days.

    Tops and alerts are made by the database itself: how fast they are written is not asked.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("TRUNCATE trades")
    names = [one.id for one in instruments()]
    bars = [
        Bar(
            instrument=name, interval=interval, start=at, end=at + length, open=1.0, high=2.0,
            low=0.5, close=1.5, volume=3.0, buy_volume=1.0, notional=4.0, count=9,
        )
        for interval, length in (("1m", MINUTE), ("5m", 5 * MINUTE), ("1h", 60 * MINUTE))
        for at in range(START, START + 1440 * MINUTE, length)
        for name in names
    ]  # fmt: skip

    def batches() -> Iterator[RowBatch]:
        for some in chunks(make_trades(LOADED)):
            yield packed(some)
        for at in range(0, len(bars), BATCH):
            yield pack("bars", [bar_row(bar) for bar in bars[at : at + BATCH]])

    sink = Sink(dsn)
    sink.write(batches())
    sink.close()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for text in (LOAD_TOPS, LOAD_ALERTS, "ANALYZE"):
            connection.execute(
                text,
                {
                    "day": moment(START),
                    "seconds": TOPS // SYMBOLS,
                    "symbols": [one.symbol for one in instruments()],
                    "alerts": ALERTS,
                },
            )
    return {"trades": LOADED, "bars": len(bars), "book_tops": TOPS, "alerts": ALERTS}


QUESTIONS = {
    "a day's chart": (
        "bars",
        """SELECT start, open, high, low, close, volume FROM bars WHERE venue = 'binance'
        AND symbol = 'S07-USDT' AND "interval" = '1m' AND start >= %(day)s
        AND start < %(day)s::timestamptz + interval '1 day' ORDER BY start""",
    ),
    "latest_bars": ("latest_bars", "SELECT * FROM latest_bars"),
    "latest_book": ("latest_book", "SELECT * FROM latest_book"),
    "signals of a spec": ("signals", "SELECT * FROM signals WHERE spec = 'spec-10'"),
    "alerts_today": ("alerts_today", "SELECT * FROM alerts_today"),
    **{
        f"a day of {name}": (
            name,
            f"""SELECT * FROM {name} WHERE venue = 'binance' AND symbol = 'S07-USDT'
            AND start >= %(day)s AND start < %(day)s::timestamptz + interval '1 day'""",
        )
        for name in ("bars_5m", "bars_15m", "bars_1h")
    },
}
"""What is asked, and the relation that it needs."""


def answers(dsn: str) -> list[dict[str, float | str | int]]:
    """Time what people ask: medians of seven, ms, rows fetched included."""
    table: list[dict[str, float | str | int]] = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name, (relation, question) in QUESTIONS.items():
            there = connection.execute("SELECT to_regclass(%s)", (relation,)).fetchone()
            if there is None or there[0] is None:
                print(f"{name}: this schema has no {relation}")
                continue
            took = []
            count = 0
            for _ in range(7):
                began = time.perf_counter()
                count = len(connection.execute(question, {"day": moment(START)}).fetchall())
                took.append((time.perf_counter() - began) * 1000)
            table.append({"name": name, "ms": round(statistics.median(took), 2), "rows": count})
    return table


def sizes(dsn: str) -> list[dict[str, int | str | float]]:
    """Return the bytes of each table with its indexes, and of a row."""
    table: list[dict[str, int | str | float]] = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name in TABLES:
            count = connection.execute(
                sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))
            ).fetchone()
            size = connection.execute(
                # The chunks of a hypertable are its children, as partitions are.
                "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)"
                " + pg_total_relation_size(%(name)s::regclass)"
                " FROM pg_inherits WHERE inhparent = %(name)s::regclass",
                {"name": name},
            ).fetchone()
            if count is None or size is None or not count[0]:
                continue
            table.append(
                {
                    "name": name,
                    "rows": count[0],
                    "bytes": int(size[0]),
                    "bytes_per_row": round(int(size[0]) / count[0], 1),
                }
            )
    return table


def measure(dsn: str, rounds: int) -> dict[str, object]:
    """Measure one server; return everything that is told of it."""
    upgrade(dsn)
    report = prepare(dsn)

    def say(text: str) -> None:
        print(f"\r{text:50}", end="", file=sys.stderr)

    speeds = rates(dsn, rounds, say)
    say("loading")
    load(dsn)
    print(file=sys.stderr)
    return {
        "server": f"PostgreSQL {report.server_version}, {report.kind}",
        "rates": speeds,
        "answers": answers(dsn),
        "sizes": sizes(dsn),
    }


def show(told: dict[str, object]) -> None:
    """Print the tables of one server."""
    print(f"\n{told['server']}")
    for part in ("rates", "answers", "sizes"):
        rows = told[part]
        if not isinstance(rows, list) or not rows:
            continue
        heads = list(rows[0])
        print(f"  {heads[0]:20}" + "".join(f"{head:>16}" for head in heads[1:]))
        for row in rows:
            cells = "".join(f"{row[head]:>16,}" for head in heads[1:])
            print(f"  {row['name']:20}{cells}")


@contextmanager
def own_database(server: str) -> Iterator[str]:
    """Make a database on a server, and remove it."""
    name = f"candlewax_bench_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield make_conninfo(server, dbname=name)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )


def main() -> None:
    """Measure each server, print the tables, write the file."""
    parser = argparse.ArgumentParser(prog="python -m bench.store", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--dsn", default=os.environ.get("CANDLEWAX_TEST_DSN", ""))
    parser.add_argument("--no-file", action="store_true", help="print only")
    options = parser.parse_args()
    tune_collector()  # as every flow does
    found = []
    with (
        tempfile.TemporaryDirectory(prefix="candlewax-bench-") as folder,
        EmbeddedPostgres(Path(folder) / "pg") as server,
        own_database(server) as dsn,
    ):
        found.append(measure(dsn, options.rounds))
    if options.dsn:
        with own_database(options.dsn) as dsn:
            found.append(measure(dsn, options.rounds))
    for told in found:
        show(told)
    if not options.no_file:
        RESULTS.parent.mkdir(exist_ok=True)
        results = {"machine": machine(), "batch": BATCH, "servers": found}
        RESULTS.with_name("store.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
