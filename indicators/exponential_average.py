"""Exponential average of any values, begun with their plain mean."""

import msgspec


class ExponentialAverage(msgspec.Struct):
    """Average that each value moves by `2 / (period + 1)` of its distance.

    Up to `period` values it is their plain mean, which TA-Lib begins with; equal values have
    exactly their own average.

    Args:
        period: values in the first mean, at least 1; whoever holds this sets it once.

    Example:
        >>> average = ExponentialAverage(period=3)
        >>> [average.add(value) for value in (1.0, 2.0, 3.0, 6.0)]
        [1.0, 1.5, 2.0, 4.0]
        >>> average.take_back()
        >>> average.add(4.0)
        3.0
    """

    period: int = 0
    count: int = 0
    average: float = 0.0
    before: float = 0.0
    """What the average was before the last value."""

    def add(self, value: float) -> float:
        """Take the next value and return the average."""
        before = self.average
        self.before = before
        self.count = count = self.count + 1
        period = self.period
        if count > period:
            average = before + (value - before) * (2.0 / (period + 1))
        else:
            average = before + (value - before) / count
        self.average = average
        return average

    def take_back(self) -> None:
        """Forget the last value; another must follow at once."""
        self.count -= 1
        self.average = self.before
