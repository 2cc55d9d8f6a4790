"""The sum of the last values of a series, without ever taking one away."""

from itertools import accumulate

import msgspec


class SlidingSum(msgspec.Struct):
    """Sum of the last `size` values of a series.

    A value that leaves is not subtracted: a huge one would have swallowed the small ones, and every
    subtraction rounds, so that the sum would drift. Instead the window is kept in two halves: of
    the older one every suffix is already summed, the newer one has a running sum. When the older
    half is used up the newer one takes its place. A sum is therefore made of additions of what is
    in the window and of nothing else.

    Args:
        size: values in the window; at least 1.

    State: at most `size` numbers and two sums.
    Cost: a few additions a value on average, `size` of them once every `size` values.

    References:
        K. Tangwongsan, M. Hirzel, S. Schneider, Low-Latency Sliding-Window Aggregation in
        Worst-Case Constant Time, DEBS 2017 (there called two stacks).

    Example:
        >>> last_two = SlidingSum(size=2)
        >>> for value in (1e300, 0.25, 0.5):
        ...     last_two.add(value)
        >>> last_two.total
        0.75
        >>> last_two.replace(2.0)
        >>> last_two.total
        2.25
    """

    size: int = 1
    older: list[float] = msgspec.field(default_factory=list)  # suffix sums, the longest one last
    newer: list[float] = msgspec.field(default_factory=list)
    newer_sum: float = 0.0
    sum_before: float = 0.0  # of `newer` without its last value

    @property
    def count(self) -> int:
        """Values in the window, 0 to `size`."""
        return len(self.older) + len(self.newer)

    @property
    def total(self) -> float:
        """Sum of the values in the window; 0 while there are none."""
        return self.older[-1] + self.newer_sum if self.older else self.newer_sum

    def add(self, value: float) -> None:
        """Take the next value; the oldest one leaves when the window is full."""
        if self.count == self.size:
            if not self.older:
                self.older = list(accumulate(reversed(self.newer)))
                self.newer = []
                self.newer_sum = 0.0
            self.older.pop()
        self.newer.append(value)
        self.sum_before = self.newer_sum
        self.newer_sum += value

    def replace(self, value: float) -> None:
        """Put another value in the place of the last one taken."""
        self.newer[-1] = value
        self.newer_sum = self.sum_before + value
