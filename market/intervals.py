"""Bar intervals: `"1s"`, `"5m"`, `"4h"`, `"1d"`."""

import msgspec

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
_UNITS = {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": DAY}


class Interval(msgspec.Struct, frozen=True):
    """A length of time that divides a day, aligned to 00:00 UTC.

    Attributes:
        name: as a person writes it, `"5m"`.
        length: nanoseconds.

    Example:
        >>> Interval.parse("5m").start_of(301 * SECOND) // SECOND
        300
    """

    name: str
    length: int

    @classmethod
    def parse(cls, text: str) -> "Interval":
        """Read `"90s"`, `"5m"`, `"1h"` or `"1d"`.

        Raises:
            ValueError: not a count and a unit, or it does not divide a day.
        """
        count, unit = text[:-1], text[-1:]
        # Five digits write a day in seconds; a leading zero would make two names of one length.
        is_count = count.isascii() and count.isdigit() and len(count) <= 5 and count[0] != "0"
        if unit not in _UNITS or not is_count:
            raise ValueError(
                f"interval {text!r}: expected a count and one of s, m, h, d, as in '5m'"
            )
        length = int(count) * _UNITS[unit]
        if length > DAY or DAY % length:
            raise ValueError(f"interval {text!r}: it must divide a day")
        return cls(text, length)

    def start_of(self, ts: int) -> int:
        """Return the start of the interval that holds `ts` (ns UTC)."""
        return ts - ts % self.length
