"""Rows that are not in the database yet: in memory, in the thread's hands, or on the disk.

    put ──► buffer ──take──► flying ──landed──► in the database
              │  ▲              │
              │  └──give_back───┤
              └────► disk ◄─────┘   spill, keep_flying

What had to go is counted, and remembered for the gap ledger.
"""

import logging
import time
from collections import Counter as Tally
from collections.abc import Callable, Mapping, Sequence

from sinks.draining import Refused, rows_of
from sinks.insertion import NOTHING, Written
from sinks.lost_rows import LostRows
from sinks.overflow import Overflow, Parcel
from sinks.row_buffer import RowBuffer, Waiting
from sinks.row_totals import RowTotals
from sinks.rows import ALERTS, RowBatch
from sinks.store_connection import AT_ONCE

COMMIT_ROWS = 10_000
"""Rows of one transaction while a backlog drains; more gains nothing."""
SPILL_ROWS = 10_000
"""So many waiting rows go to the disk while the database is away: a few ms of the owner's time."""
SPILL_AGE_S = 2.0
"""Rows that have waited so long while it is away go there too."""
HANGS_S = 1.0
"""A database that has taken so long for one commit counts as away."""
REFUSED_S = 1.0
"""How long a disk that took nothing is left alone."""
LOSS_QUIET_S = 1.0
"""How long no row must be lost before the ledger tells the interval."""
LOSS_LONGEST_S = 60.0
"""An interval that is still growing is told in pieces of this length."""

_log = logging.getLogger(__name__)


class Backlog:
    """The rows of one writer. Not safe for threads: its owner locks.

    Args:
        partition: the writer's name, for the log.
        limit: rows to hold in memory.
        totals: where rows are counted.
        overflow: the disk; None for memory only.

    Attributes:
        buffer: what is in memory.
        overflow: what is on the disk.
        loss: what the ledger has to be told.
    """

    def __init__(
        self, partition: str, *, limit: int, totals: RowTotals, overflow: Overflow | None
    ) -> None:
        self.buffer = RowBuffer(limit)
        self.overflow = overflow
        self.loss: LostRows | None = None
        self._partition = partition
        self._totals = totals
        self._flying: list[Waiting] = []
        self._flying_since: float | None = None
        self._is_flying_kept = False
        self._landed_too: dict[str, Written] = {}
        self._refused_until = 0.0
        self._loss_began = 0.0

    @property
    def rows(self) -> int:
        """Rows in memory and on the disk."""
        return self.buffer.rows + (self.overflow.rows if self.overflow is not None else 0)

    @property
    def hangs(self) -> bool:
        """Whether the thread has had its rows in its hands for long."""
        since = self._flying_since
        return since is not None and time.monotonic() >= since + HANGS_S

    # -- in and out --------------------------------------------------------------------------

    def put(self, batch: RowBatch, *, is_away: bool) -> None:
        """Add a batch; make room for it on the disk, or by giving up others."""
        if not self.buffer.has_room(batch.count) or (
            is_away and self.buffer.waiting_rows >= SPILL_ROWS
        ):
            self.spill()
        self._drop(self.buffer.put(batch, ts=time.time_ns(), at=time.monotonic()))
        self._totals.count(batch.table, handed=batch.count)
        if is_away and self.buffer.has_urgent:
            self.spill(alerts_only=True)

    def take(self, rows_are_due: Callable[[], bool]) -> tuple[list[Waiting], list[Waiting]]:
        """Put alerts, and rows if they are due when alerts are not in their way, into hands."""
        alerts = self.buffer.take_alerts()
        rows = self.buffer.take_rows(COMMIT_ROWS) if rows_are_due() else []
        self._flying, self._is_flying_kept = alerts + rows, False
        self._flying_since = time.monotonic()
        return alerts, rows

    def landed(
        self,
        taken: Sequence[Waiting],
        outcome: Mapping[str, Written],
        refused: Sequence[Refused] = (),
    ) -> None:
        """Note that some of what was taken is in the database, or will never be.

        Args:
            taken: what there is no need to write again.
            outcome: what became of it, by table.
            refused: rows of it that the database will never take, and why.
        """
        gone = {id(each) for each in taken}
        self._flying = [each for each in self._flying if id(each) not in gone]
        self._flying_since = time.monotonic()
        if self._is_flying_kept:  # they come again from the disk, and are counted then
            for table, done in outcome.items():
                self._landed_too[table] = done.plus(self._landed_too.get(table, NOTHING))
        else:
            self.buffer.settle(taken)
            self._count(outcome)
            for each in refused:
                self.refuse(each.batch, each.reason)

    def refuse(self, batch: RowBatch, reason: str) -> None:
        """Give up rows that the database will never take; with a disk they are set aside."""
        if self.overflow is not None:
            self.lose(self.overflow.refuse(batch, reason))
            return
        _log.error(
            "rows with a value that the database never takes are lost",
            extra={
                "partition": self._partition,
                "table": batch.table,
                "rows": batch.count,
                "reason": reason,
            },
        )
        now = time.time_ns()
        self._totals.count(batch.table, lost=batch.count)
        self.lose(LostRows(now, now, time.monotonic(), Tally({batch.table: batch.count})))

    def rest(self) -> None:
        """Note that the thread has nothing in its hands."""
        self._flying_since = None

    def give_back(self, error: Exception, *, in_doubt: bool) -> None:
        """Take back what the database did not take.

        Args:
            error: what it said.
            in_doubt: it may have the first of them.
        """
        flying, self._flying, self._flying_since = self._flying, [], None
        alerts = [each for each in flying if each.batch.table == ALERTS]
        if self._is_flying_kept:
            if alerts and not in_doubt and self.overflow is not None:
                self.overflow.journal.clear_doubt(rows_of(each.batch for each in alerts))
            return
        if alerts and self.overflow is not None and not isinstance(error, AT_ONCE):
            flying = [each for each in flying if each.batch.table != ALERTS]
            self._keep(alerts, in_doubt=in_doubt)
        self._drop(self.buffer.put_back(flying))

    # -- the disk ----------------------------------------------------------------------------

    def spill(self, *, alerts_only: bool = False) -> None:
        """Put what waits in memory on the disk, if that takes it."""
        if self.overflow is None or time.monotonic() < self._refused_until:
            return
        taken = self.buffer.take_alerts()
        if not alerts_only:
            taken += self.buffer.take_rows(self.buffer.waiting_rows)
        self._keep(taken, in_doubt=False)

    def spill_aged(self) -> None:
        """Put on the disk what has waited for long, and losses that are due."""
        oldest = self.buffer.oldest
        if oldest is not None and time.monotonic() >= oldest + SPILL_AGE_S:
            self.spill()
        if self.loss_is_due():
            self.keep_loss()

    def keep_flying(self) -> None:
        """Put on the disk what is in the thread's hands, for it may hang; it is written twice."""
        if self._flying and not self._is_flying_kept and self.overflow is not None:
            self._is_flying_kept = True
            self._keep(self._flying, in_doubt=True)

    def keep_all(self) -> None:
        """Put everything on the disk, at the end; what that refuses is still in memory then."""
        self._refused_until = 0.0
        self.keep_flying()
        self.spill()
        self.keep_loss()

    def keep_loss(self) -> None:
        """Keep on the disk what the ledger has to be told."""
        overflow, loss = self.overflow, self.loss
        if overflow is not None and loss is not None and overflow.keep_loss(loss):
            self.loss = None

    def _keep(self, taken: list[Waiting], *, in_doubt: bool) -> None:
        if self.overflow is None or not taken:
            return
        left, lost = self.overflow.keep(taken, in_doubt=in_doubt)
        self.lose(lost)
        refused = {id(each) for each in left}
        self.buffer.settle(each for each in taken if id(each) not in refused)
        if left:
            if time.monotonic() >= self._refused_until:
                _log.warning(
                    "the spool does not take rows; they wait in memory",
                    extra={"partition": self._partition, "rows": self.buffer.rows},
                )
            self._refused_until = time.monotonic() + REFUSED_S
            self._drop(self.buffer.put_back(left))

    def drained(self, parcel: Parcel, outcome: Mapping[str, Written]) -> None:
        """Note that a parcel is in the database."""
        if self.overflow is None:
            return
        self._count({table: self._as_landed(table, done) for table, done in outcome.items()})
        self.lose(self.overflow.done(parcel))
        if not self.overflow.rows:
            self._landed_too.clear()

    def _as_landed(self, table: str, done: Written) -> Written:
        """Count rows of the disk that landed from memory too as what they were then."""
        landed = self._landed_too.pop(table, NOTHING)
        new = min(landed.new, done.known)
        updated = min(landed.updated, done.known - new)
        left = Written(landed.new - new, landed.updated - updated, 0)
        if left != NOTHING:
            self._landed_too[table] = left
        return Written(done.new + new, done.updated + updated, done.known - new - updated)

    def _count(self, outcome: Mapping[str, Written]) -> None:
        for table, done in outcome.items():
            self._totals.count(table, written=done.new, updated=done.updated, known=done.known)

    # -- losses ------------------------------------------------------------------------------

    def lose(self, loss: LostRows | None) -> None:
        """Remember, for the ledger, what was lost and counted."""
        if loss is None:
            return
        if self.loss is None:
            self._loss_began = loss.at
            _log.error(
                "the store cannot keep all rows: the oldest of the least precious are lost",
                extra={"partition": self._partition, "rows": dict(loss.tables)},
            )
        self.loss = loss.joined(self.loss)

    def loss_is_due(self) -> bool:
        """Whether the ledger is to be told of a loss."""
        due = self.loss_due_at
        return due is not None and time.monotonic() >= due

    @property
    def loss_due_at(self) -> float | None:
        """When it is, by the monotonic clock."""
        if self.loss is None:
            return None
        return min(self.loss.at + LOSS_QUIET_S, self._loss_began + LOSS_LONGEST_S)

    def _drop(self, gone: Sequence[Waiting]) -> None:
        """Count what a full buffer gave up."""
        if gone:
            loss = LostRows.of(gone, at=time.monotonic())
            for table, count in loss.tables.items():
                self._totals.count(table, lost=count)
            self.lose(loss)

    def give_up(self) -> None:
        """Count what is in memory only as lost."""
        left = self._totals.unsettled()
        for table, count in left.items():
            self._totals.count(table, lost=count)
        _log.error(
            "the database did not take the last rows in time; they are lost",
            extra={"partition": self._partition, "rows": left},
        )
