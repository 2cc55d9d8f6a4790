"""Where a spec stands with one series: has it become true, has it fired, may it fire again.

    inactive ──true──► pending ──held long enough──► firing ──false──► cooling ──over──► inactive
       ▲                  │false                       ▲                  │true
       └──────────────────┘                            └── pending ◄──────┘

A spec fires once, at the end of `for`, and is then quiet while its condition stays true. When it
becomes true again before `cooldown` has passed since the last firing, that episode is counted as
suppressed and never told, not even when the cooldown ends in its midst.

A moment that does not count (not live, a value missing) is not a false one: what has fired stays
fired. But a wait for `for` begins anew after it, because nobody knows what was true in between.

There is no clock here: times are our own nanoseconds, as observations and heartbeats bring them.
"""

import enum

import msgspec


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
    """

    moments: int = 1
    hold: int = 0
    cooldown: int = 0


class Seen(msgspec.Struct, frozen=True):
    """The last true moment, kept while a wait in time may end between two of them."""

    interval: str
    moment: int
    ts_event: int
    values: dict[str, float | None]


class SpecState(msgspec.Struct):
    """The state of one spec and one series.

    Attributes:
        phase: where it stands.
        since: when the condition became true; 0 when it is not.
        moments: true moments in a row, counted up to what `for` asks.
        fired_at: when it last fired; None for never.
        fired: how often it has fired.
        suppressed: episodes that the cooldown kept from being told.
        held: moments that did not count, by kind of reason (a truth state, `missing`, `revision`).
        reason: the last such reason, for people.
        seen: the last true moment, while it waits for a time to pass.
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

    def became_false(self, timing: Timing, ts: int) -> None:
        """Take a moment at which the condition does not hold."""
        if self.phase is Phase.INACTIVE:
            return
        self._forget_wait()
        self.phase = Phase.COOLING if self._is_cooling(timing, ts) else Phase.INACTIVE

    def became_true(self, timing: Timing, ts: int) -> bool:
        """Take a moment at which the condition holds; return whether the spec fires."""
        if self.phase is Phase.FIRING:
            return False
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

    def copy(self) -> "SpecState":
        """Return a copy that changes apart from this one."""
        return msgspec.structs.replace(self, held=dict(self.held))

    def _ends_wait(self, timing: Timing, ts: int) -> bool:
        if self.moments < timing.moments or ts - self.since < timing.hold:
            return False
        self._forget_wait()
        self.phase = Phase.FIRING
        if self._is_cooling(timing, ts):
            self.suppressed += 1
            return False
        self.fired_at = ts
        self.fired += 1
        return True

    def _is_cooling(self, timing: Timing, ts: int) -> bool:
        return self.fired_at is not None and ts - self.fired_at < timing.cooldown

    def _forget_wait(self) -> None:
        self.since = 0
        self.moments = 0
        self.seen = None
