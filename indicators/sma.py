"""Simple moving average."""

import msgspec

from indicators.contract import LARGEST, checked
from indicators.kinds import BarKind, Output, period
from indicators.window_mean import Mean, ShortMean, mean_over
from market.events import Bar


class SMA(msgspec.Struct):
    """Plain mean of the last closing prices.

    Args:
        period: closes in the window; at least 2.

    Input: closing price in quote currency, finite.
    Warm-up: `period` closes.
    Output: quote currency; `None` for the first `period - 1` closes.
    State: the closes of the window and a table of sums of the same size; constant time a bar.
    Edge: a flat market gives exactly its price. A huge price leaves no trace after `period` bars.

    Raises:
        ValueError: `period` is below 2.

    References:
        TA-Lib, ta_SMA.c.

    Example:
        >>> sma = SMA(period=3)
        >>> [sma.add(close) for close in (1.0, 2.0, 3.0, 7.0)]
        [None, None, 2.0, 4.0]
        >>> sma.correct(4.0)
        3.0
    """

    period: int
    count: int = 0
    values: tuple[float | None] = (None,)
    """The average alone; None while warming."""
    mean: Mean = msgspec.field(default_factory=ShortMean)

    def __post_init__(self) -> None:
        """Refuse a period that averages nothing."""
        if self.period < 2:
            raise ValueError(f"sma: period {self.period}: expected 2 or more")
        if not self.count:
            self.mean = mean_over(self.period)

    @property
    def name(self) -> str:
        """Canonical name, `"sma(20)"`."""
        return f"sma({self.period})"

    @property
    def warm_up(self) -> int:
        """Closes until the first value, that one included."""
        return self.period

    @property
    def settled(self) -> int:
        """A full window knows nothing of what was before."""
        return self.period

    @property
    def value(self) -> float | None:
        """The average, or None while warming."""
        return self.values[0]

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.add(bar.close)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        self.correct(bar.close)

    def add(self, close: float) -> float | None:
        """Take the next closing price and return the average."""
        if not -LARGEST < close < LARGEST:
            checked(close)
        mean = self.mean.add(close)
        self.count += 1
        if self.count < self.period:
            return None
        self.values = (mean,)
        return mean

    def correct(self, close: float) -> float | None:
        """Take the last closing price again, corrected, and return the average.

        Raises:
            ValueError: there is no last one.
        """
        checked(close)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        self.count -= 1
        self.mean.take_back()
        return self.add(close)


KIND = BarKind(
    name="sma",
    meaning="simple moving average of the close",
    parameters=(period(20),),
    inputs=("close",),
    outputs=(Output("", "quote currency", shown="price"),),
    make=SMA,
    notes="""The plain mean of the last `period` closes, as TA-Lib's `SMA`. No running
sum is kept that could drift: a huge price leaves no trace after it has left the window, and a flat
market gives exactly its price.""",
)
