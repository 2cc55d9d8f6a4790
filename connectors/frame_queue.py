"""The bounded queue between reader threads and the flow."""

import threading
from collections import deque
from collections.abc import Iterable

from connectors.contract import Told
from connectors.recording import Record

CAPACITY = 20_000
"""Records; at 1.4 kB a depth frame about 30 MB, decoded about 200 MB."""


class FrameQueue:
    """Records and what they told, in the order they came, from all feeds of one worker.

    Writers wait when it is full; the flow never does.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._items: deque[tuple[Record, list[Told]]] = deque()
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self.high_water = 0
        self._is_released = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, record: Record, told: list[Told], *, wait_s: float) -> bool:
        """Append, waiting up to `wait_s` for room; return whether there was."""
        with self._room:
            if not self._room.wait_for(self._has_room, wait_s):
                return False
            self._items.append((record, told))
            self.high_water = max(self.high_water, len(self._items))
            return True

    def replace(self, feed: str, items: Iterable[tuple[Record, list[Told]]]) -> int:
        """Drop all there is of one feed and append these; return how many were dropped."""
        with self._room:
            before = len(self._items)
            self._items = deque(item for item in self._items if item[0].feed != feed)
            dropped = before - len(self._items)
            self._items.extend(items)
            self._room.notify_all()
            return dropped

    def put_at_once(self, record: Record, told: list[Told]) -> None:
        """Append without regard to the bound: for what steers, which is rare and must not wait."""
        with self._lock:
            self._items.append((record, told))

    def take(self, most: int) -> list[tuple[Record, list[Told]]]:
        """Remove and return up to `most` items, oldest first; never waits for any."""
        if not self._items:
            return []
        with self._room:
            count = min(most, len(self._items))
            items = [self._items.popleft() for _ in range(count)]
            self._room.notify_all()
            return items

    def wait_for_room(self, *, wait_s: float) -> bool:
        """Wait until the queue is less than half full; return whether it is."""
        with self._room:
            return self._room.wait_for(
                lambda: self._is_released or len(self._items) < max(1, self.capacity // 2), wait_s
            )

    def release(self) -> None:
        """Take without regard to the bound from now on: the end has come, and nobody waits."""
        with self._room:
            self._is_released = True
            self._room.notify_all()

    def _has_room(self) -> bool:
        return len(self._items) < self.capacity or self._is_released
