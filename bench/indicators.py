"""What six classic indicators cost a bar: `python -m bench.indicators [--rounds N] [--no-file]`.

RSI 14, MACD 12/26/9, slow stochastic 14/3/3, CCI 20, Awesome Oscillator 5/34, Bollinger 20/2, all
fed with the same bars, one bar at a time:

* ours: `update`;
* TA-Lib's stream handles, which cannot be pickled (it has no Awesome Oscillator: two averages);
* talipp, where it is installed, its history purged as it suggests for long runs;
* pandas-ta-classic over a frame of the last 200 rows, made and computed anew at each bar.

Rows take turns, round after round, in slices short enough that a machine which changes its speed
changes all of them; figures are medians of the rounds, and ratios medians of the rounds' own
ratios. Prints a table and writes `bench/results/indicators.json`.
"""

import argparse
import importlib
import importlib.util
import random
import statistics
import time
import warnings
from collections.abc import Callable
from math import exp
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
import pandas as pd
import talib
from talib import stream

from bench.__main__ import machine
from indicators.contract import BarIndicator
from indicators.names import create_for_bars
from market.events import Bar

RESULTS = Path(__file__).parent / "results" / "indicators.json"
SIX = ("rsi(14)", "macd(12,26,9)", "stoch(14,3,3)", "cci(20)", "ao(5,34)", "bollinger(20,2)")
OURS = "candlewax"
PANDAS = "pandas-ta-classic, 200 rows"
WARMING = 200
"""Bars before the measured ones, and rows of the frame."""
BARS = 500
"""Measured bars of a round, but for the frame."""
FRAMES = 5
"""Measured bars of a round for the frame, which takes a thousand times as long."""
KEPT = 100
"""How many bars talipp keeps."""
MINUTE = 60_000_000_000

Work: TypeAlias = Callable[[list[Bar]], int]
"""Takes bars and returns the nanoseconds that it took."""


def make_bars(count: int) -> list[Bar]:
    """Return bars of a random walk, the same each time."""
    source = random.Random(1)
    price = 64_000.0
    bars = []
    for number in range(count):
        prices = [price := price * exp(source.gauss(0.0, 0.001)) for _ in range(4)]
        bars.append(
            Bar(
                instrument="bench:BTC-USDT",
                interval="1m",
                start=number * MINUTE,
                end=(number + 1) * MINUTE,
                open=prices[0],
                high=max(prices),
                low=min(prices),
                close=prices[-1],
                volume=1.0,
                buy_volume=0.5,
                notional=price,
                count=4,
            )
        )
    return bars


def ours(warming: list[Bar]) -> Work:
    """Measure the shipped indicators."""
    rsi, macd, stoch, cci, ao, bands = (warmed(name, warming) for name in SIX)

    def work(bars: list[Bar]) -> int:
        began = time.perf_counter_ns()
        for bar in bars:
            rsi.update(bar)
            macd.update(bar)
            stoch.update(bar)
            cci.update(bar)
            ao.update(bar)
            bands.update(bar)
        return time.perf_counter_ns() - began

    return work


def one_of_ours(name: str, warming: list[Bar]) -> Work:
    """Measure one of them alone, the loop with it."""
    indicator = warmed(name, warming)

    def work(bars: list[Bar]) -> int:
        began = time.perf_counter_ns()
        for bar in bars:
            indicator.update(bar)
        return time.perf_counter_ns() - began

    return work


def warmed(name: str, warming: list[Bar]) -> BarIndicator:
    """Return an indicator that has seen these bars."""
    indicator = create_for_bars(name)
    for bar in warming:
        indicator.update(bar)
    return indicator


def talib_handles(warming: list[Bar]) -> Work:
    """Measure TA-Lib's handles, opened from history as one does after a restart."""
    high = np.array([bar.high for bar in warming])
    low = np.array([bar.low for bar in warming])
    close = np.array([bar.close for bar in warming])
    middle = (high + low) / 2
    rsi = stream.RSI(close, 14).update
    macd = stream.MACD(close, 12, 26, 9).update
    stoch = stream.STOCH(high, low, close, 14, 3, 0, 3, 0).update
    cci = stream.CCI(high, low, close, 20).update
    fast = stream.SMA(middle, 5).update
    slow = stream.SMA(middle, 34).update
    bands = stream.BBANDS(close, 20, 2.0, 2.0, 0).update

    def work(bars: list[Bar]) -> int:
        began = time.perf_counter_ns()
        for bar in bars:
            top, bottom, last = bar.high, bar.low, bar.close
            rsi(last)
            macd(last)
            stoch(top, bottom, last)
            cci(top, bottom, last)
            middle = (top + bottom) / 2
            _ = fast(middle) - slow(middle)
            bands(last)
        return time.perf_counter_ns() - began

    return work


def talipp_indicators(warming: list[Bar]) -> Work | None:
    """Measure talipp, or return None where it is not installed."""
    if importlib.util.find_spec("talipp") is None:
        return None
    kinds: Any = importlib.import_module("talipp.indicators")
    candle: Any = importlib.import_module("talipp.ohlcv").OHLCV
    # Its stochastic is the fast one; a mean of %D over three more values would make it the slow.
    of_closes = [kinds.RSI(14), kinds.MACD(12, 26, 9), kinds.BB(20, 2.0)]
    of_candles = [kinds.Stoch(14, 3), kinds.CCI(20), kinds.AO(5, 34)]
    everything = [*of_closes, *of_candles]

    def take(bar: Bar) -> None:
        for indicator in of_closes:
            indicator.add(bar.close)
        told = candle(bar.open, bar.high, bar.low, bar.close, bar.volume)
        for indicator in of_candles:
            indicator.add(told)

    for bar in warming:
        take(bar)

    def work(bars: list[Bar]) -> int:
        began = time.perf_counter_ns()
        for bar in bars:
            take(bar)
            for indicator in everything:
                if len(indicator) > 2 * KEPT:
                    indicator.purge_oldest(KEPT)
        return time.perf_counter_ns() - began

    return work


def pandas_frame(warming: list[Bar], measured: list[Bar]) -> Work:
    """Measure pandas-ta-classic, the frame of the last rows made from one array for each bar."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pta: Any = importlib.import_module("pandas_ta_classic")
    every = warming + measured
    names = ["open", "high", "low", "close", "volume"]
    prices = np.array([[getattr(bar, name) for name in names] for bar in every])
    times = pd.to_datetime([bar.start for bar in every], utc=True)
    rows = len(warming)

    def work(bars: list[Bar]) -> int:
        began = time.perf_counter_ns()
        for last in range(rows, rows + len(bars)):
            since = last - rows
            frame = pd.DataFrame(prices[since:last], columns=names, index=times[since:last])
            high, low, close = frame["high"], frame["low"], frame["close"]
            pta.rsi(close, 14)
            pta.macd(close, 12, 26, 9)
            pta.stoch(high, low, close, 14, 3, 3)
            pta.cci(high, low, close, 20)
            pta.ao(high, low, 5, 34)
            pta.bbands(close, 20, 2)
        return time.perf_counter_ns() - began

    return work


class Row(msgspec.Struct, frozen=True):
    """What one engine costs.

    Attributes:
        name: whose.
        median_ns: for one bar; the sum of the six unless the name says which.
        ratio: that in units of ours.
    """

    name: str
    median_ns: float
    ratio: float


def measure(rounds: int, *, bars: int = BARS, frames: int = FRAMES) -> list[Row]:
    """Run the rounds and return a row for each engine and each of our six."""
    every = make_bars(WARMING + bars)
    warming, measured = every[:WARMING], every[WARMING:]
    works: dict[str, tuple[Work, list[Bar]]] = {
        OURS: (ours(warming), measured),
        "TA-Lib handles": (talib_handles(warming), measured),
        PANDAS: (pandas_frame(warming, measured), measured[:frames]),
        **{f"{OURS} {name}": (one_of_ours(name, warming), measured) for name in SIX},
    }
    talipp = talipp_indicators(warming)
    if talipp is not None:
        works["talipp"] = (talipp, measured)
    for work, some in works.values():
        work(some)  # the first time is no time: caches are cold
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, (work, some) in works.items():
            taken[name].append(work(some) / len(some))
    return [
        Row(
            name,
            round(statistics.median(each), 1),
            round(
                statistics.median(
                    theirs / mine for theirs, mine in zip(each, taken[OURS], strict=True)
                ),
                3,
            ),
        )
        for name, each in taken.items()
    ]


def main() -> None:
    """Run the rounds, print the figures, write the file."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.indicators",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--no-file", action="store_true", help="print only")
    options = parser.parse_args()
    rows = measure(options.rounds)
    print(f"{'row':30} {'ns/bar':>12} {'x ours':>9}")
    for row in rows:
        print(f"{row.name:30} {row.median_ns:12} {row.ratio:9}")
    installed = any(row.name == "talipp" for row in rows)
    if not installed:
        print(f"{'talipp':30} {'not installed':>12}")
    if not options.no_file:
        RESULTS.parent.mkdir(exist_ok=True)
        results = {
            "machine": machine(),
            "talib": talib.__version__,
            "talipp": "measured" if installed else "not installed",
            "rows": rows,
        }
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


if __name__ == "__main__":
    main()
