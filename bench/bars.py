"""What bars cost per trade: `python -m bench.bars [--rounds N] [--no-file]`.

The same trades, made from a seed, go through each row in turn, round after round; ratios are taken
within a round, and the median of the rounds is shown. Prints a table and writes
`bench/results/bars.json`.

    floor                   a hand-written loop over one interval: no late trades, flags or state
    builder 1               `BarBuilder`, seconds
    builders 4              one each for 1s, 1m, 5m and 1h
    rollup 4                the same four, the larger ones from the smaller
    activity                `ActivityBarBuilder`, 100 trades a bar
    engine alone            Bytewax with the trades as keyed items, and no window
    fold_window             Bytewax's own bars of seconds: EventClock and TumblingWindower

Of `fold_window` the cost of the engine alone is taken off before it is compared.
"""

import argparse
import gc
import json
import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import KeyedStream, windowing
from bytewax.testing import TestingSink, TestingSource, run_main

from bench.__main__ import machine
from market.activity import Activity
from market.activity_bars import ActivityBarBuilder
from market.bars import BarBuilder
from market.intervals import SECOND, Interval
from market.rollup import BarRollup

RESULTS = Path(__file__).parent / "results" / "bars.json"
TRADES = 20_000
BETWEEN = SECOND // 20
"""Mean time between two trades; some come a little out of order."""
BATCH = 1_000
INSTRUMENT = "binance:BTC-USDT"
NAMES = ("1s", "1m", "5m", "1h")
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
T0 = int(EPOCH.timestamp()) * SECOND

Trade = tuple[int, float, float, bool]


def trades(count: int) -> list[Trade]:
    draw = random.Random(7)
    ts, price = T0, 60_000.0
    made: list[Trade] = []
    for _ in range(count):
        ts += int(draw.expovariate(1 / BETWEEN))
        price = max(1.0, price + draw.choice((-0.5, 0.0, 0.5)))
        late = draw.randrange(SECOND // 100) if draw.random() < 0.02 else 0
        made.append((ts - late, price, draw.randrange(1, 1000) / 1000, draw.random() < 0.5))
    return made


def floor(given: list[Trade]) -> float:
    """Return the volume of all bars, as every row does: so each is seen to have done its work."""
    bars: list[list[float]] = []
    end = 0
    bar: list[float] = []
    for ts, price, size, is_buy in given:
        if ts >= end:
            start = ts - ts % SECOND
            end = start + SECOND
            bar = [start, price, price, price, price, 0.0, 0.0, 0.0, 0]
            bars.append(bar)
        if price > bar[2]:
            bar[2] = price
        elif price < bar[3]:
            bar[3] = price
        bar[4] = price
        bar[5] += size
        if is_buy:
            bar[6] += size
        bar[7] += price * size
        bar[8] += 1
    return sum(bar[5] for bar in bars)


def builders(given: list[Trade], names: tuple[str, ...]) -> float:
    made = [BarBuilder(INSTRUMENT, Interval.parse(name)) for name in names]
    for builder in made:
        builder.resume(T0)
    closed: dict[int, float] = {}
    first, *larger = [builder.add for builder in made]
    for ts, price, size, is_buy in given:
        for bar in first(ts, price, size, is_buy, True):
            closed[bar.start] = bar.volume
        for add in larger:
            add(ts, price, size, is_buy, True)
    for bar in made[0].advance(T0 + 10**18):
        closed[bar.start] = bar.volume
    return sum(closed.values())


def rolled_up(given: list[Trade]) -> float:
    intervals = [Interval.parse(name) for name in NAMES]
    builder = BarBuilder(INSTRUMENT, intervals[0])
    rollups = [
        BarRollup(INSTRUMENT, larger, smaller=smaller) for smaller, larger in pairwise(intervals)
    ]
    builder.resume(T0)
    for rollup in rollups:
        rollup.resume(T0)
    closed: dict[int, float] = {}
    add = builder.add
    next_end = 0
    for ts, price, size, is_buy in given:
        bars = add(ts, price, size, is_buy, True)
        for bar in bars:
            closed[bar.start] = bar.volume
        if not bars and ts < next_end:
            continue
        for rollup in rollups:
            bars = [larger for bar in bars for larger in rollup.take(bar)]
            if ts >= rollup.next_end:
                bars += rollup.reached(ts)
        next_end = min(rollup.next_end for rollup in rollups)
    for bar in builder.advance(T0 + 10**18):
        closed[bar.start] = bar.volume
    return sum(closed.values())


def activity(given: list[Trade]) -> float:
    builder = ActivityBarBuilder(INSTRUMENT, Activity.parse("100tick"))
    builder.resume(T0)
    add = builder.add
    volume = 0.0
    for ts, price, size, is_buy in given:
        for bar in add(ts, price, size, is_buy, True):
            volume += bar.volume
    return volume + (0.0 if builder.forming is None else builder.forming.volume)


Timed = tuple[datetime, float, float, bool]
Folded = list[float]


def timed(given: list[Trade]) -> list[tuple[str, Timed]]:
    """Give each trade the kind of time that Bytewax's clock needs; it is not measured."""
    return [
        ("BTC-USDT", (EPOCH + timedelta(microseconds=(ts - T0) // 1000), price, size, is_buy))
        for ts, price, size, is_buy in given
    ]


def flow_of(
    items: list[tuple[str, Timed]],
    step: Callable[[KeyedStream[Timed]], KeyedStream[float]],
) -> float:
    out: list[tuple[str, float]] = []
    flow = Dataflow("bars")
    stream = op.input("trades", flow, TestingSource(items, batch_size=BATCH))
    op.output("out", step(stream), TestingSink(out))
    run_main(flow)  # type: ignore[no-untyped-call]
    return sum(volume for _, volume in out)


def sizes(stream: KeyedStream[Timed]) -> KeyedStream[float]:
    def take(batch: list[tuple[str, Timed]]) -> list[tuple[str, float]]:
        return [(key, trade[2]) for key, trade in batch]

    return op.flat_map_batch("sizes", stream, take)


def _opened() -> Folded:
    return []


def _folded(bar: Folded, trade: Timed) -> Folded:
    _, price, size, is_buy = trade
    if not bar:
        return [price, price, price, price, size, size if is_buy else 0.0, price * size, 1]
    if price > bar[1]:
        bar[1] = price
    elif price < bar[2]:
        bar[2] = price
    bar[3] = price
    bar[4] += size
    if is_buy:
        bar[5] += size
    bar[6] += price * size
    bar[7] += 1
    return bar


def _joined(bar: Folded, other: Folded) -> Folded:
    return [
        bar[0],
        max(bar[1], other[1]),
        min(bar[2], other[2]),
        other[3],
        *(mine + its for mine, its in zip(bar[4:], other[4:], strict=True)),
    ]


def windows(stream: KeyedStream[Timed]) -> KeyedStream[float]:
    made = windowing.fold_window(
        "bars",
        stream,
        windowing.EventClock(lambda trade: trade[0], wait_for_system_duration=timedelta(seconds=2)),
        windowing.TumblingWindower(length=timedelta(seconds=1), align_to=EPOCH),
        _opened,
        _folded,
        _joined,
    )

    def volumes(batch: list[tuple[str, tuple[int, Folded]]]) -> list[tuple[str, float]]:
        return [(key, bar[4]) for key, (_, bar) in batch]

    return op.flat_map_batch("volumes", made.down, volumes)


def measured(row: Callable[[], float], expected: float) -> float:
    """Run a row once; return its CPU time for each trade, ns."""
    gc.collect()
    gc.disable()
    started = time.process_time_ns()
    volume = row()
    took = time.process_time_ns() - started
    gc.enable()
    assert abs(volume - expected) < 1e-6 * expected, "a row lost or doubled trades"
    return took / TRADES


def summary(rounds: list[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return medians of the rows, and of each round's ratios."""

    def median(of: Callable[[dict[str, float]], float]) -> float:
        return round(statistics.median(map(of, rounds)), 3)

    def window(one: dict[str, float]) -> float:
        return one["fold_window"] - one["engine alone"]

    return {
        "ns_per_trade": {
            name: round(statistics.median(one[name] for one in rounds), 1) for name in rounds[0]
        },
        "ratios": {
            "builder 1 / floor": median(lambda one: one["builder 1"] / one["floor"]),
            "fold_window / builder 1": median(lambda one: window(one) / one["builder 1"]),
            "rollup 4 / builder 1": median(lambda one: one["rollup 4"] / one["builder 1"]),
            "builders 4 / builder 1": median(lambda one: one["builders 4"] / one["builder 1"]),
            "activity / builder 1": median(lambda one: one["activity"] / one["builder 1"]),
        },
    }


def main() -> None:
    """Run the rounds, print the figures, write the file."""
    parser = argparse.ArgumentParser(prog="python -m bench.bars", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-file", action="store_true", help="print only")
    options = parser.parse_args()
    given = trades(TRADES)
    items = timed(given)
    expected = sum(size for _, _, size, _ in given)
    rows: dict[str, Callable[[], float]] = {
        "floor": lambda: floor(given),
        "builder 1": lambda: builders(given, NAMES[:1]),
        "builders 4": lambda: builders(given, NAMES),
        "rollup 4": lambda: rolled_up(given),
        "activity": lambda: activity(given),
        "engine alone": lambda: flow_of(items, sizes),
        "fold_window": lambda: flow_of(items, windows),
    }
    rounds = [
        {name: measured(row, expected) for name, row in rows.items()} for _ in range(options.rounds)
    ]
    figures = summary(rounds)
    for name, value in figures["ns_per_trade"].items():
        print(f"{name:28} {value:10} ns/trade")
    for name, value in figures["ratios"].items():
        print(f"{name:28} {value:10} x")
    if not options.no_file:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps({"machine": machine(), **figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
