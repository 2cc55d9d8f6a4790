"""A series that enters and leaves its extremes: overbought and oversold."""

import msgspec

from indicators import inner_series
from indicators.crosses import crossing
from indicators.kinds import BarKind, Output, Parameter, SeriesParameter
from indicators.series import Series, number_text
from market.events import Bar

WIDEST = 1e12
"""Largest bound of a zone, either sign."""


class Zone(msgspec.Struct):
    """Entries into the zones below and above two bounds, and exits.

    A series is oversold below `low` and overbought above `high`. A value exactly on a bound is on
    no side of it: it neither enters nor leaves. So `oversold` is `crosses(series,low)` with its
    sign turned, and `overbought` is `crosses(series,high)`.

    Args:
        series: an oscillator.
        low: below it the series is oversold.
        high: above it the series is overbought; more than `low`.

    Input: bars, as the series takes them.
    Warm-up: one bar more than the series: where a first value came from is not known.
    Output: `oversold` and `overbought`: +1 entered the zone, -1 left it, 0 neither; `None` while
    warming. One jump may leave one zone and enter the other at once.
    State: the series, its sides of the two bounds, and a copy of them from before the last bar.
    Edge: a series that is in a zone from the beginning has not entered it, but can leave it.

    Raises:
        ValueError: `low` is not below `high`.

    Example:
        >>> from indicators.series import BarValue
        >>> zone = Zone(Series("close", BarValue("close")), 30.0, 70.0)
        >>> told = []
        >>> for close in (50.0, 29.0, 30.0, 31.0, 71.0, 10.0):
        ...     bar = Bar(instrument="binance:BTC-USDT", interval="1m", start=0, end=1, open=close,
        ...               high=close, low=close, close=close, volume=1.0, buy_volume=0.5,
        ...               notional=close, count=1)
        ...     zone.update(bar)
        ...     told.append(zone.values)
        >>> told[:3]
        [(None, None), (1.0, 0.0), (0.0, 0.0)]
        >>> told[3:]
        [(-1.0, 0.0), (0.0, 1.0), (1.0, -1.0)]
    """

    series: Series
    low: float
    high: float
    count: int = 0
    sides: tuple[int, int] = (0, 0)
    values: tuple[float | None, ...] = (None, None)
    before: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Refuse bounds that leave nothing between them."""
        wrong = refuse(self.series, self.low, self.high)
        if wrong:
            raise ValueError(f"zone: {wrong}")

    @property
    def name(self) -> str:
        """Canonical name, `"zone(rsi(14),30,70)"`."""
        return f"zone({self.series.name},{number_text(self.low)},{number_text(self.high)})"

    @property
    def warm_up(self) -> int:
        """Bars until the first value, that one included."""
        return inner_series.warm_up(self.series) + 1

    @property
    def settled(self) -> int | None:
        """Bars until it has seen two settled values of the series."""
        bars = inner_series.settled(self.series)
        return None if bars is None else bars + 1

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        inner_series.update(bar, self.series)
        self.before = self.sides
        self.count += 1
        self._compare()

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected.

        Raises:
            ValueError: there is no last one.
        """
        if self.before is None:
            raise ValueError(f"{self.name}: no bar to correct")
        inner_series.revise(bar, self.series)
        self.sides = self.before
        self._compare()

    def _compare(self) -> None:
        value = self.series.value
        fell, side_of_low = crossing(self.sides[0], value, self.low)
        rose, side_of_high = crossing(self.sides[1], value, self.high)
        self.sides = (side_of_low, side_of_high)
        is_warm = self.count >= self.warm_up
        self.values = (float(-fell), float(rose)) if is_warm else (None, None)


def refuse(_series: object, low: float, high: float) -> str:
    """Say what is wrong with two bounds, or nothing."""
    if low < high:
        return ""
    return f"low {number_text(low)}, high {number_text(high)}: expected low below high"


KIND = BarKind(
    name="zone",
    meaning="a series enters or leaves the zone below a low bound or above a high one",
    parameters=(
        SeriesParameter("series", "rsi(14)", "an oscillator"),
        Parameter("low", 30.0, -WIDEST, WIDEST, "below it the series is oversold", whole=False),
        Parameter("high", 70.0, -WIDEST, WIDEST, "above it the series is overbought", whole=False),
    ),
    inputs=(),
    outputs=(
        Output(
            "oversold",
            "+1, 0, -1",
            -1.0,
            1.0,
            "+1 fell below `low`, -1 came back above it",
            shown="bars",
        ),
        Output(
            "overbought",
            "+1, 0, -1",
            -1.0,
            1.0,
            "+1 rose above `high`, -1 fell back below",
            shown="bars",
        ),
    ),
    make=Zone,
    refuse=refuse,
    notes="""`oversold` is `crosses(series,low)` with its sign turned, `overbought` is
`crosses(series,high)`: a value exactly on a bound neither enters nor leaves. A series that is in
a zone with its first value has not entered it.""",
)
