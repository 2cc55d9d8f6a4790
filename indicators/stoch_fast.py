"""Fast stochastic oscillator."""

from dataclasses import dataclass, field
from operator import attrgetter

from indicators.contract import LARGEST, checked
from indicators.kinds import BarKind, Output, period
from indicators.window_mean import WindowMean
from indicators.window_range import WindowRange
from market.events import Bar


@dataclass(slots=True)
class StochasticFast:
    """Fast stochastic oscillator.

    %K is where the close lies in the range of the last `period` bars, 0 at the lowest price and 100
    at the highest; %D is the plain mean of `signal` %Ks. Both begin together.

    Args:
        period: bars of the range; at least 1.
        signal: %Ks in the mean that is %D; at least 1.

    Input: high, low and close in quote currency, finite. A close outside its own bar widens it.
    Warm-up: `period + signal - 1` bars.
    Output: %K and %D, dimensionless, 0 to 100.
    State: the bars and values of the windows and tables of the same size; constant time a bar.
    Edge: a range of no height gives 50 (0/0 in the formula; TA-Lib gives 0 there, which a rule such
    as `stoch_fast.k < 20` would take for oversold). A huge price leaves no trace once it has left.

    Raises:
        ValueError: a parameter is below 1.

    References:
        G. C. Lane, Lane's Stochastics, Technical Analysis of Stocks & Commodities, 1984; TA-Lib,
        ta_STOCHF.c.

    Example:
        >>> stoch = StochasticFast(period=2, signal=2)
        >>> bars = [(3.0, 1.0, 2.0), (5.0, 3.0, 4.0), (5.0, 4.0, 4.0)]
        >>> [stoch.add(high, low, close) for high, low, close in bars][-1]
        (50.0, 62.5)
        >>> stoch.correct(5.0, 4.0, 5.0)
        (100.0, 87.5)
    """

    period: int
    signal: int
    count: int = 0
    values: tuple[float | None, float | None] = (None, None)
    """%K and %D; None while warming."""
    warm_up: int = 0
    """Bars until the first values, that one included; made from the parameters."""
    window: WindowRange = field(default_factory=WindowRange)
    signalled: WindowMean = field(default_factory=WindowMean)

    def __post_init__(self) -> None:
        """Refuse windows of nothing."""
        if min(self.period, self.signal) < 1:
            raise ValueError(f"{self.name}: expected 1 or more each")
        self.warm_up = self.period + self.signal - 1
        self.window.length = self.period
        self.signalled.length = self.signal

    @property
    def name(self) -> str:
        """Canonical name, `"stoch_fast(14,3)"`."""
        return f"stoch_fast({self.period},{self.signal})"

    @property
    def settled(self) -> int:
        """Full windows know nothing of what was before."""
        return self.warm_up

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.add(bar.high, bar.low, bar.close)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        self.correct(bar.high, bar.low, bar.close)

    def add(self, high: float, low: float, close: float) -> tuple[float | None, float | None]:
        """Take the next bar's high, low and close and return %K and %D."""
        if not -LARGEST < low <= close <= high < LARGEST:
            low, high = min(checked(low), checked(close)), max(checked(high), close)
        self.count = count = self.count + 1
        k = self.window.add(high, low, close)
        if count >= self.period:
            d = self.signalled.add(k)
            if count >= self.warm_up:
                self.values = (k, d)
        return self.values

    def correct(self, high: float, low: float, close: float) -> tuple[float | None, float | None]:
        """Take the last high, low and close again, corrected, and return %K and %D.

        Raises:
            ValueError: there is no last one.
        """
        checked(high)
        checked(low)
        checked(close)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        self.window.take_back()
        if self.count >= self.period:
            self.signalled.take_back()
        self.count -= 1
        return self.add(high, low, close)

    def __reduce__(self) -> tuple[type["StochasticFast"], tuple[object, ...]]:
        # Slots are written four times as quickly as a Struct, but pickled slowly without this.
        return StochasticFast, _values(self)


_values = attrgetter(*StochasticFast.__annotations__)


KIND = BarKind(
    name="stoch_fast",
    meaning="fast stochastic oscillator",
    parameters=(
        period(14, least=1, meaning="bars of the range"),
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
