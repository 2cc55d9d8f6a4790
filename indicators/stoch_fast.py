"""Fast stochastic oscillator."""

import msgspec

from indicators.kinds import LONGEST_SEARCHED, BarKind, Output, period
from indicators.stoch import Stochastic
from market.events import Bar


class StochasticFast(msgspec.Struct):
    """Fast stochastic oscillator.

    %K is where the close lies in the range of the last `period` bars, 0 at the lowest price and 100
    at the highest; %D is the plain mean of `signal` %Ks. Both begin together.

    Args:
        period: bars of the range; at least 1.
        signal: %Ks in the mean that is %D; at least 1.

    Input: high, low and close in quote currency, finite. A close outside its own bar widens it.
    Warm-up: `period + signal - 1` bars.
    Output: %K and %D, dimensionless, 0 to 100.
    State: the bars and values of the windows and tables of the same size. Constant time a bar, but
    where an extreme leaves the window unsurpassed (with every bar of a steady trend): then the
    `period` highs or lows are searched, which takes 0.3 microseconds at 14 and 40 at 5000.
    Edge: a range of no height gives 50 (0/0 in the formula; TA-Lib gives 0 there, which a rule such
    as `stoch_fast.k < 20` would take for oversold). A huge price leaves no trace once it has left.

    Raises:
        ValueError: a parameter is below 1.

    References:
        G. C. Lane, Lane's Stochastics, Technical Analysis of Stocks & Commodities, 1984; TA-Lib,
        ta_STOCHF.c.

    Example:
        >>> from indicators.example_bar import example_bar
        >>> stoch = StochasticFast(period=2, signal=2)
        >>> for high, low, close in [(3.0, 1.0, 2.0), (5.0, 3.0, 4.0), (5.0, 4.0, 4.0)]:
        ...     stoch.update(example_bar(close, high=high, low=low))
        >>> stoch.values
        (50.0, 62.5)
        >>> stoch.revise(example_bar(5.0, high=5.0, low=4.0))
        >>> stoch.values
        (100.0, 87.5)
    """

    period: int
    signal: int
    slow: Stochastic = msgspec.field(default_factory=lambda: Stochastic(1, 1, 1))
    """Does the work: the slow oscillator whose %K is the mean of one value."""

    def __post_init__(self) -> None:
        """Refuse windows of nothing."""
        if min(self.period, self.signal) < 1:
            raise ValueError(f"{self.name}: expected 1 or more each")
        if not self.slow.count:
            self.slow = Stochastic(self.period, 1, self.signal)

    @property
    def name(self) -> str:
        """Canonical name, `"stoch_fast(14,3)"`."""
        return f"stoch_fast({self.period},{self.signal})"

    @property
    def warm_up(self) -> int:
        """Bars until the first values, that one included."""
        return self.period + self.signal - 1

    @property
    def settled(self) -> int:
        """Full windows know nothing of what was before."""
        return self.warm_up

    @property
    def count(self) -> int:
        """Bars taken so far."""
        return self.slow.count

    @property
    def values(self) -> tuple[float | None, float | None]:
        """%K and %D; None while warming."""
        return self.slow.values

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.slow.update(bar)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        self.slow.revise(bar)


KIND = BarKind(
    name="stoch_fast",
    meaning="fast stochastic oscillator",
    parameters=(
        period(14, least=1, most=LONGEST_SEARCHED, meaning="bars of the range"),
        period(3, least=1, name="signal", meaning="%Ks in the mean that is %D"),
    ),
    inputs=("high", "low", "close"),
    outputs=(
        Output(
            "k", "0 to 100", 0.0, 100.0, "%K, place of the close in the range", guides=(20.0, 80.0)
        ),
        Output("d", "0 to 100", 0.0, 100.0, "%D, mean of %K", guides=(20.0, 80.0)),
    ),
    make=StochasticFast,
    notes="""Equals TA-Lib's `STOCHF` with simple averages, but for a range of no height,
where TA-Lib gives 0 and we give 50, as `stoch` does. Its %D is the %K of `stoch(14,3,3)`.""",
)
