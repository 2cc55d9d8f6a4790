"""How long a preview takes: `python -m bench.preview [--symbols 20] [--days 7] [--dsn …]`.

Bars of a minute of made-up symbols are stored, in the embedded PostgreSQL or in the server named,
and a spec with two indicators and a varied threshold is tried on all of them, as
`candlewax filters preview` does. What counts is the wall time from the first question to the store
to the answer. The project's bar: 20 symbols and 7 days (201,600 bars) in under 30 s.
"""

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg

from filters.specs import Source, Spec
from flows.preview import preview, variants
from flows.preview_store import PreviewStore
from market.events import Bar
from market.instruments import Instrument
from migrations.upgrade import upgrade
from sinks.embedded_postgres import EmbeddedPostgres
from sinks.stored_bars import fill_in

MINUTE = 60_000_000_000
DAY_MINUTES = 1440
START = 1_790_000_040 * 1_000_000_000
WARM_UP_BARS = 300
SPEC = Spec(
    id="dip",
    source=Source(stream="bar", symbols=("*",), interval="1m"),
    when="rsi(14) < 30 and close > ema(200)",
    cooldown=15 * MINUTE,
)
VARIED = "rsi(14) < 25"


class Took(msgspec.Struct, frozen=True, kw_only=True):
    """What a preview took.

    Attributes:
        bars: looked at, those before the range left out.
        fired: how often the spec would have fired.
        seconds: wall time.
    """

    bars: int
    fired: int
    seconds: float


def walk(instrument: str, count: int, seed: int) -> Iterator[Bar]:
    """Bars of a price that wanders."""
    draw = random.Random(seed)
    close = 100.0
    for number in range(count):
        first, close = close, close * (1 + draw.gauss(0, 0.001))
        yield Bar(
            instrument=instrument,
            interval="1m",
            start=START + number * MINUTE,
            end=START + (number + 1) * MINUTE,
            open=first,
            high=max(first, close) * 1.0005,
            low=min(first, close) * 0.9995,
            close=close,
            volume=1.0,
            buy_volume=0.5,
            notional=close,
            count=3,
        )


def fill(dsn: str, symbols: int, days: float) -> list[str]:
    """Store the bars; return the instruments."""
    upgrade(dsn)
    count = round(days * DAY_MINUTES) + WARM_UP_BARS
    found = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        for number in range(symbols):
            base = f"C{number}"
            instrument = Instrument(
                venue="binance",
                symbol=f"{base}-USDT",
                native=f"{base}USDT",
                base=base,
                quote="USDT",
            )
            fill_in(connection, instrument, list(walk(instrument.id, count, number)))
            found.append(instrument.id)
        connection.execute("ANALYZE bars")
    return found


def took(dsn: str, series: list[str], days: float) -> Took:
    """Try the spec, and a changed threshold, on what is stored."""
    start = START + WARM_UP_BARS * MINUTE
    end = start + round(days * DAY_MINUTES) * MINUTE
    began = time.perf_counter()
    with psycopg.connect(dsn, autocommit=True) as connection:
        bars = PreviewStore(connection, ["1m"], start, end)
        first, _ = preview(variants(SPEC, [VARIED]), series, bars.read, start, end)
    seconds = time.perf_counter() - began
    looked = sum(each.looked for each in first.by_series.values())
    return Took(bars=looked, fired=first.fired, seconds=seconds)


def main() -> None:
    """Fill a store, try the spec on it, print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.preview", description=__doc__)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--dsn", default="", help="an empty database; else an embedded PostgreSQL")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.dsn:
            _show(options.dsn, options.symbols, options.days)
        else:
            with EmbeddedPostgres(Path(folder) / "pg") as server:
                _show(server, options.symbols, options.days)


def _show(dsn: str, symbols: int, days: float) -> None:
    told = took(dsn, fill(dsn, symbols, days), days)
    print(
        f"{symbols} symbols, {days:g} days: {told.bars:,} bars of a minute, fired {told.fired:,}"
        f" times, {told.seconds:.1f} s ({told.bars / told.seconds:,.0f} bars a second)"
    )


if __name__ == "__main__":
    main()
