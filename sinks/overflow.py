"""Where a writer's rows go when the database does not take them: its spool and its alert journal.

Counts what goes in, comes out and is lost. The writer decides when; this knows where.
"""

import logging
import time
from collections import Counter as Tally
from collections.abc import Sequence
from pathlib import Path

import msgspec
from prometheus_client import Counter, Gauge

from sinks.alert_journal import AlertJournal, Moving
from sinks.lost_rows import LostRows
from sinks.row_buffer import Waiting
from sinks.row_totals import RowTotals
from sinks.rows import ALERTS, RowBatch, unpack
from sinks.spool import Appended, Spool, SpoolState, look
from sinks.spool_lane import Chunk, Entry, Gone
from sinks.tables import TABLES

SPOOL_BYTES = Gauge("candlewax_store_spool_bytes", "Size of the spool's files", ["partition"])
SPOOL_ROWS = Gauge("candlewax_store_spool_rows", "Rows that wait in the spool", ["partition"])
SPOOL_AGE = Gauge(
    "candlewax_store_spool_oldest_seconds", "Age of the oldest row in the spool", ["partition"]
)
SPOOLED = Counter("candlewax_store_spooled_rows", "Rows that went into the spool", ["partition"])
UNSAFE = Gauge(
    "candlewax_store_unsafe_rows",
    "Rows in the spool and the journal that a power failure may take: an fsync has failed",
    ["partition"],
)
DROPPED = Counter(
    "candlewax_store_dropped_rows", "Rows that the spool gave up or found damaged", ["partition"]
)

LOSSES = "losses"
"""What the gap ledger has to be told, kept as a row of this name."""
UNREADABLE_S = 1.0
"""How long a spool that could not be read is left alone."""
_LOSS_RANK = TABLES[ALERTS].precious

_log = logging.getLogger(__name__)


class Parcel(msgspec.Struct, frozen=True):
    """What leaves the spool, or the journal, in one transaction.

    Attributes:
        batches: rows of any table but `alerts`.
        chunk: where they, or the alerts, were read.
        moving: alerts; None for rows.
    """

    batches: list[RowBatch]
    chunk: Chunk
    moving: Moving | None = None


class Overflow:
    """The folders of one partition, below `spool/`. Safe for threads.

    Args:
        folder: of all partitions.
        partition: name, `"store-0"`; the journal of its alerts is then `alerts-0`.
        limit: bytes that the spool may have.
        keep_free: bytes that stay free on the disk.
        totals: where rows are counted.

    Raises:
        ConfigError: another process uses a folder, or it cannot be used.
    """

    def __init__(
        self, folder: Path, partition: str, *, limit: int, keep_free: int, totals: RowTotals
    ) -> None:
        self._partition = partition
        self._totals = totals
        self._unreadable_until = 0.0
        self._spool = Spool(folder / partition, limit=limit, keep_free=keep_free)
        try:
            self.journal = AlertJournal(folder / f"alerts-{partition.rpartition('-')[2]}")
        except BaseException:
            self._spool.close()
            raise
        for table, count in self._spool.state().rows.items():
            if table != LOSSES:
                totals.count(table, found=count, spooled=count)
        totals.count(ALERTS, found=self.journal.alerts, spooled=self.journal.alerts)
        if self.rows:
            _log.info(
                "an earlier run left rows in the spool",
                extra={"partition": partition, "rows": self.rows},
            )
        self.measure()

    @property
    def rows(self) -> int:
        """Rows, alerts and losses that wait."""
        return self._spool.rows + self.journal.alerts

    @property
    def is_ready(self) -> bool:
        """Whether something can be taken now."""
        if time.monotonic() < self._unreadable_until:
            return False
        return self._spool.rows > 0 or self.journal.is_ready

    # -- in ----------------------------------------------------------------------------------

    def keep(
        self, taken: Sequence[Waiting], *, in_doubt: bool
    ) -> tuple[list[Waiting], LostRows | None]:
        """Keep batches; alerts are synced at once, rows when `sync` is called.

        Args:
            taken: in the order in which they came.
            in_doubt: the database may have them already.

        Returns:
            Those that were not taken, and what was lost for the others.
        """
        left: list[Waiting] = []
        lost: LostRows | None = None
        ranks: dict[int, list[Waiting]] = {}
        for waiting in taken:
            ranks.setdefault(TABLES[waiting.batch.table].precious, []).append(waiting)
        for rank in sorted(ranks, reverse=True):
            for batches in _alone(ranks[rank]) if rank == _LOSS_RANK else [ranks[rank]]:
                kept = self._keep(rank, batches, in_doubt=in_doubt)
                left += batches[kept.taken :]
                lost = self._note(batches[: kept.taken], kept, lost)
        return left, lost

    def _keep(self, rank: int, batches: list[Waiting], *, in_doubt: bool) -> Appended:
        if rank != _LOSS_RANK:
            entries = [
                Entry(each.batch.table, each.batch.count, each.ts, each.batch.payload)
                for each in batches
            ]
            return self._spool.append(rank, entries)
        (waiting,) = batches
        rows = unpack(waiting.batch)
        kept = self.journal.keep(rows, ts=waiting.ts, in_doubt=in_doubt)
        return Appended(int(kept.taken == len(rows)), kept.gone, kept.refusal)

    def _note(
        self, kept: Sequence[Waiting], appended: Appended, lost: LostRows | None
    ) -> LostRows | None:
        for waiting in kept:
            self._totals.count(waiting.batch.table, spooled=waiting.batch.count)
            SPOOLED.labels(self._partition).inc(waiting.batch.count)
        for gone in appended.gone:
            lost = _joined(self._lose(gone), lost)
        return lost

    def keep_loss(self, loss: LostRows) -> bool:
        """Keep what the gap ledger has to be told; return whether it was taken."""
        payload = msgspec.msgpack.encode((loss.started, loss.ended, loss.reason))
        return self._spool.append(_LOSS_RANK, [Entry(LOSSES, 1, loss.ended, payload)]).taken == 1

    def sync(self) -> bool:
        """Have everything on the disk, alerts too; return whether it is."""
        failures = []
        # The journal has synced what it was given at once; only what failed is tried again.
        journals = [self.journal.spool] if self.journal.spool.has_failed else []
        for spool in (self._spool, *journals):
            try:
                spool.sync()
            except OSError as error:
                failures.append(error.strerror or str(error))
        if failures:
            _log.error(
                "the spool may not be on the disk",
                extra={
                    "partition": self._partition,
                    "rows": self.state().unsafe,
                    "reason": "; ".join(dict.fromkeys(failures)),
                },
            )
        self.measure()
        return not failures

    # -- out ---------------------------------------------------------------------------------

    def take(self, limit: int) -> Parcel | None:
        """Take alerts, or about `limit` rows; None when nothing can be taken now."""
        try:
            return self._take(limit)
        except OSError as error:
            self._unreadable_until = time.monotonic() + UNREADABLE_S
            _log.error(
                "the spool cannot be read now; it is tried again",
                extra={"partition": self._partition, "reason": error.strerror},
            )
            return None

    def _take(self, limit: int) -> Parcel | None:
        moving = self.journal.take()
        if moving is not None:
            return Parcel([], moving.chunk, moving)
        chunk = self._spool.take(limit)
        if chunk is None:
            return None
        batches = [RowBatch(each.table, each.count, each.payload) for each in chunk.entries]
        return Parcel(batches, chunk)

    def done(self, parcel: Parcel) -> LostRows | None:
        """Forget what is in the database now; return what was damaged, and is lost."""
        moving = parcel.moving
        if moving is not None:
            self.journal.done(moving)
            self._totals.count(ALERTS, spooled=-len(moving.rows))
        else:
            self._spool.done(parcel.chunk)
            for batch in parcel.batches:
                if batch.table != LOSSES:
                    self._totals.count(batch.table, spooled=-batch.count)
        self.measure()
        return self._lose(Gone(parcel.chunk.lost, parcel.chunk.since, parcel.chunk.until))

    def refuse(self, batch: RowBatch, reason: str) -> LostRows | None:
        """Set aside rows that the database will never take; they are lost."""
        now = time.time_ns()
        _log.error(
            "the database never takes a value in these rows; they are lost",
            extra={
                "partition": self._partition,
                "table": batch.table,
                "rows": batch.count,
                "reason": reason,
            },
        )
        data = msgspec.json.encode(
            {"table": batch.table, "reason": reason, "rows": unpack(batch)}, enc_hook=str
        )
        self._spool.set_aside(f"{batch.table}-{now}.json", data)
        # Where they come from the spool, `done` takes them out with the rest of their parcel.
        self._totals.count(batch.table, lost=batch.count)
        DROPPED.labels(self._partition).inc(batch.count)
        return LostRows(now, now, time.monotonic(), Tally({batch.table: batch.count}))

    def release(self, parcel: Parcel, *, in_doubt: bool) -> None:
        """Give back what the database did not take; `in_doubt` when it may have it."""
        if parcel.moving is not None:
            self.journal.release(parcel.moving, in_doubt=in_doubt)
        else:
            self._spool.release(parcel.chunk)

    def _lose(self, gone: Gone) -> LostRows | None:
        tables: Tally[str] = Tally()
        for name, count in gone.tables.items():
            if name in TABLES or name.startswith(ALERTS):  # `alerts in doubt` too
                tables[name if name in TABLES else ALERTS] += count
        if not tables:
            return None
        for table, count in tables.items():
            self._totals.count(table, lost=count, spooled=-count)
        DROPPED.labels(self._partition).inc(tables.total())
        return LostRows(gone.since, max(gone.since, gone.until), time.monotonic(), tables)

    # -- for people --------------------------------------------------------------------------

    def state(self) -> SpoolState:
        """Return what the spool and the journal hold, as one."""
        return joined_state(self._spool.state(), self.journal.spool.state())

    def measure(self) -> None:
        """Tell the metrics."""
        state = self.state()
        SPOOL_BYTES.labels(self._partition).set(state.bytes)
        SPOOL_ROWS.labels(self._partition).set(sum(state.rows.values()))
        UNSAFE.labels(self._partition).set(state.unsafe)
        age = 0.0 if state.oldest is None else max(0.0, (time.time_ns() - state.oldest) / 1e9)
        SPOOL_AGE.labels(self._partition).set(age)

    def close(self) -> None:
        """Have everything on the disk and give the folders back."""
        self.measure()
        self._spool.close()
        self.journal.close()


def left_behind(folder: Path, partitions: int) -> list[str]:
    """Name the partitions that are no more and have rows or alerts on the disk.

    Args:
        folder: of all partitions.
        partitions: how many there are now, from 0 on.
    """
    numbers = {
        int(number)
        for each in folder.glob("*-[0-9]*")
        if (number := each.name.rpartition("-")[2]).isdecimal()
    }
    return [
        f"store-{number}"
        for number in sorted(numbers)
        if number >= partitions
        and any(look(folder / f"{kind}-{number}").rows for kind in ("store", "alerts"))
    ]


def joined_state(rows: SpoolState, alerts: SpoolState) -> SpoolState:
    """Return what a spool and a journal hold, without what is only theirs."""
    counts = {name: count for name, count in rows.rows.items() if name in TABLES}
    waiting = sum(count for name, count in alerts.rows.items() if name.startswith(ALERTS))
    if waiting:
        counts[ALERTS] = waiting
    oldest = [each.oldest for each in (rows, alerts) if each.oldest is not None]
    return SpoolState(
        rows=counts,
        bytes=rows.bytes + alerts.bytes,
        oldest=min(oldest, default=None),
        set_aside=rows.set_aside + alerts.set_aside,
        unsafe=rows.unsafe + alerts.unsafe,
    )


def _alone(batches: Sequence[Waiting]) -> list[list[Waiting]]:
    return [[each] for each in batches]


def _joined(one: LostRows | None, other: LostRows | None) -> LostRows | None:
    return one.joined(other) if one is not None else other
