"""Where a spec stands with one series: has it become true, has it fired, may it fire again.

    inactive ──true──► pending ──held long enough──► firing ──false──► cooling ──over──► inactive
       ▲                  │false                       ▲                  │true
       └──────────────────┘                            └── pending ◄──────┘

A spec fires once, at the end of `for`, and is then quiet while its condition stays true. When it
becomes true again before `cooldown` has passed since the last firing, that episode is counted as
suppressed and never told, not even when the cooldown ends in its midst.

With `until` what ends `firing` is not that the condition is false but that the other one is true.
With `trigger: every` it fires again at each true moment that is no sooner than the cooldown. With
`once` it never fires again.

A moment that does not count (not live, a value missing) is not a false one: what has fired stays
fired. But a wait for `for` begins anew after it, because nobody knows what was true in between.
What an alert told is over when `firing` is left; what nobody looks at any more has no end.

There is no clock here: times are our own nanoseconds, as observations and heartbeats bring them.
"""

import enum
from collections.abc import Collection

import msgspec

from filters.memory import Memory
from filters.position import Position


class Phase(enum.StrEnum):
    """Where a spec stands with one series; the picture above."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    COOLING = "cooling"


class Timing(msgspec.Struct, frozen=True):
    """How long a condition must hold and how long a spec is silent after it has fired.

    Attributes:
        moments: true moments in a row; at least 1.
        hold: ns from the first of them; 0 for none.
        cooldown: ns from one firing to the next.
        is_every: fires at every true moment, not only when the condition becomes true.
        is_once: fires one time, and never again.
        expires: our time from which on it does not fire, ns; 0 for never.
    """

    moments: int = 1
    hold: int = 0
    cooldown: int = 0
    is_every: bool = False
    is_once: bool = False
    expires: int = 0


class Seen(msgspec.Struct, frozen=True):
    """The last true moment, kept while a wait in time may end between two of them."""

    interval: str
    moment: int
    ts_event: int
    values: dict[str, float | None]
    remembered: tuple[bool | None, ...] = ()


class SpecState(msgspec.Struct):
    """The state of one spec and one series.

    Attributes:
        phase: where it stands.
        since: when the condition became true; 0 when it is not.
        moments: true moments in a row, counted up to what `for` asks.
        fired_at: when it last fired; None for never.
        fired: how often it has fired.
        suppressed: episodes that the cooldown kept from being told.
        held: moments that did not count, by kind of reason (a truth state, `missing`).
        reason: the last such reason, for people; empty when the last moment counted.
        seen: the last true moment, while it waits for a time to pass.
        memory: of the condition's crossings and moves.
        until_memory: of those of `until`.
        looked: moments that counted.
        looked_at: our time of the last of them, ns; 0 for none.
        values: by field, at the last moment that counted.
        remembered: what each crossing and move said then.
        until_remembered: what those of `until`, or of an exit, said then.
        holds: what the condition said then.
        position: of a strategy; None before its first.
        told: key of the alert that it fired and that is still true; empty for none.
    """

    phase: Phase = Phase.INACTIVE
    since: int = 0
    moments: int = 0
    fired_at: int | None = None
    fired: int = 0
    suppressed: int = 0
    held: dict[str, int] = {}
    reason: str = ""
    seen: Seen | None = None
    memory: list[Memory] = []
    until_memory: list[Memory] = []
    looked: int = 0
    looked_at: int = 0
    values: dict[str, float | None] = {}
    remembered: tuple[bool | None, ...] = ()
    until_remembered: tuple[bool | None, ...] = ()
    holds: bool | None = None
    position: Position | None = None
    told: str = ""

    def is_over(self, timing: Timing, ts: int) -> str:
        """Say why it can never fire again, or nothing."""
        if timing.is_once and self.fired:
            return "it has fired, and is to fire once only"
        if timing.expires and ts >= timing.expires:
            return "it has expired"
        return ""

    def became_false(self, timing: Timing, ts: int, *, is_released: bool = True) -> None:
        """Take a moment at which the condition does not hold.

        Args:
            timing: of the spec.
            ts: our time, ns.
            is_released: what has fired may fire again; False while `until` says it may not.
        """
        if self.phase is Phase.INACTIVE or (self.phase is Phase.FIRING and not is_released):
            return
        self._forget_wait()
        self.phase = Phase.COOLING if self._is_cooling(timing, ts) else Phase.INACTIVE

    def became_true(self, timing: Timing, ts: int) -> bool:
        """Take a moment at which the condition holds; return whether the spec fires."""
        if self.phase is Phase.FIRING:
            if not timing.is_every or self._is_cooling(timing, ts) or self.is_over(timing, ts):
                return False
            self._fire(ts)
            return True
        if self.phase is not Phase.PENDING:
            self.phase = Phase.PENDING
            self.since = ts
            self.moments = 0
        if self.moments < timing.moments:
            self.moments += 1
        return self._ends_wait(timing, ts)

    def elapsed(self, timing: Timing, ts: int) -> bool:
        """Take a time at which nothing new is known; return whether the spec fires."""
        if self.phase is Phase.PENDING:
            return timing.hold > 0 and self._ends_wait(timing, ts)
        if self.phase is Phase.COOLING and not self._is_cooling(timing, ts):
            self.phase = Phase.INACTIVE
        return False

    def hold_back(self, kind: str, reason: str = "") -> None:
        """Take a moment that does not count.

        Args:
            kind: why, as one of a few words that are counted.
            reason: why, for people.
        """
        self.held[kind] = self.held.get(kind, 0) + 1
        self.reason = reason or kind
        if self.phase is Phase.PENDING:
            self._forget_wait()
            # An `elapsed` ends the cooling if its time is over.
            self.phase = Phase.INACTIVE if self.fired_at is None else Phase.COOLING

    def forget(self, timing: Timing, ts: int) -> None:
        """Begin anew: what has fired may fire again, and no earlier moment is remembered."""
        self._forget_wait()
        self.memory = []
        self.until_memory = []
        self.phase = Phase.COOLING if self._is_cooling(timing, ts) else Phase.INACTIVE

    def copy(self, fields: Collection[str] | None = None) -> "SpecState":
        """Return a copy that changes apart from this one.

        Args:
            fields: what is kept of `values`; all when not given.
        """
        kept = self.values if fields is None else {name: self.values.get(name) for name in fields}
        return msgspec.structs.replace(
            self,
            held=dict(self.held),
            memory=[each.copy() for each in self.memory],
            until_memory=[each.copy() for each in self.until_memory],
            values=dict(kept) if self.values else {},
        )

    def _ends_wait(self, timing: Timing, ts: int) -> bool:
        if self.moments < timing.moments or ts - self.since < timing.hold:
            return False
        self._forget_wait()
        self.phase = Phase.FIRING
        if self.is_over(timing, ts):
            return False
        if self._is_cooling(timing, ts):
            self.suppressed += 1
            return False
        self._fire(ts)
        return True

    def _fire(self, ts: int) -> None:
        self.fired_at = ts
        self.fired += 1

    def _is_cooling(self, timing: Timing, ts: int) -> bool:
        return self.fired_at is not None and ts - self.fired_at < timing.cooldown

    def _forget_wait(self) -> None:
        self.since = 0
        self.moments = 0
        self.seen = None
