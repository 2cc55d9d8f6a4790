"""Larger bars from smaller ones, where that is exact: a minute is sixty seconds of bars.

Several intervals of an instrument cost each trade as much as one: only the smallest is built from
trades. A larger bar is what `BarBuilder` would make of the same trades: the same trades close it,
the same heartbeats, and its flags say the same. These differences cannot be avoided:

* A trade that the smaller bars leave out is not in the larger one, though alone it might have been:
  one that came before the first smaller bar of the first larger one, or one with a time that is not
  believed and would have opened a smaller bar.
* A trade for a larger bar that a heartbeat has closed, but later than all trades so far, opens a
  smaller bar. The larger one is revised once, when that is closed, not with every trade of it.
* Sums are added up in another order, so their last digits may differ.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Self

import msgspec

from market.bar_totals import accumulator_of
from market.bars import GRACE, LATENESS, Accumulator, bar_of, copies
from market.empty_bars import is_flat
from market.events import Bar
from market.intervals import Interval

_start = attrgetter("start")


def rollup_plan(intervals: Iterable[Interval]) -> dict[Interval, Interval | None]:
    """Return what each interval is best built from: the largest other one that makes it exactly.

    None where there is none: such bars are built from trades. Smaller ones come first, so that
    each is there before what is built from it.

    Example:
        >>> plan = rollup_plan(Interval.parse(name) for name in ("1m", "90s", "1s", "1w"))
        >>> [(each.name, smaller and smaller.name) for each, smaller in plan.items()]
        [('1s', None), ('1m', '1s'), ('90s', '1s'), ('1w', '90s')]
    """
    ordered = sorted(set(intervals), key=attrgetter("length", "name"))
    return {
        interval: next(filter(interval.is_made_of, reversed(ordered)), None) for interval in ordered
    }


@dataclass(slots=True)
class LargerBar:
    """A larger bar so far.

    Attributes:
        total: all trades of `folded` and `parts`; None while no smaller bar was taken.
        folded: those of smaller bars that cannot change any more.
        folded_until: end of the newest of these, ns.
        parts: the smaller bars that a late trade may still change, oldest first.
    """

    start: int
    end: int
    partial: bool
    gap: bool
    revision: int = 0
    total: Accumulator | None = None
    folded: Accumulator | None = None
    folded_until: int = 0
    parts: list[Accumulator] = field(default_factory=list)

    def take(self, part: Accumulator) -> bool:
        """Take a smaller bar, or put it in the place of what it revises; False if it is folded."""
        if part.start < self.folded_until:
            return False
        parts = self.parts
        at = bisect_left(parts, part.start, key=_start)
        if at == len(parts):
            parts.append(part)
            self.total = merged(self.total, part)
            return True
        if parts[at].start == part.start:
            parts[at] = part
        else:
            parts.insert(at, part)
        total = None if self.folded is None else self.folded.copy()
        for each in parts:
            total = merged(total, each)
        self.total = total
        return True

    def fold(self, until: int) -> None:
        """Keep no smaller bar apart that ends by then: it cannot change any more."""
        parts = self.parts
        while parts and parts[0].end <= until:
            part = parts.pop(0)
            self.folded = merged(self.folded, part)
            self.folded_until = part.end

    def copy(self) -> Self:
        """Return another one that holds the same; parts are replaced and never changed."""
        return type(self)(
            start=self.start,
            end=self.end,
            partial=self.partial,
            gap=self.gap,
            revision=self.revision,
            total=None if self.total is None else self.total.copy(),
            folded=None if self.folded is None else self.folded.copy(),
            folded_until=self.folded_until,
            parts=list(self.parts),
        )


def merged(bars: Accumulator | None, later: Accumulator) -> Accumulator:
    """Return both in one: the first, changed, or a copy of the second where there is no first."""
    if bars is None:
        return later.copy()
    bars.merge(later)
    return bars


class BarRollupState(msgspec.Struct, frozen=True, kw_only=True):
    """What a `BarRollup` remembers, for recovery; plain data that can be pickled.

    Attributes:
        forming: the larger bar that is not closed yet.
        closed: those that a smaller bar may still correct, oldest first.
        closed_until: end of the newest closed larger bar, ns.
        oldest: no larger bar that starts before it can be corrected, ns; None before the first.
        newest: start of the newest smaller bar, ns.
        complete_from: venue's time since which no trade was missed, ns; None while some may be.
        late_bars: smaller bars that are in no larger one.
    """

    forming: LargerBar | None
    closed: list[LargerBar]
    closed_until: int
    oldest: int | None
    newest: int
    complete_from: int | None
    late_bars: int


class BarRollup:
    """Builds the bars of one instrument and interval from its bars of a smaller interval.

    Order of calls. For each trade, first the smaller builder's `add`; then `take` for each bar that
    it returned; then, if the trade's time is believed and has reached `next_end`, `reached`. For
    each heartbeat the smaller builder's `advance`, `take` for what it returned, then `advance`.
    `resume` and `interrupt` whenever the smaller builder is told so. A rollup can be the smaller
    builder of another one.

    Args:
        instrument: id, `"binance:BTC-USDT"`.
        interval: length of a larger bar.
        smaller: length of the bars that it is given; it must make the larger ones exactly.
        lateness: that of the smaller bars' builder, ns.
        state: what `snapshot` returned, to go on from there; it is copied.

    Empty bars (`FlatBars`) add nothing and are left out: a larger bar has trades, and the larger
    interval has empty bars of its own.

    State: one forming bar and the closed ones of the last `lateness`, with those of their smaller
    bars that can still change: for seconds about seventy, for minutes three.

    Raises:
        ValueError: larger bars are not whole numbers of the smaller ones.

    Example:
        >>> second, minute = Interval.parse("1s"), Interval.parse("1m")
        >>> rollup = BarRollup("binance:BTC-USDT", minute, smaller=second)
        >>> rollup.take(Bar(instrument="binance:BTC-USDT", interval="1s", start=0, end=10**9,
        ...     open=1.0, high=3.0, low=1.0, close=2.0, volume=5.0, buy_volume=2.5, notional=10.0,
        ...     count=4))
        []
        >>> [(bar.interval, bar.high, bar.count) for bar in rollup.reached(60 * 10**9)]
        [('1m', 3.0, 4)]
    """

    __slots__ = (
        "_closed",
        "_closed_until",
        "_complete_from",
        "_forming",
        "_newest",
        "_oldest",
        "instrument",
        "interval",
        "late_bars",
        "lateness",
        "next_end",
        "smaller",
    )

    def __init__(
        self,
        instrument: str,
        interval: Interval,
        *,
        smaller: Interval,
        lateness: int = LATENESS,
        state: BarRollupState | None = None,
    ) -> None:
        if not interval.is_made_of(smaller):
            raise ValueError(f"bars of {smaller.name} do not make bars of {interval.name}")
        self.instrument = instrument
        self.interval = interval
        self.smaller = smaller
        self.lateness = lateness
        self.late_bars = 0
        """Smaller bars, closed or revised, that came too late and are in no larger one."""
        self._forming: LargerBar | None = None
        self._closed: list[LargerBar] = []
        self._closed_until = 0
        self._oldest: int | None = None
        self._newest = 0
        self._complete_from: int | None = None
        if state is not None:
            self._forming, self._closed = copies(state.forming, state.closed)
            self._closed_until = state.closed_until
            self._oldest = state.oldest
            self._newest = state.newest
            self._complete_from = state.complete_from
            self.late_bars = state.late_bars
        self.next_end = self._closed_until if self._forming is None else self._forming.end
        """A believed trade from this time on must be told by `reached`; of others it need not."""

    def resume(self, ts: int) -> None:
        """Say that trades flow from `ts` (venue's time) on: an earlier bar's start was missed."""
        if self._complete_from is None:
            self._complete_from = ts
            if self._forming is not None and self._forming.start < ts:
                self._forming.gap = True

    def interrupt(self) -> None:
        """Say that trades may be missing from here on, until `resume`."""
        self._complete_from = None
        if self._forming is not None:
            self._forming.gap = True

    def reached(self, ts: int) -> list[Bar]:
        """Say that there was a believed trade at `ts`; return the larger bar that it closed.

        The trade's own larger bar begins to form, and is judged by what is known at this moment.
        """
        if ts < self.next_end:
            return []
        closed = self._close()
        self._forming = self._open(self.interval.start_of(ts))
        self.next_end = self._forming.end
        return closed

    def take(self, bar: Bar, times: tuple[int, int] | None = None) -> list[Bar]:
        """Take a smaller bar, closed or revised; return the larger bars it closed or corrected.

        Args:
            bar: of the smaller interval.
            times: of its first and its last trade (`BarBuilder.times_of`), where `times_of` is
                wanted of the larger bars.
        """
        if is_flat(bar):
            return []
        start = self.interval.start_of(bar.start)
        forming = self._forming
        is_late = start < self._closed_until or (forming is not None and start < forming.start)
        if is_late or (bar.revision and self._oldest is None):
            return self._correct(start, accumulator_of(bar, times))
        closed = self.reached(bar.start)
        forming = self._forming
        if forming is None or not forming.take(accumulator_of(bar, times)):
            self.late_bars += 1
        elif bar.start > self._newest:
            self._newest = bar.start
            for each in (*self._closed, forming):
                each.fold(bar.start - self.lateness)
        return closed

    def advance(self, venue_time: int) -> list[Bar]:
        """Close the forming bar when the venue's time, less the grace period, is past its end."""
        forming = self._forming
        if forming is None or forming.end > venue_time - GRACE:
            return []
        return self._close()

    @property
    def forming(self) -> Bar | None:
        """The bar that is not closed yet, as far as smaller bars are closed, or None."""
        return self.forming_with(None)

    def forming_with(self, smaller_forming: Bar | None) -> Bar | None:
        """Return the bar that is not closed yet, with what the forming smaller bar adds, or None.

        Args:
            smaller_forming: the `forming` of the smaller bars' builder.
        """
        forming = self._forming
        if forming is None:
            return None
        total = forming.total
        if smaller_forming is not None and forming.start <= smaller_forming.start < forming.end:
            total = merged(None if total is None else total.copy(), accumulator_of(smaller_forming))
        return None if total is None else self._bar(forming, total)

    def times_of(self, start: int) -> tuple[int, int] | None:
        """Return when the first and the last trade of a larger bar were; None when not known.

        As exact as what `take` was told: where it was told nothing, a smaller bar's interval.
        """
        forming = self._forming
        bars = self._closed if forming is None else [*self._closed, forming]
        for bar in reversed(bars):
            if bar.start == start and bar.total is not None:
                return bar.total.first_ts, bar.total.last_ts
        return None

    def snapshot(self) -> BarRollupState:
        """Return a copy of the state for recovery; what comes later does not change it."""
        forming, closed = copies(self._forming, self._closed)
        return BarRollupState(
            forming=forming,
            closed=closed,
            closed_until=self._closed_until,
            oldest=self._oldest,
            newest=self._newest,
            complete_from=self._complete_from,
            late_bars=self.late_bars,
        )

    def _open(self, start: int) -> LargerBar:
        is_first = self._oldest is None
        if is_first:
            self._oldest = start
        is_complete = self._complete_from is not None and self._complete_from <= start
        return LargerBar(
            start=start,
            end=start + self.interval.length,
            partial=is_first and not is_complete,
            gap=not is_first and not is_complete,
        )

    def _close(self) -> list[Bar]:
        bar, self._forming = self._forming, None
        if bar is None:
            return []
        self._closed_until = self.next_end = bar.end
        if bar.total is None:
            return []  # the trade that opened it is in no smaller bar
        closed = self._closed
        while closed and closed[0].end <= self._newest - self.lateness:
            self._oldest = closed.pop(0).end
        closed.append(bar)
        return [self._bar(bar, bar.total)]

    def _correct(self, start: int, part: Accumulator) -> list[Bar]:
        if self._oldest is None or start < self._oldest:
            self.late_bars += 1
            return []
        closed = self._closed
        at = bisect_left(closed, start, key=_start)
        if at == len(closed) or closed[at].start != start:
            closed.insert(at, self._open(start))
        bar = closed[at]
        if not bar.take(part) or bar.total is None:
            self.late_bars += 1
            return []
        bar.revision += 1
        return [self._bar(bar, bar.total)]

    def _bar(self, bar: LargerBar, total: Accumulator) -> Bar:
        return msgspec.structs.replace(
            bar_of(total, self.instrument, self.interval.name),
            start=bar.start,
            end=bar.end,
            revision=bar.revision,
            partial=bar.partial,
            gap=bar.gap,
        )
