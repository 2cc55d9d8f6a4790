"""`FlatBars` behind a `BarBuilder`, against plain filling of the final bars."""

import pickle
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from market.bars import GRACE, LATENESS, BarBuilder
from market.empty_bars import EmptyBars, FlatBars, is_flat
from market.events import Bar
from market.intervals import SECOND, Interval
from tests.drawn_examples import examples

INSTRUMENT = "binance:BTC-USDT"
SECONDS = Interval.parse("1s")
T0 = 1_700_000_040 * SECOND


class Print(NamedTuple):
    """One trade as the builder is told of it; eighths add up without rounding."""

    ts: int
    price: float


class Beat(NamedTuple):
    """A heartbeat, by the venue's clock."""

    venue_time: int


class Restart(NamedTuple):
    """Everything is thrown away but a pickled snapshot."""


Step = Print | Beat | Restart


def steps(seconds: int) -> st.SearchStrategy[list[Step]]:
    prints = st.builds(
        Print,
        ts=st.integers(0, seconds * 8).map(lambda eighth: T0 + eighth * SECOND // 8),
        price=st.integers(1, 3).map(float),
    )
    beats = st.integers(0, seconds + 4).map(lambda second: Beat(T0 + second * SECOND))
    return st.lists(prints | prints | beats | st.just(Restart()), max_size=40)


class Series:
    """A builder, and the flat bars behind it."""

    def __init__(self, lateness: int = LATENESS) -> None:
        self.lateness = lateness
        self.builder = BarBuilder(INSTRUMENT, SECONDS, lateness=lateness)
        self.builder.resume(0)
        self.flat = FlatBars(SECONDS, lateness=lateness)
        self.made: list[Bar] = []

    def add(self, trade: Print) -> list[Bar]:
        return self._take(self.builder.add(trade.ts, trade.price, 1.0, is_buy=True))

    def advance(self, venue_time: int) -> list[Bar]:
        return self._take(self.builder.advance(venue_time)) + self.flat.advance(venue_time)

    def _take(self, bars: list[Bar]) -> list[Bar]:
        self.made += bars
        return [each for bar in bars for each in self.flat.take(bar)]

    def restart(self) -> None:
        kept = pickle.dumps((self.builder.snapshot(), self.flat.snapshot()))
        made, flat = pickle.loads(kept)  # noqa: S301 - our own bytes
        self.builder = BarBuilder(INSTRUMENT, SECONDS, lateness=self.lateness, state=made)
        self.flat = FlatBars(SECONDS, lateness=self.lateness, state=flat)


def run(series: Series, listed: Sequence[Step], until: int) -> list[Bar]:
    said: list[Bar] = []
    for step in [*listed, Beat(until)]:
        match step:
            case Print():
                said += series.add(step)
            case Beat(venue_time):
                said += series.advance(venue_time)
            case Restart():
                series.restart()
    return said


def filled(made: list[Bar], until: int) -> list[Bar]:
    """Fill the last words of a maker up to a time, in one go."""
    last = sorted({bar.start: bar for bar in made}.values(), key=lambda bar: bar.start)
    out: list[Bar] = []
    for bar in last:
        out += flats(out[-1], bar.start) if out else []
        out.append(bar)
    return [*out, *flats(out[-1], until)] if out else []


def flats(bar: Bar, until: int) -> list[Bar]:
    price = dict.fromkeys(("open", "high", "low", "close"), bar.close)
    nothing = {"volume": 0.0, "buy_volume": 0.0, "notional": 0.0, "count": 0, "revision": 0}
    return [
        msgspec.structs.replace(bar, start=start, end=start + SECOND, **price, **nothing)
        for start in range(bar.end, until, SECOND)
    ]


@given(
    listed=st.one_of(steps(4), steps(20), steps(60)),
    lateness=st.integers(1, 20),
)
@examples(75)
def test_what_is_said_at_last_is_the_filled_series(listed: list[Step], lateness: int) -> None:
    series = Series(lateness * SECOND)
    until = T0 + 70 * SECOND
    said = run(series, listed, until + GRACE)
    last = sorted({bar.start: bar for bar in said}.values(), key=lambda bar: bar.start)
    plain = [msgspec.structs.replace(bar, revision=0) for bar in last]
    assert plain == [msgspec.structs.replace(bar, revision=0) for bar in filled(series.made, until)]


@given(listed=st.one_of(steps(4), steps(20), steps(60)), lateness=st.integers(1, 20))
@examples(50)
def test_each_word_on_a_bar_is_a_higher_revision_than_the_last(
    listed: list[Step], lateness: int
) -> None:
    """The store keeps the highest: a real bar must beat the flat one before it."""
    words: dict[int, list[Bar]] = {}
    for bar in run(Series(lateness * SECOND), listed, T0 + 70 * SECOND):
        words.setdefault(bar.start, []).append(bar)
    for bars in words.values():
        first = bars[0].revision
        assert first in {0, 1}, "1 where a late trade came before the silence was said"
        assert [bar.revision for bar in bars] == list(range(first, first + len(bars)))
        are_real = [not is_flat(bar) for bar in bars]
        assert are_real == sorted(are_real), "a bar with trades never turns flat"
    starts = [bars[0].start for bars in words.values()]
    assert all(later - earlier == SECOND for earlier, later in pairwise(starts))


@given(listed=steps(20), cut=st.integers(0, 40))
@examples(25)
def test_a_restart_at_any_cut_changes_nothing(listed: list[Step], cut: int) -> None:
    whole = [step for step in listed if not isinstance(step, Restart)]
    until = T0 + 30 * SECOND
    assert run(Series(), whole, until) == run(
        Series(), [*whole[:cut], Restart(), *whole[cut:]], until
    )


def summary(said: list[Bar]) -> list[tuple[int, float, int, int]]:
    return [((bar.start - T0) // SECOND, bar.close, bar.count, bar.revision) for bar in said]


def at(second: float, price: float) -> Print:
    return Print(T0 + int(second * SECOND), price)


def test_a_heartbeat_says_flat_bars_that_are_over() -> None:
    series = Series()
    series.add(at(0, 5.0))
    assert summary(series.advance(T0 + 4 * SECOND + GRACE - 1)) == [
        (0, 5.0, 1, 0),
        (1, 5.0, 0, 0),
        (2, 5.0, 0, 0),
    ]
    (bar,) = series.advance(T0 + 4 * SECOND + GRACE)
    assert (bar.open, bar.high, bar.low, bar.close) == (5.0, 5.0, 5.0, 5.0)
    assert (bar.volume, bar.buy_volume, bar.notional, bar.vwap) == (0.0, 0.0, 0.0, 5.0)
    assert (bar.instrument, bar.interval, bar.partial, bar.gap) == (INSTRUMENT, "1s", False, False)
    assert series.advance(T0 + 4 * SECOND + GRACE) == []


def test_flat_bars_come_before_the_bar_after_them() -> None:
    series = Series()
    series.add(at(0, 5.0))
    series.add(at(3, 7.0))
    assert summary(series.add(at(4, 8.0))) == [
        (1, 5.0, 0, 0),
        (2, 5.0, 0, 0),
        (3, 7.0, 1, 0),
    ]


def test_a_late_trade_of_a_flat_bar_revises_it_and_those_after_it() -> None:
    series = Series()
    series.add(at(0, 5.0))
    series.advance(T0 + 5 * SECOND + GRACE)
    series.add(at(9, 9.0))
    assert summary(series.add(at(3, 7.0))) == [(3, 7.0, 1, 1), (4, 7.0, 0, 1)]
    assert summary(series.add(at(3.5, 6.0))) == [(3, 6.0, 2, 2), (4, 6.0, 0, 2)]
    assert summary(series.add(at(4, 4.0))) == [(4, 4.0, 1, 3)], "above what was said of it"
    assert summary(series.add(at(0.5, 5.5))) == [
        (0, 5.5, 2, 1),
        (1, 5.5, 0, 1),
        (2, 5.5, 0, 1),
    ]


def test_a_trade_that_opens_a_bar_said_flat_revises_it_when_closed() -> None:
    """For the builder it is no late trade: it is later than every other."""
    series = Series()
    series.add(at(0, 5.0))
    series.advance(T0 + 5 * SECOND + GRACE)
    assert series.add(at(3, 7.0)) == []
    assert summary(series.add(at(6, 8.0))) == [(3, 7.0, 1, 1), (4, 7.0, 0, 1)]


def test_nothing_is_said_before_the_first_bar() -> None:
    series = Series()
    assert series.advance(T0 + 9 * SECOND) == []
    series.add(at(20, 5.0))
    assert summary(series.add(at(21, 5.0))) == [(20, 5.0, 1, 0)]


def test_nothing_is_filled_over_a_gap() -> None:
    series = Series()
    series.add(at(0, 5.0))
    series.advance(T0 + 2 * SECOND + GRACE)
    series.builder.interrupt()
    series.flat.interrupt()
    assert series.advance(T0 + 4 * SECOND + GRACE) == []
    series.add(at(6.5, 6.0))  # still missing some: its bar says so
    said = series.add(at(9, 7.0))
    series.builder.resume(T0 + 9 * SECOND + 1)
    said += series.add(at(12, 8.0))
    said += series.add(at(15, 9.0))
    assert summary(said) == [(6, 6.0, 1, 0), (9, 7.0, 1, 0), (12, 8.0, 1, 0)]
    assert [bar.gap for bar in said] == [True, True, False]
    assert summary(series.add(at(16, 9.0))) == [(13, 8.0, 0, 0), (14, 8.0, 0, 0), (15, 9.0, 1, 0)]


def test_a_late_trade_of_a_gap_makes_its_bar_and_no_other() -> None:
    series = Series()
    series.add(at(0, 5.0))
    series.advance(T0 + SECOND + GRACE)
    series.builder.interrupt()
    series.flat.interrupt()
    series.builder.resume(T0 + 6 * SECOND)
    series.add(at(6, 6.0))
    series.advance(T0 + 8 * SECOND + GRACE)
    assert summary(series.add(at(3, 7.0))) == [(3, 7.0, 1, 1)]


def test_a_long_silence_is_remembered_in_few_words() -> None:
    series = Series()
    series.add(at(0, 5.0))
    for second in range(2_000):
        series.advance(T0 + second * SECOND)
    assert len(series.flat.snapshot().runs) == 2
    for second in range(2_000, 2_400, 2):
        series.add(at(second, 5.0))
        series.advance(T0 + second * SECOND)
    assert len(series.flat.snapshot().runs) <= LATENESS // SECOND + 3


@pytest.mark.parametrize(
    ("count", "volume", "is_so"),
    [(0, 0.0, True), (1, 0.5, False), (0, 0.5, False)],
    ids=["nothing", "trades", "made by a venue, which has no count"],
)
def test_a_bar_without_volume_and_count_is_flat(count: int, volume: float, *, is_so: bool) -> None:
    series = Series()
    series.add(at(0, 5.0))
    (bar,) = series.add(at(1, 5.0))
    assert is_flat(msgspec.structs.replace(bar, count=count, volume=volume)) is is_so


def test_the_policies_are_named_as_people_write_them() -> None:
    assert [EmptyBars("none"), EmptyBars("flat")] == [EmptyBars.NONE, EmptyBars.FLAT]
