"""Highest and lowest price of the last bars, and where the close lies between them."""

from dataclasses import dataclass, field
from itertools import accumulate
from math import inf
from operator import attrgetter


@dataclass(slots=True)
class WindowRange:
    """Range of the last `length` bars, in constant time.

    Bars stand in blocks of `length`, as in `WindowMean`: the extremes of a window are those of the
    newest part of the block before, from a table made once a block, and of the block being filled.

    Args:
        length: bars in the window, at least 1; whoever holds this sets it once.

    State: highs and lows of the window, two tables of the same size, and a few numbers.

    Example:
        >>> window = WindowRange(length=2)
        >>> bars = [(9.0, 1.0, 2.0), (4.0, 2.0, 2.0), (6.0, 3.0, 3.0)]
        >>> [window.add(high, low, close) for high, low, close in bars]
        [12.5, 12.5, 25.0]
    """

    length: int = 0
    place: int = 0
    """Where in its block the next bar goes."""
    highest: float = -inf
    lowest: float = inf
    highest_before: float = -inf
    """What `highest` of the block was before the last bar."""
    lowest_before: float = inf
    highs: list[float] = field(default_factory=list)
    lows: list[float] = field(default_factory=list)
    kept_highs: list[float] = field(default_factory=list)
    kept_lows: list[float] = field(default_factory=list)

    def add(self, high: float, low: float, close: float) -> float:
        """Take the next bar and return where its close lies in the range.

        0 at the lowest price, 100 at the highest, 50 when there is no range. `close` must lie in
        its own bar.
        """
        place = self.place
        if place:
            highest, lowest = self.highest, self.lowest
        else:
            self._turn()
            highest, lowest = -inf, inf
        self.highest_before = highest
        self.lowest_before = lowest
        self.highs[place] = high
        self.lows[place] = low
        if high > highest:
            self.highest = highest = high
        if low < lowest:
            self.lowest = lowest = low
        place += 1
        self.place = place if place < self.length else 0
        kept = self.kept_highs[place]
        if kept > highest:  # noqa: PLR1730 - a call of `max` costs more than all of this
            highest = kept
        kept = self.kept_lows[place]
        if kept < lowest:  # noqa: PLR1730
            lowest = kept
        if highest > lowest:
            return 100.0 * ((close - lowest) / (highest - lowest))
        return 50.0

    def take_back(self) -> None:
        """Forget the last bar; another must follow at once."""
        self.place = (self.place or self.length) - 1
        self.highest = self.highest_before
        self.lowest = self.lowest_before

    def _turn(self) -> None:
        """Begin a block: the one before becomes the older."""
        if not self.highs:
            self.highs = [-inf] * self.length
            self.lows = [inf] * self.length
        self.kept_highs = [*accumulate(reversed(self.highs), max, initial=-inf)]
        self.kept_highs.reverse()
        self.kept_lows = [*accumulate(reversed(self.lows), min, initial=inf)]
        self.kept_lows.reverse()

    def __reduce__(self) -> tuple[type["WindowRange"], tuple[object, ...]]:
        # As in `WindowMean`.
        return WindowRange, _values(self)


_values = attrgetter(*WindowRange.__annotations__)
