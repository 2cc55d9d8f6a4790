"""Bars of so many trades, so much volume or so much money, whatever time they take.

A bar is full with the trade that reaches the amount: that trade belongs to it whole, and the next
one opens the next bar (the usual convention; no trade is split over two bars). So a bar holds the
amount or more, and every trade is in exactly one bar.

Trades count in the order in which they come. Their times do not decide which bar they are in, so
there is nothing to correct: a bar is said once, with `revision` 0, and never is `partial`.

References:
    M. Lopez de Prado, Advances in Financial Machine Learning, 2018, section 2.3.
"""

from collections.abc import Callable

import msgspec

from market.activity import Activity, Measure
from market.bars import Accumulator, bar_of
from market.events import Bar

MICROSECOND = 1_000
"""Starts and ends are whole microseconds: the database keeps no finer ones, and they are keys."""
ROUNDING = 1e-9
"""By this part of the amount a sum of sizes may fall short: ten trades of 0.1 do make 1."""


class ActivityBarBuilderState(msgspec.Struct, frozen=True, kw_only=True):
    """What an `ActivityBarBuilder` remembers, for recovery; plain data that can be pickled.

    Attributes:
        forming: the bar that is not full yet.
        ended: end of the newest full bar, ns; None before any time is known.
        complete_from: venue's time since which no trade was missed, ns; None while some may be.
        late_trades: trades that are in no bar.
    """

    forming: Accumulator | None
    ended: int | None
    complete_from: int | None
    late_trades: int


class ActivityBarBuilder:
    """Builds the tick, volume or dollar bars of one instrument.

    It has the methods of `BarBuilder` and can stand in its place.

    Args:
        instrument: id, `"binance:BTC-USDT"`.
        activity: what fills a bar.
        state: what `snapshot` returned, to go on from there; it is copied.

    Times: a bar starts with its first trade, but never before the last bar's end, and ends one
    microsecond after its latest trade. Bars of one instrument therefore never overlap, and their
    starts rise by a microsecond at least, though many of them may be of one moment. A trade whose
    time is not believed counts as any other, for it did happen, and moves neither time: a bar that
    begins with one begins where the last bar ended. Only before any time is known has such a trade
    no place; it is counted in `late_trades`.

    State: one forming bar.

    Example:
        >>> bars = ActivityBarBuilder("binance:BTC-USDT", Activity.parse("2tick"))
        >>> bars.add(5_000, 100.0, 2.0, is_buy=True)
        []
        >>> [(bar.start, bar.end, bar.volume) for bar in bars.add(9_000, 101.0, 1.0, is_buy=False)]
        [(5000, 10000, 3.0)]
    """

    __slots__ = (
        "_amount",
        "_complete_from",
        "_ended",
        "_filled",
        "_forming",
        "activity",
        "instrument",
        "late_trades",
    )

    def __init__(
        self,
        instrument: str,
        activity: Activity,
        *,
        state: ActivityBarBuilderState | None = None,
    ) -> None:
        self.instrument = instrument
        self.activity = activity
        self.late_trades = 0
        """Trades with a time we cannot believe, before any other; they are in no bar."""
        self._filled = _FILLED[activity.measure]
        is_exact = activity.measure is Measure.TICK
        self._amount = activity.amount * (1 if is_exact else 1 - ROUNDING)
        self._forming: Accumulator | None = None
        self._ended: int | None = None
        self._complete_from: int | None = None
        if state is not None:
            self._forming = None if state.forming is None else state.forming.copy()
            self._ended = state.ended
            self._complete_from = state.complete_from
            self.late_trades = state.late_trades

    def resume(self, ts: int) -> None:
        """Say that trades flow from `ts` (venue's time) on."""
        if self._complete_from is None:
            self._complete_from = ts - ts % MICROSECOND

    def interrupt(self) -> None:
        """Say that trades may be missing from here on, until `resume`."""
        self._complete_from = None
        if self._forming is not None:
            self._forming.gap = True

    def add(
        self,
        ts: int,
        price: float,
        size: float,
        is_buy: bool | None,
        may_close: bool = True,
    ) -> list[Bar]:
        """Take one trade and return the bar that it fills, if it does.

        Args:
            ts: the venue's time, ns.
            price: quote currency, > 0.
            size: base currency, > 0.
            is_buy: the aggressor bought; None where nobody knows: then one half of `size` did.
            may_close: False for a time we do not believe: the trade counts, its time does not.
        """
        forming = self._forming
        if forming is None:
            if not may_close:
                if self._ended is None:
                    self.late_trades += 1
                    return []
                ts = self._ended
            forming = self._forming = self._open(ts, price, size, is_buy=is_buy)
        else:
            last = forming.last_ts
            # Never an earlier time: then the trade that came last is the close.
            forming.add(ts if may_close and ts > last else last, price, size, is_buy)
        if self._filled(forming) < self._amount:
            return []
        self._forming = None
        bar = self._bar(forming)
        self._ended = bar.end
        return [bar]

    def advance(self, venue_time: int) -> list[Bar]:  # noqa: ARG002 - as `BarBuilder` has it
        """Close nothing: no time fills a bar."""
        return []

    @property
    def forming(self) -> Bar | None:
        """The bar that is not full yet, or None; its end moves with its trades."""
        return None if self._forming is None else self._bar(self._forming)

    def snapshot(self) -> ActivityBarBuilderState:
        """Return a copy of the state for recovery; what comes later does not change it."""
        return ActivityBarBuilderState(
            forming=None if self._forming is None else self._forming.copy(),
            ended=self._ended,
            complete_from=self._complete_from,
            late_trades=self.late_trades,
        )

    def _open(self, ts: int, price: float, size: float, *, is_buy: bool | None) -> Accumulator:
        start = ts - ts % MICROSECOND
        if self._ended is not None and start < self._ended:
            start = self._ended
        return Accumulator(
            start=start,
            end=start + MICROSECOND,
            first_ts=start,
            last_ts=max(ts, start),
            open=price,
            high=price,
            low=price,
            close=price,
            volume=size,
            buy_volume=size if is_buy else 0.0 if is_buy is not None else size / 2,
            notional=price * size,
            count=1,
            gap=self._complete_from is None or self._complete_from > start,
        )

    def _bar(self, bar: Accumulator) -> Bar:
        bar.end = bar.last_ts - bar.last_ts % MICROSECOND + MICROSECOND
        return bar_of(bar, self.instrument, self.activity.name)


def _count(bar: Accumulator) -> float:
    return bar.count


def _volume(bar: Accumulator) -> float:
    return bar.volume


def _notional(bar: Accumulator) -> float:
    return bar.notional


_FILLED: dict[Measure, Callable[[Accumulator], float]] = {
    Measure.TICK: _count,
    Measure.VOLUME: _volume,
    Measure.DOLLAR: _notional,
}
