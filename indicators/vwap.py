"""Volume-weighted average price of the day."""

from typing import TypeAlias

import msgspec

from indicators.contract import checked
from indicators.kinds import BarKind, Output
from market.events import Bar
from market.intervals import DAY

Before: TypeAlias = tuple[int, int, int | None, int, float, float, float, float]


class VWAP(msgspec.Struct):
    """Mean price of the day's trades, weighted by their size; the day begins at 00:00 UTC.

    It says nothing until it knows a day from its beginning: until a bar that starts at 00:00 UTC
    exactly and is not `partial`, or a bar of a later day than the one before it. (The first minute
    of a day without a trade may have no bar; what came before shows that nothing was missed.)
    A bar belongs to the day in which it starts, so a bar of a day or a week is a day of its own.

    Input: low, high and close in quote currency, volume in base currency, notional in quote
    currency (price times size, trade by trade), finite.
    Warm-up: not a fixed number. 1 when the first bar begins a day; otherwise `warm_up` says after
    each bar how many it will have been by the first one of the next day, at the pace so far.
    Output: quote currency, between the day's lowest and highest price; `None` while warming.
    State: two sums, two prices, the day and four counters, and a copy of them from before the last
    bar.
    Edge: the close of the bar as long as nothing has traded in the day. A huge trade weighs until
    the day ends and leaves no trace in the next. What `gap` says is for the owner of the series.

    References:
        S. A. Berkowitz, D. E. Logue, E. A. Noser, The Total Cost of Transactions on the NYSE,
        Journal of Finance 43, 1988.

    Example:
        >>> vwap = VWAP()
        >>> minute = Bar(
        ...     instrument="binance:BTC-USDT", interval="1m", start=0, end=60_000_000_000,
        ...     open=1.0, high=3.0, low=1.0, close=3.0,
        ...     volume=4.0, buy_volume=2.0, notional=10.0, count=3,
        ... )
        >>> vwap.update(minute)
        >>> vwap.values
        (2.5,)
        >>> from msgspec.structs import replace
        >>> begun_late = VWAP()
        >>> begun_late.update(replace(minute, start=DAY // 2, end=DAY // 2 + 60_000_000_000))
        >>> begun_late.values, begun_late.warm_up
        ((None,), 721)
    """

    count: int = 0
    began: int = 0  # start of the first bar, ns
    taken: int = 0  # bars it took until the first value, 0 while warming
    day: int | None = None  # of the last bar, in days since 1970
    end: int = 0  # of the last bar, ns
    volume: float = 0.0
    notional: float = 0.0
    low: float = 0.0
    high: float = 0.0
    close: float = 0.0
    before: Before | None = None

    @property
    def name(self) -> str:
        """Canonical name, `"vwap"`."""
        return "vwap"

    @property
    def warm_up(self) -> int:
        """Bars until the first value, that one included, as far as it can be told by now."""
        if self.day is None:
            return 1
        if self.taken:
            return self.taken
        left = (self.day + 1) * DAY - self.end
        pace = max(1, (self.end - self.began) // self.count)
        return self.count + max(0, -(-left // pace)) + 1

    @property
    def settled(self) -> int:
        """As soon as it is warm: nothing before the day matters."""
        return self.warm_up

    @property
    def value(self) -> float | None:
        """The mean price of the day so far, or None while warming."""
        if not self.taken:
            return None
        if self.volume <= 0:
            return self.close
        return max(self.low, min(self.high, self.notional / self.volume))

    @property
    def values(self) -> tuple[float | None, ...]:
        """The mean price alone."""
        return (self.value,)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        _check(bar)
        self.before = (
            self.count,
            self.taken,
            self.day,
            self.end,
            self.volume,
            self.notional,
            self.low,
            self.high,
        )
        self._take(bar)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        _check(bar)
        if self.before is None:
            raise ValueError(f"{self.name}: no bar to correct")
        (
            self.count,
            self.taken,
            self.day,
            self.end,
            self.volume,
            self.notional,
            self.low,
            self.high,
        ) = self.before
        self._take(bar)

    def _take(self, bar: Bar) -> None:
        day, into = divmod(bar.start, DAY)
        if self.day is None:
            self.began = bar.start
        if day == self.day:
            self.volume += bar.volume
            self.notional += bar.notional
            self.low = min(self.low, bar.low)
            self.high = max(self.high, bar.high)
        else:
            is_whole = self.day is not None or (into == 0 and not bar.partial)
            if is_whole and not self.taken:
                self.taken = self.count + 1
            self.volume, self.notional = bar.volume, bar.notional
            self.low, self.high = bar.low, bar.high
        self.day = day
        self.end = bar.end
        self.close = bar.close
        self.count += 1


def _check(bar: Bar) -> None:
    checked(bar.low)
    checked(bar.high)
    checked(bar.close)
    checked(bar.volume)
    checked(bar.notional)


KIND = BarKind(
    name="vwap",
    meaning="mean price of the day's trades, weighted by size, from 00:00 UTC",
    inputs=("high", "low", "close", "volume", "notional"),
    outputs=(Output("", "quote currency", shown="price"),),
    make=VWAP,
    since_midnight=True,
    notes="""It adds up price times size of every trade, where many charts take a bar's mean of
high, low and close for all of its volume: those differ within a bar's range. Where bars do not
tell that sum (`indicators compute` of a file without `notional`) we do so too, and it equals
TA-Lib's `VWAP` within a day. It begins anew at
00:00 UTC and says nothing until it has seen a day from its beginning. A bar of a day or a week is a
day of its own. Until something has traded in the day it is the close. At a start, and after a gap,
the bars since 00:00 UTC are loaded, 5000 at most. Where these do not reach back to it (of `1s` bars
that is so from 01:23 UTC on, of `5s` bars from 06:56) there is no value until the next midnight,
rather than one of a part of the day. Look at `vwap` of `1m` bars then: it is the same number at
each minute's end, for it adds up the trades themselves.""",
)
