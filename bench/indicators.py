"""What six classic indicators cost per bar: `python -m bench.indicators [--rounds N] [--no-file]`.

RSI 14, MACD 12/26/9, slow Stochastic 14/3/3, CCI 20, AO 5/34 and Bollinger 20/2 take the same bars,
made from a seed, one bar at a time, round after round; ratios are taken within a round, and the
median of the rounds is shown. Prints a table and writes `bench/results/indicators.json`.

    ours                 the indicators of the catalogue, each called by its name, as the others are
      in the flow's loop one call for all of them, which Python cannot speed up for any
      each of the six    alone
    talib handles        TA-Lib's stream handles, which keep their state in C and cannot be pickled
    talib batch          TA-Lib's functions over the last 250 bars, again for every bar
    talipp               if it is installed (it is no dependency); it keeps all bars unless told not
    pandas-ta-classic    over a frame of the last 200 bars, again for every bar; with what it takes
                         from TA-Lib
      without TA-Lib     the same, all by itself
"""

import argparse
import gc
import importlib
import importlib.util
import json
import math
import random
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import talib

from bench.__main__ import machine
from indicators.names import create_for_bars
from market.events import Bar

RESULTS = Path(__file__).parent / "results" / "indicators.json"
WARM = 250
BARS = 2_000
FRAMES = 20
"""Bars of the rows that compute everything again."""
ROWS_OF_A_FRAME = 200
MINUTE = 60_000_000_000
SIX = (
    "rsi(14)",
    "macd(12,26,9)",
    "stoch(14,3,3)",
    "cci(20)",
    "ao(5,34)",
    "bollinger(20,2)",
)
Row = Callable[[], float]


def bars(count: int) -> list[Bar]:
    """Minutes of a random walk."""
    draw = random.Random(3)
    price = 64_000.0
    made = []
    for number in range(count):
        prices = [price]
        for _ in range(3):
            price *= math.exp(draw.gauss(0, 0.001))
            prices.append(price)
        volume = draw.expovariate(1.0)
        made.append(
            Bar(
                instrument="binance:BTC-USDT",
                interval="1m",
                start=number * MINUTE,
                end=(number + 1) * MINUTE,
                open=prices[0],
                high=max(prices),
                low=min(prices),
                close=price,
                volume=volume,
                buy_volume=volume * draw.random(),
                notional=price * volume,
                count=9,
            )
        )
    return made


def ours(given: list[Bar], names: tuple[str, ...]) -> Row:
    """The measured part takes the bars after the first `WARM`."""

    def row() -> float:
        made = [create_for_bars(name) for name in names]
        for bar in given[:WARM]:
            for each in made:
                each.update(bar)
        gc.collect()
        started = time.process_time_ns()
        for bar in given[WARM:]:
            for each in made:
                each.update(bar)
                _ = each.values  # noqa: PD011 - not a frame's
        return (time.process_time_ns() - started) / (len(given) - WARM)

    return row


def by_name(given: list[Bar]) -> Row:
    def row() -> float:
        rsi, macd, stoch, cci, ao, bollinger = (create_for_bars(name) for name in SIX)
        for bar in given[:WARM]:
            for each in (rsi, macd, stoch, cci, ao, bollinger):
                each.update(bar)
        gc.collect()
        started = time.process_time_ns()
        for bar in given[WARM:]:
            rsi.update(bar)
            macd.update(bar)
            stoch.update(bar)
            cci.update(bar)
            ao.update(bar)
            bollinger.update(bar)
            for each in (rsi, macd, stoch, cci, ao, bollinger):
                _ = each.values  # noqa: PD011 - not a frame's
        return (time.process_time_ns() - started) / (len(given) - WARM)

    return row


def handles(given: list[Bar]) -> Row:
    high, low, close = columns(given)
    middle = (high + low) / 2

    def row() -> float:
        rsi = talib.stream.RSI(close[:WARM], 14)
        macd = talib.stream.MACD(close[:WARM], 12, 26, 9)
        stoch = talib.stream.STOCH(high[:WARM], low[:WARM], close[:WARM], 14, 3, 0, 3, 0)
        cci = talib.stream.CCI(high[:WARM], low[:WARM], close[:WARM], 20)
        fast = talib.stream.SMA(middle[:WARM], 5)
        slow = talib.stream.SMA(middle[:WARM], 34)
        bands = talib.stream.BBANDS(close[:WARM], 20, 2.0, 2.0)
        rows = list(
            zip(high[WARM:].tolist(), low[WARM:].tolist(), close[WARM:].tolist(), strict=True)
        )
        gc.collect()
        started = time.process_time_ns()
        for top, bottom, last in rows:
            rsi.update(last)
            macd.update(last)
            stoch.update(top, bottom, last)
            cci.update(top, bottom, last)
            half = (top + bottom) / 2
            _ = fast.update(half) - slow.update(half)
            bands.update(last)
        return (time.process_time_ns() - started) / len(rows)

    return row


def batch(given: list[Bar]) -> Row:
    high, low, close = columns(given)

    def row() -> float:
        started = time.process_time_ns()
        for end in range(WARM, WARM + FRAMES * 10):
            h, lo, c = (each[end - WARM : end] for each in (high, low, close))
            talib.RSI(c, 14)
            talib.MACD(c, 12, 26, 9)
            talib.STOCH(h, lo, c, fastk_period=14, slowk_period=3, slowd_period=3)
            talib.CCI(h, lo, c, 20)
            middle = (h + lo) / 2
            _ = talib.SMA(middle, 5) - talib.SMA(middle, 34)
            talib.BBANDS(c, 20, 2.0, 2.0)
        return (time.process_time_ns() - started) / (FRAMES * 10)

    return row


def frames(given: list[Bar], *, lends: bool) -> Row:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pta = importlib.import_module("pandas_ta_classic")
    high, low, close = columns(given)
    index = pd.date_range("2026-01-01", periods=len(given), freq="min", tz="UTC")
    whole = pd.DataFrame({"high": high, "low": low, "close": close}, index=index)

    def row() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            started = time.process_time_ns()
            for end in range(WARM, WARM + FRAMES):
                frame = whole.iloc[end - ROWS_OF_A_FRAME : end]
                pta.rsi(frame.close, length=14, talib=lends)
                pta.macd(frame.close, fast=12, slow=26, signal=9, talib=lends)
                pta.stoch(frame.high, frame.low, frame.close, k=14, d=3, smooth_k=3, talib=lends)
                pta.cci(frame.high, frame.low, frame.close, length=20, talib=lends)
                pta.ao(frame.high, frame.low, fast=5, slow=34)
                pta.bbands(frame.close, length=20, std=2, talib=lends)
            return (time.process_time_ns() - started) / FRAMES

    return row


def talipp(given: list[Bar]) -> Row:
    library: Any = importlib.import_module("talipp.indicators")
    candle: Any = importlib.import_module("talipp.ohlcv").OHLCV

    def row() -> float:
        of_closes = [library.RSI(14), library.MACD(12, 26, 9), library.BB(20, 2)]
        of_bars = [library.Stoch(14, 3), library.CCI(20), library.AO(5, 34)]
        candles = [
            candle(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in given[: 2 * WARM]
        ]

        def feed(each: Any) -> None:
            for indicator in of_closes:
                indicator.add(each.close)
            for indicator in of_bars:
                indicator.add(each)

        for each in candles[:WARM]:
            feed(each)
        gc.collect()
        started = time.process_time_ns()
        for each in candles[WARM:]:
            feed(each)
        return (time.process_time_ns() - started) / WARM

    return row


def columns(given: list[Bar]) -> "tuple[np.ndarray[Any, Any], ...]":
    return tuple(
        np.array([getattr(bar, name) for bar in given]) for name in ("high", "low", "close")
    )


def main() -> None:
    """Run the rounds, print the figures, write the file."""
    parser = argparse.ArgumentParser(prog="python -m bench.indicators", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-file", action="store_true", help="print only")
    options = parser.parse_args()
    given = bars(WARM + BARS)
    rows: dict[str, Row] = {"ours": by_name(given), "  in the flow's loop": ours(given, SIX)}
    rows |= {f"  {name}": ours(given, (name,)) for name in SIX}
    rows["talib handles"] = handles(given)
    rows["talib batch"] = batch(given)
    if importlib.util.find_spec("talipp") is not None:
        rows["talipp"] = talipp(given)
    rows["pandas-ta-classic"] = frames(given, lends=True)
    rows["  without TA-Lib"] = frames(given, lends=False)
    rounds = [{name: row() for name, row in rows.items()} for _ in range(options.rounds)]
    figures = []
    print(f"{'row':20} {'ns/bar':>12} {'x ours':>10}")
    for name in rows:
        median = statistics.median(one[name] for one in rounds)
        ratio = statistics.median(one[name] / one["ours"] for one in rounds)
        figures.append(
            {"name": name.strip(), "median_ns": round(median, 1), "ratio_to_ours": round(ratio, 3)}
        )
        print(f"{name:20} {median:12.1f} {ratio:10.3f}")
    if "talipp" not in rows:
        print("talipp: not installed (pip install talipp), so not compared")
    if not options.no_file:
        RESULTS.parent.mkdir(exist_ok=True)
        results = {"machine": machine(), "rows": figures}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
