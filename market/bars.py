"""Bars from trades: closed once, corrected when a trade comes late.

A bar holds the trades of `[start, end)` by the venue's time. A later trade closes it, or a
heartbeat whose time, corrected by the clock offset and a grace period, lies past its end. A trade
for a bar already closed makes a revision of that bar, never a second one.
"""

import msgspec

from market.events import Bar
from market.intervals import SECOND, Interval

GRACE = 2 * SECOND
"""How long after its end, on the venue's clock, a heartbeat closes a bar."""
LATENESS = 60 * SECOND
"""How old a trade may be, against the newest, and still correct its bar."""


class Accumulator(msgspec.Struct):
    """The trades of one bar so far."""

    start: int
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

    def add(self, ts: int, price: float, size: float, *, is_buy: bool) -> None:
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
        self.notional += price * size
        self.count += 1


class BarBuilderState(msgspec.Struct):
    """What a `BarBuilder` remembers; a copy of it is its snapshot."""

    forming: Accumulator | None = None
    closed: list[Accumulator] = []
    closed_until: int = 0
    newest: int = 0
    complete_from: int | None = None
    begun: bool = False
    late: int = 0


class BarBuilder:
    """Builds the time bars of one instrument and one interval.

    Args:
        instrument: id, `"binance:BTC-USDT"`.
        interval: length of a bar.
        lateness: how old a trade may be and still make a revision, ns; older ones are counted in
            `late_trades` and left out.

    State: one forming bar and the closed ones of the last `lateness`.
    """

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
        self._state = BarBuilderState() if state is None else state
        self._length = interval.length

    @property
    def late_trades(self) -> int:
        """Trades that came too late, or with a time we cannot believe, and are in no bar."""
        return self._state.late

    def resume(self, ts: int) -> None:
        """Say that trades flow from `ts` (venue's time) on: an earlier bar's start was missed."""
        if self._state.complete_from is None:
            self._state.complete_from = ts
            forming = self._state.forming
            if forming is not None and self._state.begun:
                forming.gap = True

    def interrupt(self) -> None:
        """Say that trades may be missing from here on, until `resume`."""
        self._state.complete_from = None
        if self._state.forming is not None:
            self._state.forming.gap = True

    def add(
        self, ts: int, price: float, size: float, *, is_buy: bool, may_close: bool = True
    ) -> list[Bar]:
        """Take one trade and return the bars that it closed or corrected, oldest first.

        Args:
            ts: the venue's time, ns.
            price: quote currency, > 0.
            size: base currency, > 0.
            is_buy: the aggressor bought.
            may_close: False for a time we do not believe: such a trade never opens a bar.
        """
        state = self._state
        forming = state.forming
        if forming is not None and 0 <= ts - forming.start < self._length:
            forming.add(ts, price, size, is_buy=is_buy)
            if ts > state.newest:
                state.newest = ts
            return []
        start = ts - ts % self._length
        if start < state.closed_until or (forming is not None and start < forming.start):
            return self._late(start, ts, price, size, is_buy=is_buy)
        if not may_close:
            state.late += 1
            return []
        closed = [] if forming is None else [self._close(forming)]
        state.forming = self._open(start, ts, price, size, is_buy=is_buy)
        state.newest = max(state.newest, ts)
        return closed

    def advance(self, venue_time: int) -> list[Bar]:
        """Close the forming bar when the venue's time, less the grace period, is past its end."""
        forming = self._state.forming
        until = venue_time - GRACE
        if forming is None or forming.start + self._length > until:
            return []
        self._state.forming = None
        return [self._close(forming)]

    @property
    def forming(self) -> Bar | None:
        """The bar that is not closed yet, or None."""
        return None if self._state.forming is None else self._bar(self._state.forming)

    def snapshot(self) -> BarBuilderState:
        """Return a copy of the state for recovery."""
        return msgspec.convert(msgspec.to_builtins(self._state), BarBuilderState)

    def _open(
        self, start: int, ts: int, price: float, size: float, *, is_buy: bool
    ) -> Accumulator:
        state = self._state
        known = state.complete_from is not None and state.complete_from <= start
        first = not state.begun
        state.begun = True
        return Accumulator(
            start=start,
            first_ts=ts,
            last_ts=ts,
            open=price,
            high=price,
            low=price,
            close=price,
            volume=size,
            buy_volume=size if is_buy else 0.0,
            notional=price * size,
            count=1,
            partial=first and not known,
            gap=not first and not known,
        )

    def _close(self, bar: Accumulator) -> Bar:
        state = self._state
        state.closed_until = bar.start + self._length
        oldest = bar.start - self.lateness
        if state.closed and state.closed[0].start < oldest:
            state.closed = [kept for kept in state.closed if kept.start >= oldest]
        state.closed.append(bar)
        return self._bar(bar)

    def _late(self, start: int, ts: int, price: float, size: float, *, is_buy: bool) -> list[Bar]:
        state = self._state
        if ts < state.newest - self.lateness:
            state.late += 1
            return []
        for bar in reversed(state.closed):
            if bar.start == start:
                bar.add(ts, price, size, is_buy=is_buy)
                bar.revision += 1
                return [self._bar(bar)]
        bar = self._open(start, ts, price, size, is_buy=is_buy)
        bar.revision = 1  # an empty bar was passed over: this corrects that silence
        state.closed.append(bar)
        state.closed.sort(key=lambda kept: kept.start)
        return [self._bar(bar)]

    def _bar(self, bar: Accumulator) -> Bar:
        return Bar(
            instrument=self.instrument,
            interval=self.interval.name,
            start=bar.start,
            end=bar.start + self._length,
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
