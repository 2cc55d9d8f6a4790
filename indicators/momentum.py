"""Momentum."""

import msgspec

from indicators.contract import checked
from indicators.kinds import BarKind, Output, period
from indicators.recent import Recent
from market.events import Bar


class Momentum(msgspec.Struct):
    """How far the closing price has moved in `period` bars.

    Args:
        period: bars to look back; at least 1.

    Input: closing price in quote currency, finite.
    Warm-up: `period + 1` closes.
    Output: the close less the close `period` bars ago, in quote currency; `None` for the first
    `period` closes.
    State: the last `period + 1` closes.
    Edge: 0 in a flat market. A jump counts until it is `period` bars old, then no more.

    Raises:
        ValueError: `period` is below 1.

    References:
        TA-Lib, ta_MOM.c.

    Example:
        >>> momentum = Momentum(period=2)
        >>> [momentum.add(close) for close in (10.0, 11.0, 12.5, 10.0)]
        [None, None, 2.5, -1.0]
        >>> momentum.correct(10.5)
        -0.5
    """

    period: int
    count: int = 0
    value: float | None = None
    closes: Recent = msgspec.field(default_factory=Recent)

    def __post_init__(self) -> None:
        """Refuse a period that looks back at nothing."""
        if self.period < 1:
            raise ValueError(f"momentum: period {self.period}: expected 1 or more")
        self.closes.size = self.period + 1

    @property
    def name(self) -> str:
        """Canonical name, `"momentum(10)"`."""
        return f"momentum({self.period})"

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
        """The momentum alone."""
        return (self.value,)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.add(bar.close)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        self.correct(bar.close)

    def add(self, close: float) -> float | None:
        """Take the next closing price and return the momentum."""
        self.closes.add(checked(close))
        self.count += 1
        return self._measure(close)

    def correct(self, close: float) -> float | None:
        """Take the last closing price again, corrected, and return the momentum.

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
            self.value = close - self.closes.oldest
        return self.value


KIND = BarKind(
    name="momentum",
    meaning="how far the close has moved in `period` bars",
    parameters=(period(10, least=1, meaning="bars to look back"),),
    inputs=("close",),
    outputs=(Output("", "quote currency"),),
    make=Momentum,
    notes="""The close less the close `period` bars ago. It equals TA-Lib's `MOM`.""",
)
