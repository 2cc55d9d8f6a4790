"""Mean of the last values, without a running sum that drifts."""

from dataclasses import dataclass, field
from itertools import accumulate
from math import fsum
from operator import attrgetter

SHORT = 6
"""Up to here adding the values up anew is quicker than keeping tables."""


@dataclass(slots=True)
class WindowMean:
    """Mean of the last `length` values, in constant time.

    The values stand in blocks of `length`. A window is the newest part of the block before and all
    of the block that is being filled, and its sum is that of the two parts: the first from a table
    of sums made once a block, newest value first, the second added up as values come. Nothing is
    ever subtracted again, so a value that has left the window leaves no trace, however large it
    was. Sums are of differences from the block's first value, which is in every window of that
    block: equal values have exactly their own mean. A window of at most `SHORT` values is added up
    each time, with one rounding.

    Slots, because every value writes some of them: a Struct takes four times as long to write.

    Args:
        length: values in the window, at least 1; whoever holds this sets it once.

    State: the values of the window, a table of sums of the same size, and a few numbers.

    Example:
        >>> mean = WindowMean(length=2)
        >>> _ = mean.add(1e12)
        >>> [mean.add(value) for value in (1.0, 2.0, 4.0)][1:]
        [1.5, 3.0]
        >>> mean.take_back()
        >>> mean.add(6.0)
        4.0
    """

    length: int = 0
    divisor: float = 1.0
    """The length; a float, for mixed arithmetic takes several times as long."""
    place: int = 0
    """Where in its block the next value goes."""
    centre: float = 0.0
    running: float = 0.0
    window: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    """By place: sum of the older block's values from there on."""

    def add(self, value: float) -> float:
        """Take the next value and return the mean; it means nothing before the window is full."""
        length = self.length
        place = self.place
        if length <= SHORT:
            if not self.window:
                self._begin(value)
            window = self.window
            window[place] = value
            if window[place - 1] == value and window.count(value) == length:
                mean = value  # five times a number, over five, may be another
            else:
                mean = fsum(window) / self.divisor
            place += 1
            self.place = place if place < length else 0
            return mean
        if place:
            running = self.running
            centre = self.centre
        else:
            self._turn(value)
            running = 0.0
            centre = value
        self.window[place] = value
        self.running = running = running + (value - centre)
        place += 1
        self.place = place if place < length else 0
        return centre + (running + self.kept[place]) / self.divisor

    def take_back(self) -> None:
        """Forget the last value; another must follow at once."""
        self.place = (self.place or self.length) - 1
        centre = self.centre
        self.running = 0.0
        for each in self.window[: self.place]:
            self.running += each - centre

    def _begin(self, value: float) -> None:
        """Fill the window."""
        self.window = [value] * self.length
        self.divisor = float(self.length)

    def _turn(self, value: float) -> None:
        """Begin a block: the one before becomes the older."""
        if not self.window:
            self._begin(value)
        self.centre = value
        older = [each - value for each in reversed(self.window)]
        self.kept = [*accumulate(older, initial=0.0)]
        self.kept.reverse()

    def __reduce__(self) -> tuple[type["WindowMean"], tuple[object, ...]]:
        # Without it a slotted dataclass is pickled by way of `fields`, twice as slowly.
        return WindowMean, _values(self)


_values = attrgetter(*WindowMean.__annotations__)
