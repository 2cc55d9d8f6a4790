"""What the candles of all venues have in common: bounds of their numbers, and a bar of them."""

from collections.abc import Iterable
from typing import Annotated, TypeAlias

import msgspec

from market.events import Bar
from market.instruments import Instrument
from market.intervals import Interval

Price: TypeAlias = Annotated[float, msgspec.Meta(gt=0, lt=1e18)]
Amount: TypeAlias = Annotated[float, msgspec.Meta(ge=0, lt=1e18)]
Worth: TypeAlias = Annotated[float, msgspec.Meta(ge=0, lt=1e36)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
Seconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=9 * 10**9)]
Milliseconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0, lt=9 * 10**12)]
"""In ns both fit 63 bits."""


def candle_bar(
    instrument: Instrument,
    span: Interval,
    start: int,
    prices: tuple[float, float, float, float],
    volume: float,
    *,
    notional: float | None = None,
    bought: float | None = None,
    count: int = 0,
) -> Bar:
    """Make a bar of a venue's candle.

    Args:
        instrument: whose it is.
        span: of the interval.
        start: ns UTC.
        prices: open, high, low, close.
        volume: base currency.
        notional: quote currency; None where it is not told: volume times (high + low + close) / 3.
        bought: what takers bought of the volume; None where it is not told: one half.
        count: of trades, 0 where it is not told.

    Raises:
        ValueError: it contradicts itself, or does not start where bars of the interval do.
    """
    opened, high, low, close = prices
    if start != span.start_of(start):
        raise ValueError(f"{start} is no start of a bar of {span.name}")
    if not low <= min(opened, close) <= max(opened, close) <= high:
        raise ValueError(f"open {opened}, high {high}, low {low}, close {close} cannot be")
    if bought is None:
        bought = volume / 2
    if bought > volume:
        raise ValueError(f"{bought} was bought of a volume of {volume}")
    return Bar(
        instrument=instrument.id,
        interval=span.name,
        start=start,
        end=start + span.length,
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
        buy_volume=bought,
        notional=volume * ((high + low + close) / 3) if notional is None else notional,
        count=count,
    )


def in_order(bars: Iterable[Bar]) -> list[Bar]:
    """Return bars by their start, the last told of those that start together."""
    by_start = {bar.start: bar for bar in bars}
    return [by_start[start] for start in sorted(by_start)]
