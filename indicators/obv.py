"""On-balance volume."""

import msgspec

from indicators.contract import LARGEST, checked
from indicators.kinds import BarKind, Output
from market.events import Bar


class OBV(msgspec.Struct):
    """On-balance volume: volume added when the close rises and taken away when it falls.

    Input: closing price in quote currency and volume in base currency, finite.
    Warm-up: one bar; the total begins with its volume, as TA-Lib has it.
    Output: base currency, from `-LARGEST` to `LARGEST`, where it stays rather than overflow.
    State: the total, the last close, and a copy of them from before the last bar.
    Edge: a bar that closes where the last one did changes nothing, nor does one without volume. The
    total counts from wherever it began: only its changes can be compared with another chart's.

    References:
        J. E. Granville, Granville's New Key to Stock Market Profits, 1963; TA-Lib, ta_OBV.c.

    Example:
        >>> obv = OBV()
        >>> [obv.add(close, 2.0) for close in (10.0, 11.0, 11.0, 10.5)]
        [2.0, 4.0, 4.0, 2.0]
        >>> obv.correct(11.5, 3.0)
        7.0
    """

    count: int = 0
    close: float = 0.0
    total: float = 0.0
    before: tuple[int, float, float] | None = None

    @property
    def name(self) -> str:
        """Canonical name, `"obv"`."""
        return "obv"

    @property
    def warm_up(self) -> int:
        """The total begins with the first bar."""
        return 1

    @property
    def settled(self) -> None:
        """Never: it counts from where it began."""
        return

    @property
    def value(self) -> float | None:
        """The total, or None before the first bar."""
        return self.total if self.count else None

    @property
    def values(self) -> tuple[float | None, ...]:
        """The total alone."""
        return (self.value,)

    def update(self, bar: Bar) -> None:
        """Take the next closed bar."""
        self.add(bar.close, bar.volume)

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected."""
        self.correct(bar.close, bar.volume)

    def add(self, close: float, volume: float) -> float:
        """Take the next close and volume and return the total."""
        checked(close)
        checked(volume)
        self.before = (self.count, self.close, self.total)
        if not self.count:
            self.total = volume
        elif close > self.close:
            self.total = min(LARGEST, self.total + volume)
        elif close < self.close:
            self.total = max(-LARGEST, self.total - volume)
        self.close = close
        self.count += 1
        return self.total

    def correct(self, close: float, volume: float) -> float:
        """Take the last close and volume again, corrected, and return the total.

        Raises:
            ValueError: there is no last one.
        """
        checked(close)
        checked(volume)
        if self.before is None:
            raise ValueError(f"{self.name}: no bar to correct")
        self.count, self.close, self.total = self.before
        return self.add(close, volume)


KIND = BarKind(
    name="obv",
    meaning="on-balance volume: added when the close rises, taken away when it falls",
    inputs=("close", "volume"),
    outputs=(Output("", "base currency"),),
    make=OBV,
    notes="""It begins with the first bar's volume and equals TA-Lib's `OBV`. A running total counts
from wherever it began: compare its changes with another chart, not its level.""",
)
