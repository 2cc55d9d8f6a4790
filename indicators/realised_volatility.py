"""Realised volatility."""

from math import log, log1p, sqrt

import msgspec

from indicators.contract import checked
from indicators.kinds import BarKind, Output, period
from indicators.recent import Recent
from indicators.sliding_sum import SlidingSum
from market.events import Bar
from market.intervals import DAY

YEAR = 365 * DAY
"""These markets have no holidays."""


class RealisedVolatility(msgspec.Struct):
    """Square root of the sum of the last `period` squared log returns of the close.

    It says how far the price has moved in the window, not which way. The second value scales it to
    a year of 365 days by the time that the window really took, from close to close: bars that never
    came because nothing traded do not make it larger.

    Returns are sampled at the closes of bars and not at every trade: trades jump between bid and
    ask, which adds the same variance with each of them, so that from trade to trade one would
    measure the spread and how often it was crossed. Bars of a minute to some minutes are a usual
    compromise; bars of a second say too much for a market whose spread is wider than a second's
    move.

    Args:
        period: returns in the window; at least 1.

    Input: closing price in quote currency, finite, and the time at which the bar ends.
    Warm-up: `period + 1` closes.
    Output: `value`, a share of the price (0.01 is 1 %) over the window, and `annual`, the same over
    a year; 0 or more; `None` for the first `period` closes.
    State: the last `period` squared returns with their sums, the last `period + 1` ends of bars,
    two closes.
    Edge: 0 in a flat market. The return from or to a price of 0 or less counts as 0: it has no
    logarithm. A jump counts until it is `period` bars old and leaves no trace after. A window that
    took no time at all (bars by trades) is taken as one of a nanosecond.

    Raises:
        ValueError: `period` is below 1.

    References:
        T. G. Andersen, T. Bollerslev, Answering the Skeptics: Yes, Standard Volatility Models Do
        Provide Accurate Forecasts, International Economic Review 39, 1998; L. Zhang,
        P. A. Mykland, Y. Aït-Sahalia, A Tale of Two Time Scales, Journal of the American
        Statistical Association 100, 2005 (noise at high frequency).

    Example:
        >>> volatility = RealisedVolatility(period=2)
        >>> day = 86_400_000_000_000
        >>> for number, close in enumerate((100.0, 101.0, 100.0)):
        ...     volatility.add(close, number * day)
        >>> [round(value, 6) for value in volatility.values]
        [0.014072, 0.190101]
    """

    period: int
    count: int = 0
    close: float = 0.0
    close_before: float = 0.0
    squares: SlidingSum = msgspec.field(default_factory=SlidingSum)
    ends: Recent = msgspec.field(default_factory=Recent)
    elapsed: float = 1.0  # from the first close of the window to its last, ns

    def __post_init__(self) -> None:
        """Refuse a window without a return."""
        if self.period < 1:
            raise ValueError(f"realised_volatility: period {self.period}: expected 1 or more")
        self.squares.size = self.period
        self.ends.size = self.period + 1

    @property
    def name(self) -> str:
        """Canonical name, `"realised_volatility(60)"`."""
        return f"realised_volatility({self.period})"

    @property
    def warm_up(self) -> int:
        """Closes until the first value, that one included."""
        return self.period + 1

    @property
    def settled(self) -> int:
        """As soon as it is warm: nothing older than the window matters."""
        return self.period + 1

    @property
    def values(self) -> tuple[float | None, ...]:
        """Volatility over the window, and over a year."""
        if self.count <= self.period:
            return (None, None)
        value = sqrt(self.squares.total)
        return (value, value * sqrt(YEAR / self.elapsed))

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.add(bar.close, bar.end)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        self.correct(bar.close, bar.end)

    def add(self, close: float, end: int) -> None:
        """Take the next closing price and when its bar ended, ns."""
        checked(close)
        if self.count:
            self.squares.add(log_return(self.close, close) ** 2)
        self.ends.add(end)
        self.count += 1
        self.close_before = self.close
        self._finish(close, end)

    def correct(self, close: float, end: int) -> None:
        """Take the last closing price and the end of its bar again, corrected.

        Raises:
            ValueError: there is no last one.
        """
        checked(close)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        if self.count > 1:
            self.squares.replace(log_return(self.close_before, close) ** 2)
        self.ends.replace(end)
        self._finish(close, end)

    def _finish(self, close: float, end: int) -> None:
        self.close = close
        self.elapsed = max(1.0, end - self.ends.oldest)


def log_return(past: float, price: float) -> float:
    """Return the natural logarithm of `price / past`; 0 where one of them is not above 0.

    Example:
        >>> log_return(100.0, 100.0), round(log_return(100.0, 101.0), 6), log_return(0.0, 5.0)
        (0.0, 0.00995, 0.0)
    """
    if past <= 0 or price <= 0:
        return 0.0
    move = (price - past) / past
    # Of prices close to each other the difference is exact, while their quotient is rounded.
    return log1p(move) if -0.5 < move < 1.0 else log(price) - log(past)


KIND = BarKind(
    name="realised_volatility",
    meaning="square root of the sum of squared log returns over the window",
    parameters=(period(60, least=1, meaning="returns in the window"),),
    inputs=("close",),
    outputs=(
        Output("value", "share of the price", 0.0, meaning="over the window"),
        Output("annual", "share of the price, a year", 0.0, meaning="scaled to 365 days"),
    ),
    make=RealisedVolatility,
    notes="""The mean return is not taken off and the sum is not divided by the number of returns;
charts of the deviation of returns (historical volatility) do both. `annual` scales by the time
between the first and the last close of the window to 365 days: these markets never close, charts of
shares have 252. Returns are sampled at the closes of bars, because from trade to trade the price
jumps between bid and ask and one would measure the spread.""",
)
