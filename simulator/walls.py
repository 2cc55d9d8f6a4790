"""The walls of one instrument: which stand, and when the next one is built or ends.

A wall is one level of the true book. Makers leave it alone and the price does not pass it; takers
eat it where it is the best level, and what they ate does not come back.
"""

from collections.abc import Iterable
from heapq import heappop, heappush

import msgspec

from simulator.script import Wall

NEVER = 1 << 62


class WallEvent(msgspec.Struct, frozen=True, order=True):
    """A wall is built, or ends.

    Attributes:
        ts: ns UTC.
        number: place of the wall in the script.
        is_end: whether it ends.
        price: ticks at which it was built, where it ends.
    """

    ts: int
    number: int
    is_end: bool
    price: int = 0


class Walls:
    """What stands, in ticks, and what comes.

    Args:
        script: the walls of one symbol.
        start: ns UTC from which the script counts.

    `next` is when the next event is, ns UTC, or `NEVER`; `bids` and `asks` are where walls stand.
    """

    def __init__(self, script: Iterable[Wall], start: int) -> None:
        self._script = tuple(script)
        self._due: list[WallEvent] = []
        for number, wall in enumerate(self._script):
            heappush(self._due, WallEvent(start + wall.at, number, is_end=False))
        self.next = self._due[0].ts if self._due else NEVER
        self.bids: set[int] = set()
        self.asks: set[int] = set()

    def pop(self) -> tuple[WallEvent, Wall]:
        """Return the next event; one that is repeated comes again."""
        event = heappop(self._due)
        wall = self._script[event.number]
        if wall.repeat and not event.is_end:
            heappush(self._due, msgspec.structs.replace(event, ts=event.ts + wall.repeat))
        self.next = self._due[0].ts if self._due else NEVER
        return event, wall

    def build(self, event: WallEvent, price: int) -> None:
        """Let a wall stand at a price until its time is over."""
        wall = self._script[event.number]
        self.side(wall.is_bid).add(price)
        heappush(self._due, WallEvent(event.ts + wall.length, event.number, True, price))
        self.next = self._due[0].ts

    def side(self, is_bid: bool) -> set[int]:
        """Return where walls of one side stand."""
        return self.bids if is_bid else self.asks
