"""Bursts: a bar unlike those before it."""

import msgspec

from indicators.contract import checked
from indicators.kinds import LONGEST_WINDOW, BarKind, Output, Parameter
from indicators.robust_norm import MOST, RobustNorm
from market.events import Bar

FEWEST = 10
"""Fewer bars make no norm."""


class Burst(msgspec.Struct):
    """How far the last bar's volume and its direction lie from what was usual before it.

    Both are robust z-scores: the distance from the median of the `period` bars before, in their
    typical distance from it (see `indicators.robust_norm`). `volume` is of the volume. `direction`
    is of the bought less the sold volume: above 0 there was more buying than usual, below 0 more
    selling. The bar itself is not in the norm, and a burst within the last `period` bars hardly
    moves it, so that a second one is seen as well.

    What is far: volumes are skewed, they have more large values than a normal distribution. Where
    they are exponentially distributed (counted over 200 000 bars, period 60) one bar in 20 has a
    volume score above 3.5, one in 180 above 7 and one in 900 above 10; a direction beyond 10,
    either way, comes once in 170 when the bought share is anything from 0 to 1.

    Args:
        period: bars that make the norm; at least 10.

    Input: volume and bought volume in base currency, finite.
    Warm-up: `period + 1` bars.
    Output: `volume` and `direction` in standard deviations, -1000 to 1000; `None` for the first
    `period` bars.
    State: the last `period` volumes and deltas, by time and by size, and the last bar's.
    Edge: 0 for a bar that equals the median, so also in a market without trades. When all bars
    before were equal and this one is not, 1000 or -1000. Where the venue does not tell sides the
    direction is always 0. A huge bar leaves no trace once it is older than `period` bars.

    Raises:
        ValueError: `period` is below 10.

    References:
        B. Iglewicz, D. C. Hoaglin, How to Detect and Handle Outliers, 1993 (modified z-score).

    Example:
        >>> burst = Burst(period=10)
        >>> for number in range(10):
        ...     burst.add(volume=1.0 + number % 5, bought=0.5 + number % 5 / 2)
        >>> burst.add(volume=9.0, bought=9.0)
        >>> [round(score, 3) for score in burst.values]
        [4.047, 1000.0]
    """

    period: int
    count: int = 0
    volume: float = 0.0
    delta: float = 0.0
    volumes: RobustNorm = msgspec.field(default_factory=RobustNorm)
    deltas: RobustNorm = msgspec.field(default_factory=RobustNorm)
    values: tuple[float | None, ...] = (None, None)

    def __post_init__(self) -> None:
        """Refuse a norm of hardly anything."""
        if self.period < FEWEST:
            raise ValueError(f"burst: period {self.period}: expected {FEWEST} or more")
        self.volumes.size = self.deltas.size = self.period

    @property
    def name(self) -> str:
        """Canonical name, `"burst(60)"`."""
        return f"burst({self.period})"

    @property
    def warm_up(self) -> int:
        """Bars until the first value, that one included."""
        return self.period + 1

    @property
    def settled(self) -> int:
        """As soon as it is warm: nothing older than the window matters."""
        return self.period + 1

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.add(bar.volume, bar.buy_volume)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        self.correct(bar.volume, bar.buy_volume)

    def add(self, volume: float, bought: float) -> None:
        """Take the next bar's volume and the part of it that was bought."""
        checked(volume)
        checked(bought)
        if self.count:
            self.volumes.add(self.volume)
            self.deltas.add(self.delta)
        self.count += 1
        self._measure(volume, bought)

    def correct(self, volume: float, bought: float) -> None:
        """Take the last bar's volumes again, corrected.

        Raises:
            ValueError: there is no last one.
        """
        checked(volume)
        checked(bought)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        self._measure(volume, bought)

    def _measure(self, volume: float, bought: float) -> None:
        self.volume = volume
        self.delta = bought - (volume - bought)
        if self.count > self.period:
            self.values = (self.volumes.score(volume), self.deltas.score(self.delta))


KIND = BarKind(
    name="burst",
    meaning="how unlike the bars before it a bar is, in volume and in direction",
    parameters=(Parameter("period", 60, FEWEST, LONGEST_WINDOW, "bars that make the norm"),),
    inputs=("volume", "buy_volume"),
    outputs=(
        Output(
            "volume", "standard deviations", -MOST, MOST, "volume against the norm", shown="bars"
        ),
        Output(
            "direction", "standard deviations", -MOST, MOST, "above 0: unusual buying", shown="bars"
        ),
    ),
    make=Burst,
    notes="""Robust z-scores against the median and the median absolute deviation of the `period`
bars before, the bar itself left out: a mean and a standard deviation would take the last burst into
the norm and miss the next one. Volumes are skewed: of exponentially distributed ones a bar in 20
scores above 3.5, one in 180 above 7 and one in 900 above 10, so thresholds of 10 and more are of
more use than the 3 of a normal distribution. When more than half of the bars are equal (mostly
empty ones) the mean absolute deviation stands in for the median one.""",
)
