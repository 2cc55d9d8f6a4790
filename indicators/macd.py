"""Moving average convergence/divergence."""

from dataclasses import dataclass
from operator import attrgetter

from indicators.contract import LARGEST, LEAST, checked
from indicators.exponential_average import exponential_average
from indicators.kinds import BarKind, Output, period
from indicators.settling import settled_after
from market.events import Bar


def refuse(fast: int, slow: int, _signal: int) -> str:
    """Say what is wrong with these periods; empty if nothing is."""
    return "" if fast < slow else f"fast {fast}: expected less than slow, {slow}"


@dataclass(slots=True)
class MACD:
    """Moving average convergence/divergence of the closing price.

    The line is a fast exponential average less a slow one, the signal an exponential average of the
    line, the histogram line less signal. Both averages are begun at the same close, each with the
    plain mean of the closes just before: the fast one leaves the first `slow - fast` closes out, as
    TA-Lib does. All three outputs begin together.

    Args:
        fast: closes in the first mean of the fast average; at least 2, less than `slow`.
        slow: closes in the first mean of the slow average.
        signal: lines in the first mean of the signal; at least 1.

    Input: closing price in quote currency, finite.
    Warm-up: `slow + signal - 1` closes.
    Output: line, signal and histogram in quote currency, around 0.
    State: three averages, each with its copy from before the last close.
    Edge: all three are exactly 0 in a market that was flat from its first close.

    Raises:
        ValueError: a period is too small, or `fast` is not below `slow`.

    References:
        G. Appel, The Moving Average Convergence-Divergence Trading Method, 1979; TA-Lib, ta_MACD.c
        (seeding).

    Example:
        >>> from indicators.example_bar import example_bar
        >>> macd = MACD(fast=2, slow=3, signal=2)
        >>> for close in (1.0, 2.0, 3.0, 5.0):
        ...     macd.update(example_bar(close))
        >>> [round(value, 6) for value in macd.values]
        [0.666667, 0.583333, 0.083333]
        >>> macd.revise(example_bar(4.0))
        >>> macd.values
        (0.5, 0.5, 0.0)
    """

    fast: int
    slow: int
    signal: int
    count: int = 0
    values: tuple[float | None, float | None, float | None] = (None, None, None)
    """Line, signal and histogram; None while warming."""
    averages: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Fast, slow and of the line."""
    before: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """What the averages were before the last close."""
    weights: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """What a value weighs in each average; made from the periods."""
    warm_up: int = 0
    """Closes until the first values, that one included; made from the periods."""

    def __post_init__(self) -> None:
        """Refuse periods of which nothing can be told."""
        if self.fast < 2 or self.signal < 1:
            raise ValueError(
                f"{self.name}: expected a fast period of 2 or more and a signal of 1 or more"
            )
        if wrong := refuse(self.fast, self.slow, self.signal):
            raise ValueError(f"macd: {wrong}")
        self.weights = (2.0 / (self.fast + 1), 2.0 / (self.slow + 1), 2.0 / (self.signal + 1))
        self.warm_up = self.slow + self.signal - 1

    @property
    def name(self) -> str:
        """Canonical name, `"macd(12,26,9)"`."""
        return f"macd({self.fast},{self.slow},{self.signal})"

    @property
    def settled(self) -> int:
        """Closes until all before weigh 0.01 % in the signal, which is an average of averages."""
        kept_by_slow = 1.0 - 2.0 / (self.slow + 1)
        kept_by_signal = 1.0 - 2.0 / (self.signal + 1)
        return self.warm_up + settled_after(kept_by_slow) + settled_after(kept_by_signal)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        close = bar.close
        if not LEAST < close < LARGEST:
            checked(close)
        self.count = count = self.count + 1
        self.before = before = self.averages
        if count <= self.warm_up:
            self.averages = fast, slow, signal = self._begun(close, count)
            if count < self.warm_up:
                return
            line = fast - slow
        else:  # as `exponential_average` has it after its period: three calls would double the time
            fast, slow, signal = before
            fast_weight, slow_weight, signal_weight = self.weights
            fast += (close - fast) * fast_weight
            slow += (close - slow) * slow_weight
            line = fast - slow
            signal += (line - signal) * signal_weight
            self.averages = (fast, slow, signal)
        self.values = (line, signal, line - signal)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        checked(bar.close)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        self.averages = self.before
        self.count -= 1
        self.update(bar)

    def _begun(self, close: float, count: int) -> tuple[float, float, float]:
        """Return the averages after a close of the warm-up."""
        fast, slow, signal = self.before
        slow = exponential_average(slow, close, count, self.slow)
        closes = count - self.slow + self.fast
        if closes > 0:
            fast = exponential_average(fast, close, closes, self.fast)
        lines = count - self.slow + 1
        if lines > 0:
            signal = exponential_average(signal, fast - slow, lines, self.signal)
        return fast, slow, signal

    def __reduce__(self) -> tuple[type["MACD"], tuple[object, ...]]:
        # Slots are written four times as quickly as a Struct, but pickled slowly without this.
        return MACD, _values(self)


_values = attrgetter(*MACD.__annotations__)


KIND = BarKind(
    name="macd",
    meaning="fast less slow exponential average of the close, with its own average",
    parameters=(
        period(12, name="fast", meaning="bars of the fast average"),
        period(26, name="slow", meaning="bars of the slow average, more than `fast`"),
        period(9, least=1, name="signal", meaning="bars of the line's average"),
    ),
    inputs=("close",),
    outputs=(
        Output("line", "quote currency", meaning="fast average less slow"),
        Output("signal", "quote currency", meaning="exponential average of the line"),
        Output("hist", "quote currency", meaning="line less signal", shown="bars"),
    ),
    make=MACD,
    refuse=refuse,
    notes="""Seeded as TA-Lib's `MACD`: both averages begin at the same close, each with
the plain mean of the closes just before it, and all three outputs begin together, at bar
`slow + signal - 1`. Charts and libraries that begin the fast average as early as it can be differ
at first and agree after some slow periods.""",
)
