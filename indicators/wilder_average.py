"""Wilder's average of any values."""

import msgspec


class WilderAverage(msgspec.Struct):
    """Average that each value moves by `1 / period` of its distance, begun with the plain mean.

    Equal values have exactly their own average.

    Args:
        period: values in the first mean, at least 1; whoever holds this sets it once.

    References:
        J. W. Wilder, New Concepts in Technical Trading Systems, 1978.

    Example:
        >>> average = WilderAverage(period=2)
        >>> [average.add(value) for value in (1.0, 2.0, 3.5)]
        [1.0, 1.5, 2.5]
    """

    period: int = 0
    count: int = 0
    average: float = 0.0
    before: float = 0.0
    """What the average was before the last value."""

    def add(self, value: float) -> float:
        """Take the next value and return the average."""
        self.before = self.average
        self.count += 1
        self.average += (value - self.average) / min(self.count, self.period)
        return self.average

    def take_back(self) -> None:
        """Forget the last value; another must follow at once."""
        self.count -= 1
        self.average = self.before
