"""Average true range."""

import msgspec

from indicators.contract import checked
from indicators.kinds import BarKind, Output, period
from indicators.settling import settled_after
from market.events import Bar


class ATR(msgspec.Struct):
    """Average true range with Wilder's smoothing.

    The true range of a bar is how far the price went in it, the way from the close before
    included: the largest of high less low, high less that close, and that close less low. The first
    average is the plain mean of the first `period` true ranges; later ones decay by `1 / period`.
    Follows TA-Lib from its first value.

    Args:
        period: true ranges in the averaging window; at least 1, which gives the true range itself.

    Input: high, low and closing price in quote currency, finite.
    Warm-up: `period + 1` bars: the first one has no close before it, hence no true range.
    Output: quote currency, 0 or more; `None` for the first `period` bars.
    State: the last close, the average (before the first value: the sum), and a copy of them from
    before the last bar.
    Edge: 0 in a flat market. A gap between two bars counts whole, once.

    Raises:
        ValueError: `period` is below 1.

    References:
        J. W. Wilder, New Concepts in Technical Trading Systems, 1978, volatility index chapter;
        TA-Lib, ta_ATR.c (its first value).

    Example:
        >>> atr = ATR(period=2)
        >>> [atr.add(high, low, low) for high, low in ((9.0, 8.0), (11.0, 9.0), (10.0, 8.0))]
        [None, None, 2.5]
        >>> atr.correct(13.0, 8.0, 8.0)
        4.0
    """

    period: int
    count: int = 0
    close: float = 0.0
    average: float = 0.0
    before: tuple[int, float, float] | None = None

    def __post_init__(self) -> None:
        """Refuse a period that averages nothing."""
        if self.period < 1:
            raise ValueError(f"atr: period {self.period}: expected 1 or more")

    @property
    def name(self) -> str:
        """Canonical name, `"atr(14)"`."""
        return f"atr({self.period})"

    @property
    def warm_up(self) -> int:
        """Bars until the first value, that one included."""
        return self.period + 1

    @property
    def settled(self) -> int:
        """Bars until all before weigh 0.01 %."""
        return self.period + 1 + settled_after(1.0 - 1.0 / self.period)

    @property
    def value(self) -> float | None:
        """The average, or None while warming."""
        return self.average if self.count > self.period else None

    @property
    def values(self) -> tuple[float | None, ...]:
        """The average alone."""
        return (self.value,)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.add(bar.high, bar.low, bar.close)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        self.correct(bar.high, bar.low, bar.close)

    def add(self, high: float, low: float, close: float) -> float | None:
        """Take the next bar's prices and return the average."""
        checked(high)
        checked(low)
        checked(close)
        count, average, period = self.count, self.average, self.period
        self.before = (count, self.close, average)
        if count:
            true_range = max(high, self.close) - min(low, self.close)
            if count > period:
                self.average = (average * (period - 1) + true_range) / period
            elif count < period:
                self.average = average + true_range  # still a sum
            else:
                self.average = (average + true_range) / period
        self.close = close
        self.count = count + 1
        return self.value

    def correct(self, high: float, low: float, close: float) -> float | None:
        """Take the last bar's prices again, corrected, and return the average.

        Raises:
            ValueError: there is no last one.
        """
        checked(high)
        checked(low)
        checked(close)
        if self.before is None:
            raise ValueError(f"{self.name}: no bar to correct")
        self.count, self.close, self.average = self.before
        return self.add(high, low, close)


KIND = BarKind(
    name="atr",
    meaning="average true range, Wilder's smoothing",
    parameters=(period(14, least=1),),
    inputs=("high", "low", "close"),
    outputs=(Output("", "quote currency", 0.0),),
    make=ATR,
    notes="""The first average is the plain mean of the first `period` true ranges; later ones decay
by `1 / period`. It equals TA-Lib's `ATR` from the first value on. The first bar has no true range,
because there is no close before it; charts that take its high less its low instead begin a bar
earlier and differ at first.""",
)
