"""The calls of targets: each at its pace, and left alone for a while after a failure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

from sinks.delivery import Delivered, DeliveryError, Failure, Target, Traits
from sinks.message import MOST, Message
from sinks.outbox_row import OutboxRow
from sinks.pacing import Pace, Pacer

BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
"""Pauses of a target, by failures in a row, where it does not say itself how long."""

_Alert = TypeVar("_Alert")


class Attempt(NamedTuple):
    """An attempt that was made.

    Attributes:
        rows: what went out in one message; the first carries the others.
        outcome: what came of it.
        pause_s: how long the target is left alone.
    """

    rows: list[OutboxRow]
    outcome: Delivered | DeliveryError
    pause_s: float


class Calls:
    """Makes the calls; used by the sender's thread only.

    A place is taken with `begin`, and given back by `make` or `cancel`.

    Args:
        targets: name, as the outbox has it, to target.
        pacer: says when a target may be called; others may use it too.
    """

    def __init__(self, targets: Mapping[str, Target], pacer: Pacer) -> None:
        self._targets = dict(targets)
        self._traits = {name: target.traits for name, target in self._targets.items()}
        self._paces = {
            name: traits.pace if traits.pace is not None else Pace(f"target {name}")
            for name, traits in self._traits.items()
        }
        self._pacer = pacer
        self._failures = dict.fromkeys(self._targets, 0)

    @property
    def names(self) -> list[str]:
        """All targets."""
        return list(self._targets)

    @property
    def ready(self) -> list[str]:
        """Targets that can be called now."""
        return [name for name, pace in self._paces.items() if self._pacer.wait_s(pace) <= 0]

    @property
    def quiet(self) -> list[str]:
        """Targets that quiet hours concern."""
        return [name for name, traits in self._traits.items() if traits.keeps_quiet]

    def traits(self, target: str) -> Traits:
        """What there is to know of a target."""
        return self._traits[target]

    def together(self, target: str, due: Sequence[_Alert], *, enough: int) -> list[_Alert]:
        """Return which of some alerts, in their order, go out in the next message.

        Args:
            target: name of their target.
            due: one or more, all of one severity.
            enough: so many make a digest, where the target takes any.
        """
        is_digest = self._traits[target].digests and len(due) >= enough
        return list(due[:MOST] if is_digest else due[:1])

    def begin(self, target: str) -> bool:
        """Take a target's place; False when it cannot be called now."""
        return self._pacer.begin(self._paces[target])

    def cancel(self, target: str) -> None:
        """Give a place back: there is no call."""
        self._pacer.cancel(self._paces[target])

    def make(self, rows: list[OutboxRow], message: Message, *, now: int) -> Attempt:
        """Call the target of `rows`, whose place was taken.

        Args:
            rows: what `message` tells.
            message: what to deliver.
            now: our clock, ns UTC.
        """
        target = rows[0].target
        try:
            outcome = self._send(target, message, now)
        finally:
            self._pacer.end(self._paces[target])
        return self._judge(rows, outcome)

    def wait_s(self, most: float) -> float:
        """Return in how many seconds another target may be called; `most` when that is later."""
        waits = [wait for wait in map(self._pacer.wait_s, self._paces.values()) if wait > 0]
        return min([most, *waits])

    def _send(self, target: str, message: Message, now: int) -> Delivered | DeliveryError:
        try:
            return self._targets[target].send(message, now)
        except DeliveryError as error:
            return error

    def _judge(self, rows: list[OutboxRow], outcome: Delivered | DeliveryError) -> Attempt:
        target = rows[0].target
        if isinstance(outcome, Delivered) or outcome.failure is Failure.PERMANENT:
            self._failures[target] = 0  # it answers: nothing to wait for
            return Attempt(rows, outcome, 0.0)
        failures = self._failures[target]
        self._failures[target] = failures + 1
        pause = BACKOFF_S[min(failures, len(BACKOFF_S) - 1)]
        asked = outcome.retry_after_s
        if asked is not None:
            pause = max(asked, 0.0)
        self._pacer.pause(self._paces[target], pause, limited=asked is not None)
        return Attempt(rows, outcome, pause)
