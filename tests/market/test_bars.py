"""`BarBuilder` against a plain grouping of the same trades."""

import copy
import pickle
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import hypothesis.strategies as st
import pytest
from hypothesis import given

from market.bars import GRACE, LATENESS, BarBuilder, BarBuilderState
from market.events import Bar
from market.intervals import SECOND, Interval
from tests.drawn_examples import examples

INSTRUMENT = "binance:BTC-USDT"
T0 = 1_700_000_040 * SECOND
"""The start of a minute."""
END = T0 + 10_000 * SECOND


class Print(NamedTuple):
    """One trade as the builder is told of it; eighths add up without rounding."""

    ts: int
    price: float
    size: float
    is_buy: bool
    may_close: bool = True


class Beat(NamedTuple):
    """A heartbeat, by the venue's clock."""

    venue_time: int


class Restart(NamedTuple):
    """Everything is thrown away but a pickled snapshot."""


Step = Print | Beat | Restart
MOSTLY = st.sampled_from([True, True, False])


def prints(seconds: int, *, believed: st.SearchStrategy[bool]) -> st.SearchStrategy[Print]:
    return st.builds(
        Print,
        ts=st.integers(T0 * 8 // SECOND, (T0 // SECOND + seconds) * 8).map(
            lambda eighth: eighth * SECOND // 8
        ),
        price=st.integers(1, 800).map(lambda eighth: eighth / 8),
        size=st.integers(1, 80).map(lambda eighth: eighth / 8),
        is_buy=st.booleans(),
        may_close=believed,
    )


def beats(seconds: int) -> st.SearchStrategy[Beat]:
    return st.integers(-10, seconds + 10).map(lambda second: Beat(T0 + second * SECOND))


def builder(
    interval: str = "1s", *, lateness: int = LATENESS, state: BarBuilderState | None = None
) -> BarBuilder:
    return BarBuilder(INSTRUMENT, Interval.parse(interval), lateness=lateness, state=state)


def add(bars: BarBuilder, trade: Print) -> list[Bar]:
    return bars.add(
        trade.ts, trade.price, trade.size, is_buy=trade.is_buy, may_close=trade.may_close
    )


def forming_start(bars: BarBuilder) -> int | None:
    return None if bars.forming is None else bars.forming.start


def restarted(bars: BarBuilder) -> BarBuilder:
    state = pickle.loads(pickle.dumps(bars.snapshot()))  # noqa: S301 - our own bytes
    return BarBuilder(INSTRUMENT, bars.interval, lateness=bars.lateness, state=state)


def run(bars: BarBuilder, steps: Sequence[Step]) -> tuple[list[Bar], BarBuilder]:
    """Take every step and close what is left; return all that was said and the builder."""
    said: list[Bar] = []
    for step in steps:
        match step:
            case Print():
                said += add(bars, step)
            case Beat(venue_time):
                said += bars.advance(venue_time)
            case Restart():
                bars = restarted(bars)
    said += bars.advance(END)
    return said, bars


def last_revisions(said: list[Bar]) -> dict[int, Bar]:
    return {bar.start: bar for bar in said}


def trades_only(steps: list[Step]) -> list[Print]:
    return [step for step in steps if isinstance(step, Print)]


def grouped(trades: list[Print], length: int, lateness: int) -> tuple[dict[int, list[Print]], int]:
    """Group trades by bar as the rules say, and count those that are in none."""
    groups: dict[int, list[Print]] = {}
    newest = late = 0
    for trade in trades:
        start = trade.ts - trade.ts % length
        opens = not groups or start > max(groups)
        is_reachable = not groups or (start >= min(groups) and trade.ts >= newest - lateness)
        if (opens and not trade.may_close) or not is_reachable:
            late += 1
            continue
        groups.setdefault(start, []).append(trade)
        newest = max(newest, trade.ts)
    return groups, late


def numbers(bar: Bar) -> tuple[float, ...]:
    return (
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        bar.buy_volume,
        bar.notional,
        bar.count,
    )


def expected(trades: list[Print]) -> tuple[float, ...]:
    by_time = sorted(trades, key=lambda trade: trade.ts)  # stable: equal times stay as they came
    prices = [trade.price for trade in by_time]
    return (
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        sum(trade.size for trade in trades),
        sum(trade.size for trade in trades if trade.is_buy),
        sum(trade.price * trade.size for trade in trades),
        len(trades),
    )


def steps_of(seconds: int, believed: st.SearchStrategy[bool]) -> st.SearchStrategy[list[Step]]:
    step = st.one_of(
        prints(seconds, believed=believed),
        prints(seconds, believed=believed),
        beats(seconds),
        st.just(Restart()),
    )
    return st.lists(step, max_size=60)


@given(steps=st.one_of(steps_of(2, MOSTLY), steps_of(30, MOSTLY)), lateness=st.integers(1, 20))
@examples(75)
def test_every_trade_is_in_exactly_one_bar_or_counted(steps: list[Step], lateness: int) -> None:
    said, bars = run(builder(lateness=lateness * SECOND), steps)
    groups, late = grouped(trades_only(steps), SECOND, lateness * SECOND)
    final = last_revisions(said)
    assert {start: numbers(bar) for start, bar in final.items()} == {
        start: expected(trades) for start, trades in groups.items()
    }
    assert bars.late_trades == late
    assert sum(bar.count for bar in final.values()) + late == len(trades_only(steps))


@given(steps=steps_of(90, st.booleans()))
@examples(40)
def test_nothing_is_lost_when_bars_are_longer_than_the_lateness(steps: list[Step]) -> None:
    said, bars = run(builder("10s", lateness=3 * SECOND), steps)
    final = last_revisions(said).values()
    assert sum(bar.count for bar in final) + bars.late_trades == len(trades_only(steps))


@given(
    trades=st.one_of(
        [st.lists(prints(seconds, believed=st.just(True)), max_size=40) for seconds in (2, 20)]
    ),
    interval=st.sampled_from(["1s", "2s", "5s", "1m"]),
    data=st.data(),
)
@examples(40)
def test_heartbeats_never_change_the_final_bars(
    trades: list[Print], interval: str, data: st.DataObject
) -> None:
    steps: list[Step] = list(trades)
    for beat in data.draw(st.lists(beats(20), max_size=10)):
        steps.insert(data.draw(st.integers(0, len(steps))), beat)
    plain, plain_bars = run(builder(interval), list(trades))
    said, bars = run(builder(interval), steps)
    assert {start: numbers(bar) for start, bar in last_revisions(said).items()} == {
        start: numbers(bar) for start, bar in last_revisions(plain).items()
    }
    assert bars.late_trades == plain_bars.late_trades


@given(steps=steps_of(20, MOSTLY))
@examples(50)
def test_a_bar_is_told_once_and_then_only_corrected(steps: list[Step]) -> None:
    said, _ = run(builder(), steps)
    revisions: dict[int, list[int]] = {}
    for bar in said:
        revisions.setdefault(bar.start, []).append(bar.revision)
    for told in revisions.values():
        assert told[0] in {0, 1}
        assert told == list(range(told[0], told[0] + len(told)))
    first_told = [bar.start for bar in said if bar.revision == 0]
    assert first_told == sorted(set(first_told))


@given(steps=steps_of(20, st.booleans()))
@examples(40)
def test_every_bar_said_makes_sense(steps: list[Step]) -> None:
    said, _ = run(builder(), steps)
    for bar in said:
        assert bar.high >= bar.open >= bar.low
        assert bar.high >= bar.close >= bar.low
        assert bar.high >= bar.vwap >= bar.low
        assert bar.volume >= bar.buy_volume >= 0
        assert bar.count > 0
        assert (bar.start % SECOND, bar.end - bar.start) == (0, SECOND)


@given(
    sizes=st.lists(st.tuples(st.floats(1e-8, 1e9), st.booleans()), min_size=1, max_size=50),
)
def test_buy_volume_never_exceeds_volume_however_sizes_round(
    sizes: list[tuple[float, bool]],
) -> None:
    bars = builder()
    for size, is_buy in sizes:
        bars.add(T0, 1.0, size, is_buy=is_buy)
    (bar,) = bars.advance(END)
    assert bar.buy_volume <= bar.volume
    if all(is_buy for _, is_buy in sizes):
        assert bar.buy_volume == bar.volume


@given(steps=steps_of(20, MOSTLY), cut=st.integers(0, 60))
@examples(40)
def test_a_restart_at_any_cut_changes_nothing(steps: list[Step], cut: int) -> None:
    whole = [step for step in steps if not isinstance(step, Restart)]
    plain, plain_bars = run(builder(), whole)
    said, bars = run(builder(), [*whole[:cut], Restart(), *whole[cut:]])
    assert said == plain
    assert bars.snapshot() == plain_bars.snapshot()


@given(steps=steps_of(20, st.booleans()), more=steps_of(20, st.booleans()))
@examples(20)
def test_a_snapshot_does_not_follow_its_builder(steps: list[Step], more: list[Step]) -> None:
    bars = builder()
    for step in trades_only(steps):
        add(bars, step)
    bars.resume(T0)
    taken = bars.snapshot()
    kept = copy.deepcopy(taken)
    other = builder(state=taken)
    for step in trades_only(more):
        add(bars, step)
        add(other, step)
    bars.interrupt()
    assert taken == kept
    assert bars.snapshot() != taken


def test_a_pickled_builder_goes_on_as_the_one_it_was() -> None:
    bars = builder()
    add(bars, Print(T0, 1.0, 1.0, is_buy=True))
    add(bars, Print(T0 + SECOND, 2.0, 1.0, is_buy=True))
    twin: BarBuilder = pickle.loads(pickle.dumps(bars))  # noqa: S301 - our own bytes
    late = Print(T0 + 1, 9.0, 1.0, is_buy=False)
    assert add(twin, late) == add(bars, late)
    assert twin.snapshot() == bars.snapshot()


def test_a_snapshot_stays_small_however_long_the_stream() -> None:
    bars = builder()
    for second in range(1000):
        add(bars, Print(T0 + second * SECOND, 1.0, 1.0, is_buy=True))
    held = bars.snapshot().closed
    assert len(held) <= LATENESS // SECOND + 2
    assert [bar.start for bar in held] == sorted(bar.start for bar in held)


# -- edges, closing ----------------------------------------------------------------------------


def test_a_trade_at_the_end_of_a_bar_is_in_the_next() -> None:
    bars = builder("1m")
    add(bars, Print(T0 + 60 * SECOND - 1, 1.0, 1.0, is_buy=True))
    (bar,) = add(bars, Print(T0 + 60 * SECOND, 2.0, 1.0, is_buy=True))
    assert (bar.start, bar.end, bar.count, bar.close) == (T0, T0 + 60 * SECOND, 1, 1.0)
    assert forming_start(bars) == T0 + 60 * SECOND


def test_open_and_close_follow_the_venues_time() -> None:
    bars = builder()
    for ts, price in ((500, 5.0), (900, 9.0), (100, 1.0), (900, 8.0), (100, 2.0), (700, 7.0)):
        add(bars, Print(T0 + ts * SECOND // 1000, price, 1.0, is_buy=True))
    (bar,) = bars.advance(END)
    assert (bar.open, bar.close) == (1.0, 8.0), "of equal times the first opens, the last closes"
    assert (bar.high, bar.low, bar.count) == (9.0, 1.0, 6)


def test_a_bar_adds_up_its_trades() -> None:
    bars = builder()
    add(bars, Print(T0, 100.0, 2.0, is_buy=True))
    add(bars, Print(T0, 110.0, 0.5, is_buy=False))
    (bar,) = bars.advance(END)
    assert (bar.volume, bar.buy_volume, bar.notional, bar.count) == (2.5, 2.0, 255.0, 2)
    assert bar.vwap == 102.0
    assert (bar.instrument, bar.interval, bar.revision) == (INSTRUMENT, "1s", 0)


def test_a_heartbeat_closes_a_bar_after_its_end_and_the_grace() -> None:
    bars = builder()
    add(bars, Print(T0, 1.0, 1.0, is_buy=True))
    end = T0 + SECOND
    assert bars.advance(end + GRACE - 1) == []
    assert forming_start(bars) == T0
    (bar,) = bars.advance(end + GRACE)
    assert bar.end == end
    assert forming_start(bars) is None
    assert bars.advance(END) == []


def test_a_heartbeat_without_a_trade_makes_no_bar() -> None:
    bars = builder()
    assert bars.advance(END) == []
    assert bars.forming is None


def test_silent_intervals_have_no_bars() -> None:
    bars = builder()
    add(bars, Print(T0, 1.0, 1.0, is_buy=True))
    said = add(bars, Print(T0 + 10 * SECOND, 1.0, 1.0, is_buy=True))
    assert [bar.start for bar in said + bars.advance(END)] == [T0, T0 + 10 * SECOND]


def test_the_forming_bar_can_be_read_and_is_a_copy() -> None:
    bars = builder()
    add(bars, Print(T0, 1.0, 1.0, is_buy=True))
    read = bars.forming
    add(bars, Print(T0, 5.0, 1.0, is_buy=True))
    assert read is not None
    assert (read.high, read.count) == (1.0, 1)


# -- times that are late or wrong --------------------------------------------------------------


def test_a_late_trade_corrects_its_bar() -> None:
    bars = builder()
    add(bars, Print(T0, 1.0, 1.0, is_buy=True))
    add(bars, Print(T0 + SECOND, 2.0, 1.0, is_buy=True))
    first = add(bars, Print(T0 + 1, 7.0, 2.0, is_buy=False))
    second = add(bars, Print(T0 + 2, 0.5, 1.0, is_buy=True))
    assert [(bar.start, bar.revision, bar.count) for bar in first + second] == [
        (T0, 1, 2),
        (T0, 2, 3),
    ]
    assert (second[0].open, second[0].high, second[0].low, second[0].close) == (1.0, 7.0, 0.5, 0.5)
    assert bars.late_trades == 0


def test_a_late_trade_of_a_silent_interval_corrects_that_silence() -> None:
    bars = builder()
    add(bars, Print(T0, 1.0, 1.0, is_buy=True))
    add(bars, Print(T0 + 5 * SECOND, 2.0, 1.0, is_buy=True))
    (bar,) = add(bars, Print(T0 + 3 * SECOND, 3.0, 1.0, is_buy=True))
    assert (bar.start, bar.revision) == (T0 + 3 * SECOND, 1)
    (again,) = add(bars, Print(T0 + 3 * SECOND + 1, 4.0, 1.0, is_buy=True))
    assert (again.start, again.revision, again.count) == (T0 + 3 * SECOND, 2, 2)


@pytest.mark.parametrize(("age", "is_late"), [(60, False), (61, True)], ids=["at it", "past it"])
def test_a_trade_older_than_the_lateness_is_counted_and_left_out(
    age: int, *, is_late: bool
) -> None:
    bars = builder()
    for second in range(100):
        add(bars, Print(T0 + second * SECOND, 1.0, 1.0, is_buy=True))
    said = add(bars, Print(T0 + (99 - age) * SECOND, 9.0, 1.0, is_buy=True))
    assert bars.late_trades == int(is_late)
    assert [bar.count for bar in said] == ([] if is_late else [2])


def test_a_long_bar_that_a_late_trade_can_reach_is_corrected_not_made_anew() -> None:
    """The bar before the last starts long before the lateness and still ends within it."""
    bars = builder("5m")
    minute = 60 * SECOND
    start = T0 - T0 % (5 * minute)
    for second in range(100):
        add(bars, Print(start + second * SECOND, 1.0, 1.0, is_buy=True))
    add(bars, Print(start + 5 * minute + SECOND, 2.0, 1.0, is_buy=True))
    bars.advance(start + 10 * minute + GRACE)
    (bar,) = add(bars, Print(start + 5 * minute - SECOND, 3.0, 1.0, is_buy=True))
    assert (bar.start, bar.revision, bar.count) == (start, 1, 101)


def test_a_trade_after_the_heartbeat_that_closed_its_bar_is_the_newest() -> None:
    bars = builder(lateness=SECOND)
    add(bars, Print(T0, 1.0, 1.0, is_buy=True))
    add(bars, Print(T0 + SECOND, 1.0, 1.0, is_buy=True))
    bars.advance(END)
    add(bars, Print(T0 + 2 * SECOND - 1, 1.0, 1.0, is_buy=True))
    assert add(bars, Print(T0 + SECOND - 2, 1.0, 1.0, is_buy=True)) == []
    assert bars.late_trades == 1


@given(steps=steps_of(20, MOSTLY))
@examples(20)
def test_the_times_of_a_bar_just_said_are_those_of_its_trades(steps: list[Step]) -> None:
    bars = builder()
    groups: dict[int, list[int]] = {}
    for trade in trades_only(steps):
        late = bars.late_trades
        said = add(bars, trade)
        if bars.late_trades == late:
            groups.setdefault(trade.ts - trade.ts % SECOND, []).append(trade.ts)
        for bar in said:
            times = [ts for ts in groups[bar.start] if ts != trade.ts or bar.revision]
            assert bars.times_of(bar.start) == (min(times), max(times))
    if bars.forming is not None:
        start = bars.forming.start
        assert bars.times_of(start) == (min(groups[start]), max(groups[start]))
    assert bars.times_of(END) is None


def test_a_trade_before_the_first_bar_makes_no_bar() -> None:
    """An earlier run may have stored the whole of it; a correction would replace that."""
    bars = builder()
    add(bars, Print(T0, 1.0, 1.0, is_buy=True))
    assert add(bars, Print(T0 - 1, 1.0, 1.0, is_buy=True)) == []
    assert bars.late_trades == 1


def test_a_wider_lateness_after_a_restart_does_not_reach_bars_already_forgotten() -> None:
    bars = builder(lateness=2 * SECOND)
    for second in range(20):
        add(bars, Print(T0 + second * SECOND, 1.0, 1.0, is_buy=True))
    wider = builder(lateness=60 * SECOND, state=bars.snapshot())
    assert add(wider, Print(T0 + SECOND, 1.0, 1.0, is_buy=True)) == []
    assert wider.late_trades == 1
    (bar,) = add(wider, Print(T0 + 18 * SECOND, 1.0, 1.0, is_buy=True))
    assert (bar.count, bar.revision) == (2, 1)


def test_a_time_that_is_not_believed_never_closes_or_opens_a_bar() -> None:
    bars = builder()
    unbelieved = Print(T0 + 3600 * SECOND, 9.0, 1.0, is_buy=True, may_close=False)
    assert add(bars, unbelieved) == []
    assert forming_start(bars) is None
    add(bars, Print(T0, 1.0, 1.0, is_buy=True))
    assert add(bars, unbelieved) == []
    assert forming_start(bars) == T0
    assert bars.late_trades == 2
    (bar,) = add(bars, Print(T0 + SECOND, 2.0, 1.0, is_buy=True))
    assert (bar.start, bar.count) == (T0, 1)


def test_a_time_that_is_not_believed_may_still_fall_into_a_known_bar() -> None:
    bars = builder()
    add(bars, Print(T0, 1.0, 1.0, is_buy=True))
    add(bars, Print(T0 + 1, 2.0, 1.0, is_buy=True, may_close=False))
    add(bars, Print(T0 + SECOND, 2.0, 1.0, is_buy=True))
    (bar,) = add(bars, Print(T0 + 2, 3.0, 1.0, is_buy=True, may_close=False))
    assert (bar.count, bar.revision) == (3, 1)
    assert bars.late_trades == 0


# -- what may be missing -----------------------------------------------------------------------


def flags(said: list[Bar]) -> list[tuple[int, bool, bool]]:
    return [((bar.start - T0) // SECOND, bar.partial, bar.gap) for bar in said]


def test_the_first_bar_is_partial_and_the_next_is_whole() -> None:
    bars = builder()
    half = SECOND // 2
    bars.resume(T0 + half)
    said: list[Bar] = []
    for second in range(3):
        said += add(bars, Print(T0 + second * SECOND + half, 1.0, 1.0, is_buy=True))
    assert flags(said) == [(0, True, False), (1, False, False)]


def test_the_first_bar_is_whole_when_trades_flowed_before_it() -> None:
    bars = builder()
    bars.resume(T0 - 1)
    add(bars, Print(T0 + 5, 1.0, 1.0, is_buy=True))
    assert flags(bars.advance(END)) == [(0, False, False)]


def test_without_a_word_that_trades_flow_every_bar_may_lack_some() -> None:
    bars = builder()
    said: list[Bar] = []
    for second in range(3):
        said += add(bars, Print(T0 + second * SECOND, 1.0, 1.0, is_buy=True))
    assert flags(said) == [(0, True, False), (1, False, True)]


def test_an_interruption_marks_the_bars_that_it_touches_and_no_other() -> None:
    bars = builder()
    bars.resume(T0)
    half = SECOND // 2
    said: list[Bar] = []
    for second in range(8):
        if second == 3:
            bars.interrupt()
        if second == 5:
            bars.resume(T0 + 5 * SECOND + 1)
        said += add(bars, Print(T0 + second * SECOND + half, 1.0, 1.0, is_buy=True))
    assert flags(said) == [
        (0, False, False),
        (1, False, False),
        (2, False, True),
        (3, False, True),
        (4, False, True),
        (5, False, True),
        (6, False, False),
    ]


def test_trades_that_resume_before_a_bar_do_not_mark_it() -> None:
    bars = builder()
    bars.resume(T0)
    add(bars, Print(T0, 1.0, 1.0, is_buy=True))
    bars.advance(END)
    bars.interrupt()
    bars.resume(T0 + 4 * SECOND)
    bars.resume(T0 + 9 * SECOND)  # they flow already: this says nothing
    add(bars, Print(T0 + 5 * SECOND, 1.0, 1.0, is_buy=True))
    assert flags(bars.advance(END)) == [(5, False, False)]


def test_a_bar_of_trades_that_came_before_the_word_that_they_flow_is_judged_by_that_word() -> None:
    bars = builder()
    add(bars, Print(T0 + 5, 1.0, 1.0, is_buy=True))
    bars.resume(T0)
    assert flags(bars.advance(END)) == [(0, True, False)]
    bars.interrupt()
    add(bars, Print(T0 + 8 * SECOND, 1.0, 1.0, is_buy=True))
    bars.resume(T0 + 8 * SECOND + 1)
    assert flags(bars.advance(END)) == [(8, False, True)]


def test_a_bar_made_by_a_late_trade_from_inside_a_gap_says_so() -> None:
    bars = builder()
    bars.resume(T0)
    add(bars, Print(T0, 1.0, 1.0, is_buy=True))
    bars.advance(END)
    bars.interrupt()
    bars.resume(T0 + 5 * SECOND)
    add(bars, Print(T0 + 6 * SECOND, 1.0, 1.0, is_buy=True))
    late = add(bars, Print(T0 + 3 * SECOND, 1.0, 1.0, is_buy=True))
    assert flags(late) == [(3, False, True)]


def test_a_correction_keeps_what_was_said_of_its_bar() -> None:
    bars = builder()
    bars.resume(T0 + 1)
    add(bars, Print(T0 + 1, 1.0, 1.0, is_buy=True))
    add(bars, Print(T0 + SECOND, 1.0, 1.0, is_buy=True))
    assert flags(add(bars, Print(T0 + 2, 1.0, 1.0, is_buy=True))) == [(0, True, False)]


def test_flags_survive_a_restart() -> None:
    bars = builder()
    bars.resume(T0)
    add(bars, Print(T0, 1.0, 1.0, is_buy=True))
    bars.interrupt()
    bars = restarted(bars)
    said = bars.advance(END)
    add(bars, Print(T0 + 5 * SECOND, 1.0, 1.0, is_buy=True))
    said += bars.advance(END)
    bars.resume(T0 + 6 * SECOND)
    bars = restarted(bars)
    add(bars, Print(T0 + 7 * SECOND, 1.0, 1.0, is_buy=True))
    said += bars.advance(END)
    assert flags(said) == [(0, False, True), (5, False, True), (7, False, False)]


def test_a_short_run_of_bars_of_every_length_covers_the_day_without_overlap() -> None:
    for name in ("1s", "90s", "5m", "4h", "1d", "1w"):
        bars = builder(name)
        said: list[Bar] = []
        interval = Interval.parse(name)
        length = interval.length
        for step in range(6):
            said += add(bars, Print(T0 + step * length, 1.0, 1.0, is_buy=True))
        assert all(earlier.end == later.start for earlier, later in pairwise(said))
        assert all(bar.start == interval.start_of(bar.start) for bar in said)
