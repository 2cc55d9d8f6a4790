"""A series that changes its sign."""

import msgspec

from indicators import inner_series
from indicators.crosses import crossing
from indicators.kinds import BarKind, Output, SeriesParameter
from indicators.series import Series
from market.events import Bar


class ZeroCross(msgspec.Struct):
    """Crossing of the zero line, as of an oscillator or a histogram.

    The same as `crosses(series,0)`, by a name that says what it is for: a value of zero has no
    sign and changes nothing.

    Args:
        series: what crosses zero.

    Input: bars, as the series takes them.
    Warm-up: one bar more than the series: a first value has crossed nothing.
    Output: +1 became positive, -1 became negative, 0 neither; `None` while warming.
    State: the series, its last sign, and a copy of that from before the last bar.
    Edge: a series that has been zero from the beginning has no sign, and does not cross when it
    first has one.

    Example:
        >>> from indicators.series import BarValue
        >>> cross = ZeroCross(Series("close", BarValue("close")))
        >>> told = []
        >>> for close in (-1.0, 0.0, 2.0, 0.0, 1.0, -1.0):
        ...     bar = Bar(instrument="binance:BTC-USDT", interval="1m", start=0, end=1, open=close,
        ...               high=close, low=close, close=close, volume=1.0, buy_volume=0.5,
        ...               notional=close, count=1)
        ...     cross.update(bar)
        ...     told.append(cross.value)
        >>> told
        [None, 0.0, 1.0, 0.0, 0.0, -1.0]
    """

    series: Series
    count: int = 0
    sign: int = 0
    value: float | None = None
    before: int | None = None

    @property
    def name(self) -> str:
        """Canonical name, `"zero_cross(crosses(close,ema(20)))"`."""
        return f"zero_cross({self.series.name})"

    @property
    def warm_up(self) -> int:
        """Bars until the first value, that one included."""
        return inner_series.warm_up(self.series) + 1

    @property
    def settled(self) -> int | None:
        """Bars until it has seen two settled values of the series."""
        bars = inner_series.settled(self.series)
        return None if bars is None else bars + 1

    @property
    def values(self) -> tuple[float | None, ...]:
        """What happened, alone."""
        return (self.value,)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        inner_series.update(bar, self.series)
        self.before = self.sign
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
        self.sign = self.before
        self._compare()

    def _compare(self) -> None:
        event, self.sign = crossing(self.sign, self.series.value, 0.0)
        self.value = float(event) if self.count >= self.warm_up else None


KIND = BarKind(
    name="zero_cross",
    meaning="a series changes its sign",
    parameters=(SeriesParameter("series", "macd(12,26,9).hist", "what crosses zero"),),
    inputs=(),
    outputs=(
        Output("", "+1, 0, -1", -1.0, 1.0, "+1 became positive, -1 became negative", shown="bars"),
    ),
    make=ZeroCross,
    notes="""The same as `crosses(series,0)`. A value of zero has no sign: to touch zero and go
back is no crossing.""",
)
