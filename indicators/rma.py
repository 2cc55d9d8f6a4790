"""Wilder's moving average of the close."""

import msgspec

from indicators.contract import LARGEST, checked
from indicators.kinds import BarKind, Output, period
from indicators.settling import settled_after
from indicators.wilder_average import wilder_average
from market.events import Bar


class RMA(msgspec.Struct):
    """Wilder's moving average of the closing price.

    The first value is the plain mean of the first `period` closes, as Wilder has it; after that
    each close moves the average by `1 / period` of its distance. It is the average inside RSI and
    ATR.

    Args:
        period: closes in the first mean, and what the weight is made from; at least 2.

    Input: closing price in quote currency, finite.
    Warm-up: `period` closes.
    Output: quote currency, between the lowest and the highest close seen; `None` for the first
    `period - 1` closes.
    State: the average and its copy from before the last close.
    Edge: a flat market gives exactly its price.

    Raises:
        ValueError: `period` is below 2.

    References:
        J. W. Wilder, New Concepts in Technical Trading Systems, 1978; TA-Lib, ta_RMA.c.

    Example:
        >>> rma = RMA(period=2)
        >>> [rma.add(close) for close in (1.0, 2.0, 3.5)]
        [None, 1.5, 2.5]
        >>> rma.correct(2.5)
        2.0
    """

    period: int
    count: int = 0
    average: float = 0.0
    before: float = 0.0
    """What the average was before the last close."""

    def __post_init__(self) -> None:
        """Refuse a period that averages nothing."""
        if self.period < 2:
            raise ValueError(f"rma: period {self.period}: expected 2 or more")

    @property
    def name(self) -> str:
        """Canonical name, `"rma(14)"`."""
        return f"rma({self.period})"

    @property
    def warm_up(self) -> int:
        """Closes until the first value, that one included."""
        return self.period

    @property
    def settled(self) -> int:
        """Closes until all before weigh 0.01 %."""
        return self.period + settled_after(1.0 - 1.0 / self.period)

    @property
    def value(self) -> float | None:
        """The average, or None while warming."""
        return self.average if self.count >= self.period else None

    @property
    def values(self) -> tuple[float | None, ...]:
        """The average alone."""
        return (self.value,)

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
        self.before = self.average
        self.count += 1
        self.average = wilder_average(self.average, close, self.count, self.period)
        return self.value

    def correct(self, close: float) -> float | None:
        """Take the last closing price again, corrected, and return the average.

        Raises:
            ValueError: there is no last one.
        """
        checked(close)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        self.count -= 1
        self.average = self.before
        return self.add(close)


KIND = BarKind(
    name="rma",
    meaning="Wilder's moving average of the close",
    parameters=(period(14),),
    inputs=("close",),
    outputs=(Output("", "quote currency", shown="price"),),
    make=RMA,
    notes="""The average inside RSI and ATR: the first value is the plain mean of the
first `period` closes, then each close moves it by `1 / period` of its distance. It equals TA-Lib's
`RMA`. An `ema` of `2 * period - 1` has the same weight. pandas-ta's `rma` begins with the first
close instead and agrees after some periods.""",
)
