"""What filters cost: `python -m bench.filters [--rounds N] [--no-file]`.

The same moments pass the same conditions, round after round; ratios are taken within a round, to
the row by hand of the same condition (of the engine's rows: the first), and the median of the
rounds is shown. Prints a table and writes `bench/results/filters.json`; the exit code is 1 when a
compiled condition, with a crossing or without, takes more than three times the one by hand.

    by hand             a function that a person would write, which looks at what is missing too
    compiled            the same condition, as `filters.compile` makes it
    crossing, by hand   a condition with a crossing in it; it remembers the side of each series, and
                        looks at what is missing, as the compiled one must
    crossing, compiled  the same condition, and its memory
    engine, 1 spec      one spec, from the observation to the state machine
    engine, 1,000 specs one bar of one symbol that a thousand different specs look at; ns a bar
      a spec            the same, for each of them
"""

import argparse
import gc
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.__main__ import machine
from filters.alerts import Observation
from filters.compile import compile_condition
from filters.engine import FilterEngine
from filters.memory import Memory, fresh, step
from filters.specs import Source, Spec, SpecsChanged
from market.events import State

RESULTS = Path(__file__).parent / "results" / "filters.json"
MOST_TIMES = 3.0
"""What a compiled condition may take, against the one by hand."""
LIMITED = ("compiled", "crossing, compiled")
MOMENTS = 20_000
BARS = 60
SPECS = 1_000
MINUTE = 60_000_000_000
SERIES = "binance:BTC-USDT"
CONDITION = "rsi(14) < 30 and book.imbalance(10) > 0.2"
CROSSING = "close crosses_above ema(20) and book.imbalance(10) > 0.2"
Values = dict[str, float | None]
Row = Callable[[], float]


def by_hand(values: Mapping[str, float | None]) -> bool | None:
    """What a person would write for `CONDITION`."""
    rsi = values.get("rsi(14)")
    imbalance = values.get("book.imbalance(10)")
    if rsi is None or imbalance is None:
        return None
    return rsi < 30.0 and imbalance > 0.2


class CrossingByHand:
    """What a person would write for `CROSSING`, once for all series."""

    def __init__(self) -> None:
        self._sides: dict[str, int] = {}

    def __call__(self, series: str, values: Mapping[str, float | None]) -> bool | None:
        """Take a moment of a series."""
        close = values.get("close")
        average = values.get("ema(20)")
        imbalance = values.get("book.imbalance(10)")
        if close is None or average is None:
            return None
        has_crossed = False
        if close != average:
            side = 1 if close > average else -1
            has_crossed = side > 0 and self._sides.get(series) == -1
            self._sides[series] = side
        if imbalance is None:
            return None
        return has_crossed and imbalance > 0.2


class CrossingCompiled:
    """The same, compiled: memories by series, as the engine's states have them."""

    def __init__(self) -> None:
        self._condition = compile_condition(CROSSING, "bar")
        self._memories: dict[str, list[Memory]] = {}

    def __call__(self, series: str, values: Mapping[str, float | None]) -> bool | None:
        """Take a moment of a series."""
        condition = self._condition
        memories = self._memories.get(series)
        if memories is None:
            memories = self._memories[series] = fresh(condition.remembering)
        return condition.evaluate(values, *step(condition.steps, memories, values, 0, 0))


def moments(count: int) -> list[Values]:
    """Values at random, one in twenty of them not known."""
    draw = random.Random(5)
    return [
        {
            "close": draw.uniform(90, 110),
            "ema(20)": 100.0 if draw.random() > 0.05 else None,
            "rsi(14)": draw.uniform(0, 100) if draw.random() > 0.05 else None,
            "book.imbalance(10)": draw.uniform(-1, 1),
        }
        for _ in range(count)
    ]


def measured(run: Callable[[], None], count: int) -> float:
    """Return ns of the processor for each of `count`."""
    gc.collect()
    started = time.process_time_ns()
    run()
    return (time.process_time_ns() - started) / count


def condition(evaluate: Callable[[Values], bool | None], given: list[Values]) -> Row:
    """A function of values alone."""

    def run() -> None:
        for values in given:
            evaluate(values)

    return lambda: measured(run, len(given))


def crossing(make: Callable[[], CrossingByHand | CrossingCompiled], given: list[Values]) -> Row:
    """A condition that remembers, over two series by turns."""
    series = (SERIES, "bybit:BTC-USDT")

    def run() -> None:
        evaluate = make()
        for number, values in enumerate(given):
            evaluate(series[number % 2], values)

    return lambda: measured(run, len(given))


def observations(given: list[Values]) -> list[Observation]:
    """The values as closed bars."""
    return [
        Observation(
            series=SERIES,
            stream="bar",
            interval="1m",
            ts_event=number * MINUTE,
            ts_recv=number * MINUTE,
            moment=number * MINUTE,
            revision=0,
            values=values,
            state=State.LIVE,
        )
        for number, values in enumerate(given)
    ]


def engine(specs: list[str], given: list[Values]) -> Row:
    """Specs over one series, through the engine."""
    source = Source(stream="bar", symbols=("BTC-USDT",), interval="1m")
    made = tuple(
        Spec(id=f"s{number}", source=source, when=when) for number, when in enumerate(specs)
    )
    seen = observations(given)

    def row() -> float:
        running = FilterEngine()
        running.specs_changed(SpecsChanged(generation=1, specs=made))
        running.observe(seen[0])

        def run() -> None:
            for observation in seen:
                running.observe(observation)

        return measured(run, len(seen))

    return row


def rows() -> dict[str, Row]:
    """Return everything that is measured, by name."""
    given = moments(MOMENTS)
    compiled = compile_condition(CONDITION, "bar")
    many = [f"rsi(14) < {20 + number / 100} and close > ema(20)" for number in range(SPECS)]
    return {
        "by hand": condition(by_hand, given),
        "compiled": condition(compiled.evaluate, given),
        "crossing, by hand": crossing(CrossingByHand, given),
        "crossing, compiled": crossing(CrossingCompiled, given),
        "engine, 1 spec": engine([CONDITION], given),
        "engine, 1,000 specs": engine(many, given[:BARS]),
    }


def too_slow(ratios: Mapping[str, float]) -> list[str]:
    """Say which compiled conditions take too long; `ratios` are to those by hand, by row."""
    return [
        f"{name}: {ratios[name]:.2f} times the one by hand, {MOST_TIMES:g} at most"
        for name in LIMITED
        if ratios[name] > MOST_TIMES
    ]


def main() -> int:
    """Run the rounds, print the figures, write the file; return 1 when a figure is too large."""
    parser = argparse.ArgumentParser(prog="python -m bench.filters", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-file", action="store_true", help="print only")
    options = parser.parse_args()
    measuring = rows()
    rounds = [{name: row() for name, row in measuring.items()} for _ in range(options.rounds)]
    for one in rounds:
        one["  a spec"] = one["engine, 1,000 specs"] / SPECS
    figures = []
    ratios: dict[str, float] = {}
    print(f"{'row':20} {'ns':>12} {'x by hand':>10}")
    for name in rounds[0]:
        median = statistics.median(one[name] for one in rounds)
        hand = "crossing, by hand" if name.startswith("crossing") else "by hand"
        ratio = statistics.median(one[name] / one[hand] for one in rounds)
        ratios[name] = ratio
        figures.append(
            {"name": name.strip(), "median_ns": round(median, 1), "ratio_to_hand": round(ratio, 3)}
        )
        print(f"{name:20} {median:12.1f} {ratio:10.3f}")
    if not options.no_file:
        RESULTS.parent.mkdir(exist_ok=True)
        results = {"machine": machine(), "rows": figures}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    wrong = too_slow(ratios)
    for line in wrong:
        print(line)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
