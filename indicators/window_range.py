"""Highest and lowest price of the last bars, and where the close lies between them."""

from dataclasses import dataclass, field
from math import inf
from operator import attrgetter


@dataclass(slots=True)
class WindowRange:
    """Range of the last `length` bars.

    The extremes are looked for again only when one of them leaves the window and the new bar does
    not exceed it; otherwise a bar takes constant time. In a steady trend that is every bar, and its
    work grows with `length`. A queue of candidates would bound it, but costs more than the search
    at the usual lengths, and more to take a bar back.

    Args:
        length: bars in the window, at least 1.

    State: highs and lows of the window, and a few numbers.

    Example:
        >>> window = WindowRange(length=2)
        >>> bars = [(9.0, 1.0, 2.0), (4.0, 2.0, 2.0), (6.0, 3.0, 3.0)]
        >>> [window.add(high, low, close) for high, low, close in bars]
        [12.5, 12.5, 25.0]
    """

    length: int = 0
    place: int = 0
    """Where in the window the next bar goes."""
    highest: float = -inf
    lowest: float = inf
    left_high: float = -inf
    """High of the bar that left the window last."""
    left_low: float = inf
    highs: list[float] = field(default_factory=list)
    lows: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make room for the window."""
        self.highs = self.highs or [-inf] * self.length
        self.lows = self.lows or [inf] * self.length

    def add(self, high: float, low: float, close: float) -> float:
        """Take the next bar and return where its close lies in the range.

        0 at the lowest price, 100 at the highest, 50 when there is no range. `close` must lie in
        its own bar.
        """
        place = self.place
        highs = self.highs
        lows = self.lows
        self.left_high = left_high = highs[place]
        self.left_low = left_low = lows[place]
        highs[place] = high
        lows[place] = low
        self.place = place + 1 if place + 1 < self.length else 0
        highest = self.highest
        if high >= highest:
            self.highest = highest = high
        elif left_high == highest:
            self.highest = highest = max(highs)
        lowest = self.lowest
        if low <= lowest:
            self.lowest = lowest = low
        elif left_low == lowest:
            self.lowest = lowest = min(lows)
        if highest > lowest:
            return 100.0 * ((close - lowest) / (highest - lowest))
        return 50.0

    def take_back(self) -> None:
        """Forget the last bar; another must follow at once."""
        self.place = place = (self.place or self.length) - 1
        self.highs[place] = self.left_high
        self.lows[place] = self.left_low
        self.highest = max(self.highs)
        self.lowest = min(self.lows)

    def __reduce__(self) -> tuple[type["WindowRange"], tuple[object, ...]]:
        # As in `WindowMean`.
        return WindowRange, _values(self)


_values = attrgetter(*WindowRange.__annotations__)
