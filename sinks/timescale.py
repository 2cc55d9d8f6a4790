"""Bytewax sink of the store: rows in micro-batches, keyed by symbol, to a few writer threads."""

import logging
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from market.errors import ConfigError
from sinks.overflow import left_behind
from sinks.rows import RowBatch
from sinks.settings import StoreSettings
from sinks.writer import Writer

BARRIER_S = 1.0
"""How long `snapshot` waits for a writer that is not patient; the cluster waits with it."""
CLOSE_S = 2.0
"""How long all partitions of a process together may take to write what is left at the end."""

_log = logging.getLogger(__name__)


class TimescaleSink(FixedPartitionedSink[RowBatch, None]):
    """Writes `RowBatch`es into PostgreSQL, with TimescaleDB or without.

    Expects `(symbol, RowBatch)`. A symbol's rows always go through the same partition, so they
    arrive in order; partitions have fixed names, because recovery needs those it has seen.

    Delivery: at least once, and the natural keys make one row of what comes twice. Of a patient
    sink, every row of an epoch is in the database when the epoch is committed; while the database
    is away or slow, the flow stands. Otherwise the epoch waits `BARRIER_S`; what is not written by
    then goes to the spool, on the disk for sure before the epoch is committed, the flow goes on,
    and the late barrier is logged and counted. A disk that fails ends no flow: rows that are in
    neither place for sure are logged and counted at the end of each epoch, tried again, and told in
    the ledger when they are lost.

    When there were more partitions once, what those left in the spool is drained beside: by the
    first process that starts a partition and finds their locks free.

    Args:
        dsn: libpq address of a database that `migrations.upgrade` has prepared.
        settings: sizes, times, number of partitions.
        notify: whether alerts get rows in the outbox; False for replays, which only store.
        place: chooses the partition of a symbol's rows, by its number; by default its name does.
        patient: wait for the database for as long as it takes, as a replay can and a feed cannot.
        spool: folder for rows while the database is away; one below it for each partition. Without
            one they wait in memory.
        closed: called when the last partition of this process has closed; the interpreter still
            runs all its services then, which it does not when it exits.
    """

    def __init__(
        self,
        dsn: str,
        settings: StoreSettings,
        *,
        notify: bool = True,
        place: Callable[[str], int] | None = None,
        patient: bool = False,
        spool: Path | None = None,
        closed: Callable[[], object] = lambda: None,
    ) -> None:
        self._dsn = dsn
        self._settings = settings
        self._notify = notify
        self._place = place or _by_name
        self._patient = patient
        self._spool = spool
        self._closed = closed
        self._open = 0
        self._extra: list[Writer] | None = None
        self._lock = threading.Lock()
        self._close_by: float | None = None

    def list_parts(self) -> list[str]:
        """Name the partitions."""
        return [f"store-{number}" for number in range(self._settings.partitions)]

    def part_fn(self, item_key: str) -> int:
        """Choose a partition, the same in every process."""
        return self._place(item_key)

    def build_part(
        self, step_id: str, for_part: str, resume_state: None
    ) -> "StatefulSinkPartition[RowBatch, None]":
        """Start the writer of one partition.

        Raises:
            ConfigError: another process uses its spool.
        """
        del step_id, resume_state  # what was written is known by its keys, not by a position
        writer = self._writer(for_part)
        with self._lock:
            self._open += 1
            if self._extra is None:
                self._extra = self._drain_left_behind()
        return _StorePartition(writer, self)

    def _writer(self, name: str) -> Writer:
        return Writer(
            self._dsn,
            self._settings,
            name=name,
            notify=self._notify,
            patient=self._patient,
            spool=self._spool,
        )

    def _drain_left_behind(self) -> list[Writer]:
        """Start writers, to whom nobody hands rows, for partitions that are no more."""
        if self._spool is None or self._patient or not self._settings.spool_bytes:
            return []
        started: list[Writer] = []
        for name in left_behind(self._spool, self._settings.partitions):
            try:
                started.append(self._writer(name))
            except ConfigError as error:  # another process of this flow was faster
                _log.info("left to another", extra={"partition": name, "reason": str(error)})
            else:
                _log.info("draining what a former partition left", extra={"partition": name})
        return started

    def release_drained(self) -> None:
        """Close the writers of partitions that are no more when they have nothing left to do."""
        with self._lock:
            extra = self._extra or []
            drained = [one for one in extra if (state := one.spool_state()) and not state.rows]
            self._extra = [one for one in extra if one not in drained]
        for writer in drained:
            writer.close(CLOSE_S)

    def partition_closed(self) -> None:
        """Note that one partition has closed; the last one closes what is left."""
        with self._lock:
            self._open -= 1
            is_last = self._open == 0
            extra = (self._extra or []) if is_last else []
            if is_last:
                self._extra = None
        for writer in extra:
            writer.close(self.closing_time_left())
        if is_last:
            self._closed()

    def closing_time_left(self) -> float:
        """Return the seconds that partitions may still take; they share `CLOSE_S`."""
        with self._lock:
            now = time.monotonic()
            if self._close_by is None:
                self._close_by = now + CLOSE_S
            return max(0.0, self._close_by - now)


def _by_name(symbol: str) -> int:
    return zlib.crc32(symbol.encode())


class _StorePartition(StatefulSinkPartition[RowBatch, None]):
    def __init__(self, writer: Writer, sink: TimescaleSink) -> None:
        self._writer = writer
        self._sink = sink

    def write_batch(self, values: list[RowBatch]) -> None:
        for batch in values:
            self._writer.put(batch)

    def snapshot(self) -> None:
        self._writer.barrier(BARRIER_S)  # tells by itself what is in neither place
        self._sink.release_drained()

    def close(self) -> None:
        self._writer.close(self._sink.closing_time_left())
        self._sink.partition_closed()
