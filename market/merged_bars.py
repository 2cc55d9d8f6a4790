"""One bar of a symbol over several venues, made of the venues' own bars."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter

import msgspec

from market.bar_totals import accumulator_of, total_of
from market.bars import LATENESS, Accumulator, bar_of
from market.empty_bars import is_flat
from market.events import Bar
from market.instruments import MERGED, instrument_id
from market.intervals import Interval

_start = attrgetter("start")


@dataclass(slots=True)
class JoinedBar:
    """What the venues say of one interval.

    Attributes:
        parts: their own bars, by instrument.
        doubted: venues of which trades may be missing.
        halves: venues whose bar began before their trades did; said of our first bar alone.
        healed: venues that told their bar whole afterwards.
        revision: corrections since it was closed.
    """

    start: int
    end: int
    parts: dict[str, Accumulator] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)
    halves: set[str] = field(default_factory=set)
    healed: set[str] = field(default_factory=set)
    revision: int = 0

    def copy(self) -> "JoinedBar":
        """Return another one that holds the same; parts are replaced and never changed."""
        return JoinedBar(
            start=self.start,
            end=self.end,
            parts=dict(self.parts),
            doubted=set(self.doubted),
            halves=set(self.halves),
            healed=set(self.healed),
            revision=self.revision,
        )


def merge_bars(instrument: str, bars: Iterable[Bar]) -> Bar:
    """Return one interval's bar over several venues, made of bars whose trades' times are unknown.

    As `MergedBars` does it: `open` is of the first venue by name, `close` of the last one. `count`
    is 0 where a venue does not tell it. It is whole; whoever gives marked bars must mark it.

    Args:
        instrument: the merged bar's.
        bars: at least one, all of the same interval.
    """
    ordered = sorted(bars, key=attrgetter("instrument"))
    return bar_of(total_of(ordered), instrument, ordered[0].interval)


class MergedBarsState(msgspec.Struct, frozen=True, kw_only=True):
    """What `MergedBars` remembers, for recovery; plain data that can be pickled.

    Attributes:
        passed: the venues that are followed, and what each has passed, ns; 0 before it spoke.
        waiting: bars that are not closed yet, oldest first.
        closed: those that a venue may still correct, oldest first.
        closed_until: what all venues have passed, ns.
        oldest: no bar that starts before it can be corrected, ns; None before the first.
        interruptions: venue, and from when to when its trades may be missing; None: until now.
        late_bars: venues' bars that are in no merged one.
    """

    passed: dict[str, int]
    waiting: list[JoinedBar]
    closed: list[JoinedBar]
    closed_until: int
    oldest: int | None
    interruptions: list[tuple[str, int, int | None]]
    late_bars: int


class MergedBars:
    """Builds the bars of one symbol and interval from those of its venues.

    Volume, buy volume, notional and count are sums, high and low are those of all. `open` is of the
    venue whose first trade was the earliest, `close` of the one whose last trade was the latest;
    venues that say the same time are taken in the order of their names. Each venue's clock decides
    which of its trades are in the interval; times are compared after they are put on one clock.

    A bar is closed when every followed venue has passed its end, and said once. What a venue
    corrects later makes a revision, never a second bar. An interval in which no venue had a trade
    has no bar; venues' flat bars are left out (`FlatBars` can stand behind this one too).

    A bar waits for every venue that has spoken once, so each must be told of by `passed`, also
    when it has no trades: at each heartbeat of a venue, with that venue's own time less the
    grace. While a venue has no heartbeats either, its connection is down: `left` takes it out,
    and nothing waits for it.

    `gap`: a venue's bar has it, or a followed venue was interrupted in the interval (it may have
    had trades, and has no bar), or a venue joined in its middle. `partial`: the first bar, when a
    venue's own is. Either is gone once every such venue has told its bar whole (`is_healed`).

    Args:
        symbol: `"BTC-USDT"`; the bars' instrument is `"merged:BTC-USDT"`.
        interval: length of a bar, the venues' and the merged one's.
        lateness: that of the venues' builders, ns. What a venue corrects later than that, against
            the newest merged bar, is left out and counted in `late_bars`.
        state: what `snapshot` returned, to go on from there; it is copied.

    State: a bar for each venue and interval that is not closed yet or of the last `lateness`.

    Example:
        >>> bars = MergedBars("BTC-USDT", Interval.parse("1s"))
        >>> for venue in ("a:BTC-USDT", "b:BTC-USDT"):
        ...     bars.followed(venue)
        ...     bars.passed(venue, 1)  # it has spoken
        []
        []
        >>> bar = Bar(instrument="b:BTC-USDT", interval="1s", start=0, end=10**9, open=1.0,
        ...     high=3.0, low=1.0, close=2.0, volume=5.0, buy_volume=2.5, notional=10.0, count=4)
        >>> bars.take(bar, (5, 8)), bars.passed("b:BTC-USDT", 10**9)
        ([], [])
        >>> [(bar.instrument, bar.volume) for bar in bars.passed("a:BTC-USDT", 10**9)]
        [('merged:BTC-USDT', 5.0)]
    """

    __slots__ = (
        "_closed",
        "_closed_until",
        "_interruptions",
        "_oldest",
        "_passed",
        "_waiting",
        "instrument",
        "interval",
        "late_bars",
        "lateness",
    )

    def __init__(
        self,
        symbol: str,
        interval: Interval,
        *,
        lateness: int = LATENESS,
        state: MergedBarsState | None = None,
    ) -> None:
        self.instrument = instrument_id(MERGED, symbol)
        self.interval = interval
        self.lateness = lateness
        self.late_bars = 0
        """Venues' bars, closed or revised, that came too late and are in no merged one."""
        self._passed: dict[str, int] = {}
        self._waiting: list[JoinedBar] = []
        self._closed: list[JoinedBar] = []
        self._closed_until = 0
        self._oldest: int | None = None
        self._interruptions: list[tuple[str, int, int | None]] = []
        if state is not None:
            self._passed = dict(state.passed)
            self._waiting = [bar.copy() for bar in state.waiting]
            self._closed = [bar.copy() for bar in state.closed]
            self._closed_until = state.closed_until
            self._oldest = state.oldest
            self._interruptions = list(state.interruptions)
            self.late_bars = state.late_bars

    def followed(self, instrument: str) -> None:
        """Wait for this venue from now on."""
        self._passed.setdefault(instrument, 0)

    def left(self, instrument: str) -> list[Bar]:
        """Wait for this venue no more; return the bars that only waited for it.

        The bar in whose middle it left lacks its trades, and says so.
        """
        passed = self._passed.pop(instrument, 0)
        self.resume(instrument, passed + 1)
        if passed:
            self._interruptions.append((instrument, passed, passed + 1))
        return self._close()

    def interrupt(self, instrument: str, ts: int) -> None:
        """Say that a venue's trades may be missing from `ts` (its time) on, until `resume`."""
        if all(whose != instrument or end is not None for whose, _, end in self._interruptions):
            self._interruptions.append((instrument, ts, None))

    def resume(self, instrument: str, ts: int) -> None:
        """Say that a venue's trades flow from `ts` (its time) on."""
        self._interruptions = [
            (whose, start, ts if whose == instrument and end is None else end)
            for whose, start, end in self._interruptions
        ]

    @property
    def passed_until(self) -> int:
        """What all venues that have spoken have passed, ns; 0 before one has."""
        return min((end for end in self._passed.values() if end), default=0)

    def passed(self, instrument: str, end: int) -> list[Bar]:
        """Say that all of a venue's bars that end by `end` are in; return the bars this closes."""
        if end <= self._passed.get(instrument, end):
            return []
        self._passed[instrument] = end
        return self._close()

    def take(self, bar: Bar, times: tuple[int, int], *, is_healed: bool = False) -> list[Bar]:
        """Take a venue's bar, closed or revised; return the merged bar that it corrected, if any.

        Args:
            bar: of the interval, of any venue.
            times: of its first and last trade, ns, on one clock for all venues.
            is_healed: the venue told it whole afterwards: nothing of its trades is missing.
        """
        if is_flat(bar):
            return []
        is_late = bar.start < self._closed_until
        bars = self._closed if is_late else self._waiting
        joined = next((each for each in reversed(bars) if each.start == bar.start), None)
        if joined is None:
            # An earlier run may have stored the whole of it; a correction would replace that.
            if is_late and (bar.revision if self._oldest is None else bar.start < self._oldest):
                self.late_bars += 1
                return []
            joined = JoinedBar(bar.start, bar.end)
            bars.append(joined)
            bars.sort(key=_start)
            if is_late:
                self._judge(joined)
        joined.parts[bar.instrument] = accumulator_of(bar, times)
        if is_healed:
            joined.healed.add(bar.instrument)
            joined.doubted.discard(bar.instrument)
            joined.halves.discard(bar.instrument)
        if bar.gap or (bar.partial and is_late and not joined.halves):
            joined.doubted.add(bar.instrument)
        elif bar.partial:
            joined.halves.add(bar.instrument)
            joined.doubted.discard(bar.instrument)  # until it spoke that was not known
        if not is_late:
            return []
        joined.revision += 1
        return [self._bar(joined)]

    def put_right(self, bar: Bar, parts: Iterable[Bar]) -> None:
        """Take what a closed bar is now that the venues' pasts have put it right.

        Args:
            bar: merged, as it is told now.
            parts: the venues' bars that make it.
        """
        for joined in self._closed:
            if joined.start == bar.start:
                joined.parts = {part.instrument: accumulator_of(part) for part in parts}
                joined.healed = set(joined.parts)
                joined.doubted = set()
                joined.halves = set()
                joined.revision = bar.revision

    @property
    def forming(self) -> Bar | None:
        """The oldest bar that is not closed yet, of the venues' bars that are in, or None."""
        return self._bar(self._waiting[0]) if self._waiting else None

    def times_of(self, start: int) -> tuple[int, int] | None:
        """Return when the first and last trade of a closed bar were, ns; None when not known."""
        for bar in reversed(self._closed):
            if bar.start == start:
                parts = bar.parts.values()
                return min(each.first_ts for each in parts), max(each.last_ts for each in parts)
        return None

    def snapshot(self) -> MergedBarsState:
        """Return a copy of the state for recovery; what comes later does not change it."""
        return MergedBarsState(
            passed=dict(self._passed),
            waiting=[bar.copy() for bar in self._waiting],
            closed=[bar.copy() for bar in self._closed],
            closed_until=self._closed_until,
            oldest=self._oldest,
            interruptions=list(self._interruptions),
            late_bars=self.late_bars,
        )

    def _close(self) -> list[Bar]:
        waiting = self._waiting
        last = waiting[-1].end if waiting else 0
        # A venue that has not spoken yet may never: nothing waits for it.
        until = self.interval.start_of(self.passed_until if self._passed else last)
        if until <= self._closed_until:
            return []
        self._closed_until = until
        said: list[Bar] = []
        while waiting and waiting[0].end <= until:
            bar = waiting.pop(0)
            self._judge(bar)
            said.append(self._bar(bar))
            closed = self._closed
            while closed and closed[0].end <= bar.start - self.lateness:
                self._oldest = closed.pop(0).end
            closed.append(bar)
        kept_from = until - self.interval.length - self.lateness
        self._interruptions = [
            each for each in self._interruptions if each[2] is None or each[2] > kept_from
        ]
        return said

    def _judge(self, bar: JoinedBar) -> None:
        """Say of a bar what may be missing, when it is closed or made by a late one."""
        if self._oldest is None:
            self._oldest = bar.start
        else:
            bar.doubted |= bar.halves
            bar.halves = set()
        for whose, start, end in self._interruptions:
            is_in_it = start < bar.end and (end is None or end > bar.start)
            if is_in_it and whose not in bar.healed and whose not in bar.halves:
                bar.doubted.add(whose)

    def _bar(self, bar: JoinedBar) -> Bar:
        parts = [part for _, part in sorted(bar.parts.items())]
        total = parts[0].copy()
        for part in parts[1:]:
            total.merge(part)
        return msgspec.structs.replace(
            bar_of(total, self.instrument, self.interval.name),
            revision=bar.revision,
            partial=bool(bar.halves),
            gap=bool(bar.doubted),
        )
