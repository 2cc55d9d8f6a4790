"""Exponential average of any values, begun with their plain mean."""


def exponential_average(average: float, value: float, count: int, period: int) -> float:
    """Return the average after one more value.

    Each value moves it by `2 / (period + 1)` of its distance. Up to `period` values it is their
    plain mean, which TA-Lib begins with. Equal values have exactly their own average.

    Args:
        average: the average before; 0 before the first value.
        value: the value.
        count: how many values there are with this one, at least 1.
        period: values in the first mean, at least 1.

    Example:
        >>> average = 0.0
        >>> for count, value in enumerate((1.0, 2.0, 3.0, 6.0), start=1):
        ...     average = exponential_average(average, value, count, period=3)
        >>> average
        4.0
    """
    if count > period:
        return average + (value - average) * (2.0 / (period + 1))
    return average + (value - average) / count
