"""A pane's vertical scale: where a value stands, and which values are written beside it."""

from collections.abc import Iterable
from math import ceil, floor, isfinite, log10
from typing import TypeGuard

import msgspec

LARGEST = 1e290
"""What is larger is not drawn: differences of such numbers are no numbers."""
LEAST_HEIGHT = 1e-9
"""Height of a scale, as a share of its values: below it digits of a float run out."""
FEW_DIGITS = 12
"""A number with more digits before or behind the point is written with an exponent."""


class Tick(msgspec.Struct, frozen=True):
    """A value that is written beside a scale."""

    value: float
    text: str


class Scale(msgspec.Struct, frozen=True):
    """A stretch of values, drawn from 0 (its lower end) to 1 (its upper).

    The picture's own coordinates are these shares, so that no price is too small or too large.
    """

    low: float
    high: float

    @classmethod
    def around(cls, values: Iterable[float], *, above: float = 0.0, below: float = 0.0) -> "Scale":
        """Return the scale of these values with room at its ends, as shares of the height.

        What does not move gets a scale too: a small part of its size above and below.
        """
        known = [value for value in values if is_drawable(value)]
        low, high = min(known, default=0.0), max(known, default=0.0)
        size = max(abs(low), abs(high))
        if high - low <= LEAST_HEIGHT * size or high == low:
            room = max(size * 0.001, 1e-300)
            low, high = low - room, high + room
        height = high - low
        return cls(low - below * height, high + above * height)

    def place(self, value: float) -> float:
        """Return where a value stands, no farther than one height outside."""
        return min(max((value - self.low) / (self.high - self.low), -1.0), 2.0)

    def holds(self, value: float) -> bool:
        """Tell whether a value is inside."""
        return self.low <= value <= self.high

    def ticks(self, count: int) -> list[Tick]:
        """Return at most `count` round values inside, upwards."""
        raw = (self.high - self.low) / max(count, 1)
        exponent = floor(log10(raw)) if raw > 0 else 0
        for factor in (1, 2, 5, 10, 20, 50):
            step = factor * 10.0**exponent
            if step <= 0 or not isfinite(step):
                break
            first, last = ceil(self.low / step), floor(self.high / step)
            if last - first < count:
                values = [number * step for number in range(first, last + 1)]
                return [Tick(value, _stepped(value, step)) for value in values]
        return []


def is_drawable(value: float | None) -> TypeGuard[float]:
    """Tell whether there is a value, and a number that can be drawn."""
    return value is not None and -LARGEST < value < LARGEST


def price_text(value: float) -> str:
    """Return a price in full, with its own digits.

    Example:
        >>> price_text(98765.4), price_text(0.00000123), price_text(70000.0)
        ('98,765.4', '0.00000123', '70,000')
    """
    if value == 0 or not isfinite(value):
        return f"{value:g}"
    digits = 10 - floor(log10(abs(value)))
    if not 0 <= digits <= 10 + FEW_DIGITS:
        return f"{value:.6g}"
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def short_text(value: float) -> str:
    """Return a size or a value in few characters.

    Example:
        >>> [short_text(each) for each in (27.4312, 1234567.0, 0.00123456, -0.0)]
        ['27.43', '1.23M', '0.00123', '0']
    """
    if not isfinite(value):
        return "?"
    size = abs(value)
    for unit, least in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if least <= size < 1e15:
            return f"{value / (1e3 if unit == 'k' else least):.3g}{unit}"
    if size == 0:
        return "0"
    if size >= 1e15 or size < 1e-5:
        return f"{value:.3g}"
    digits = max(0, (3 if size >= 10 else 2) - floor(log10(size)))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _stepped(value: float, step: float) -> str:
    """Return a multiple of a step with as many digits as the step has."""
    decimals = max(0, -floor(log10(step) + 1e-9))
    size = max(abs(value), step)
    if decimals <= FEW_DIGITS and size < 10.0**FEW_DIGITS:
        return f"{value or 0.0:,.{decimals}f}"
    return f"{value:.{min(max(floor(log10(size)) - floor(log10(step) + 1e-9), 0), 6)}e}"
