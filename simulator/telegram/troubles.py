"""What goes wrong with the next calls."""

from typing import Literal

import msgspec

SENDING = ("sendMessage", "sendPhoto")
"""What a trouble concerns that names no method."""


class Trouble(msgspec.Struct):
    """What the next calls get.

    Attributes:
        kind: `limit`, `fail`, `drop` or `slow`.
        left: how many calls.
        method: which calls; empty for those of `SENDING`.
        retry_after: seconds that a limit asks for.
        status: of HTTP, of a failure.
        delivered: a dropped call has been taken before.
        seconds: how much later a slow call is answered.
    """

    kind: Literal["limit", "fail", "drop", "slow"]
    left: int
    method: str = ""
    retry_after: int = 1
    status: int = 500
    delivered: bool = False
    seconds: float = 0.0

    def concerns(self, method: str) -> bool:
        """Whether a call of a method gets it."""
        return method == self.method if self.method else method in SENDING


class Troubles:
    """Troubles that wait for their calls, the first told first."""

    def __init__(self) -> None:
        self._waiting: list[Trouble] = []

    def add(self, trouble: Trouble) -> None:
        """Let the next calls that it concerns have a trouble."""
        self._waiting.append(trouble)

    def of(self, method: str) -> Trouble | None:
        """Return what a call gets, which is used up by it."""
        trouble = next((found for found in self._waiting if found.concerns(method)), None)
        if trouble is not None:
            trouble.left -= 1
            if trouble.left <= 0:
                self._waiting.remove(trouble)
        return trouble
