"""Volume against what is usual."""

import msgspec

from indicators.contract import checked
from indicators.kinds import BarKind, Output, period
from indicators.sliding_sum import SlidingSum
from market.events import Bar

MOST = 1e9
"""Most times that the ratio says; also what any volume is after bars without any."""


class VolumeRatio(msgspec.Struct):
    """The last bar's volume over the mean volume of the `period` bars before it.

    The bar itself is not in the mean, so that a burst is not measured against itself.

    Args:
        period: bars in the mean; at least 1.

    Input: volume in base currency, finite, 0 or more.
    Warm-up: `period + 1` bars.
    Output: times, 0 to 1e9; 1 is as usual; `None` for the first `period` bars.
    State: the last `period` volumes with their sums, and the last bar's.
    Edge: 1 when neither the bar nor those before it had any volume; 1e9 when only the bar had: it
    is more than any multiple of nothing. A huge volume is in the mean for `period` bars and leaves
    no trace after. Minutes in which nothing traded and that have no bar do not count.

    Raises:
        ValueError: `period` is below 1.

    References:
        L. Blume, D. Easley, M. O'Hara, Market Statistics and Technical Analysis: The Role of
        Volume, Journal of Finance 49, 1994 (why volume tells what prices do not). The ratio to a
        plain mean is its definition.

    Example:
        >>> ratio = VolumeRatio(period=2)
        >>> [ratio.add(volume) for volume in (1.0, 3.0, 5.0, 2.0)]
        [None, None, 2.5, 0.5]
        >>> ratio.correct(4.0)
        1.0
    """

    period: int
    count: int = 0
    volume: float = 0.0
    value: float | None = None
    usual: SlidingSum = msgspec.field(default_factory=SlidingSum)

    def __post_init__(self) -> None:
        """Refuse a period that averages nothing."""
        if self.period < 1:
            raise ValueError(f"volume_ratio: period {self.period}: expected 1 or more")
        self.usual.size = self.period

    @property
    def name(self) -> str:
        """Canonical name, `"volume_ratio(20)"`."""
        return f"volume_ratio({self.period})"

    @property
    def warm_up(self) -> int:
        """Bars until the first value, that one included."""
        return self.period + 1

    @property
    def settled(self) -> int:
        """As soon as it is warm: nothing older than the window matters."""
        return self.period + 1

    @property
    def values(self) -> tuple[float | None, ...]:
        """The ratio alone."""
        return (self.value,)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.add(bar.volume)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        self.correct(bar.volume)

    def add(self, volume: float) -> float | None:
        """Take the next volume and return the ratio."""
        checked(volume)
        if self.count:
            self.usual.add(self.volume)
        self.count += 1
        return self._measure(volume)

    def correct(self, volume: float) -> float | None:
        """Take the last volume again, corrected, and return the ratio.

        Raises:
            ValueError: there is no last one.
        """
        checked(volume)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        return self._measure(volume)

    def _measure(self, volume: float) -> float | None:
        self.volume = volume
        if self.count > self.period:
            usual = self.usual.total / self.period
            if usual > 0:
                self.value = min(MOST, volume / usual)
            else:
                self.value = MOST if volume > 0 else 1.0
        return self.value


KIND = BarKind(
    name="volume_ratio",
    meaning="the bar's volume over the mean of the `period` bars before it",
    parameters=(period(20, least=1, meaning="bars in the mean"),),
    inputs=("volume",),
    outputs=(Output("", "times", 0.0, MOST),),
    make=VolumeRatio,
    notes="""The bar itself is not in the mean; charts that have it there show less: a bar of ten
times the usual volume is 10 here and 6.9 there, with 20 bars. It equals TA-Lib's `RVOL`, but for
windows without volume. When nothing traded in all those bars
the formula divides by zero: the ratio is then 1 if nothing traded in this one either, else 1e9, the
most it says, where TA-Lib says infinity.""",
)
