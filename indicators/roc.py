"""Rate of change."""

import msgspec

from indicators.contract import LARGEST, checked
from indicators.kinds import BarKind, Output, period
from indicators.recent import Recent
from market.events import Bar


class ROC(msgspec.Struct):
    """Rate of change: the move of the closing price in `period` bars, in per cent.

    Args:
        period: bars to look back; at least 1.

    Input: closing price in quote currency, finite.
    Warm-up: `period + 1` closes.
    Output: per cent of the close `period` bars ago, -100 or more for prices above zero, at most
    `LARGEST`; `None` for the first `period` closes.
    State: the last `period + 1` closes.
    Edge: 0 in a flat market, and where the close `period` bars ago was 0, as TA-Lib has it: nothing
    is a per cent of zero. A jump counts until it is `period` bars old, then no more.

    Raises:
        ValueError: `period` is below 1.

    References:
        TA-Lib, ta_ROC.c.

    Example:
        >>> roc = ROC(period=2)
        >>> [roc.add(close) for close in (10.0, 11.0, 12.5, 16.5)]
        [None, None, 25.0, 50.0]
        >>> roc.correct(5.5)
        -50.0
    """

    period: int
    count: int = 0
    value: float | None = None
    closes: Recent = msgspec.field(default_factory=Recent)

    def __post_init__(self) -> None:
        """Refuse a period that looks back at nothing."""
        if self.period < 1:
            raise ValueError(f"roc: period {self.period}: expected 1 or more")
        self.closes.size = self.period + 1

    @property
    def name(self) -> str:
        """Canonical name, `"roc(10)"`."""
        return f"roc({self.period})"

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
        """The rate alone."""
        return (self.value,)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.add(bar.close)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        self.correct(bar.close)

    def add(self, close: float) -> float | None:
        """Take the next closing price and return the rate of change."""
        self.closes.add(checked(close))
        self.count += 1
        return self._measure(close)

    def correct(self, close: float) -> float | None:
        """Take the last closing price again, corrected, and return the rate of change.

        Raises:
            ValueError: there is no last one.
        """
        checked(close)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        self.closes.replace(close)
        return self._measure(close)

    def _measure(self, close: float) -> float | None:
        if self.count > self.period:
            past = self.closes.oldest
            rate = (close / past - 1.0) * 100.0 if past != 0 else 0.0
            self.value = max(-LARGEST, min(LARGEST, rate))
        return self.value


KIND = BarKind(
    name="roc",
    meaning="rate of change: the move of the close in `period` bars, in per cent",
    parameters=(period(10, least=1, meaning="bars to look back"),),
    inputs=("close",),
    outputs=(Output("", "per cent"),),
    make=ROC,
    notes="""The move of the close in `period` bars as a per cent of where it began. It equals
TA-Lib's `ROC`, which also gives 0 where the earlier price is 0.""",
)
