"""Slow stochastic oscillator."""

from dataclasses import dataclass, field
from operator import attrgetter

from indicators.contract import LARGEST, LEAST, checked
from indicators.kinds import LONGEST_SEARCHED, BarKind, Output, period
from indicators.window_mean import Mean, ShortMean, mean_over
from indicators.window_range import WindowRange
from market.events import Bar


@dataclass(slots=True)
class Stochastic:
    """Slow stochastic oscillator.

    Where the close lies in the range of the last `period` bars, 0 at the lowest price and 100 at
    the highest; %K is the plain mean of `smoothing` such values, %D that of `signal` %Ks. Both
    begin together.

    Args:
        period: bars of the range; at least 1.
        smoothing: values in the mean that is %K; at least 1, which is the fast oscillator.
        signal: %Ks in the mean that is %D; at least 1.

    Input: high, low and close in quote currency, finite. A close outside its own bar widens it.
    Warm-up: `period + smoothing + signal - 2` bars.
    Output: %K and %D, dimensionless, 0 to 100.
    State: the bars and values of the windows and tables of the same size. Constant time a bar, but
    where an extreme leaves the window unsurpassed (with every bar of a steady trend): then the
    `period` highs or lows are searched, which takes 0.3 microseconds at 14 and 40 at 5000.
    Edge: a range of no height gives 50 (0/0 in the formula; TA-Lib gives 0 there, which a rule such
    as `stoch.k < 20` would take for oversold). A huge price leaves no trace once it has left.

    Raises:
        ValueError: a parameter is below 1.

    References:
        G. C. Lane, Lane's Stochastics, Technical Analysis of Stocks & Commodities, 1984; TA-Lib,
        ta_STOCH.c.

    Example:
        >>> from indicators.example_bar import example_bar
        >>> stoch = Stochastic(period=2, smoothing=2, signal=1)
        >>> for high, low, close in [(3.0, 1.0, 2.0), (5.0, 3.0, 4.0), (5.0, 4.0, 4.0)]:
        ...     stoch.update(example_bar(close, high=high, low=low))
        >>> stoch.values
        (62.5, 62.5)
        >>> stoch.revise(example_bar(5.0, high=5.0, low=4.0))
        >>> stoch.values
        (87.5, 87.5)
    """

    period: int
    smoothing: int
    signal: int
    count: int = 0
    values: tuple[float | None, float | None] = (None, None)
    """%K and %D; None while warming."""
    first_k: int = 0
    """Bars until the first %K; made from the parameters, as is `warm_up`."""
    warm_up: int = 0
    """Bars until the first values, that one included."""
    window: WindowRange = field(default_factory=WindowRange)
    smoothed: Mean = field(default_factory=ShortMean)
    signalled: Mean = field(default_factory=ShortMean)

    def __post_init__(self) -> None:
        """Refuse windows of nothing."""
        if min(self.period, self.smoothing, self.signal) < 1:
            raise ValueError(f"{self.name}: expected 1 or more each")
        self.first_k = self.period + self.smoothing - 1
        self.warm_up = self.first_k + self.signal - 1
        if not self.count:
            self.window = WindowRange(self.period)
            self.smoothed = mean_over(self.smoothing)
            self.signalled = mean_over(self.signal)

    @property
    def name(self) -> str:
        """Canonical name, `"stoch(14,3,3)"`."""
        return f"stoch({self.period},{self.smoothing},{self.signal})"

    @property
    def settled(self) -> int:
        """Full windows know nothing of what was before."""
        return self.warm_up

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        high = bar.high
        low = bar.low
        close = bar.close
        if not LEAST < low <= close <= high < LARGEST:
            low, high = min(checked(low), checked(close)), max(checked(high), close)
        self.count = count = self.count + 1
        fast = self.window.add(high, low, close)
        if count >= self.period:
            k = self.smoothed.add(fast)
            if count >= self.first_k:
                d = self.signalled.add(k)
                if count >= self.warm_up:
                    self.values = (k, d)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        checked(bar.high)
        checked(bar.low)
        checked(bar.close)
        count = self.count
        if not count:
            raise ValueError(f"{self.name}: no bar to correct")
        self.window.take_back()
        if count >= self.period:
            self.smoothed.take_back()
        if count >= self.first_k:
            self.signalled.take_back()
        self.count = count - 1
        self.update(bar)

    def __reduce__(self) -> tuple[type["Stochastic"], tuple[object, ...]]:
        # Slots are written four times as quickly as a Struct, but pickled slowly without this.
        return Stochastic, _values(self)


_values = attrgetter(*Stochastic.__annotations__)


KIND = BarKind(
    name="stoch",
    meaning="slow stochastic oscillator",
    parameters=(
        period(14, least=1, most=LONGEST_SEARCHED, meaning="bars of the range"),
        period(3, least=1, name="smoothing", meaning="values in the mean that is %K"),
        period(3, least=1, name="signal", meaning="%Ks in the mean that is %D"),
    ),
    inputs=("high", "low", "close"),
    outputs=(
        Output(
            "k",
            "0 to 100",
            0.0,
            100.0,
            "%K, smoothed place of the close in the range",
            guides=(20.0, 80.0),
        ),
        Output("d", "0 to 100", 0.0, 100.0, "%D, mean of %K", guides=(20.0, 80.0)),
    ),
    make=Stochastic,
    notes="""Equals TA-Lib's `STOCH` with simple averages, both outputs from the same
bar on, but for one case: where the range has no height the formula is 0/0. TA-Lib then gives 0; we
give 50, because a market that stands still is not oversold. Some libraries call the fast oscillator
`Stoch(14,3)`: that is `stoch_fast(14,3)` here.""",
)
