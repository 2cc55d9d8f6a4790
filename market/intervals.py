"""Bar intervals: `"1s"`, `"5m"`, `"4h"`, `"1d"`, `"1w"`."""

import msgspec

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
WEEK = 7 * DAY
MONDAY = 4 * DAY
"""1970-01-05 00:00 UTC, the first Monday."""
_UNITS = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": DAY, "w": WEEK}


class Interval(msgspec.Struct, frozen=True):
    """A length of time that divides a day, aligned to 00:00 UTC; or a week from Monday on.

    Attributes:
        name: as a person writes it, `"5m"`.
        length: nanoseconds.
        offset: one moment at which an interval begins, ns since 1970 UTC; the others lie whole
            lengths before and after it.

    Example:
        >>> Interval.parse("5m").start_of(301 * SECOND) // SECOND
        300
        >>> Interval.parse("1w").start_of(5 * DAY) // DAY
        4
    """

    name: str
    length: int
    offset: int = 0

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Read `"90s"`, `"5m"`, `"1h"`, `"1d"` or `"1w"`.

        Raises:
            ValueError: not a count and a unit, or it neither divides a day nor is one week.
        """
        count, unit = text[:-1], text[-1:]
        # Five digits write a day in seconds; a leading zero would make two names of one length.
        is_count = count.isascii() and count.isdigit() and len(count) <= 5 and count[0] != "0"
        if unit not in _UNITS or not is_count:
            raise ValueError(
                f"interval {text!r}: expected a count and one of s, m, h, d, w, as in '5m'"
            )
        length = int(count) * _UNITS[unit]
        if length == WEEK and unit == "w":
            return cls(text, length, MONDAY)
        if length > DAY or DAY % length:
            raise ValueError(f"interval {text!r}: it must divide a day, or be '1w'")
        return cls(text, length)

    def start_of(self, ts: int) -> int:
        """Return the start of the interval that holds `ts` (ns UTC)."""
        return ts - (ts - self.offset) % self.length

    def is_made_of(self, smaller: "Interval") -> bool:
        """Tell whether every one of these is a whole number of the smaller ones."""
        return (
            smaller.length < self.length
            and self.length % smaller.length == 0
            and (self.offset - smaller.offset) % smaller.length == 0
        )
