"""Mean of the last values, without a running sum that drifts."""

from dataclasses import dataclass, field
from math import fsum
from operator import attrgetter
from typing import TypeAlias

SHORT = 6
"""Up to here adding the values up anew is quicker than keeping tables."""


@dataclass(slots=True)
class ShortMean:
    """Mean of the last `length` values, added up each time with one rounding.

    Args:
        length: values in the window, at least 1.

    State: the values of the window.

    Example:
        >>> mean = ShortMean(length=2)
        >>> [mean.add(value) for value in (1.0, 2.0, 4.0)][1:]
        [1.5, 3.0]
        >>> mean.take_back()
        >>> mean.add(6.0)
        4.0
    """

    length: int = 0
    place: int = 0
    """Where in the window the next value goes."""
    divisor: float = 1.0
    """The length; a float, for mixed arithmetic takes several times as long."""
    window: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make room for the window."""
        self.divisor = float(self.length)
        self.window = self.window or [0.0] * self.length

    def add(self, value: float) -> float:
        """Take the next value and return the mean; it means nothing before the window is full."""
        window = self.window
        place = self.place
        window[place] = value
        self.place = place + 1 if place + 1 < self.length else 0
        if window[place - 1] == value and window.count(value) == self.length:
            return value  # five times a number, over five, may be another
        return fsum(window) / self.divisor

    def take_back(self) -> None:
        """Forget the last value; another must follow at once."""
        self.place = (self.place or self.length) - 1

    def __reduce__(self) -> tuple[type["ShortMean"], tuple[object, ...]]:
        # Without it a slotted dataclass is pickled by way of `fields`, twice as slowly.
        return ShortMean, _values_of_short(self)


_values_of_short = attrgetter(*ShortMean.__annotations__)


@dataclass(slots=True)
class WindowMean:
    """Mean of the last `length` values, in constant time.

    The values stand in blocks of `length`. A window is the newest part of the block before and all
    of the block that is being filled, and its sum is that of the two parts: the first from a table
    of sums made once a block, newest value first, the second added up as values come. Nothing is
    ever subtracted again, so a value that has left the window leaves no trace, however large it
    was. Sums are of differences from the block's first value, which is in every window of that
    block: equal values have exactly their own mean.

    Slots, because every value writes some of them: a Struct takes four times as long to write.

    Args:
        length: values in the window, at least 1.

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
    place: int = 0
    """Where in its block the next value goes."""
    divisor: float = 1.0
    """The length, as in `ShortMean`."""
    centre: float = 0.0
    running: float = 0.0
    window: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    """By place: sum of the older block's values from there on."""

    def __post_init__(self) -> None:
        """Make room for the window."""
        self.divisor = float(self.length)
        self.window = self.window or [0.0] * self.length
        self.kept = self.kept or [0.0] * (self.length + 1)

    def add(self, value: float) -> float:
        """Take the next value and return the mean; it means nothing before the window is full."""
        place = self.place
        if place:
            centre = self.centre
            running = self.running + (value - centre)
        else:
            centre = self._turn(value)
            running = 0.0
        self.window[place] = value
        self.running = running
        place += 1
        self.place = place if place < self.length else 0
        return centre + (running + self.kept[place]) / self.divisor

    def take_back(self) -> None:
        """Forget the last value; another must follow at once."""
        self.place = (self.place or self.length) - 1
        centre = self.centre
        self.running = 0.0
        for each in self.window[: self.place]:
            self.running += each - centre

    def _turn(self, value: float) -> float:
        """Begin a block, and return its first value: the one before becomes the older."""
        self.centre = value
        kept = self.kept
        place = self.length
        total = 0.0
        for each in reversed(self.window):  # in place: quicker than a list made by `accumulate`
            place -= 1
            kept[place] = total = total + (each - value)
        return value

    def __reduce__(self) -> tuple[type["WindowMean"], tuple[object, ...]]:
        # As in `ShortMean`.
        return WindowMean, _values(self)


_values = attrgetter(*WindowMean.__annotations__)

Mean: TypeAlias = ShortMean | WindowMean


def mean_over(length: int) -> Mean:
    """Return the mean of the last `length` values that costs least."""
    return ShortMean(length) if length <= SHORT else WindowMean(length)
