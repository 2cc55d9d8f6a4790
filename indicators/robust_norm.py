"""What is usual in a series lately, and how far a value lies from it."""

from bisect import bisect_left, insort
from math import fsum, pi, sqrt

import msgspec

from indicators.recent import Recent

FROM_MEDIAN_DEVIATION = 1.4826022185056018
"""Standard deviation over median absolute deviation in a normal distribution."""
FROM_MEAN_DEVIATION = sqrt(pi / 2)
"""Standard deviation over mean absolute deviation in a normal distribution."""
MOST = 1000.0
"""Largest score that is told, either way."""


class RobustNorm(msgspec.Struct):
    """Median of the last `size` values and their typical distance from it.

    The distance is the median absolute deviation, scaled so that it equals the standard deviation
    where the values are normally distributed. Neither moves by much when a few values are huge:
    a mean and a standard deviation would take a burst into the norm, and the next one would then
    seem usual. When more than half of the values are equal the median deviation is 0 although the
    others differ; the mean absolute deviation from the median then stands in for it.

    Args:
        size: values that make the norm; at least 1.

    State: the last `size` values twice, by time and by size.
    Cost: `log size` steps a value and a score, and moving up to `size` numbers in memory; adding up
    `size` deviations where more than half of the values are equal.

    References:
        F. R. Hampel, The Influence Curve and Its Role in Robust Estimation, Journal of the
        American Statistical Association 69, 1974; B. Iglewicz, D. C. Hoaglin, How to Detect and
        Handle Outliers, 1993 (the modified z-score; the mean deviation where the median one is 0
        is a common extension of it).

    Example:
        >>> norm = RobustNorm(size=5)
        >>> for value in (1.0, 2.0, 3.0, 4.0, 1000.0):
        ...     norm.add(value)
        >>> norm.median, norm.deviation, round(norm.score(9.0), 3)
        (3.0, 1.4826022185056018, 4.047)
    """

    size: int = 1
    recent: Recent = msgspec.field(default_factory=Recent)
    ordered: list[float] = msgspec.field(default_factory=list)

    @property
    def median(self) -> float:
        """Middle of the values, or half way between the two in the middle; there must be one."""
        ordered = self.ordered
        half = len(ordered) // 2
        return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2

    @property
    def deviation(self) -> float:
        """Typical distance from the median, as a standard deviation; 0 when all are equal."""
        median = self.median
        deviation = _median_deviation(self.ordered, median)
        if deviation > 0:
            return deviation * FROM_MEDIAN_DEVIATION
        total = fsum(abs(value - median) for value in self.ordered)
        return total / len(self.ordered) * FROM_MEAN_DEVIATION

    def add(self, value: float) -> None:
        """Take the next value; the oldest one leaves when there are `size`."""
        self.recent.size = self.size
        gone = self.recent.add(value)
        if gone is not None:
            del self.ordered[bisect_left(self.ordered, gone)]
        insort(self.ordered, value)

    def score(self, value: float) -> float:
        """Return how many deviations above the median a value lies, from `-MOST` to `MOST`.

        0 when it equals the median; `MOST` or `-MOST` when it does not and all the others do.
        """
        distance = value - self.median
        if distance == 0:
            return 0.0
        deviation = self.deviation
        if deviation == 0:
            return MOST if distance > 0 else -MOST
        return max(-MOST, min(MOST, distance / deviation))


def _median_deviation(ordered: list[float], median: float) -> float:
    """Return the median distance from `median`.

    The values nearest to the median stand next to each other: it is enough to find where the
    nearer half of them begins.
    """
    count = len(ordered)
    half = (count + 1) // 2
    low, high = 0, count - half
    while low < high:
        middle = (low + high) // 2
        if median - ordered[middle] > ordered[middle + half] - median:
            low = middle + 1
        else:
            high = middle
    farthest = max(median - ordered[low], ordered[low + half - 1] - median)
    if count % 2:
        return farthest
    below = median - ordered[low - 1] if low else None
    above = ordered[low + half] - median if low + half < count else None
    following = min(distance for distance in (below, above) if distance is not None)
    return (farthest + following) / 2
