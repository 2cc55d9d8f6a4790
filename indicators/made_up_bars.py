"""A market that was made up, the same every time, to measure indicators of libraries with.

A library does not say how long its functions remember. That is measured here, on prices that go up
and down as a market's do, drawn by arithmetic alone so that every process finds the same answer.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Column: TypeAlias = NDArray[np.float64]
Columns: TypeAlias = dict[str, Column]

STEP = 0.004
"""Largest part of the price that one bar moves it by, times the square root of three."""


def made_up(length: int) -> Columns:
    """Return open, high, low, close and volume of `length` bars, a walk about a price of 100.

    Example:
        >>> columns = made_up(3)
        >>> bool((columns["low"] <= columns["close"]).all()), len(columns["volume"])
        (True, 3)
    """
    moves = (_noise(length, 1) + _noise(length, 2) + _noise(length, 3)) * STEP
    close = 100.0 * np.exp(np.cumsum(moves) - 0.5 * np.linspace(0.0, float(np.sum(moves)), length))
    opened = np.concatenate((close[:1], close[:-1]))
    upper, lower = 0.5 + _noise(length, 4), 0.5 + _noise(length, 5)
    return {
        "open": opened,
        "high": np.maximum(opened, close) * (1.0 + upper * STEP),
        "low": np.minimum(opened, close) * (1.0 - lower * STEP),
        "close": close,
        "volume": -np.log1p(-(0.5 + _noise(length, 6)) * 0.999_999),
    }


def standing_still(length: int) -> Columns:
    """Return the same of a market of one price in which nothing trades."""
    flat = np.full(length, 100.0)
    return {"open": flat, "high": flat, "low": flat, "close": flat, "volume": np.zeros(length)}


def _noise(length: int, stream: int) -> Column:
    """Return numbers from -0.5 to 0.5 (the finalizer of splitmix64 over a counter)."""
    mixed = np.arange(length, dtype=np.uint64) * np.uint64(8) + np.uint64(stream)
    mixed = (mixed + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53 - 0.5
