"""What an indicator must offer, and what the rest may rely on.

An indicator of bars takes one closed bar at a time, oldest first, and keeps a state whose size its
parameters fix, however long the stream runs. It remembers its state before the last bar, so that
a correction of that bar can be taken back and computed again. It can be pickled at any point and
goes on as if nothing had happened. An indicator of the book has no state of its own.

None ever gives NaN or infinity: a value that cannot be told is None.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from market.events import Bar, Level

LARGEST = 1e300
"""Inputs lie between -LARGEST and LARGEST, so that a sum over a window stays finite."""
LEAST = -LARGEST
"""Worked out once: the classic indicators look at it with every bar."""


class BarIndicator(Protocol):
    """One indicator over the bars of one series."""

    @property
    def name(self) -> str:
        """Canonical name without an output, `"rsi(14)"`."""
        ...

    @property
    def warm_up(self) -> int:
        """Bars it takes until the first value, the one that gives it included; at least 1."""
        ...

    @property
    def settled(self) -> int | None:
        """Bars until it no longer matters where the series began; at least `warm_up`.

        Until the value is within 0.01 % of the one with infinite history, or of how far it swings
        where it lies around zero, in a market that moves about as much as before. None where that
        never comes: a running total is counted from wherever it began.
        """
        ...

    @property
    def count(self) -> int:
        """Bars taken so far; below `warm_up` the indicator is warming, `count` of `warm_up`."""
        ...

    @property
    def values(self) -> tuple[float | None, ...]:
        """One value for each of the catalogue's outputs, in that order; None while warming."""
        ...

    def update(self, bar: Bar) -> None:
        """Take the next closed bar.

        Raises:
            ValueError: an input is NaN, infinite or beyond `LARGEST`; nothing has changed then.
        """
        ...

    def revise(self, bar: Bar) -> None:
        """Take the last bar again, corrected: the result is as if only this one had come.

        Raises:
            ValueError: there is no last bar, or an input is as `update` refuses it.
        """
        ...


class BookIndicator(Protocol):
    """One indicator of a book at one moment."""

    @property
    def name(self) -> str:
        """Canonical name, `"book.imbalance(10)"`."""
        ...

    def measure(self, bids: Sequence[Level], asks: Sequence[Level]) -> float | None:
        """Return the value for these levels, best first, or None when they do not tell one."""
        ...


class Depth(Protocol):
    """A whole book, and where size has rested in it for a while; see `indicators.liquidity`."""

    @property
    def bids(self) -> Mapping[float, float]:
        """All bids, price to size, in no order."""
        ...

    @property
    def asks(self) -> Mapping[float, float]:
        """All asks, price to size, in no order."""
        ...

    @property
    def mid(self) -> float | None:
        """Half way between the best prices; None when a side is empty."""
        ...

    @property
    def supports(self) -> Sequence[Level] | None:
        """Prices below the mid where size has rested, nearest first; None while warming."""
        ...

    @property
    def resistances(self) -> Sequence[Level] | None:
        """Prices above the mid where size has rested, nearest first; None while warming."""
        ...


class DepthIndicator(Protocol):
    """One indicator of a whole book at one moment; what it remembers is in `Depth`."""

    @property
    def name(self) -> str:
        """Canonical name, `"support(1)"`."""
        ...

    def measure(self, depth: Depth) -> float | None:
        """Return the value, or None when the book does not tell one, or does not yet."""
        ...


def checked(value: float) -> float:
    """Return an input as it is.

    Raises:
        ValueError: it is NaN, infinite or beyond `LARGEST`.
    """
    if not -LARGEST < value < LARGEST:
        raise ValueError(f"an indicator got {value}: expected a finite number")
    return value
