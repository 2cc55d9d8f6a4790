"""All bars of an instrument at once: the same as each built alone."""

import pickle
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.instrument_bars import Closed, InstrumentBars
from market.activity import parse_bar_length
from market.activity_bars import ActivityBarBuilder
from market.bars import BarBuilder
from market.empty_bars import EmptyBars
from market.events import Bar, History
from market.intervals import Interval
from tests.drawn_examples import examples
from tests.flows.market_events import BTC, SECOND, START

LENGTHS = ("1s", "5s", "15s", "1m", "3tick")


def make(
    lengths: Sequence[str] = LENGTHS, *, empty_bars: EmptyBars = EmptyBars.NONE
) -> InstrumentBars:
    made = InstrumentBars(BTC, [parse_bar_length(one) for one in lengths], empty_bars=empty_bars)
    made.resume(START)
    return made


def steps(seed: int, length: int) -> list[tuple[int, float, float, bool] | int]:
    """Trades in order of time, and heartbeats; prices and sizes add up without rounding."""
    random = Random(seed)
    at = START
    made: list[tuple[int, float, float, bool] | int] = []
    for _ in range(length):
        at += random.choice((0, 1, SECOND // 4, SECOND, 3 * SECOND, 40 * SECOND))
        if random.random() < 0.2:
            made.append(at)
        else:
            price, size = random.randint(1, 800) / 8, random.randint(1, 80) / 8
            made.append((at, price, size, random.random() < 0.5))
    return made


def run(bars: InstrumentBars, taken: Sequence[tuple[int, float, float, bool] | int]) -> list[Bar]:
    told: list[Closed] = []
    for step in taken:
        if isinstance(step, int):
            told += bars.advance(step)
        else:
            ts, price, size, is_buy = step
            told += bars.traded(ts, price, size, is_buy, True)
    return [each.bar for each in told]


@given(seed=st.integers(0, 10_000), cut=st.integers(0, 60))
@examples(20)
def test_each_length_is_as_if_it_were_built_alone(seed: int, cut: int) -> None:
    taken = steps(seed, 60)
    bars = make()
    told = run(bars, taken[:cut])
    after = InstrumentBars(BTC, [parse_bar_length(one) for one in LENGTHS])
    after.restore(pickle.loads(pickle.dumps(bars.snapshot())))  # noqa: S301
    told += run(after, taken[cut:])
    for name in LENGTHS:
        length = parse_bar_length(name)
        alone: BarBuilder | ActivityBarBuilder = (
            BarBuilder(BTC, length)
            if isinstance(length, Interval)
            else ActivityBarBuilder(BTC, length)
        )
        alone.resume(START)
        expected: list[Bar] = []
        for step in taken:
            if isinstance(step, int):
                expected += alone.advance(step)
            else:
                ts, price, size, is_buy = step
                expected += alone.add(ts, price, size, is_buy)
        assert [bar for bar in told if bar.interval == name] == expected
        assert after.forming(name) == alone.forming


def test_a_length_that_is_wanted_later_begins_then_and_leaves_the_others_alone() -> None:
    bars = make(("1s",))
    bars.want({"1s": ["ema(2)"]})
    run(bars, [(START + at * SECOND, 8.0, 1.0, True) for at in range(10)])
    before = bars.series["1s"].values()
    assert bars.want({"1s": ["ema(2)"], "5s": ["ema(2)"], "2tick": []})
    bars.resume(START + 10 * SECOND)
    assert bars.series["1s"].values() == before
    told = run(bars, [(START + at * SECOND, 8.0, 1.0, True) for at in range(10, 26)])
    assert {bar.interval for bar in told} == {"1s", "5s", "2tick"}
    assert [bar.partial or bar.gap for bar in told if bar.interval == "5s"] == [True, *[False] * 3]
    assert not bars.want({"1s": ["ema(2)"]})
    told = run(bars, [(START + at * SECOND, 8.0, 1.0, True) for at in range(26, 40)])
    assert {bar.interval for bar in told} == {"1s"}


def test_smaller_bars_that_larger_ones_are_made_of_go_on_unseen() -> None:
    bars = make(())
    bars.want({"1s": [], "5s": []})
    bars.resume(START)
    bars.want({"5s": []})
    told = run(bars, [(START + at * SECOND, float(at + 1), 1.0, True) for at in range(12)])
    assert {bar.interval for bar in told} == {"5s"}
    assert [(bar.open, bar.close, bar.count) for bar in told] == [(1.0, 5.0, 5), (6.0, 10.0, 5)]


def test_flat_bars_fill_what_was_silent_and_the_past_too() -> None:
    bars = make(("1s",), empty_bars=EmptyBars.FLAT)
    bars.want({"1s": ["sma(3)"]})
    told = run(bars, [(START, 8.0, 1.0, True), (START + 4 * SECOND, 16.0, 1.0, True)])
    assert [(bar.start - START) // SECOND for bar in told] == [0]
    told = run(bars, [START + 8 * SECOND])
    assert [((bar.start - START) // SECOND, bar.close, bar.count) for bar in told] == [
        (1, 8.0, 0),
        (2, 8.0, 0),
        (3, 8.0, 0),
        (4, 16.0, 1),
        (5, 16.0, 0),
    ]
    assert bars.series["1s"].values() == {"sma(3)": pytest.approx(40 / 3)}
    bars.interrupt()
    bars.resume(START + 60 * SECOND)
    (wish,) = [one for one in bars.wishes if one.until == START + 60 * SECOND]
    first = told[0]
    past = Bar(
        instrument=BTC, interval="1s", start=START + 50 * SECOND, end=START + 51 * SECOND, open=1.0,
        high=1.0, low=1.0, close=4.0, volume=1.0, buy_volume=0.0, notional=1.0, count=1,
    )  # fmt: skip
    history = History(instrument=BTC, interval="1s", bars=(past,), until=wish.until)
    _, (feature,) = bars.absorb(history)
    assert (feature.value, feature.ts_event) == (4.0, START + 59 * SECOND)
    assert first.count == 0


def test_an_interruption_marks_every_length() -> None:
    bars = make()
    run(bars, [(START, 8.0, 1.0, True)])
    bars.interrupt()
    bars.resume(START + 2 * SECOND)
    told = run(bars, [(START + at * SECOND, 8.0, 1.0, True) for at in (70, 140)])
    assert {bar.interval for bar in told if bar.gap} == {"1s", "5s", "15s", "1m", "3tick"}
