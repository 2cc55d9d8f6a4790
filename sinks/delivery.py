"""The contract between the sender and a place that alerts go to."""

import enum
from typing import Protocol

import msgspec

from market.errors import SinkError
from sinks.message import Message
from sinks.pacing import Pace


class Failure(enum.StrEnum):
    """What is known of a delivery that did not succeed.

    `retry`: it did not arrive, another try may succeed. `permanent`: it did not arrive and never
    will. `unknown`: it may have arrived; only the answer is missing.
    """

    RETRY = "retry"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"


class Delivered(msgspec.Struct, frozen=True):
    """The target has the message.

    Attributes:
        message_id: the target's name for it, or None when it has none.
    """

    message_id: str | None = None


class DeliveryError(SinkError):
    """A target did not confirm a message.

    Args:
        message: what the target said, without any secret.
        failure: what is known of the message.
        retry_after_s: seconds before the target wants to hear of us again; None if it said nothing.
    """

    def __init__(
        self, message: str, *, failure: Failure, retry_after_s: float | None = None
    ) -> None:
        self.failure = failure
        self.retry_after_s = retry_after_s
        super().__init__(message, retriable=failure is Failure.RETRY)


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What the sender must know of a target.

    Attributes:
        pace: what limits its calls; None for no limit.
        digests: several alerts may go to it in one message.
        keeps_quiet: it wakes people: quiet hours hold alerts back.
        takes_pictures: a message to it may have a picture.
    """

    pace: Pace | None = None
    digests: bool = False
    keeps_quiet: bool = False
    takes_pictures: bool = False


class Target(Protocol):
    """A place that alerts go to. The sender's thread makes all calls but `abort`."""

    @property
    def traits(self) -> Traits:
        """What the sender must know; always the same."""
        ...

    def send(self, message: Message, now: int) -> Delivered:
        """Deliver one message and wait for the answer, some seconds at most.

        It makes one attempt: when to try again is for the sender to say.

        Args:
            message: what to deliver.
            now: our clock, ns UTC.

        Raises:
            DeliveryError: it was refused, did not get through, or was not answered.
        """
        ...

    def abort(self) -> None:
        """Give up the call that another thread waits in, if any: it ends as `unknown`."""
        ...

    def close(self) -> None:
        """Free connections; `send` is not called again. Called once, by the sender's thread."""
        ...


class Companion(Protocol):
    """Something that runs only where alerts are sent: in one process at a time."""

    def start(self) -> None:
        """Begin; the lock is ours. May be called again after `stop`."""
        ...

    def stop(self) -> None:
        """End within a second or so; the lock may be another's."""
        ...
