"""Larger bars from closed smaller ones, where that is exact."""

from collections.abc import Iterable

from msgspec.structs import replace

from market.bar_totals import total_of
from market.bars import bar_of
from market.events import Bar
from market.intervals import Interval


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
    span = Interval.parse(interval)
    grouped: dict[int, list[Bar]] = {}
    before: int | None = None
    for bar in bars:
        start = span.start_of(bar.start)
        if bar.end > start + span.length:
            raise ValueError(f"a bar of {bar.interval} does not fit into one of {interval}")
        if before is not None and bar.start < before:
            raise ValueError("bars are to be in order, each once")
        before = bar.end
        grouped.setdefault(start, []).append(bar)
    return [
        replace(
            bar_of(total_of(some, (start, start + span.length)), some[0].instrument, interval),
            revision=max(bar.revision for bar in some),
            partial=any(bar.partial for bar in some),
            gap=any(bar.gap for bar in some),
        )
        for start, some in grouped.items()
    ]
