"""The last bars of a series, as columns of numbers: what an indicator of a library is opened on."""

from array import array
from collections.abc import Callable, Iterable
from math import isfinite
from operator import attrgetter
from typing import Any

import numpy as np

from indicators.made_up_bars import Column
from market.events import Bar

LARGEST_FOR_LIBRARIES = 1e60
"""Libraries multiply prices by sizes and square them: inputs stay below this, or a sum that has
become infinite would stay in their state for ever."""


class KeptBars:
    """Some values of the last bars: `limit` of them for certain, at most twice as many.

    Args:
        limit: how many are kept at least, once there have been as many.
        width: how many values a bar has here.
    """

    __slots__ = ("_columns", "_limit")

    def __init__(self, limit: int, width: int) -> None:
        if limit < 1:
            raise ValueError(f"kept bars: limit {limit}: expected 1 or more")
        self._limit = limit
        self._columns = [array("d") for _ in range(width)]

    def __len__(self) -> int:
        return len(self._columns[0])

    def append(self, row: Iterable[float]) -> None:
        """Add a bar; now and then the oldest ones go."""
        for column, value in zip(self._columns, row, strict=True):
            column.append(value)
        if len(self) > 2 * self._limit:
            for column in self._columns:
                del column[: -self._limit]

    def replace(self, row: Iterable[float]) -> None:
        """Put another bar in the place of the last one."""
        for column, value in zip(self._columns, row, strict=True):
            column[-1] = value

    def last(self) -> tuple[float, ...]:
        """Return the values of the last bar."""
        return tuple(column[-1] for column in self._columns)

    def arrays(self, most: int | None = None) -> list[Column]:
        """Return a copy of every column; of the last `most` bars only, where it is given."""
        start = 0 if most is None else max(len(self) - most, 0)
        return [np.array(column[start:], dtype=np.float64) for column in self._columns]

    def __getstate__(self) -> tuple[int, list[bytes]]:
        return self._limit, [column[-self._limit :].tobytes() for column in self._columns]

    def __setstate__(self, state: tuple[int, list[bytes]]) -> None:
        self._limit, kept = state
        self._columns = [array("d", column) for column in kept]


def reader_of(fields: tuple[str, ...]) -> Callable[[Bar], tuple[float, ...]]:
    """Return a function that takes the values named from a bar, and refuses what is no number.

    Raises (the function):
        ValueError: one is NaN, infinite or beyond `LARGEST_FOR_LIBRARIES`.
    """
    read: Callable[[Bar], Any] = attrgetter(*fields)
    alone = len(fields) == 1

    def row(bar: Bar) -> tuple[float, ...]:
        found: tuple[float, ...] = (read(bar),) if alone else read(bar)
        for value in found:
            if not -LARGEST_FOR_LIBRARIES < value < LARGEST_FOR_LIBRARIES:
                raise ValueError(
                    f"an indicator got {value}: expected a finite number"
                    f" below {LARGEST_FOR_LIBRARIES:g}"
                )
        return found

    return row


def finite_or_none(value: float) -> float | None:
    """Return a library's number as ours: None where it gives NaN or infinity."""
    number = float(value)
    return number if isfinite(number) else None
