"""Relative strength index."""

from dataclasses import dataclass
from operator import attrgetter

from indicators.contract import LARGEST, LEAST, checked
from indicators.kinds import BarKind, Output, period
from indicators.settling import SHARE_IN_A_QUOTIENT, settled_after
from market.events import Bar


@dataclass(slots=True)
class RSI:
    """Relative strength index with Wilder's smoothing.

    Takes one closing price per bar and keeps a handful of numbers, however long the stream runs.
    The first average is the plain mean of the first `period` changes; later ones decay by
    `1 / period`. Follows TA-Lib from its first value.

    Args:
        period: changes in the averaging window; at least 2.

    Input: closing price in quote currency, finite.
    Warm-up: `period + 1` closes.
    Output: dimensionless, 0 to 100; `None` for the first `period` closes.
    State: the last close, two averages, and their copy from before it.
    Edge: 50 when nothing moved in the whole window (0/0 in the formula; TA-Lib gives 0 there,
    which a rule such as `rsi < 30` would take for a fall).

    Raises:
        ValueError: `period` is below 2.

    References:
        J. W. Wilder, New Concepts in Technical Trading Systems, 1978, RSI chapter.

    Example:
        >>> from indicators.example_bar import example_bar
        >>> rsi = RSI(period=3)
        >>> for close in (10.0, 11.0, 10.5, 11.5, 11.5):
        ...     rsi.update(example_bar(close))
        >>> rsi.value
        80.0
        >>> rsi.revise(example_bar(11.0))
        >>> round(rsi.value, 3)
        61.538
    """

    period: int
    count: int = 0
    values: tuple[float | None] = (None,)
    """The index alone; None while warming."""
    averages: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """The last close, average gain and average loss (before the first value: their sums)."""
    before: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """What `averages` was before the last close."""
    divisor: float = 0.0
    """The period; a float, for mixed arithmetic takes several times as long."""

    def __post_init__(self) -> None:
        """Refuse a period that averages nothing."""
        if self.period < 2:
            raise ValueError(f"rsi: period {self.period}: expected 2 or more")
        self.divisor = float(self.period)

    @property
    def name(self) -> str:
        """Canonical name, `"rsi(14)"`."""
        return f"rsi({self.period})"

    @property
    def warm_up(self) -> int:
        """Closes until the first value, that one included."""
        return self.period + 1

    @property
    def settled(self) -> int:
        """Closes until all before weigh a millionth in both averages."""
        return self.period + 1 + settled_after(1.0 - 1.0 / self.period, SHARE_IN_A_QUOTIENT)

    @property
    def value(self) -> float | None:
        """The index, or None while warming."""
        return self.values[0]

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        close = bar.close
        if not LEAST < close < LARGEST:
            checked(close)
        count = self.count
        self.count = count + 1
        self.before = before = self.averages
        last, gain, loss = before
        change = close - last
        period = self.divisor
        if count > period:
            kept = period - 1.0
            if change > 0.0:
                gain = (gain * kept + change) / period
                loss = loss * kept / period
            else:
                gain = gain * kept / period
                loss = (loss * kept - change) / period
        else:
            if not count:
                self.averages = (close, 0.0, 0.0)
                return
            if change > 0.0:
                gain += change
            else:
                loss -= change
            if count < period:
                self.averages = (close, gain, loss)  # still sums
                return
            gain /= period
            loss /= period
        self.averages = (close, gain, loss)
        moved = gain + loss
        self.values = (100.0 * (gain / moved) if moved > 0.0 else 50.0,)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        checked(bar.close)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        self.count -= 1
        self.averages = self.before
        self.update(bar)

    def __reduce__(self) -> tuple[type["RSI"], tuple[object, ...]]:
        # Slots are written four times as quickly as a Struct, but pickled slowly without this.
        return RSI, _values(self)


_values = attrgetter(*RSI.__annotations__)


KIND = BarKind(
    name="rsi",
    meaning="relative strength index, Wilder's smoothing",
    parameters=(period(14),),
    inputs=("close",),
    outputs=(Output("", "0 to 100", 0.0, 100.0, guides=(30.0, 70.0)),),
    make=RSI,
    notes="""The first average gain and loss are plain means of the first `period`
changes; later ones decay by `1 / period`. It equals TA-Lib's `RSI` from the first value on, but
for one case: when nothing has moved in the whole window the formula is 0/0. TA-Lib then gives
0; we give 50, because a market that stands still has not fallen, and `rsi < 30` should not say
so.""",
)
