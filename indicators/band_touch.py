"""A price that reaches the edge of a band."""

import msgspec

from indicators import inner_series
from indicators.kinds import BarKind, Output, SeriesParameter
from indicators.series import Series
from market.events import Bar


class BandTouch(msgspec.Struct):
    """First touch of the lower and of the upper edge of a band.

    A bar touches the upper edge when its high is on it or above, the lower one when its low is on
    it or below. Only the first bar of a stay counts; after a bar that does not touch, the next
    touch counts anew. Both edges move: each bar is held against the edges at its own close.

    Args:
        lower: lower edge of the band.
        upper: upper edge of the band.
        low: what may reach the lower edge.
        high: what may reach the upper edge.

    Input: bars, as the series take them.
    Warm-up: one bar more than the slowest series: a first bar may only have stayed where it was.
    Output: `lower` and `upper`: 1 on the first bar of a touch, 0 otherwise; `None` while warming.
    State: the series, whether the last bar touched, and a copy of that from before it.
    Edge: a bar that is on the edge of a band without width touches it. A bar at which an edge is
    not known neither begins nor ends a stay.

    References:
        J. Bollinger, Bollinger on Bollinger Bands, 2001: tags of the bands.

    Example:
        >>> from indicators.series import BarValue, Constant
        >>> touch = BandTouch(Series("1", Constant(1.0)), Series("5", Constant(5.0)),
        ...                   Series("low", BarValue("low")), Series("high", BarValue("high")))
        >>> told = []
        >>> for close in (3.0, 5.0, 6.0, 4.0, 5.0, 0.0):
        ...     bar = Bar(instrument="binance:BTC-USDT", interval="1m", start=0, end=1, open=close,
        ...               high=close, low=close, close=close, volume=1.0, buy_volume=0.5,
        ...               notional=close, count=1)
        ...     touch.update(bar)
        ...     told.append(touch.values)
        >>> told[:3]
        [(None, None), (0.0, 1.0), (0.0, 0.0)]
        >>> told[3:]
        [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0)]
    """

    lower: Series
    upper: Series
    low: Series
    high: Series
    count: int = 0
    touching: tuple[bool, bool] = (True, True)
    """Before the first value as if it had touched: a stay whose beginning was not seen."""
    values: tuple[float | None, ...] = (None, None)
    before: tuple[bool, bool] | None = None

    @property
    def name(self) -> str:
        """Canonical name, `"band_touch(ema(50),ema(20),low,high)"`."""
        return f"band_touch({','.join(each.name for each in self._series)})"

    @property
    def warm_up(self) -> int:
        """Bars until the first value, that one included."""
        return inner_series.warm_up(*self._series) + 1

    @property
    def settled(self) -> int | None:
        """Bars until it has seen two settled values of every series."""
        bars = inner_series.settled(*self._series)
        return None if bars is None else bars + 1

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        inner_series.update(bar, *self._series)
        self.before = self.touching
        self.count += 1
        self._compare()

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected.

        Raises:
            ValueError: there is no last one.
        """
        if self.before is None:
            raise ValueError(f"{self.name}: no bar to correct")
        inner_series.revise(bar, *self._series)
        self.touching = self.before
        self._compare()

    @property
    def _series(self) -> tuple[Series, ...]:
        return (self.lower, self.upper, self.low, self.high)

    def _compare(self) -> None:
        was_low, was_high = self.touching
        is_low = _reaches(self.lower.value, self.low.value, stays=was_low)
        is_high = _reaches(self.high.value, self.upper.value, stays=was_high)
        self.touching = (is_low, is_high)
        if self.count >= self.warm_up:
            self.values = (float(is_low and not was_low), float(is_high and not was_high))


def _reaches(value: float | None, edge: float | None, *, stays: bool) -> bool:
    return stays if value is None or edge is None else value >= edge


KIND = BarKind(
    name="band_touch",
    meaning="a bar is the first to reach the lower or the upper edge of a band",
    parameters=(
        SeriesParameter(
            "lower", "bollinger(20,2).lower", "lower edge of the band", may_be_number=True
        ),
        SeriesParameter(
            "upper", "bollinger(20,2).upper", "upper edge of the band", may_be_number=True
        ),
        SeriesParameter("low", "low", "what may reach the lower edge"),
        SeriesParameter("high", "high", "what may reach the upper edge"),
    ),
    inputs=(),
    outputs=(
        Output(
            "lower",
            "0 or 1",
            0.0,
            1.0,
            "1 on the first bar that reaches the lower edge",
            shown="bars",
        ),
        Output(
            "upper",
            "0 or 1",
            0.0,
            1.0,
            "1 on the first bar that reaches the upper edge",
            shown="bars",
        ),
    ),
    make=BandTouch,
    notes="""To be on the edge is to touch it. Only the first bar of a stay counts; after a bar
that does not touch, the next touch counts anew. `band_touch(low=close,high=close)` asks for
closes instead of wicks.""",
)
