"""Larger bars from closed smaller ones, where that is exact."""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from market.events import Bar
from market.intervals import DAY, Interval

WEEK = "1w"
MONDAY = 4 * DAY
"""The first Monday, 00:00 UTC, after the epoch, which was a Thursday."""


class Span(msgspec.Struct, frozen=True):
    """How bars of an interval lie in time.

    Attributes:
        name: of the interval, `"5m"`.
        length: nanoseconds.
        offset: ns; one of them starts here, counted from the epoch.
    """

    name: str
    length: int
    offset: int = 0

    @classmethod
    def of(cls, interval: str) -> "Span":
        """Read an interval as `Interval.parse` does, or `"1w"`, which starts on Monday.

        Raises:
            ValueError: it is neither.

        Example:
            >>> Span.of("1w").start_of(0) // DAY
            -3
        """
        if interval == WEEK:
            return cls(WEEK, 7 * DAY, MONDAY)
        parsed = Interval.parse(interval)
        return cls(parsed.name, parsed.length)

    def start_of(self, ts: int) -> int:
        """Return the start of the bar that holds `ts`, ns UTC."""
        return ts - (ts - self.offset) % self.length

    def is_made_of(self, smaller: "Span") -> bool:
        """Whether bars of `smaller` fill each of ours exactly.

        Example:
            >>> Span.of("1w").is_made_of(Span.of("4h")), Span.of("5m").is_made_of(Span.of("3m"))
            (True, False)
        """
        return (
            self.length % smaller.length == 0
            and (self.offset - smaller.offset) % smaller.length == 0
        )


def group_bars(bars: Iterable[Bar], interval: str) -> list[Bar]:
    """Return the bars of a larger interval that these make up.

    Prices, `volume`, `buy_volume` and `notional` are exact but for the order in which floats are
    added. `count` is 0 where one of the smaller bars does not tell it; `revision` is the highest;
    a larger bar has a `gap` or is `partial` where one of its own is.

    Args:
        bars: of one instrument and one interval that divides the larger one, oldest first. Those
            in which nothing traded may be left out, or be there with a volume of 0.
        interval: of what is wanted, `"1h"`; `"1w"` starts on Monday, 00:00 UTC.

    Raises:
        ValueError: `interval` is none, a bar does not fit into one of it, or they are not in order.

    Example:
        >>> from market.intervals import SECOND
        >>> def minute(number, close):
        ...     return Bar(instrument="binance:BTC-USDT", interval="1m", start=number * 60 * SECOND,
        ...                end=(number + 1) * 60 * SECOND, open=9.0, high=max(9.0, close),
        ...                low=min(9.0, close), close=close, volume=1.0, buy_volume=0.5,
        ...                notional=9.0, count=2)
        >>> [(bar.close, bar.volume, bar.count) for bar in group_bars(
        ...     [minute(3, 8.0), minute(4, 7.0), minute(5, 10.0)], "5m")]
        [(7.0, 2.0, 4), (10.0, 1.0, 2)]
    """
    span = Span.of(interval)
    grouped: list[Bar] = []
    before: int | None = None
    for bar in bars:
        start = span.start_of(bar.start)
        if bar.end > start + span.length:
            raise ValueError(f"a bar of {bar.interval} does not fit into one of {interval}")
        if before is not None and bar.start < before:
            raise ValueError("bars are to be in order, each once")
        before = bar.end
        if grouped and grouped[-1].start == start:
            grouped[-1] = _joined(grouped[-1], bar)
        else:
            grouped.append(replace(bar, interval=interval, start=start, end=start + span.length))
    return grouped


def _joined(earlier: Bar, later: Bar) -> Bar:
    """Put the next smaller bar into a larger one; where nothing traded its prices mean nothing."""
    flags = {
        "revision": max(earlier.revision, later.revision),
        "partial": earlier.partial or later.partial,
        "gap": earlier.gap or later.gap,
    }
    if later.volume == 0:
        return replace(earlier, **flags)
    if earlier.volume == 0:
        kept = {name: getattr(earlier, name) for name in ("interval", "start", "end")}
        return replace(later, **kept, **flags)
    is_told = earlier.count > 0 and later.count > 0
    return replace(
        earlier,
        high=max(earlier.high, later.high),
        low=min(earlier.low, later.low),
        close=later.close,
        volume=earlier.volume + later.volume,
        buy_volume=earlier.buy_volume + later.buy_volume,
        notional=earlier.notional + later.notional,
        count=earlier.count + later.count if is_told else 0,
        **flags,
    )
