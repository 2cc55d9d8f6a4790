"""`ActivityBarBuilder` against a plain grouping of the same trades in exact arithmetic."""

import copy
import pickle
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import hypothesis.strategies as st
import pytest
from hypothesis import given

from market.activity import Activity, Measure
from market.activity_bars import ActivityBarBuilder
from market.events import Bar
from market.intervals import SECOND
from tests.drawn_examples import examples

INSTRUMENT = "binance:BTC-USDT"
T0 = 1_700_000_040 * SECOND
LENGTHS = ["1tick", "2tick", "5tick", "2.5volume", "0.125volume", "40dollar", "1000dollar"]


class Print(NamedTuple):
    """One trade as the builder is told of it; eighths add up without rounding."""

    ts: int
    price: float
    size: float
    is_buy: bool | None
    may_close: bool = True


class Word(NamedTuple):
    """That trades flow, or may be missing, from here on."""

    flows: bool


class Restart(NamedTuple):
    """Everything is thrown away but a pickled snapshot."""


Step = Print | Word | Restart
PRINTS = st.builds(
    Print,
    ts=st.integers(T0, T0 + 5_000) | st.integers(T0, T0 + 10 * SECOND),
    price=st.integers(1, 800).map(lambda eighth: eighth / 8),
    size=st.integers(1, 80).map(lambda eighth: eighth / 8),
    is_buy=st.sampled_from([True, False, None]),
    may_close=st.sampled_from([True, True, True, False]),
)
STEPS = st.lists(PRINTS | PRINTS | st.builds(Word, st.booleans()) | st.just(Restart()), max_size=60)


def builder(length: str) -> ActivityBarBuilder:
    return ActivityBarBuilder(INSTRUMENT, Activity.parse(length))


def add(bars: ActivityBarBuilder, trade: Print) -> list[Bar]:
    return bars.add(*trade)


def restarted(bars: ActivityBarBuilder) -> ActivityBarBuilder:
    state = pickle.loads(pickle.dumps(bars.snapshot()))  # noqa: S301 - our own bytes
    return ActivityBarBuilder(bars.instrument, bars.activity, state=state)


def run(bars: ActivityBarBuilder, steps: Sequence[Step]) -> tuple[list[Bar], ActivityBarBuilder]:
    """Take every step; return all that was said, with what forms at the end, and the builder."""
    said: list[Bar] = []
    newest = T0
    for step in steps:
        match step:
            case Print():
                newest = max(newest, step.ts) if step.may_close else newest
                said += add(bars, step)
            case Word(True):
                bars.resume(newest)
            case Word():
                bars.interrupt()
            case Restart():
                bars = restarted(bars)
    return said + ([] if bars.forming is None else [bars.forming]), bars


def amount_of(trades: list[Print], measure: Measure) -> Fraction:
    match measure:
        case Measure.TICK:
            return Fraction(len(trades))
        case Measure.VOLUME:
            return sum((Fraction(trade.size) for trade in trades), Fraction(0))
        case Measure.DOLLAR:
            return sum(
                (Fraction(trade.size) * Fraction(trade.price) for trade in trades), Fraction(0)
            )


def grouped(steps: list[Step], length: str) -> tuple[list[list[Print]], int]:
    """Group trades by bar, the last group perhaps not full, and count those in none."""
    activity = Activity.parse(length)
    groups: list[list[Print]] = []
    late = 0
    is_full = True
    for trade in (step for step in steps if isinstance(step, Print)):
        if not groups and not trade.may_close:
            late += 1
            continue
        if is_full:
            groups.append([])
        groups[-1].append(trade)
        is_full = amount_of(groups[-1], activity.measure) >= Fraction(activity.amount)
    return groups, late


@given(steps=STEPS, length=st.sampled_from(LENGTHS))
@examples(75)
def test_trades_fill_bars_in_the_order_in_which_they_come(steps: list[Step], length: str) -> None:
    said, bars = run(builder(length), steps)
    groups, late = grouped(steps, length)
    bought = {True: 1.0, False: 0.0, None: 0.5}
    assert bars.late_trades == late
    assert [
        (
            bar.open,
            bar.high,
            bar.low,
            bar.close,
            bar.volume,
            bar.buy_volume,
            bar.notional,
            bar.count,
        )
        for bar in said
    ] == [
        (
            trades[0].price,
            max(trade.price for trade in trades),
            min(trade.price for trade in trades),
            trades[-1].price,
            sum(trade.size for trade in trades),
            sum(trade.size * bought[trade.is_buy] for trade in trades),
            sum(trade.price * trade.size for trade in trades),
            len(trades),
        )
        for trades in groups
    ]


@given(steps=STEPS, length=st.sampled_from(LENGTHS))
@examples(50)
def test_bars_never_overlap_and_are_told_apart_by_microseconds(
    steps: list[Step], length: str
) -> None:
    said, _ = run(builder(length), steps)
    for earlier, later in pairwise(said):
        assert earlier.end <= later.start
    for bar in said:
        assert bar.start < bar.end
        assert (bar.start % 1000, bar.end % 1000) == (0, 0)
        assert (bar.revision, bar.partial, bar.interval) == (0, False, length)


@given(steps=STEPS, length=st.sampled_from(LENGTHS), cut=st.integers(0, 60))
@examples(40)
def test_a_restart_at_any_cut_changes_nothing(steps: list[Step], length: str, cut: int) -> None:
    whole = [step for step in steps if not isinstance(step, Restart)]
    plain, plain_bars = run(builder(length), whole)
    said, bars = run(builder(length), [*whole[:cut], Restart(), *whole[cut:]])
    assert said == plain
    assert bars.snapshot() == plain_bars.snapshot()


@given(steps=st.lists(PRINTS, min_size=1), more=st.lists(PRINTS, min_size=1))
@examples(20)
def test_a_snapshot_does_not_follow_its_builder(steps: list[Print], more: list[Print]) -> None:
    bars = builder("1000tick")
    for step in steps:
        add(bars, step)
    taken = bars.snapshot()
    kept = copy.deepcopy(taken)
    for step in more:
        add(bars, step)
    bars.interrupt()
    bars.resume(T0)
    assert taken == kept
    assert bars.snapshot() != taken


@pytest.mark.parametrize("length", LENGTHS)
def test_no_time_closes_a_bar(length: str) -> None:
    bars = builder(length)
    add(bars, Print(T0, 0.5, 0.0625, is_buy=True))
    forming = bars.forming
    assert bars.advance(T0 + 10**18) == []
    assert bars.forming == forming


def test_sizes_that_make_the_amount_but_for_rounding_fill_the_bar() -> None:
    bars = builder("1volume")
    added = 0.0
    for _ in range(10):  # `sum` rounds better than this, from Python 3.12 on
        added += 0.1
    assert added < 1, "what this is about"
    said = [add(bars, Print(T0, 1.0, 0.1, is_buy=True)) for _ in range(10)]
    assert [len(each) for each in said] == [0] * 9 + [1]


def test_a_trade_larger_than_the_amount_is_one_bar() -> None:
    bars = builder("2.5volume")
    (bar,) = add(bars, Print(T0, 1.0, 100.0, is_buy=True))
    assert (bar.volume, bar.count) == (100.0, 1)
    assert bars.forming is None


def test_a_bar_goes_from_its_first_trade_to_just_after_its_last() -> None:
    bars = builder("2tick")
    add(bars, Print(T0 + 1_234_567, 1.0, 1.0, is_buy=True))
    (bar,) = add(bars, Print(T0 + 9_876_543, 1.0, 1.0, is_buy=True))
    assert (bar.start - T0, bar.end - T0) == (1_234_000, 9_877_000)


def test_many_bars_of_one_moment_have_starts_of_their_own() -> None:
    bars = builder("1tick")
    said = [add(bars, Print(T0, 1.0, 1.0, is_buy=True))[0].start - T0 for _ in range(3)]
    assert said == [0, 1000, 2000]


def test_a_time_that_is_not_believed_moves_no_time() -> None:
    bars = builder("2tick")
    far = T0 + 10**18
    assert add(bars, Print(far, 1.0, 1.0, is_buy=True, may_close=False)) == []
    assert (bars.forming, bars.late_trades) == (None, 1), "no time is known yet"
    add(bars, Print(T0, 2.0, 1.0, is_buy=True))
    (bar,) = add(bars, Print(far, 3.0, 1.0, is_buy=True, may_close=False))
    assert (bar.start, bar.end, bar.count, bar.close) == (T0, T0 + 1000, 2, 3.0)
    add(bars, Print(far, 4.0, 1.0, is_buy=True, may_close=False))
    (bar,) = add(bars, Print(T0 + SECOND, 5.0, 1.0, is_buy=True))
    assert (bar.start, bar.end, bar.open) == (T0 + 1000, T0 + SECOND + 1000, 4.0)
    assert bars.late_trades == 1


def gaps(bars: ActivityBarBuilder, seconds: list[int]) -> list[bool]:
    return [
        bar.gap
        for second in seconds
        for bar in add(bars, Print(T0 + second * SECOND + 500, 1.0, 1.0, is_buy=True))
    ]


def test_a_bar_in_which_trades_may_be_missing_says_so() -> None:
    bars = builder("2tick")
    assert gaps(bars, [0, 1]) == [True], "nobody said that trades flow"
    bars.resume(T0 + 2 * SECOND + 500)
    assert gaps(bars, [2, 3, 4]) == [False]
    bars.interrupt()
    bars.resume(T0 + 5 * SECOND)
    assert gaps(bars, [5, 6, 7]) == [True, False]


def test_a_bar_after_an_interruption_lacks_nothing_inside() -> None:
    bars = builder("2tick")
    bars.resume(T0)
    assert gaps(bars, [0, 1]) == [False]
    bars.interrupt()
    bars.resume(T0 + 5 * SECOND)
    bars.resume(T0 + 9 * SECOND)  # they flow already: this says nothing
    assert gaps(bars, [5, 6]) == [False]


def test_a_bar_that_may_have_begun_in_an_interruption_says_so() -> None:
    bars = builder("2tick")
    bars.resume(T0)
    assert gaps(bars, [0, 1]) == [False]
    bars.interrupt()
    bars.resume(T0 + 5 * SECOND)
    add(bars, Print(T0 + 10**18, 1.0, 1.0, is_buy=True, may_close=False))
    assert gaps(bars, [6]) == [True]
