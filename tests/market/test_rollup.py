"""`BarRollup` against a `BarBuilder` of the larger interval that is told the same."""

import copy
import csv
import os
import pickle
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import event, given

from market.bars import BarBuilder
from market.empty_bars import FlatBars
from market.events import Bar
from market.intervals import DAY, SECOND, Interval
from market.rollup import BarRollup, rollup_plan
from tests.drawn_examples import examples

INSTRUMENT = "binance:BTC-USDT"
T0 = 1_700_006_400 * SECOND
"""The start of a minute, an hour and a quarter of a day."""
END = T0 + 10_000 * SECOND
CAPTURES = os.environ.get("CANDLEWAX_CAPTURES", "")


class Print(NamedTuple):
    """One trade as the builders are told of it; eighths add up without rounding."""

    ts: int
    price: float
    size: float
    is_buy: bool | None
    may_close: bool = True


class Beat(NamedTuple):
    """A heartbeat, by the venue's clock."""

    venue_time: int


class Resume(NamedTuple):
    """Trades flow from here on."""

    ts: int


class Interrupt(NamedTuple):
    """Trades may be missing from here on."""


class Restart(NamedTuple):
    """Everything is thrown away but a pickled snapshot."""


Step = Print | Beat | Resume | Interrupt | Restart


def steps(seconds: int, *, is_steady: bool = False) -> st.SearchStrategy[list[Step]]:
    """Steps of a while; steady ones go on in time but for some seconds, as real ones do."""
    moments = st.integers(0, 24) if is_steady else st.integers(0, seconds * 8)
    prints = st.builds(
        Print,
        ts=moments.map(lambda eighth: T0 + eighth * SECOND // 8),
        price=st.integers(1, 800).map(lambda eighth: eighth / 8),
        size=st.integers(1, 80).map(lambda eighth: eighth / 8),
        is_buy=st.sampled_from([True, False, None]),
        may_close=st.sampled_from([True, True, True, False]),
    )
    beats = (st.integers(-2, 4) if is_steady else st.integers(-2, seconds + 4)).map(
        lambda second: Beat(T0 + second * SECOND)
    )
    resumes = moments.map(lambda eighth: Resume(T0 + eighth * SECOND // 8))
    step = st.one_of(
        prints, prints, prints, beats, resumes, st.just(Interrupt()), st.just(Restart())
    )
    listed = st.lists(step, max_size=60)
    return listed.map(lambda each: spread(each, seconds)) if is_steady else listed


def spread(listed: list[Step], seconds: int) -> list[Step]:
    """Move each step's time on as far as its place in the list."""
    moved: list[Step] = []
    for place, step in enumerate(listed):
        on = place * seconds * 8 // len(listed) * SECOND // 8
        match step:
            case Print() | Resume():
                moved.append(step._replace(ts=step.ts + on))
            case Beat():
                moved.append(Beat(step.venue_time + on))
            case _:
                moved.append(step)
    return moved


class Chain:
    """The smallest bars from trades, and larger ones from these, one above the other."""

    def __init__(self, names: Sequence[str], lateness: int) -> None:
        self.intervals = [Interval.parse(name) for name in names]
        self.lateness = lateness
        self.builder = BarBuilder(INSTRUMENT, self.intervals[0], lateness=lateness)
        self.rollups = [
            BarRollup(INSTRUMENT, interval, smaller=smaller, lateness=lateness)
            for smaller, interval in zip(self.intervals, self.intervals[1:], strict=False)
        ]

    def add(self, trade: Print) -> list[list[Bar]]:
        said = [self.builder.add(*trade)]
        for rollup in self.rollups:
            said.append([bar for each in said[-1] for bar in rollup.take(each, self.times(each))])
            if trade.may_close and trade.ts >= rollup.next_end:
                said[-1] += rollup.reached(trade.ts)
        return said

    def advance(self, venue_time: int) -> list[list[Bar]]:
        said = [self.builder.advance(venue_time)]
        for rollup in self.rollups:
            said.append([bar for each in said[-1] for bar in rollup.take(each, self.times(each))])
            said[-1] += rollup.advance(venue_time)
        return said

    @property
    def makers(self) -> list[BarBuilder | BarRollup]:
        return [self.builder, *self.rollups]

    def times(self, bar: Bar) -> tuple[int, int] | None:
        (maker,) = (each for each in self.makers if each.interval.name == bar.interval)
        return maker.times_of(bar.start)

    def resume(self, ts: int) -> None:
        self.builder.resume(ts)
        for rollup in self.rollups:
            rollup.resume(ts)

    def interrupt(self) -> None:
        self.builder.interrupt()
        for rollup in self.rollups:
            rollup.interrupt()

    @property
    def forming(self) -> list[Bar | None]:
        forming = [self.builder.forming]
        for rollup in self.rollups:
            forming.append(rollup.forming_with(forming[-1]))
        return forming

    def restart(self) -> None:
        kept = pickle.dumps([each.snapshot() for each in self.makers])
        state, *states = pickle.loads(kept)  # noqa: S301 - our own bytes
        self.builder = BarBuilder(
            INSTRUMENT, self.builder.interval, lateness=self.lateness, state=state
        )
        self.rollups = [
            BarRollup(
                INSTRUMENT, each.interval, smaller=each.smaller, lateness=self.lateness, state=one
            )
            for each, one in zip(self.rollups, states, strict=True)
        ]

    def leaves_out(self, trade: Print) -> bool:
        """Tell whether the smallest bars leave the trade out, without giving it to them."""
        twin = BarBuilder(
            INSTRUMENT,
            self.builder.interval,
            lateness=self.lateness,
            state=self.builder.snapshot(),
        )
        twin.add(*trade)
        return twin.late_trades > self.builder.late_trades


def is_late_alone(direct: BarBuilder, chain: Chain, trade: Print) -> bool:
    """Tell whether the larger bar is closed and the trade yet opens a smaller one."""
    smallest = chain.builder
    forming = smallest._forming
    start = smallest.interval.start_of(trade.ts)
    is_new = start >= smallest._closed_until and (forming is None or start > forming.start)
    is_in_such = forming is not None and forming.start == start
    return (is_new or is_in_such) and trade.ts < direct._closed_until


def compare(
    listed: Sequence[Step], names: Sequence[str], lateness: int, *, is_strict: bool
) -> tuple[list[list[Bar]], list[list[Bar]]]:
    """Tell both sides the same; return what each said of the larger intervals.

    Trades that the smallest bars leave out are told to neither. If strict, neither are those that
    revise a larger bar with each trade, or once for all; all else must be equal, at each step.
    """
    chain = Chain(names, lateness)
    directs = [BarBuilder(INSTRUMENT, each, lateness=lateness) for each in chain.intervals[1:]]
    ours: list[list[Bar]] = [[] for _ in directs]
    theirs: list[list[Bar]] = [[] for _ in directs]
    for step in [*listed, Beat(END)]:
        said: list[list[Bar]] = [[] for _ in directs]
        direct_said: list[list[Bar]] = [[] for _ in directs]
        match step:
            case Print():
                if chain.leaves_out(step):
                    continue
                if any(is_late_alone(direct, chain, step) for direct in directs):
                    event("a trade alone in a smaller bar of a closed larger one")
                    if is_strict:
                        continue
                said, direct_said = chain.add(step)[1:], [each.add(*step) for each in directs]
            case Beat(venue_time):
                said = chain.advance(venue_time)[1:]
                direct_said = [each.advance(venue_time) for each in directs]
            case Resume(ts):
                chain.resume(ts)
                for direct in directs:
                    direct.resume(ts)
            case Interrupt():
                chain.interrupt()
                for direct in directs:
                    direct.interrupt()
            case Restart():
                chain.restart()
        for place, (mine, direct_bars) in enumerate(zip(said, direct_said, strict=True)):
            ours[place] += mine
            theirs[place] += direct_bars
        if is_strict:
            assert said == direct_said
            assert chain.forming[1:] == [each.forming for each in directs]
            for made, direct, mine in zip(chain.rollups, directs, said, strict=True):
                for bar in mine:
                    assert made.times_of(bar.start) == direct.times_of(bar.start)
    assert [each.late_trades for each in directs] == [0] * len(directs)
    assert [each.late_bars for each in chain.rollups] == [0] * len(directs)
    return ours, theirs


CHAINS = st.sampled_from([["1s", "2s"], ["1s", "5s"], ["1s", "1m"], ["1s", "2s", "10s", "1m"]])


@given(
    listed=st.one_of(steps(12), steps(40), steps(150, is_steady=True)),
    names=CHAINS,
    lateness=st.integers(1, 20),
)
@examples(60)
def test_bars_of_bars_are_said_as_bars_of_trades_are(
    listed: list[Step], names: list[str], lateness: int
) -> None:
    compare(listed, names, lateness * SECOND, is_strict=True)


@given(
    listed=st.one_of(steps(12), steps(40), steps(150, is_steady=True)),
    names=CHAINS,
    lateness=st.integers(1, 20),
)
@examples(40)
def test_bars_of_bars_end_as_bars_of_trades_do(
    listed: list[Step], names: list[str], lateness: int
) -> None:
    for ours, theirs in zip(
        *compare(listed, names, lateness * SECOND, is_strict=False), strict=True
    ):
        assert final(ours) == final(theirs)


def final(said: list[Bar]) -> dict[int, Bar]:
    """Return the last word on each bar; how often it was corrected may differ."""
    return {bar.start: msgspec.structs.replace(bar, revision=min(bar.revision, 1)) for bar in said}


@given(listed=st.one_of(steps(12), steps(150, is_steady=True)), cuts=st.lists(st.integers(0, 60)))
@examples(25)
def test_a_restart_at_any_cut_changes_nothing(listed: list[Step], cuts: list[int]) -> None:
    whole = [step for step in listed if not isinstance(step, Restart)]
    restarted: list[Step] = list(whole)
    for cut in cuts:
        restarted.insert(cut, Restart())
    names = ["1s", "5s", "1m"]
    assert (
        compare(whole, names, 5 * SECOND, is_strict=False)[0]
        == compare(restarted, names, 5 * SECOND, is_strict=False)[0]
    )


def bar(second: int, close: float = 1.0, *, revision: int = 0, seconds: int = 1) -> Bar:
    return Bar(
        instrument=INSTRUMENT,
        interval=f"{seconds}s",
        start=T0 + second * SECOND,
        end=T0 + (second + seconds) * SECOND,
        open=1.0,
        high=max(close, 1.0),
        low=min(close, 1.0),
        close=close,
        volume=2.0,
        buy_volume=1.0,
        notional=2.0 * close,
        count=2,
        revision=revision,
    )


def rollup(larger: str = "1m", smaller: str = "1s") -> BarRollup:
    return BarRollup(INSTRUMENT, Interval.parse(larger), smaller=Interval.parse(smaller))


def test_a_snapshot_does_not_follow_its_rollup() -> None:
    minutes = rollup()
    for second in range(100):
        minutes.take(bar(second))
    taken = minutes.snapshot()
    kept = copy.deepcopy(taken)
    minutes.take(bar(99, 5.0, revision=1))
    minutes.take(bar(50, 5.0, revision=1))
    minutes.interrupt()
    minutes.take(bar(130))
    assert taken == kept
    assert minutes.snapshot() != taken


@pytest.mark.parametrize(
    ("larger", "smaller", "most"), [("1h", "1s", 62), ("1m", "1s", 62), ("1h", "1m", 3)]
)
def test_what_cannot_change_any_more_is_not_kept_apart(
    larger: str, smaller: str, most: int
) -> None:
    made = rollup(larger, smaller)
    length = Interval.parse(smaller).length // SECOND
    for place in range(500):
        made.take(bar(place * length, seconds=length))
        state = made.snapshot()
        held = [*state.closed, *([] if state.forming is None else [state.forming])]
        assert sum(len(each.parts) for each in held) <= most
        assert len(state.closed) <= 3


def test_bars_alone_close_larger_bars_too() -> None:
    minutes = rollup()
    said = [each for second in range(0, 180, 30) for each in minutes.take(bar(second, second + 1))]
    assert [(each.start, each.close, each.count) for each in said] == [
        (T0, 31.0, 4),
        (T0 + 60 * SECOND, 91.0, 4),
    ]
    assert minutes.forming is not None
    assert minutes.forming.close == 151.0


def test_a_larger_bar_is_not_closed_by_its_last_smaller_one() -> None:
    """A late trade may still come, and `BarBuilder` would not close it either."""
    minutes = rollup()
    assert minutes.take(bar(59)) == []
    assert minutes.reached(T0 + 60 * SECOND - 1) == []
    assert len(minutes.reached(T0 + 60 * SECOND)) == 1


def test_a_revision_of_what_was_never_taken_makes_no_bar() -> None:
    """An earlier run may have stored the whole of it; a correction would replace that."""
    minutes = rollup()
    assert minutes.take(bar(0, revision=1)) == []
    minutes.take(bar(60))
    assert minutes.take(bar(59, revision=2)) == []
    assert minutes.late_bars == 2


def test_a_revision_of_a_bar_too_old_is_counted_and_left_out() -> None:
    hours = rollup("1h")
    for second in range(100):
        hours.take(bar(second))
    hours.take(bar(3, 9.0, revision=1))
    assert hours.late_bars == 1
    assert hours.forming is not None
    assert hours.forming.high == 1.0


def test_a_larger_bar_that_holds_no_smaller_one_is_not_said() -> None:
    minutes = rollup()
    assert minutes.reached(T0) == []
    assert minutes.forming is None
    assert minutes.forming_with(bar(70)) is None
    assert minutes.reached(T0 + 60 * SECOND) == []
    assert minutes.times_of(T0) is None


def test_bars_that_do_not_make_the_larger_ones_are_refused() -> None:
    with pytest.raises(ValueError, match="bars of 90s do not make bars of 1m"):
        rollup("1m", "90s")
    with pytest.raises(ValueError, match="bars of 1m do not make bars of 60s"):
        rollup("60s", "1m")


def test_days_make_weeks_from_monday_on() -> None:
    monday = Interval.parse("1w").start_of(T0)
    weeks = rollup("1w", "1d")
    said: list[Bar] = []
    for day in range(15):
        begins = (monday + day * DAY - T0) // SECOND
        said += weeks.take(bar(begins, float(day + 1), seconds=DAY // SECOND))
    assert [(each.start, each.close, each.count) for each in said] == [
        (monday, 7.0, 14),
        (monday + 7 * DAY, 14.0, 14),
    ]


@given(listed=steps(100, is_steady=True))
@examples(15)
def test_empty_smaller_bars_add_nothing_and_empty_larger_ones_follow(listed: list[Step]) -> None:
    """Flat seconds given to the rollup or not, its own flat bars are those of direct bars."""
    seconds, lengths = Interval.parse("1s"), Interval.parse("5s")
    builder, direct = BarBuilder(INSTRUMENT, seconds), BarBuilder(INSTRUMENT, lengths)
    made = BarRollup(INSTRUMENT, lengths, smaller=seconds)
    flat, larger_flat, direct_flat = FlatBars(seconds), FlatBars(lengths), FlatBars(lengths)
    said: list[Bar] = []
    direct_said: list[Bar] = []
    last = 0
    for step in listed:
        if not isinstance(step, Print) or not step.may_close or step.ts < last:
            continue
        last = step.ts
        flats = [each for one in builder.add(*step) for each in flat.take(one)]
        bars = [each for one in flats for each in made.take(one)] + made.reached(step.ts)
        said += [each for one in bars for each in larger_flat.take(one)]
        direct_said += [each for one in direct.add(*step) for each in direct_flat.take(one)]
    said = [msgspec.structs.replace(each, gap=False, partial=False) for each in said]
    assert said == [msgspec.structs.replace(each, gap=False, partial=False) for each in direct_said]


def test_each_interval_is_built_from_the_largest_that_makes_it() -> None:
    names = ["1d", "1m", "90s", "1w", "1s", "1h", "5m", "60s"]
    plan = rollup_plan(map(Interval.parse, names))
    assert {each.name: smaller and smaller.name for each, smaller in plan.items()} == {
        "1s": None,
        "1m": "1s",
        "60s": "1s",
        "90s": "1s",
        "5m": "60s",
        "1h": "5m",
        "1d": "1h",
        "1w": "1d",
    }
    places = list(plan)
    assert all(
        smaller is None or places.index(smaller) < places.index(each)
        for each, smaller in plan.items()
    )


def test_what_nothing_makes_is_built_from_trades() -> None:
    assert rollup_plan([]) == {}
    assert rollup_plan(map(Interval.parse, ["9s", "1m"])) == {
        Interval.parse("9s"): None,
        Interval.parse("1m"): None,
    }


# -- real data ---------------------------------------------------------------------------------


def lean_bars(name: str, interval: str, day: datetime) -> list[Bar]:
    """Read a file of bars: ms since midnight, open, high, low, close, volume."""
    length = Interval.parse(interval).length
    midnight = int(day.timestamp()) * SECOND
    with Path(CAPTURES, "bars", name).open() as file:
        return [
            Bar(
                instrument="coinbase:BTC-USD",
                interval=interval,
                start=midnight + int(row[0]) * 1_000_000,
                end=midnight + int(row[0]) * 1_000_000 + length,
                open=float(row[1]),
                high=float(row[2]),
                low=float(row[3]),
                close=float(row[4]),
                volume=float(row[5]),
                buy_volume=0.0,
                notional=0.0,
                count=0,
            )
            for row in csv.reader(file)
        ]


@pytest.mark.skipif(not CAPTURES, reason="CANDLEWAX_CAPTURES names no folder")
def test_coinbase_seconds_make_its_minutes() -> None:
    name = "lean_crypto_coinbase_{}_btcusd_20161007_trade.csv"
    day = datetime(2016, 10, 7, tzinfo=UTC)
    minutes = BarRollup("coinbase:BTC-USD", Interval.parse("1m"), smaller=Interval.parse("1s"))
    said = [
        each
        for second in lean_bars(name.format("second"), "1s", day)
        for each in minutes.take(second)
    ]
    said += minutes.advance(said[-1].end + DAY)
    theirs = lean_bars(name.format("minute"), "1m", day)
    assert len(said) == len(theirs) == 1419
    for ours, their in zip(said, theirs, strict=True):
        assert (ours.start, ours.open, ours.high, ours.low, ours.close) == (
            their.start,
            their.open,
            their.high,
            their.low,
            their.close,
        )
        assert ours.volume == pytest.approx(their.volume, rel=1e-9)


def real_trades() -> list[Print]:
    """Read the trades of the file, in its order."""
    with Path(CAPTURES, "bars", "questdb_btc_trades.csv").open() as file:
        return [
            Print(
                ts=int(datetime.fromisoformat(row["timestamp"]).timestamp() * 1e6 + 0.5) * 1000,
                price=float(row["price"]),
                size=float(row["amount"]),
                is_buy=row["side"] == "buy",
            )
            for row in csv.DictReader(file)
        ]


@pytest.mark.skipif(not CAPTURES, reason="CANDLEWAX_CAPTURES names no folder")
def test_real_trades_make_the_same_bars_directly_and_over_seconds() -> None:
    trades = real_trades()
    names = ["1s", "1m", "5m", "1h"]
    chain = Chain(names, 60 * SECOND)
    directs = [BarBuilder(INSTRUMENT, each) for each in chain.intervals]
    chain.resume(trades[0].ts)
    for direct in directs:
        direct.resume(trades[0].ts)
    ours: list[list[Bar]] = [[] for _ in names]
    theirs: list[list[Bar]] = [[] for _ in names]
    for trade in trades:
        for place, said in enumerate(chain.add(trade)):
            ours[place] += said
            theirs[place] += directs[place].add(*trade)
    until = max(trade.ts for trade in trades) + DAY
    for place, said in enumerate(chain.advance(until)):
        ours[place] += said
        theirs[place] += directs[place].advance(until)
    for mine, direct_bars in zip(ours, theirs, strict=True):
        assert len(mine) == len(direct_bars)
        for one, other in zip(mine, direct_bars, strict=True):
            sums = ("volume", "buy_volume", "notional")
            for name in sums:
                assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9)
            same = {name: getattr(other, name) for name in sums}
            assert msgspec.structs.replace(one, **same) == other
        last = {each.start: each for each in mine}.values()
        assert sum(each.volume for each in last) == pytest.approx(
            sum(trade.size for trade in trades), rel=1e-9
        )
        assert sum(each.count for each in last) == len(trades)
