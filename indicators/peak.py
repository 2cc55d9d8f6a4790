"""Peaks and troughs of a series around zero, such as a histogram."""

import msgspec

from indicators import inner_series
from indicators.kinds import BarKind, Output, Parameter, SeriesParameter
from indicators.series import Series
from market.events import Bar

WIDEST_WING = 50


class Peak(msgspec.Struct):
    """Peaks above zero and troughs below it, told when the series has turned.

    Equal values in a row are one step. A step is a peak when it is above zero and higher than each
    of the `wing` steps before and after it, and a trough when it is below zero and lower than
    each. It is told at the bar that begins the last of these steps, and only there. So with a wing
    of 1 a peak is told by the first lower value after it, however long the top was flat.

    Args:
        series: a histogram or an oscillator around zero.
        wing: steps on either side that must be lower (higher); at least 1.

    Input: bars, as the series takes them.
    Warm-up: `2 * wing` bars more than the series.
    Output: +1 after a peak, -1 after a trough, 0 otherwise; `None` while warming.
    State: the series, its last `2 * wing + 1` steps, and a copy of them from before the last bar.
    Edge: no turn on the other side of zero, or at zero, is told; neither is one in a series that
    does not move. A value that is not known is no step.

    Raises:
        ValueError: `wing` is below 1.

    Example:
        >>> from indicators.series import BarValue
        >>> peak = Peak(Series("close", BarValue("close")))
        >>> told = []
        >>> for close in (1.0, 2.0, 2.0, 1.0, -1.0, -3.0, -2.0):
        ...     bar = Bar(instrument="binance:BTC-USDT", interval="1m", start=0, end=1, open=close,
        ...               high=close, low=close, close=close, volume=1.0, buy_volume=0.5,
        ...               notional=close, count=1)
        ...     peak.update(bar)
        ...     told.append(peak.value)
        >>> told
        [None, None, 0.0, 1.0, 0.0, 0.0, -1.0]
    """

    series: Series
    wing: int = 1
    count: int = 0
    steps: tuple[float, ...] = ()
    value: float | None = None
    before: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse a wing with nothing in it."""
        if self.wing < 1:
            raise ValueError(f"peak: wing {self.wing}: expected 1 or more")

    @property
    def name(self) -> str:
        """Canonical name, `"peak(zero_cross(close),1)"`."""
        return f"peak({self.series.name},{self.wing})"

    @property
    def warm_up(self) -> int:
        """Bars until the first value, that one included."""
        return inner_series.warm_up(self.series) + 2 * self.wing

    @property
    def settled(self) -> int | None:
        """Bars until all steps of a peak without a flat top are settled values of the series."""
        bars = inner_series.settled(self.series)
        return None if bars is None else bars + 2 * self.wing

    @property
    def values(self) -> tuple[float | None, ...]:
        """What was told, alone."""
        return (self.value,)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        inner_series.update(bar, self.series)
        self.before = self.steps
        self.count += 1
        self._look()

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected.

        Raises:
            ValueError: there is no last one.
        """
        if self.before is None:
            raise ValueError(f"{self.name}: no bar to correct")
        inner_series.revise(bar, self.series)
        self.steps = self.before
        self._look()

    def _look(self) -> None:
        turn = 0
        value = self.series.value
        if value is not None and self.steps[-1:] != (value,):
            self.steps = (*self.steps, value)[-2 * self.wing - 1 :]
            turn = _turn(self.steps, self.wing)
        self.value = float(turn) if self.count >= self.warm_up else None


def _turn(steps: tuple[float, ...], wing: int) -> int:
    if len(steps) <= 2 * wing:
        return 0
    middle = steps[wing]
    sides = steps[:wing] + steps[wing + 1 :]
    if middle > 0:
        return 1 if middle > max(sides) else 0
    return -1 if middle < 0 and middle < min(sides) else 0


KIND = BarKind(
    name="peak",
    meaning="a series turns, down from above zero or up from below it",
    parameters=(
        SeriesParameter("series", "macd(12,26,9).hist", "a histogram around zero"),
        Parameter("wing", 1, 1, WIDEST_WING, "steps on either side that must be lower (higher)"),
    ),
    inputs=(),
    outputs=(
        Output("", "+1, 0, -1", -1.0, 1.0, "+1 after a peak, -1 after a trough", shown="bars"),
    ),
    make=Peak,
    notes="""Equal values in a row are one step, so a flat top is one peak, told by the first
lower value after it (with a wing of 1). A turn down below zero, or up above it, is not told.""",
)
