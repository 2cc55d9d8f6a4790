"""How often a place may be called: token buckets that take the time as an argument.

The limits are of any stretch of time, at the place that is called. A bucket of `burst` tokens that
refills at `rate` a second lets through at most `burst + rate * period` calls in any period, so the
two are cut from a limit to fit it. A call counts from when it has *ended*: then whatever the way to
the server adds to one call and not to the next cannot bring them closer together there.
"""

import threading
from collections.abc import Callable

import msgspec

_WHOLE = 1.0 - 1e-9
"""A token, less what adding up floats may lose."""


class Rate(msgspec.Struct, frozen=True):
    """At most `calls` in any `period_s` seconds.

    Attributes:
        calls: at least 1.
        period_s: seconds, above 0.
        burst: calls that may follow each other at once; below `calls`, or 1.
    """

    calls: int
    period_s: float
    burst: int = 1

    @property
    def refill(self) -> float:
        """Tokens that come back a second, so that burst and refill keep to the limit."""
        return (self.calls - self.burst) / self.period_s if self.calls > 1 else 1 / self.period_s


class Bucket:
    """Tokens of one limit.

    Args:
        rate: what it lets through.

    Example:
        >>> bucket = Bucket(Rate(20, 60.0, burst=5))
        >>> for _ in range(5):
        ...     bucket.spend(100.0)
        >>> bucket.ready_at(100.0)
        104.0
    """

    def __init__(self, rate: Rate) -> None:
        self._refill = rate.refill
        self._burst = float(rate.burst)
        self._tokens = self._burst
        self._at = 0.0

    def ready_at(self, now: float, *, reserved: int = 0) -> float:
        """Return when a token is there for one more call; `now` when it is.

        Args:
            now: seconds of a clock that never goes back.
            reserved: calls that have begun and are not spent yet.
        """
        lacking = _WHOLE + reserved - self._refilled(now)
        if reserved >= self._burst and lacking > 0:
            return now + 1 / self._refill  # until one of them ends; asked again then
        return now if lacking <= 0 else now + (lacking + (1 - _WHOLE)) / self._refill

    def spend(self, now: float) -> None:
        """Take a token for a call that ended at `now`."""
        self._tokens = self._refilled(now) - 1.0
        self._at = max(now, self._at)

    def _refilled(self, now: float) -> float:
        return min(self._burst, self._tokens + max(0.0, now - self._at) * self._refill)


class _Place:
    """One place, or all places of a family together."""

    def __init__(self, rate: Rate | None) -> None:
        self.bucket = Bucket(rate) if rate is not None else None
        self.begun = 0
        self.paused_until = 0.0

    def ready_at(self, now: float) -> float:
        at = now if self.bucket is None else self.bucket.ready_at(now, reserved=self.begun)
        return max(at, self.paused_until)


class Pace(msgspec.Struct, frozen=True):
    """What limits the calls of one target.

    Attributes:
        place: what is limited; targets with the same place share the limit.
        rate: of the place; None for no limit.
        family: places that are limited together as well; empty for none.
        family_rate: of the family; None for no limit.
    """

    place: str
    rate: Rate | None = None
    family: str = ""
    family_rate: Rate | None = None


class Pacer:
    """Says when a target may be called. May be used from several threads.

    Args:
        clock: seconds that never go back, `time.monotonic`.

    A call is begun, made, and ended; in between its place is taken.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._families: dict[str, _Place] = {}
        self._members: dict[str, set[str]] = {}

    def wait_s(self, pace: Pace) -> float:
        """Return in how many seconds a call may begin; 0 when it may at once."""
        with self._lock:
            now = self._clock()
            return self._ready_at(pace, now) - now

    def begin(self, pace: Pace) -> bool:
        """Take the place for a call; False when it is not ready."""
        with self._lock:
            now = self._clock()
            if self._ready_at(pace, now) > now:
                return False
            for place in self._of(pace):
                place.begun += 1
            return True

    def end(self, pace: Pace) -> None:
        """Count a call that was begun, answered or not."""
        with self._lock:
            now = self._clock()
            for place in self._of(pace):
                place.begun -= 1
                if place.bucket is not None:
                    place.bucket.spend(now)

    def cancel(self, pace: Pace) -> None:
        """Give a place back: the call was begun and not made."""
        with self._lock:
            for place in self._of(pace):
                place.begun -= 1

    def pause(self, pace: Pace, seconds: float, *, limited: bool = False) -> None:
        """Leave a place alone for a while.

        Args:
            pace: of the target.
            seconds: how long.
            limited: it said that it is called too often. A second place of the family that says so
                while another waits means all of them.
        """
        with self._lock:
            now = self._clock()
            place = self._place(pace)
            place.paused_until = max(place.paused_until, now + seconds)
            if not limited or not pace.family:
                return
            others = self._members[pace.family] - {pace.place}
            if any(self._places[name].paused_until > now for name in others):
                family = self._families[pace.family]
                family.paused_until = max(family.paused_until, now + seconds)

    def resume(self, pace: Pace) -> None:
        """End the pause of a place: it has answered."""
        with self._lock:
            self._place(pace).paused_until = 0.0

    def _ready_at(self, pace: Pace, now: float) -> float:
        place, *families = self._of(pace)
        if place.begun and place.bucket is not None:
            # One call at a time: how far apart two are at the server is not ours to say.
            return now + 1 / (pace.rate.refill if pace.rate is not None else 1.0)
        return max(each.ready_at(now) for each in (place, *families))

    def _place(self, pace: Pace) -> _Place:
        return self._of(pace)[0]

    def _of(self, pace: Pace) -> list[_Place]:
        if pace.place not in self._places:
            self._places[pace.place] = _Place(pace.rate)
        if not pace.family:
            return [self._places[pace.place]]
        if pace.family not in self._families:
            self._families[pace.family] = _Place(pace.family_rate)
        self._members.setdefault(pace.family, set()).add(pace.place)
        return [self._places[pace.place], self._families[pace.family]]
