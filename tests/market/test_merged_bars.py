"""`MergedBars` against one grouping of all venues' trades."""

import copy
import pickle
from collections.abc import Sequence
from typing import NamedTuple

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given

from connectors import VENUES
from market.bars import GRACE, BarBuilder
from market.events import Bar
from market.instruments import MERGED, symbol_of, venue_of
from market.intervals import SECOND, Interval
from market.merged_bars import MergedBars
from tests.drawn_examples import examples

SECONDS = Interval.parse("1s")
T0 = 1_700_000_040 * SECOND
A, B, C = "a:BTC-USDT", "b:BTC-USDT", "c:BTC-USDT"
END = T0 + 1_000 * SECOND


class Print(NamedTuple):
    """One trade of a venue; eighths add up without rounding."""

    instrument: str
    ts: int
    price: float
    size: float


class Beat(NamedTuple):
    """A heartbeat of a venue, by its clock."""

    instrument: str
    venue_time: int


class Restart(NamedTuple):
    """Everything is thrown away but a pickled snapshot."""


Step = Print | Beat | Restart


def steps(seconds: int) -> st.SearchStrategy[list[Step]]:
    venues = st.sampled_from([A, B, C])
    prints = st.builds(
        Print,
        instrument=venues,
        # No two trades of one time: then it is plain which comes first.
        ts=st.integers(0, seconds * 1_000_000).map(lambda part: T0 + part * SECOND // 1_000_000),
        price=st.integers(1, 800).map(lambda eighth: eighth / 8),
        size=st.integers(1, 80).map(lambda eighth: eighth / 8),
    )
    beats = st.builds(
        Beat,
        instrument=venues,
        venue_time=st.integers(0, seconds + 4).map(lambda second: T0 + second * SECOND),
    )
    listed = st.lists(st.one_of(prints, prints, prints, beats, st.just(Restart())), max_size=50)
    return listed.filter(
        lambda each: (
            len({step.ts for step in each if isinstance(step, Print)})
            == sum(isinstance(step, Print) for step in each)
        )
    )


class Market:
    """Builders of three venues, and the merged bars of them."""

    def __init__(self) -> None:
        self.builders = {name: BarBuilder(name, SECONDS) for name in (A, B, C)}
        self.merged = MergedBars("BTC-USDT", SECONDS)
        self.own: list[Bar] = []
        for name, builder in self.builders.items():
            builder.resume(0)
            self.merged.followed(name)

    def add(self, trade: Print) -> list[Bar]:
        builder = self.builders[trade.instrument]
        said = self._take(builder, builder.add(trade.ts, trade.price, trade.size, is_buy=True))
        return said + self.merged.passed(trade.instrument, SECONDS.start_of(trade.ts))

    def beat(self, instrument: str, venue_time: int) -> list[Bar]:
        builder = self.builders[instrument]
        said = self._take(builder, builder.advance(venue_time))
        return said + self.merged.passed(instrument, venue_time - GRACE)

    def _take(self, builder: BarBuilder, bars: list[Bar]) -> list[Bar]:
        said: list[Bar] = []
        for bar in bars:
            self.own.append(bar)
            times = builder.times_of(bar.start)
            assert times is not None
            said += self.merged.take(bar, times)
        return said

    def restart(self) -> None:
        state = pickle.loads(pickle.dumps(self.merged.snapshot()))  # noqa: S301 - our own bytes
        self.merged = MergedBars("BTC-USDT", SECONDS, state=state)


def run(market: Market, listed: Sequence[Step]) -> list[Bar]:
    said: list[Bar] = []
    for step in [*listed, *(Beat(name, END) for name in (A, B, C))]:
        match step:
            case Print():
                said += market.add(step)
            case Beat(instrument, venue_time):
                said += market.beat(instrument, venue_time)
            case Restart():
                market.restart()
    return said


@given(listed=st.one_of(steps(3), steps(20)))
@examples(50)
def test_a_merged_bar_is_the_bar_of_all_trades_that_venues_bars_hold(listed: list[Step]) -> None:
    market = Market()
    said = {bar.start: bar for bar in run(market, listed)}
    own = {(bar.instrument, bar.start): bar for bar in market.own}
    trades: dict[int, list[Print]] = {}
    for step in listed:
        start = SECONDS.start_of(step.ts) if isinstance(step, Print) else 0
        # A venue's trade from before its first bar is in none.
        if isinstance(step, Print) and (step.instrument, start) in own:
            trades.setdefault(start, []).append(step)
    left_out = market.merged.late_bars
    for start, bar in said.items():
        bars = [each for (_, begins), each in own.items() if begins == start]
        total = (
            sum(each.volume for each in bars),
            sum(each.buy_volume for each in bars),
            sum(each.notional for each in bars),
            sum(each.count for each in bars),
        )
        is_whole = total == (bar.volume, bar.buy_volume, bar.notional, bar.count)
        assert is_whole or left_out
        if is_whole and bar.count == len(trades[start]):
            by_time = sorted(trades[start], key=lambda trade: trade.ts)
            prices = [trade.price for trade in by_time]
            assert (bar.open, bar.high, bar.low, bar.close) == (
                prices[0],
                max(prices),
                min(prices),
                prices[-1],
            )
    if not left_out:
        assert set(said) == {start for _, start in own}


@given(listed=steps(20))
@examples(25)
def test_a_bar_is_told_once_and_then_only_corrected(listed: list[Step]) -> None:
    words: dict[int, list[int]] = {}
    for bar in run(Market(), listed):
        words.setdefault(bar.start, []).append(bar.revision)
    for told in words.values():
        assert told[0] in {0, 1}
        assert told == list(range(told[0], told[0] + len(told)))


@given(listed=steps(20), cut=st.integers(0, 50))
@examples(25)
def test_a_restart_at_any_cut_changes_nothing(listed: list[Step], cut: int) -> None:
    whole = [step for step in listed if not isinstance(step, Restart)]
    assert run(Market(), whole) == run(Market(), [*whole[:cut], Restart(), *whole[cut:]])


def bar(
    instrument: str, second: int, price: float = 1.0, *, revision: int = 0, volume: float = 2.0
) -> Bar:
    return Bar(
        instrument=instrument,
        interval="1s",
        start=T0 + second * SECOND,
        end=T0 + (second + 1) * SECOND,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=volume,
        buy_volume=volume / 2,
        notional=volume * price,
        count=int(volume),
        revision=revision,
    )


def take(bars: MergedBars, one: Bar, *times: float) -> list[Bar]:
    first, last = times or (0.0, 0.5)
    return bars.take(one, (one.start + int(first * SECOND), one.start + int(last * SECOND)))


def followed(*instruments: str) -> MergedBars:
    bars = MergedBars("BTC-USDT", SECONDS)
    for instrument in instruments:
        bars.followed(instrument)
        bars.passed(instrument, T0)
    return bars


def passed(bars: MergedBars, second: float, *instruments: str) -> list[Bar]:
    return [
        each
        for instrument in instruments
        for each in bars.passed(instrument, T0 + int(second * SECOND))
    ]


def test_no_venue_is_called_as_the_merged_bars_are() -> None:
    assert MERGED not in VENUES
    instrument = followed().instrument
    assert (venue_of(instrument), symbol_of(instrument)) == (MERGED, "BTC-USDT")


def test_a_bar_waits_for_every_venue() -> None:
    bars = followed(A, B)
    assert take(bars, bar(A, 0, 1.0)) == []
    assert passed(bars, 1, A) == []
    assert take(bars, bar(B, 0, 3.0)) == []
    assert bars.forming is not None
    (merged,) = passed(bars, 1, B)
    assert (merged.instrument, merged.interval, merged.start) == ("merged:BTC-USDT", "1s", T0)
    assert (merged.low, merged.high, merged.volume, merged.notional) == (1.0, 3.0, 4.0, 8.0)
    assert (merged.buy_volume, merged.count, merged.vwap, merged.revision) == (2.0, 4, 2.0, 0)
    assert bars.forming is None


def test_a_venue_that_only_beats_holds_no_bar() -> None:
    bars = followed(A, B)
    take(bars, bar(A, 0))
    assert passed(bars, 1, A) == []
    assert passed(bars, 0.9, B) == [], "not past the end yet"
    assert len(passed(bars, 1.5, B)) == 1


def test_a_venue_that_left_holds_no_bar_and_its_bar_lacks_some() -> None:
    bars = followed(A, B)
    take(bars, bar(A, 0))
    take(bars, bar(A, 1))
    assert passed(bars, 2, A) == []
    said = bars.left(B)
    assert [(each.start, each.gap) for each in said] == [(T0, True), (T0 + SECOND, False)]
    assert passed(bars, 5, B) == [], "what it says now is not waited for"


def test_bars_that_wait_when_all_have_left_are_said() -> None:
    bars = followed(A)
    take(bars, bar(A, 0))
    assert len(bars.left(A)) == 1
    assert bars.left(A) == []


def test_a_venue_that_joined_is_waited_for_once_it_has_spoken() -> None:
    bars = followed(A)
    take(bars, bar(A, 0))
    bars.followed(B)
    assert len(passed(bars, 1, A)) == 1, "it may never speak"
    passed(bars, 1, B)
    take(bars, bar(A, 1))
    assert passed(bars, 2, A) == []
    assert len(passed(bars, 2, B)) == 1


def test_open_and_close_follow_the_times_on_one_clock() -> None:
    bars = followed(A, B, C)
    take(bars, bar(A, 0, 1.0), 0.2, 0.3)
    take(bars, bar(B, 0, 2.0), 0.1, 0.2)
    take(bars, bar(C, 0, 3.0), 0.3, 0.9)
    (merged,) = passed(bars, 1, A, B, C)
    assert (merged.open, merged.close) == (2.0, 3.0)
    assert bars.times_of(T0) == (T0 + SECOND // 10, T0 + 9 * SECOND // 10)
    assert bars.times_of(T0 + SECOND) is None


@pytest.mark.parametrize("order", [(A, B), (B, A)], ids=["in order of names", "the other way"])
def test_of_equal_times_the_order_of_names_decides(order: tuple[str, str]) -> None:
    bars = followed(A, B)
    for name in order:
        take(bars, bar(name, 0, 1.0 if name == A else 2.0), 0.5, 0.5)
    (merged,) = passed(bars, 1, A, B)
    assert (merged.open, merged.close) == (1.0, 2.0)


def test_what_a_venue_corrects_makes_a_revision() -> None:
    bars = followed(A, B)
    take(bars, bar(A, 0, 1.0))
    take(bars, bar(B, 0, 2.0))
    passed(bars, 2, A, B)
    (merged,) = take(bars, bar(A, 0, 1.0, revision=1, volume=6.0))
    assert (merged.revision, merged.volume, merged.count) == (1, 8.0, 8)
    (made,) = take(bars, bar(B, 1, 5.0, revision=1))
    assert (made.start, made.revision, made.volume) == (T0 + SECOND, 1, 2.0)


def test_what_a_venue_corrects_of_a_bar_that_waits_is_no_revision() -> None:
    bars = followed(A, B)
    take(bars, bar(A, 0, 1.0))
    assert take(bars, bar(A, 0, 4.0, revision=1)) == []
    (merged,) = passed(bars, 1, A, B)
    assert (merged.revision, merged.close, merged.volume) == (0, 4.0, 2.0)


def test_what_comes_too_late_is_counted_and_left_out() -> None:
    bars = followed(A)
    passed(bars, 0.5, A)
    assert take(bars, bar(A, -1, revision=1)) == [], "an earlier run may have stored the whole"
    for second in range(100):
        take(bars, bar(A, second))
        passed(bars, second + 1, A)
    assert take(bars, bar(A, 3, revision=1)) == []
    assert bars.late_bars == 2
    assert len(take(bars, bar(A, 60, revision=1))) == 1


def test_a_first_bar_that_comes_after_its_end_was_passed_is_not_lost() -> None:
    bars = followed(A)
    passed(bars, 9, A)
    (merged,) = take(bars, bar(A, 3))
    assert merged.revision == 1


def test_flat_bars_are_left_out() -> None:
    bars = followed(A, B)
    take(bars, bar(A, 0, volume=0.0))
    assert passed(bars, 1, A, B) == []
    take(bars, bar(A, 1, 9.0, volume=0.0))
    take(bars, bar(B, 1, 1.0))
    (merged,) = passed(bars, 2, A, B)
    assert (merged.high, merged.close) == (1.0, 1.0)


def flagged(one: Bar, *, partial: bool = False, gap: bool = False) -> Bar:
    return msgspec.structs.replace(one, partial=partial, gap=gap)


def test_a_gap_of_one_venue_is_one_of_the_merged_bar() -> None:
    bars = followed(A, B)
    take(bars, flagged(bar(A, 0), gap=True))
    take(bars, bar(B, 0))
    (merged,) = passed(bars, 1, A, B)
    assert (merged.partial, merged.gap) == (False, True)
    (merged,) = take(bars, bar(B, 0, revision=1))
    assert merged.gap, "a correction keeps it"


def test_a_partial_bar_makes_the_first_partial_and_any_other_a_gap() -> None:
    bars = followed(A, B)
    take(bars, flagged(bar(A, 0), partial=True))
    take(bars, flagged(bar(B, 1), partial=True))
    take(bars, bar(A, 1))
    take(bars, bar(A, 2))
    said = passed(bars, 3, A, B)
    assert [(each.partial, each.gap) for each in said] == [
        (True, False),
        (False, True),
        (False, False),
    ]


@pytest.mark.parametrize("is_late", [False, True])
def test_the_first_bar_in_which_venues_began_is_partial_and_has_no_gap(is_late: bool) -> None:
    """As a venue's own first bar: that its trades began in it is all that is wrong."""
    bars = followed(A, B)
    halves = [flagged(bar(venue, 0), partial=True) for venue in (A, B)]
    for venue in (A, B):
        bars.interrupt(venue, T0 - SECOND)  # it connects
        bars.resume(venue, T0 + SECOND // 2)
    said = take(bars, halves[0])
    if is_late:
        said += passed(bars, 2, A, B)
    said += take(bars, halves[1])
    said += passed(bars, 3, A, B)
    assert [(each.partial, each.gap) for each in said[-1:]] == [(True, False)]
    assert said[-1].count == sum(each.count for each in halves)


def test_bars_during_which_a_venue_was_interrupted_say_so() -> None:
    """It may have had trades, and has no bar."""
    bars = followed(A, B)
    for second in range(6):
        take(bars, bar(A, second))
    bars.interrupt(B, T0 + 3 * SECOND // 2)
    bars.interrupt(B, T0 + 2 * SECOND)  # it is already: this says nothing
    said = passed(bars, 2, A, B)
    bars.resume(B, T0 + 7 * SECOND // 2)
    said += passed(bars, 6, A, B)
    assert [each.gap for each in said] == [False, True, True, True, False, False]
    assert [each.gap for each in take(bars, bar(B, 5, revision=1))] == [False]


def test_a_snapshot_does_not_follow_its_bars() -> None:
    bars = followed(A, B)
    for second in range(3):
        take(bars, bar(A, second))
    passed(bars, 1, A, B)
    taken = bars.snapshot()
    kept = copy.deepcopy(taken)
    take(bars, bar(A, 0, 5.0, revision=1))
    take(bars, bar(B, 2))
    bars.interrupt(B, T0)
    bars.left(A)
    bars.followed(C)
    assert taken == kept
    assert bars.snapshot() != taken


def test_a_snapshot_stays_small_however_long_the_stream() -> None:
    bars = followed(A, B)
    for second in range(1000):
        bars.interrupt(B, T0 + second * SECOND)
        bars.resume(B, T0 + second * SECOND + 1)
        take(bars, bar(A, second))
        take(bars, bar(B, second))
        passed(bars, second + 1, A, B)
    state = bars.snapshot()
    assert state.waiting == []
    assert max(len(state.closed), len(state.interruptions)) <= 62
