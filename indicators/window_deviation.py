"""Mean and standard deviation of the last values."""

from dataclasses import dataclass, field
from math import hypot, inf, sqrt
from operator import attrgetter


@dataclass(slots=True)
class WindowDeviation:
    """Mean and population standard deviation of the last `length` values, in constant time.

    As `WindowMean`, with a second table for the squares. Because differences are taken from a value
    of the window itself, the difference of mean square and squared mean loses no more than a few
    digits: a market at 64,000 that moves by a cent has its deviation to ten digits. A deviation too
    large for its square is measured again, value by value.

    Args:
        length: values in the window, at least 1.

    State: the values of the window, two tables of sums of the same size, and a few numbers.

    Example:
        >>> window = WindowDeviation(length=4)
        >>> [window.add(value) for value in (1.0, 1.0, 3.0, 3.0)][-1]
        (2.0, 1.0)
    """

    length: int = 0
    place: int = 0
    """Where in its block the next value goes."""
    divisor: float = 1.0
    """The length, as in `WindowMean`."""
    centre: float = 0.0
    running: float = 0.0
    squares: float = 0.0
    window: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)
    kept_squares: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make room for the window."""
        self.divisor = float(self.length)
        self.window = self.window or [0.0] * self.length
        self.kept = self.kept or [0.0] * (self.length + 1)
        self.kept_squares = self.kept_squares or [0.0] * (self.length + 1)

    def add(self, value: float) -> tuple[float, float]:
        """Take the next value and return both; they mean nothing before the window is full."""
        place = self.place
        if place:
            running, squares = self.running, self.squares
        else:
            self._turn(value)
            running = squares = 0.0
        self.window[place] = value
        centre = self.centre
        difference = value - centre
        self.running = running = running + difference
        self.squares = squares = squares + difference * difference
        place += 1
        self.place = place if place < self.length else 0
        divisor = self.divisor
        mean = (running + self.kept[place]) / divisor
        variance = (squares + self.kept_squares[place]) / divisor - mean * mean
        mean += centre
        if 0.0 < variance < inf:
            return mean, sqrt(variance)
        if variance <= 0.0:
            return mean, 0.0
        return mean, hypot(*[each - mean for each in self.window]) / sqrt(divisor)

    def take_back(self) -> None:
        """Forget the last value; another must follow at once."""
        self.place = (self.place or self.length) - 1
        centre = self.centre
        self.running = self.squares = 0.0
        for each in self.window[: self.place]:
            difference = each - centre
            self.running += difference
            self.squares += difference * difference

    def _turn(self, value: float) -> None:
        """Begin a block: the one before becomes the older."""
        self.centre = value
        kept = self.kept
        kept_squares = self.kept_squares
        place = self.length
        total = squares = 0.0
        for each in reversed(self.window):
            place -= 1
            difference = each - value
            kept[place] = total = total + difference
            kept_squares[place] = squares = squares + difference * difference

    def __reduce__(self) -> tuple[type["WindowDeviation"], tuple[object, ...]]:
        # As in `WindowMean`.
        return WindowDeviation, _values(self)


_values = attrgetter(*WindowDeviation.__annotations__)
