"""Bollinger bands."""

from dataclasses import dataclass, field
from math import inf
from operator import attrgetter

from indicators.contract import LARGEST, LEAST, checked
from indicators.kinds import BarKind, Output, Parameter, period
from indicators.series import number_text
from indicators.window_deviation import WindowDeviation
from market.events import Bar

LEAST_DEVIATIONS = 0.01
MOST_DEVIATIONS = 100.0


@dataclass(slots=True)
class Bollinger:
    """Bollinger bands of the closing price.

    The middle is the plain mean of the window, the bands lie `deviations` population standard
    deviations above and below it. The width is that between the bands as a share of the middle;
    percent b is where the close lies, 0 at the lower and 1 at the upper band.

    Args:
        period: closes in the window; at least 2.
        deviations: distance of a band, in standard deviations; 0.01 to 100, need not be whole.

    Input: closing price in quote currency, finite.
    Warm-up: `period` closes.
    Output: upper, middle and lower band in quote currency; width, a share of the middle and not
    below 0; percent b, without bound: outside the bands it is below 0 or above 1.
    State: the closes of the window and two tables of the same size; constant time a bar.
    Edge: in a flat market all bands are exactly its price, the width is 0 and percent b 0.5. A
    huge price leaves no trace after `period` bars. The width is `None` where the middle is not
    above 0 and yet the bands lie apart: no market's prices.

    Raises:
        ValueError: `period` is below 2, or `deviations` is outside its limits.

    References:
        J. Bollinger, Bollinger on Bollinger Bands, 2001; TA-Lib, ta_BBANDS.c.

    Example:
        >>> from indicators.example_bar import example_bar
        >>> bands = Bollinger(period=4, deviations=2.0)
        >>> for close in (4.0, 4.0, 6.0, 6.0):
        ...     bands.update(example_bar(close))
        >>> bands.values
        (7.0, 5.0, 3.0, 0.8, 0.75)
        >>> bands.revise(example_bar(2.0))
        >>> bands.values[1]
        4.0
    """

    period: int
    deviations: float
    count: int = 0
    values: tuple[float | None, float | None, float | None, float | None, float | None] = (
        None,
        None,
        None,
        None,
        None,
    )
    """Upper, middle, lower, width and percent b; None while warming."""
    window: WindowDeviation = field(default_factory=WindowDeviation)

    def __post_init__(self) -> None:
        """Refuse what makes no bands."""
        if self.period < 2:
            raise ValueError(f"bollinger: period {self.period}: expected 2 or more")
        if not LEAST_DEVIATIONS <= self.deviations <= MOST_DEVIATIONS:
            raise ValueError(
                f"bollinger: deviations {self.deviations}: expected"
                f" {number_text(LEAST_DEVIATIONS)} to {number_text(MOST_DEVIATIONS)}"
            )
        if not self.count:
            self.window = WindowDeviation(self.period)

    @property
    def name(self) -> str:
        """Canonical name, `"bollinger(20,2)"`."""
        return f"bollinger({self.period},{number_text(self.deviations)})"

    @property
    def warm_up(self) -> int:
        """Closes until the first values, that one included."""
        return self.period

    @property
    def settled(self) -> int:
        """A full window knows nothing of what was before."""
        return self.period

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        close = bar.close
        if not LEAST < close < LARGEST:
            checked(close)
        middle, deviation = self.window.add(close)
        self.count = count = self.count + 1
        if count < self.period:
            return
        reach = self.deviations * deviation
        if reach > 0.0:
            width: float | None = 2.0 * reach / middle if middle > 0.0 else inf
            if width == inf:
                width = None
            # The distance itself, not the bands': they are rounded to the price's digits.
            percent_b = 0.5 + (close - middle) / reach / 2.0
        else:
            width, percent_b = 0.0, 0.5
        self.values = (middle + reach, middle, middle - reach, width, percent_b)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        checked(bar.close)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        self.count -= 1
        self.window.take_back()
        self.update(bar)

    def __reduce__(self) -> tuple[type["Bollinger"], tuple[object, ...]]:
        # Slots are written four times as quickly as a Struct, but pickled slowly without this.
        return Bollinger, _values(self)


_values = attrgetter(*Bollinger.__annotations__)


KIND = BarKind(
    name="bollinger",
    meaning="Bollinger bands of the close",
    parameters=(
        period(20),
        Parameter(
            "deviations",
            2,
            LEAST_DEVIATIONS,
            MOST_DEVIATIONS,
            "distance of a band, in standard deviations",
            whole=False,
        ),
    ),
    inputs=("close",),
    outputs=(
        Output(
            "upper",
            "quote currency",
            meaning="the mean and `deviations` deviations more",
            shown="price",
        ),
        Output("middle", "quote currency", meaning="plain mean of the window", shown="price"),
        Output(
            "lower",
            "quote currency",
            meaning="the mean less `deviations` deviations",
            shown="price",
        ),
        Output("width", "share of the middle", 0.0, meaning="upper less lower band"),
        Output(
            "percent_b",
            "0 at the lower band, 1 at the upper",
            meaning="where the close lies",
            guides=(0.0, 1.0),
        ),
    ),
    aliases=("bb", "bbands"),
    make=Bollinger,
    notes="""The deviation is the population's (divided by `period`), as in TA-Lib's
`BBANDS` and on most charts; one divided by `period - 1` gives bands wider by a fortieth at 20 bars.
TA-Lib subtracts the squared mean from the mean square, which costs it half of its digits where the
market hardly moves: its bands are then off by up to some 1e-8 of the price. Ours are not. In a flat
market the width is 0 and `percent_b` 0.5, neither band touched.""",
)
