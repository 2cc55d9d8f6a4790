"""A picture's horizontal scale: where a bar stands, where none is, and which times are written."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise

import msgspec

from market.events import Bar
from market.intervals import SECOND, Interval

LONGEST_HOLE = 8
"""Places that a hole takes at most; a longer one is written with its length."""
TICKS = 5
FEWEST_PLACES = 24.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = int((datetime(9990, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
_DAY = 86_400
_STEPS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10_800, 14_400, 21_600, 43_200, _DAY),
)
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Hole(msgspec.Struct, frozen=True):
    """Where no bars are: between two places, and how long it lasts (ns)."""

    left: float
    right: float
    length: int
    is_shortened: bool


class Times:
    """Places of bars: the first stands at 0, each place is one bar wide.

    Bars of a fixed length stand by their time, so that missing ones leave a hole; others, of ticks
    or volume, stand side by side.

    Args:
        bars: oldest first; at least one.
    """

    def __init__(self, bars: Sequence[Bar]) -> None:
        self.bars = bars
        length = _length(bars[0].interval)
        self.places = [0.0]
        self.holes: list[Hole] = []
        for before, after in pairwise(bars):
            missing = (after.start - before.end) // length if length else 0
            if missing > 0:
                wide = min(missing, LONGEST_HOLE)
                left = self.places[-1] + 0.5
                self.holes.append(Hole(left, left + wide, after.start - before.end, wide < missing))
                self.places.append(self.places[-1] + wide + 1)
            else:
                self.places.append(self.places[-1] + 1)

    @property
    def left(self) -> float:
        """Where the picture begins; a few bars stand at its right, no wider than bars are."""
        return min(-1.0, self.right - FEWEST_PLACES)

    @property
    def right(self) -> float:
        """Where the picture ends."""
        return self.places[-1] + 1.5

    def bar_at(self, ts: int) -> int | None:
        """Return the number of the bar that ends at `ts` or has it inside; None if there is none.

        The close of a bar is what one knows at its end, so the bar that ends there comes first.
        """
        for number in range(len(self.bars) - 1, -1, -1):
            if self.bars[number].start < ts <= self.bars[number].end:
                return number
        return None

    def place(self, ts: int) -> float:
        """Return where a moment stands: at its bar, in its hole, or at an end."""
        number = self.bar_at(ts)
        if number is not None:
            return self.places[number]
        earlier = [at for at, bar in zip(self.places, self.bars, strict=True) if bar.end < ts]
        if not earlier:
            return -0.75
        return earlier[-1] + 1.0

    def ticks(self, zone: tzinfo) -> list[tuple[float, str]]:
        """Return places and what is written there: round times of the zone."""
        moments = [local(bar.start, zone) for bar in self.bars]
        for step in _STEPS:
            numbers = [number for number, at in enumerate(moments) if _of_day(at) % step == 0]
            if len(numbers) <= TICKS:
                break
        else:
            numbers = [number for number, at in enumerate(moments) if _of_day(at) == 0]
        if not 2 <= len(numbers) <= TICKS:
            count = min(len(moments), TICKS - 1)
            numbers = sorted(
                {round(each * (len(moments) - 1) / max(count - 1, 1)) for each in range(count)}
            )
        spans_days = (moments[-1] - moments[0]) > timedelta(days=3)
        has_seconds = any(moments[number].second for number in numbers)
        told: list[tuple[float, str]] = []
        nearest = (self.right - self.left) / (TICKS + 2)
        for number in numbers:
            at = moments[number]
            if told and self.places[number] - told[-1][0] < nearest:
                continue
            if spans_days or (_of_day(at) == 0 and len(moments) > 1):
                text = f"{at.day} {MONTHS[at.month - 1]}"
            else:
                text = f"{at:%H:%M:%S}" if has_seconds else f"{at:%H:%M}"
            told.append((self.places[number], text))
        return told


def local(ns: int, zone: tzinfo) -> datetime:
    """Return a moment in a zone; one after the year 9990 as that year's begin."""
    return (_EPOCH + timedelta(seconds=min(max(ns // SECOND, _DAY), _LAST))).astimezone(zone)


def length_text(ns: int) -> str:
    """Return a length of time for people.

    Example:
        >>> length_text(90 * SECOND), length_text(9600 * SECOND), length_text(3 * 86_400 * SECOND)
        ('90 s', '2 h 40 min', '3 d')
    """
    seconds = ns // SECOND
    units = (("d", _DAY), ("h", 3600), ("min", 60), ("s", 1))
    for (unit, size), (next_unit, next_size) in pairwise(units):
        if seconds >= 2 * size:
            rest = seconds % size // next_size
            return f"{seconds // size} {unit}" + (f" {rest} {next_unit}" if rest else "")
    return f"{seconds} s"


def _of_day(at: datetime) -> int:
    return at.hour * 3600 + at.minute * 60 + at.second


def _length(interval: str) -> int:
    try:
        return Interval.parse(interval).length
    except ValueError:
        return 0
