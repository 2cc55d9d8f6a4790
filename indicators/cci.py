"""Commodity channel index."""

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from math import fsum
from operator import attrgetter

from indicators.contract import LARGEST, LEAST, checked
from indicators.kinds import LONGEST_SEARCHED, BarKind, Output, period
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
    sums of the same size. Work a bar grows with `period` (1 microsecond at 20, 36 at 5000): those
    above the mean are added up anew, for the mean has moved, and those that it passed change sides.
    Edge: 0 when nothing moved in the whole window (0/0 in the formula; TA-Lib gives 0 too). A huge
    price leaves no trace after `period` bars.

    Raises:
        ValueError: `period` is below 2.

    References:
        D. R. Lambert, Commodity Channel Index, Commodities magazine, October 1980; TA-Lib,
        ta_CCI.c.

    Example:
        >>> from indicators.example_bar import example_bar
        >>> cci = CCI(period=2)
        >>> for price in (1.0, 3.0, 3.0, 2.0):
        ...     cci.update(example_bar(price))
        >>> round(cci.value, 6)
        -66.666667
    """

    period: int
    count: int = 0
    values: tuple[float | None] = (None,)
    """The index alone; None while warming."""
    mean: WindowMean = field(default_factory=WindowMean)
    pivot: float = 0.0
    """What parts them: the mean after the last bar."""
    above: list[float] = field(default_factory=list)
    """The window's typical prices above `pivot`, lowest first."""
    below: list[float] = field(default_factory=list)
    """The others, lowest first."""
    left: float = 0.0
    """What left the window last."""

    def __post_init__(self) -> None:
        """Refuse a period in which nothing can deviate."""
        if self.period < 2:
            raise ValueError(f"cci: period {self.period}: expected 2 or more")
        if not self.count:
            self.mean = WindowMean(self.period)

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
        high = bar.high
        low = bar.low
        close = bar.close
        if not LEAST < low <= close <= high < LARGEST:
            checked(high)
            checked(low)
            checked(close)
        typical = (high + low + close) / 3.0
        self.count = count = self.count + 1
        window = self.mean
        above = self.above
        below = self.below
        pivot = self.pivot
        if count > self.period:
            self.left = left = window.window[window.place]
            side = above if left > pivot else below
            del side[bisect_left(side, left)]
        insort(above if typical > pivot else below, typical)
        self.pivot = mean = window.add(typical)
        while above and above[0] <= mean:
            below.append(above.pop(0))
        while below and below[-1] > mean:
            above.insert(0, below.pop())
        if count < self.period:
            return
        # What lies above the mean deviates by as much as what lies below: half the work.
        deviation = 2.0 * (fsum(above) - mean * len(above)) / window.divisor
        least = ROUNDING * mean
        if deviation > least and deviation > -least:
            self.values = ((typical - mean) / deviation / 0.015,)
        else:
            self.values = (0.0,)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        checked(bar.high)
        checked(bar.low)
        checked(bar.close)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        window = self.mean
        window.take_back()
        last = window.window[window.place]
        side = self.above if last > self.pivot else self.below
        del side[bisect_left(side, last)]
        if self.count > self.period:
            left = window.window[window.place] = self.left
            insort(self.above if left > self.pivot else self.below, left)
        self.count -= 1
        self.update(bar)

    def __reduce__(self) -> tuple[type["CCI"], tuple[object, ...]]:
        # Slots are written four times as quickly as a Struct, but pickled slowly without this.
        return CCI, _values(self)


_values = attrgetter(*CCI.__annotations__)


KIND = BarKind(
    name="cci",
    meaning="commodity channel index",
    parameters=(period(20, most=LONGEST_SEARCHED),),
    inputs=("high", "low", "close"),
    outputs=(Output("", "around 0, mostly -100 to 100", guides=(-100.0, 100.0)),),
    make=CCI,
    notes="""The typical price `(high + low + close) / 3` less its mean over the window,
over 0.015 times the mean absolute deviation, as TA-Lib's `CCI`. 0 when nothing has moved in the
whole window. Versions of pandas-ta 0.4 without TA-Lib give other values by mistake (the mean alone
is divided).""",
)
