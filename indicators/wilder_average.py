"""Wilder's average of any values, begun with their plain mean."""


def wilder_average(average: float, value: float, count: int, period: int) -> float:
    """Return the average after one more value.

    Each value moves it by `1 / period` of its distance. Up to `period` values it is their plain
    mean, as Wilder has it. Equal values have exactly their own average.

    Args:
        average: the average before; 0 before the first value.
        value: the value.
        count: how many values there are with this one, at least 1.
        period: values in the first mean, at least 1.

    References:
        J. W. Wilder, New Concepts in Technical Trading Systems, 1978.

    Example:
        >>> average = 0.0
        >>> for count, value in enumerate((1.0, 2.0, 3.5), start=1):
        ...     average = wilder_average(average, value, count, period=2)
        >>> average
        2.5
    """
    return average + (value - average) / min(count, period)
