"""How far our clock runs ahead of a venue's.

The estimate is the smallest `ts_recv - ts_event` of late: the true offset plus the shortest way
that a message took. It is what turns "our clock says 12:00:02" into "the venue's 12:00:00 is over".

Two questions want opposite caution. *Is a bar over?* must not be answered too early, so that
answer forgets within `SPELL`: when our clock jumps ahead, or the line gets slow, it follows.
*Is this time too far in the future?* must not be answered in haste, so that answer remembers
`MEMORY` spells: when a slow line gets quick again, its times are believed at once.
"""

from dataclasses import dataclass

from market.intervals import SECOND

TOLERANCE = 2 * SECOND
"""A time further in the future than this is wrong, until others agree with it."""
AGREEMENT = 3
"""Different times in a row that make a first, or a lower, estimate believable."""
PLAUSIBLE = 60 * SECOND
"""Until there is an estimate, a time further from ours than this is not believed."""
SPELL = 10 * SECOND
"""The estimate is the smallest offset of this spell and of the one before."""
MEMORY = 30
"""Spells whose smallest offset still counts as possible."""


@dataclass(slots=True)
class ClockOffset:
    """Running estimate of one venue's `ts_recv - ts_event`, in nanoseconds.

    One wrong time never moves it by more than `TOLERANCE`: an estimate starts, or falls further,
    only when `AGREEMENT` different times in a row lie within `TOLERANCE` of each other. It rises
    when for one to two spells every message is late: a clock that jumped is followed, while a jam
    that ends is not, for the messages at its end were not late.

    State: at most `MEMORY` + 8 numbers. `copy.copy` is a true copy, and it can be pickled.
    """

    value: int | None = None
    """Offset in ns, or None while not known."""
    _floor: int = 0
    _current: int = 0
    _earlier: tuple[int, ...] = ()
    _spell_end: int = 0
    _candidate: int = 0
    _candidate_event: int = 0
    _agreeing: int = 0

    def sample(self, ts_event: int, ts_recv: int) -> bool:
        """Take one pair of times; return whether the venue's time is believable."""
        offset = ts_recv - ts_event
        if offset >= self._current and ts_recv < self._spell_end and not self._agreeing:
            return True  # nothing new: nearly every time
        if self.value is None:
            return self._doubt(offset, ts_event, ts_recv) or abs(offset) <= PLAUSIBLE
        if offset < self._floor - TOLERANCE:
            return self._doubt(offset, ts_event, ts_recv)
        self._agreeing = 0
        if ts_recv >= self._spell_end:
            self._earlier = (*self._earlier[1 - MEMORY :], self._current)
            self.value = min(self._current, offset)
            self._floor = min(*self._earlier, offset)
            self._current = offset
            self._spell_end = ts_recv + SPELL
        elif offset < self._current:
            self._current = offset
            self.value = min(self.value, offset)
            self._floor = min(self._floor, offset)
        return True

    def is_future(self, ts_event: int, ts_recv: int) -> bool:
        """Tell whether the venue's time lies more than `TOLERANCE` after ours, corrected."""
        return self.value is not None and ts_recv - ts_event < self._floor - TOLERANCE

    def venue_time(self, ts_recv: int) -> int | None:
        """Return our time as the venue's clock would tell it; None while not known."""
        return None if self.value is None else ts_recv - self.value

    def _doubt(self, offset: int, ts_event: int, ts_recv: int) -> bool:
        if not self._agreeing or abs(offset - self._candidate) > TOLERANCE:
            self._agreeing = 1
            self._candidate = offset
        else:
            if ts_event != self._candidate_event:  # one match may print many trades of one time
                self._agreeing += 1
            self._candidate = min(self._candidate, offset)
        self._candidate_event = ts_event
        if self._agreeing < AGREEMENT:
            return False
        self.value = self._floor = self._current = self._candidate
        self._earlier = ()
        self._spell_end = ts_recv + SPELL
        self._agreeing = 0
        return True
