"""How far our clock runs ahead of a venue's.

The estimate is the smallest `ts_recv - ts_event` of late: the true offset plus the shortest way
that a message took. It is what turns "our clock says 12:00:02" into "the venue's 12:00:00 is over".
"""

import msgspec

SECOND = 1_000_000_000
TOLERANCE = 2 * SECOND
"""A sample further off than this is a wrong timestamp, until others agree with it."""
AGREEMENT = 3
"""Samples in a row that make a first, or a lower, estimate believable."""
WINDOW = 300 * SECOND
"""Samples older than one to two windows are forgotten, so that a clock may drift or step."""


class ClockOffset(msgspec.Struct):
    """Running estimate of one venue's `ts_recv - ts_event`, in nanoseconds.

    One wrong timestamp never moves it: an estimate starts, or falls by more than `TOLERANCE`, only
    when `AGREEMENT` samples in a row lie within `TOLERANCE` of each other. It rises only as old
    samples leave the window, so that a jam on the line does not look like a clock step.

    State: eight numbers.
    """

    value: int | None = None
    _window_start: int = 0
    _current: int | None = None
    _previous: int | None = None
    _candidate: int = 0
    _agreeing: int = 0

    def is_future(self, ts_event: int, ts_recv: int) -> bool:
        """Tell whether the venue's time lies more than `TOLERANCE` after ours, corrected."""
        return self.value is not None and ts_event > ts_recv - self.value + TOLERANCE

    def sample(self, ts_event: int, ts_recv: int) -> bool:
        """Take one pair of times; return whether the venue's time is believable."""
        offset = ts_recv - ts_event
        value = self.value
        if value is None or offset < value - TOLERANCE:
            if self._agreeing and abs(offset - self._candidate) <= TOLERANCE:
                self._agreeing += 1
                self._candidate = min(self._candidate, offset)
            else:
                self._agreeing = 1
                self._candidate = offset
            if self._agreeing < AGREEMENT:
                return value is None
            self.value = self._current = self._previous = self._candidate
            self._window_start = ts_recv
            self._agreeing = 0
            return True
        self._agreeing = 0
        if ts_recv - self._window_start >= WINDOW:
            self._previous, self._current = self._current, offset
            self._window_start = ts_recv
        elif self._current is None or offset < self._current:
            self._current = offset
        else:
            return True
        previous, current = self._previous, self._current
        self.value = current if previous is None or current < previous else previous
        return True

    def venue_time(self, ts_recv: int) -> int | None:
        """Return our time as the venue's clock would tell it; None while not known."""
        return None if self.value is None else ts_recv - self.value
