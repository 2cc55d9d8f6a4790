"""Exponential moving average."""

import msgspec

from indicators.contract import checked
from indicators.kinds import BarKind, Output, period
from indicators.settling import settled_after
from market.events import Bar


class EMA(msgspec.Struct):
    """Exponential moving average of the closing price.

    The first value is the plain mean of the first `period` closes, as TA-Lib has it; after that
    each close moves the average by `2 / (period + 1)` of its distance.

    Args:
        period: closes in the first mean, and what the weight is made from; at least 2.

    Input: closing price in quote currency, finite.
    Warm-up: `period` closes.
    Output: quote currency, between the lowest and the highest close seen; `None` for the first
    `period - 1` closes.
    State: the average (before the first value: the sum) and its copy from before the last close.
    Edge: a flat market gives its price, but for rounding.

    Raises:
        ValueError: `period` is below 2.

    References:
        TA-Lib, ta_EMA.c (classic seeding).

    Example:
        >>> ema = EMA(period=3)
        >>> [ema.add(close) for close in (1.0, 2.0, 3.0, 6.0)]
        [None, None, 2.0, 4.0]
        >>> ema.correct(4.0)
        3.0
    """

    period: int
    count: int = 0
    average: float = 0.0
    before: tuple[int, float] | None = None

    def __post_init__(self) -> None:
        """Refuse a period that averages nothing."""
        if self.period < 2:
            raise ValueError(f"ema: period {self.period}: expected 2 or more")

    @property
    def name(self) -> str:
        """Canonical name, `"ema(20)"`."""
        return f"ema({self.period})"

    @property
    def warm_up(self) -> int:
        """Closes until the first value, that one included."""
        return self.period

    @property
    def settled(self) -> int:
        """Closes until all before weigh 0.01 %."""
        return self.period + settled_after(1.0 - 2.0 / (self.period + 1))

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
        checked(close)
        self.before = (self.count, self.average)
        self.count += 1
        if self.count > self.period:
            self.average += (close - self.average) * (2.0 / (self.period + 1))
            return self.average
        self.average += close  # still a sum
        if self.count < self.period:
            return None
        self.average /= self.period
        return self.average

    def correct(self, close: float) -> float | None:
        """Take the last closing price again, corrected, and return the average.

        Raises:
            ValueError: there is no last one.
        """
        checked(close)
        if self.before is None:
            raise ValueError(f"{self.name}: no bar to correct")
        self.count, self.average = self.before
        return self.add(close)


KIND = BarKind(
    name="ema",
    meaning="exponential moving average of the close",
    parameters=(period(20),),
    inputs=("close",),
    outputs=(Output("", "quote currency", shown="price"),),
    make=EMA,
    notes="""The first value is the plain mean of the first `period` closes, as TA-Lib
has it; then each close moves the average by `2 / (period + 1)` of its distance. Charts that
begin with the first close instead differ at first.""",
)
