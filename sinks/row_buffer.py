"""Rows on their way to the database: bounded, and what does not fit is known.

When the buffer is full the oldest rows of the least precious tables go first: trades and book tops,
then bars and features, then gaps and instruments. Alerts go only when nothing else is left.
"""

from collections import deque
from collections.abc import Iterable

import msgspec

from sinks.rows import ALERTS, RowBatch
from sinks.tables import TABLES

RANKS = 4
_ALERT_RANK = TABLES[ALERTS].precious


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A batch and when it came: `ts` by the wall clock, ns; `at` by a monotonic clock, s."""

    batch: RowBatch
    ts: int
    at: float


class RowBuffer:
    """Batches in order of arrival, by rank. Not safe for threads: its owner locks.

    A batch that has been taken still counts as held until `settle` or `put_back`.

    Args:
        limit: rows to hold; the newest batch is always kept, however large.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ranks: tuple[deque[Waiting], ...] = tuple(deque() for _ in range(RANKS))
        self._urgent = 0
        self._waiting_rows = 0
        self.rows = 0
        self.batches = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits; taken batches do not."""
        return not any(self._ranks)

    @property
    def has_urgent(self) -> bool:
        """Whether an urgent batch waits."""
        return self._urgent > 0

    @property
    def waiting_rows(self) -> int:
        """Rows that wait; taken ones do not."""
        return self._waiting_rows

    @property
    def oldest(self) -> float | None:
        """When the oldest waiting batch came, by the monotonic clock."""
        return min((rank[0].at for rank in self._ranks if rank), default=None)

    def has_room(self, rows: int) -> bool:
        """Return whether a batch of so many rows fits and nothing has to go for it."""
        return self.batches == 0 or self.rows + rows <= self._limit

    def put(self, batch: RowBatch, *, ts: int, at: float) -> list[Waiting]:
        """Add a batch; return those that had to go for it."""
        self._ranks[TABLES[batch.table].precious].append(Waiting(batch, ts, at))
        self.rows += batch.count
        self.batches += 1
        self._waiting_rows += batch.count
        self._urgent += batch.urgent
        return self._shrink() if self.rows > self._limit else []

    def take_alerts(self) -> list[Waiting]:
        """Take every alert that waits."""
        taken = list(self._ranks[_ALERT_RANK])
        self._ranks[_ALERT_RANK].clear()
        self._forget(taken)
        return taken

    def take_rows(self, limit: int) -> list[Waiting]:
        """Take batches of about `limit` rows, the most precious tables first; no alerts."""
        taken: list[Waiting] = []
        room = limit
        for rank in reversed(self._ranks[:_ALERT_RANK]):
            while rank and room > 0:
                taken.append(rank.popleft())
                room -= taken[-1].batch.count
        self._forget(taken)
        return taken

    def put_back(self, taken: list[Waiting]) -> list[Waiting]:
        """Let taken batches wait again, before all others; return those that had to go."""
        for waiting in reversed(taken):
            self._ranks[TABLES[waiting.batch.table].precious].appendleft(waiting)
            self._waiting_rows += waiting.batch.count
            self._urgent += waiting.batch.urgent
        return self._shrink() if self.rows > self._limit else []

    def settle(self, taken: Iterable[Waiting]) -> None:
        """Forget taken batches: they are in the database, or given up."""
        for waiting in taken:
            self.rows -= waiting.batch.count
            self.batches -= 1

    def _forget(self, taken: list[Waiting]) -> None:
        for waiting in taken:
            self._waiting_rows -= waiting.batch.count
            self._urgent -= waiting.batch.urgent

    def _shrink(self) -> list[Waiting]:
        dropped: list[Waiting] = []
        for rank in self._ranks:
            while rank and self.rows > self._limit and self.batches > 1:
                gone = rank.popleft()
                self.rows -= gone.batch.count
                self.batches -= 1
                dropped.append(gone)
        self._forget(dropped)
        return dropped
