"""A closing price held against the one some bars before it."""

from collections.abc import Callable

import msgspec

from indicators.contract import checked
from indicators.recent import Recent
from market.events import Bar


class LookBack(msgspec.Struct):
    """What a comparison says of each close and the one `period` bars ago.

    Args:
        kind: what the indicator is called.
        period: bars to look back; at least 1.
        compare: given the close and the earlier one, both finite, it returns a finite number.

    Input: closing price in quote currency, finite.
    Warm-up: `period + 1` closes.
    Output: what `compare` returns; `None` for the first `period` closes.
    State: the last `period + 1` closes.
    Edge: a jump counts until it is `period` bars old, then no more.

    Raises:
        ValueError: `period` is below 1.

    Example:
        >>> from operator import truediv
        >>> times = LookBack("times", period=2, compare=truediv)
        >>> [times.add(close) for close in (1.0, 3.0, 4.0, 6.0)]
        [None, None, 4.0, 2.0]
        >>> times.correct(9.0)
        3.0
    """

    kind: str
    period: int
    compare: Callable[[float, float], float]
    count: int = 0
    value: float | None = None
    closes: Recent = msgspec.field(default_factory=Recent)

    def __post_init__(self) -> None:
        """Refuse a period that looks back at nothing."""
        if self.period < 1:
            raise ValueError(f"{self.kind}: period {self.period}: expected 1 or more")
        self.closes.size = self.period + 1

    @property
    def name(self) -> str:
        """Canonical name, `"roc(10)"`."""
        return f"{self.kind}({self.period})"

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
        """The one value."""
        return (self.value,)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.add(bar.close)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        self.correct(bar.close)

    def add(self, close: float) -> float | None:
        """Take the next closing price and return the value."""
        self.closes.add(checked(close))
        self.count += 1
        return self._compare(close)

    def correct(self, close: float) -> float | None:
        """Take the last closing price again, corrected, and return the value.

        Raises:
            ValueError: there is no last one.
        """
        checked(close)
        if not self.count:
            raise ValueError(f"{self.name}: no bar to correct")
        self.closes.replace(close)
        return self._compare(close)

    def _compare(self, close: float) -> float | None:
        if self.count > self.period:
            self.value = self.compare(close, self.closes.oldest)
        return self.value
