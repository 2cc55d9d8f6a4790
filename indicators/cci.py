"""Commodity channel index."""

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from math import fsum
from operator import attrgetter

from indicators.contract import LARGEST, checked
from indicators.kinds import BarKind, Output, period
from indicators.window_mean import WindowMean
from market.events import Bar

ROUNDING = 1e-15
"""Share of the price below which a mean deviation is rounding and no movement."""


@dataclass(slots=True)
class CCI:
    """Commodity channel index.

    How far the typical price `(high + low + close) / 3` lies from its mean over the window, in
    units of 0.015 of the window's mean absolute deviation.

    Args:
        period: bars in the window; at least 2.

    Input: high, low and close in quote currency, finite.
    Warm-up: `period` bars.
    Output: dimensionless, around 0, mostly between -100 and 100 and never beyond
    `period / 0.03`; `None` for the first `period - 1` bars.
    State: the typical prices of the window, once in their order and once by size, and a table of
    sums of the same size. Work a bar grows with `period`, though slowly: those above the mean are
    added up anew, for the mean has moved.
    Edge: 0 when nothing moved in the whole window (0/0 in the formula; TA-Lib gives 0 too). A huge
    price leaves no trace after `period` bars.

    Raises:
        ValueError: `period` is below 2.

    References:
        D. R. Lambert, Commodity Channel Index, Commodities magazine, October 1980; TA-Lib,
        ta_CCI.c.

    Example:
        >>> cci = CCI(period=2)
        >>> values = [cci.add(price, price, price) for price in (1.0, 3.0, 3.0, 2.0)]
        >>> [value if value is None else round(value, 6) for value in values]
        [None, 66.666667, 0.0, -66.666667]
    """

    period: int
    count: int = 0
    values: tuple[float | None] = (None,)
    """The index alone; None while warming."""
    mean: WindowMean = field(default_factory=WindowMean)
    ordered: list[float] = field(default_factory=list)
    """The window's typical prices, lowest first."""
    left: float = 0.0
    """What left the window last."""

    def __post_init__(self) -> None:
        """Refuse a period in which nothing can deviate."""
        if self.period < 2:
            raise ValueError(f"cci: period {self.period}: expected 2 or more")
        self.mean.length = self.period

    @property
    def name(self) -> str:
        """Canonical name, `"cci(20)"`."""
        return f"cci({self.period})"

    @property
    def warm_up(self) -> int:
        """Bars until the first value, that one included."""
        return self.period

    @property
    def settled(self) -> int:
        """A full window knows nothing of what was before."""
        return self.period

    @property
    def value(self) -> float | None:
        """The index, or None while warming."""
        return self.values[0]

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.add(bar.high, bar.low, bar.close)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        self.correct(bar.high, bar.low, bar.close)

    def add(self, high: float, low: float, close: float) -> float | None:
        """Take the next bar's high, low and close and return the index."""
        if not -LARGEST < low <= close <= high < LARGEST:
            checked(high)
            checked(low)
            checked(close)
        typical = (high + low + close) / 3.0
        self.count = count = self.count + 1
        period = self.period
        window = self.mean
        ordered = self.ordered
        if count > period:
            self.left = left = window.window[window.place]
            del ordered[bisect_left(ordered, left)]
        insort(ordered, typical)
        mean = window.add(typical)
        if count < period:
            return None
        # What lies above the mean deviates by as much as what lies below: half the work.
        above = ordered[bisect_right(ordered, mean) :]
        deviation = 2.0 * (fsum(above) - mean * len(above)) / window.divisor
        value = 0.0
        if deviation > ROUNDING * abs(mean):
            value = (typical - mean) / deviation / 0.015
        self.values = (value,)
        return value

    def correct(self, high: float, low: float, close: float) -> float | None:
        """Take the last high, low and close again, corrected, and return the index.

        Raises:
            ValueError: there is no last one.
        """
        checked(high)
        checked(low)
        checked(close)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        window = self.mean
        window.take_back()
        del self.ordered[bisect_left(self.ordered, window.window[window.place])]
        if self.count > self.period:
            insort(self.ordered, self.left)
            window.window[window.place] = self.left
        self.count -= 1
        return self.add(high, low, close)

    def __reduce__(self) -> tuple[type["CCI"], tuple[object, ...]]:
        # Slots are written four times as quickly as a Struct, but pickled slowly without this.
        return CCI, _values(self)


_values = attrgetter(*CCI.__annotations__)


KIND = BarKind(
    name="cci",
    meaning="commodity channel index",
    parameters=(period(20),),
    inputs=("high", "low", "close"),
    outputs=(Output("", "around 0, mostly -100 to 100", guides=(-100.0, 100.0)),),
    make=CCI,
    notes="""The typical price `(high + low + close) / 3` less its mean over the window,
over 0.015 times the mean absolute deviation, as TA-Lib's `CCI`. 0 when nothing has moved in the
whole window. Versions of pandas-ta 0.4 without TA-Lib give other values by mistake (the mean alone
is divided).""",
)
