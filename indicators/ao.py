"""Awesome Oscillator."""

from dataclasses import dataclass, field
from operator import attrgetter

from indicators.contract import LARGEST, LEAST, checked
from indicators.kinds import BarKind, Output, period
from indicators.window_mean import Mean, ShortMean, mean_over
from market.events import Bar


def refuse(fast: int, slow: int) -> str:
    """Say what is wrong with these periods; empty if nothing is."""
    return "" if fast < slow else f"fast {fast}: expected less than slow, {slow}"


@dataclass(slots=True)
class AO:
    """Awesome Oscillator: a fast simple average of the bars' middles less a slow one.

    The middle of a bar is `(high + low) / 2`.

    Args:
        fast: bars of the fast average; at least 1, less than `slow`.
        slow: bars of the slow average.

    Input: high and low in quote currency, finite.
    Warm-up: `slow` bars.
    Output: quote currency, around 0; `None` for the first `slow - 1` bars.
    State: the middles of both windows and tables of sums of the same size; constant time a bar.
    Edge: exactly 0 in a market that stood still for the whole slow window. A huge price leaves no
    trace after `slow` bars.

    Raises:
        ValueError: `fast` is below 1 or not below `slow`.

    References:
        B. Williams, New Trading Dimensions, 1998; TA-Lib, ta_AO.c.

    Example:
        >>> from indicators.example_bar import example_bar
        >>> ao = AO(fast=1, slow=2)
        >>> for middle in (2.0, 4.0, 3.0):
        ...     ao.update(example_bar(middle, high=middle + 1.0, low=middle - 1.0))
        >>> ao.value
        -0.5
        >>> ao.revise(example_bar(5.0))
        >>> ao.value
        0.5
    """

    fast: int
    slow: int
    count: int = 0
    values: tuple[float | None] = (None,)
    """The oscillator alone; None while warming."""
    fast_mean: Mean = field(default_factory=ShortMean)
    slow_mean: Mean = field(default_factory=ShortMean)

    def __post_init__(self) -> None:
        """Refuse periods of which nothing can be told."""
        if self.fast < 1:
            raise ValueError(f"ao: fast {self.fast}: expected 1 or more")
        if wrong := refuse(self.fast, self.slow):
            raise ValueError(f"ao: {wrong}")
        if not self.count:
            self.fast_mean = mean_over(self.fast)
            self.slow_mean = mean_over(self.slow)

    @property
    def name(self) -> str:
        """Canonical name, `"ao(5,34)"`."""
        return f"ao({self.fast},{self.slow})"

    @property
    def warm_up(self) -> int:
        """Bars until the first value, that one included."""
        return self.slow

    @property
    def settled(self) -> int:
        """A full window knows nothing of what was before."""
        return self.slow

    @property
    def value(self) -> float | None:
        """The oscillator, or None while warming."""
        return self.values[0]

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        high = bar.high
        low = bar.low
        if not LEAST < low <= high < LARGEST:
            checked(high)
            checked(low)
        middle = (high + low) * 0.5
        self.count = count = self.count + 1
        value = self.fast_mean.add(middle) - self.slow_mean.add(middle)
        if count >= self.slow:
            self.values = (value,)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        checked(bar.high)
        checked(bar.low)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        self.count -= 1
        self.fast_mean.take_back()
        self.slow_mean.take_back()
        self.update(bar)

    def __reduce__(self) -> tuple[type["AO"], tuple[object, ...]]:
        # Slots are written four times as quickly as a Struct, but pickled slowly without this.
        return AO, _values(self)


_values = attrgetter(*AO.__annotations__)


KIND = BarKind(
    name="ao",
    meaning="Awesome Oscillator: fast less slow simple average of the bars' middles",
    parameters=(
        period(5, least=1, name="fast", meaning="bars of the fast average"),
        period(34, name="slow", meaning="bars of the slow average, more than `fast`"),
    ),
    inputs=("high", "low"),
    outputs=(Output("", "quote currency", shown="bars"),),
    make=AO,
    refuse=refuse,
    notes="""Over `(high + low) / 2`. It equals TA-Lib's `AO` and pandas-ta-classic's. Exactly 0
in a market that stands still, so that rounding crosses no zero line.""",
)
