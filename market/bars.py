"""Bars from trades: closed once, corrected when a trade comes late.

A bar holds the trades of `[start, end)` by the venue's time. A later trade closes it, or a
heartbeat whose time, corrected by the clock offset and a grace period, lies past its end. A trade
for a bar already closed makes a revision of that bar, never a second one.
"""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol, Self, TypeVar

import msgspec

from market.events import Bar
from market.intervals import SECOND, Interval

GRACE = 2 * SECOND
"""How long after its end, on the venue's clock, a heartbeat closes a bar."""
LATENESS = 60 * SECOND
"""How old a trade may be, against the newest, and still correct its bar."""

_start = attrgetter("start")


class _Copied(Protocol):
    def copy(self) -> Self:
        """Return another one that holds the same."""
        ...


_Kept = TypeVar("_Kept", bound=_Copied)


@dataclass(slots=True)
class Accumulator:
    """The trades of one bar so far.

    Slots, because every trade reads and writes seven of them: a third faster than a Struct's.
    """

    start: int
    end: int
    first_ts: int
    last_ts: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    buy_volume: float
    notional: float
    count: int
    revision: int = 0
    partial: bool = False
    gap: bool = False

    def add(self, ts: int, price: float, size: float, is_buy: bool | None) -> None:
        """Take one trade; open and close follow the venue's time, not the order of arrival."""
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        if ts >= self.last_ts:
            self.close = price
            self.last_ts = ts
        elif ts < self.first_ts:
            self.open = price
            self.first_ts = ts
        self.volume += size
        if is_buy:
            self.buy_volume += size
        elif is_buy is None:
            self.buy_volume += size / 2
        self.notional += price * size
        self.count += 1

    def merge(self, other: "Accumulator") -> None:
        """Take all trades of another one; of equal times the other's are the later."""
        self.high = max(self.high, other.high)
        self.low = min(self.low, other.low)
        if other.last_ts >= self.last_ts:
            self.close = other.close
            self.last_ts = other.last_ts
        if other.first_ts < self.first_ts:
            self.open = other.open
            self.first_ts = other.first_ts
        self.volume += other.volume
        self.buy_volume += other.buy_volume
        self.notional += other.notional
        self.count += other.count

    def copy(self) -> Self:
        """Return another one that holds the same."""
        return type(self)(*_values(self))

    def __reduce__(self) -> tuple[type["Accumulator"], tuple[float, ...]]:
        # Without it a slotted dataclass is pickled as a list by way of `fields`, twice as slowly.
        return Accumulator, _values(self)


_values = attrgetter(*Accumulator.__annotations__)


def bar_of(bar: Accumulator, instrument: str, interval: str) -> Bar:
    """Return what is accumulated, as the event that is said."""
    return Bar(
        instrument=instrument,
        interval=interval,
        start=bar.start,
        end=bar.end,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        volume=bar.volume,
        buy_volume=bar.buy_volume,
        notional=bar.notional,
        count=bar.count,
        revision=bar.revision,
        partial=bar.partial,
        gap=bar.gap,
    )


def copies(forming: _Kept | None, closed: Iterable[_Kept]) -> tuple[_Kept | None, list[_Kept]]:
    """Return copies of the forming and the closed bars: what a snapshot holds never changes."""
    return None if forming is None else forming.copy(), [bar.copy() for bar in closed]


class BarBuilderState(msgspec.Struct, frozen=True, kw_only=True):
    """What a `BarBuilder` remembers, for recovery; plain data that can be pickled.

    Attributes:
        forming: the bar that is not closed yet.
        closed: those that a late trade may still correct, oldest first.
        closed_until: end of the newest closed bar, ns.
        oldest: no bar that starts before it can be corrected, ns; None before the first trade.
        newest: venue's time of the newest trade in `closed`, ns.
        complete_from: venue's time since which no trade was missed, ns; None while some may be.
        late_trades: trades that are in no bar.
    """

    forming: Accumulator | None
    closed: list[Accumulator]
    closed_until: int
    oldest: int | None
    newest: int
    complete_from: int | None
    late_trades: int


class BarBuilder:
    """Builds the time bars of one instrument and one interval.

    Args:
        instrument: id, `"binance:BTC-USDT"`.
        interval: length of a bar.
        lateness: how much older than the newest trade a trade may be and still make a revision,
            ns; older ones are counted in `late_trades` and left out.
        state: what `snapshot` returned, to go on from there; it is copied.

    State: one forming bar and the closed ones of the last `lateness`.

    Example:
        >>> bars = BarBuilder("binance:BTC-USDT", Interval.parse("1m"))
        >>> bars.add(5 * SECOND, 100.0, 2.0, is_buy=True)
        []
        >>> [bar.close for bar in bars.add(61 * SECOND, 101.0, 1.0, is_buy=False)]
        [100.0]
        >>> [(bar.close, bar.revision) for bar in bars.add(59 * SECOND, 99.0, 1.0, is_buy=False)]
        [(99.0, 1)]
        >>> [bar.start // SECOND for bar in bars.advance(122 * SECOND)]
        [60]
    """

    __slots__ = (
        "_closed",
        "_closed_until",
        "_complete_from",
        "_forming",
        "_length",
        "_newest",
        "_offset",
        "_oldest",
        "instrument",
        "interval",
        "late_trades",
        "lateness",
    )

    def __init__(
        self,
        instrument: str,
        interval: Interval,
        *,
        lateness: int = LATENESS,
        state: BarBuilderState | None = None,
    ) -> None:
        self.instrument = instrument
        self.interval = interval
        self.lateness = lateness
        self.late_trades = 0
        """Trades that came too late, or with a time we cannot believe, and are in no bar."""
        self._length = interval.length
        self._offset = interval.offset
        self._forming: Accumulator | None = None
        self._closed: list[Accumulator] = []
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
            self.late_trades = state.late_trades

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

    def add(  # a keyword costs a call of every trade 50 ns
        self,
        ts: int,
        price: float,
        size: float,
        is_buy: bool | None,
        may_close: bool = True,
    ) -> list[Bar]:
        """Take one trade and return the bar that it closed or corrected, if any.

        Args:
            ts: the venue's time, ns.
            price: quote currency, > 0.
            size: base currency, > 0.
            is_buy: the aggressor bought; None where nobody knows: then one half of `size` did.
            may_close: False for a time we do not believe: such a trade never opens a bar.
        """
        forming = self._forming
        if forming is not None and forming.start <= ts < forming.end:
            # `Accumulator.add`, in this place: nearly every trade comes here, and the call would be
            # a tenth of what it costs.
            if price > forming.high:
                forming.high = price
            elif price < forming.low:
                forming.low = price
            if ts >= forming.last_ts:
                forming.close = price
                forming.last_ts = ts
            elif ts < forming.first_ts:
                forming.open = price
                forming.first_ts = ts
            forming.volume += size
            if is_buy:
                forming.buy_volume += size
            elif is_buy is None:
                forming.buy_volume += size / 2
            forming.notional += price * size
            forming.count += 1
            return []
        start = ts - (ts - self._offset) % self._length
        if start < self._closed_until or (forming is not None and start < forming.start):
            return self._correct(start, ts, price, size, is_buy=is_buy)
        if not may_close:
            self.late_trades += 1
            return []
        closed = [] if forming is None else [self._close(forming)]
        self._forming = self._open(start, ts, price, size, is_buy=is_buy)
        return closed

    def advance(self, venue_time: int) -> list[Bar]:
        """Close the forming bar when the venue's time, less the grace period, is past its end."""
        forming = self._forming
        if forming is None or forming.end > venue_time - GRACE:
            return []
        self._forming = None
        return [self._close(forming)]

    @property
    def forming(self) -> Bar | None:
        """The bar that is not closed yet, or None."""
        return None if self._forming is None else self._bar(self._forming)

    def times_of(self, start: int) -> tuple[int, int] | None:
        """Return when the first and the last trade of a bar were, by the venue's clock, ns.

        Known of the forming bar and of those that a late trade can still correct: of each bar
        when `add` or `advance` has just said it. None for any other.
        """
        forming = self._forming
        if forming is not None and forming.start == start:
            return forming.first_ts, forming.last_ts
        for bar in reversed(self._closed):
            if bar.start == start:
                return bar.first_ts, bar.last_ts
        return None

    def snapshot(self) -> BarBuilderState:
        """Return a copy of the state for recovery; what comes later does not change it."""
        forming, closed = copies(self._forming, self._closed)
        return BarBuilderState(
            forming=forming,
            closed=closed,
            closed_until=self._closed_until,
            oldest=self._oldest,
            newest=self._newest,
            complete_from=self._complete_from,
            late_trades=self.late_trades,
        )

    def _open(
        self, start: int, ts: int, price: float, size: float, *, is_buy: bool | None
    ) -> Accumulator:
        is_first = self._oldest is None
        if is_first:
            self._oldest = start
        is_complete = self._complete_from is not None and self._complete_from <= start
        bought = size if is_buy else 0.0 if is_buy is not None else size / 2
        bar = Accumulator(  # by position: names would double what a new bar costs
            start,
            start + self._length,
            ts,
            ts,
            price,
            price,
            price,
            price,
            size,
            bought,
            price * size,
            1,
        )
        if not is_complete:
            bar.partial = is_first
            bar.gap = not is_first
        return bar

    def _close(self, bar: Accumulator) -> Bar:
        self._closed_until = bar.end
        self._newest = bar.last_ts
        closed = self._closed
        # Only bars that no trade can reach any more: one made anew would replace the true one.
        while closed and closed[0].end <= bar.last_ts - self.lateness:
            self._oldest = closed.pop(0).end
        closed.append(bar)
        return self._bar(bar)

    def _correct(
        self, start: int, ts: int, price: float, size: float, *, is_buy: bool | None
    ) -> list[Bar]:
        newest = self._newest if self._forming is None else self._forming.last_ts
        if ts < newest - self.lateness or self._oldest is None or start < self._oldest:
            self.late_trades += 1
            return []
        for bar in reversed(self._closed):
            if bar.start == start:
                bar.add(ts, price, size, is_buy)
                bar.revision += 1
                # The newest trade of all, when it came after the heartbeat that closed its bar.
                self._newest = max(self._newest, ts)
                return [self._bar(bar)]
        bar = self._open(start, ts, price, size, is_buy=is_buy)
        bar.revision = 1  # an empty bar was passed over: this corrects that silence
        insort(self._closed, bar, key=_start)
        return [self._bar(bar)]

    def _bar(self, bar: Accumulator) -> Bar:
        return bar_of(bar, self.instrument, self.interval.name)
