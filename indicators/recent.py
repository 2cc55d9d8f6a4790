"""The last values of a series, so that one can look a fixed way back."""

import msgspec


class Recent(msgspec.Struct):
    """The last `size` values of a series, as a ring.

    Args:
        size: values that are kept; at least 1.

    State: at most `size` numbers.

    Example:
        >>> recent = Recent(size=2)
        >>> [recent.add(value) for value in (1.0, 2.0, 3.0)]
        [None, None, 1.0]
        >>> recent.oldest
        2.0
    """

    size: int = 1
    ring: list[float] = msgspec.field(default_factory=list)
    place: int = -1  # of the newest

    @property
    def oldest(self) -> float:
        """The first of the values that are kept; there must be one."""
        return self.ring[(self.place + 1) % len(self.ring)]

    def add(self, value: float) -> float | None:
        """Take the next value and return the one that it drives out, if any."""
        self.place = (self.place + 1) % self.size
        if len(self.ring) < self.size:
            self.ring.append(value)
            return None
        gone, self.ring[self.place] = self.ring[self.place], value
        return gone

    def replace(self, value: float) -> None:
        """Put another value in the place of the last one taken."""
        self.ring[self.place] = value
