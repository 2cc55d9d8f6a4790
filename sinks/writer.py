"""The thread that writes rows: its own clock, its own connection, and no feed waits for it.

Rows are handed over in memory and committed by size or age; alerts at once. While the database is
away they go to the disk (`sinks.overflow`): rows when many wait or they have waited, alerts at
once, and everything before an epoch ends. When it is back the disk is emptied from its oldest rows
on, beside what is new: keys are natural and the newer revision wins, so a new bar need not wait for
the hour before it. What cannot be kept is counted, and written to the gap ledger.

A patient writer has no spool: its owner waits. A network's or a server's trouble is waited out; a
bug (an unknown column) stops the thread and is raised to whoever hands rows over.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg
from prometheus_client import Counter, Gauge

from market.errors import SinkError
from sinks.backlog import COMMIT_ROWS, Backlog
from sinks.commit import Commit
from sinks.draining import REFUSALS, Refused, drain, insert_mixed, rows_of, sift
from sinks.insertion import Written, insert_alerts, insert_loss
from sinks.outage import FIRST_PAUSE_S, Outage
from sinks.overflow import Overflow
from sinks.row_buffer import Waiting
from sinks.row_totals import RowTotals
from sinks.rows import ALERTS, RowBatch
from sinks.settings import StoreSettings
from sinks.spool import SpoolState
from sinks.store_connection import RETRIABLE, complete, connect
from sinks.tables import TABLES

BUFFERED = Gauge("candlewax_store_buffer_rows", "Rows in memory only", ["partition"])
CONNECTED = Gauge("candlewax_store_connected", "1 while the database answers", ["partition"])
COMMIT_SECONDS = Gauge(
    "candlewax_store_commit_seconds", "How long the last commit took", ["partition"]
)

LATE_BARRIERS = Counter(
    "candlewax_store_late_barriers_total",
    "Epochs that ended with rows outside the database",
    ["partition"],
)

UNSAFE_EPOCHS = Counter(
    "candlewax_store_unsafe_epochs_total",
    "Epochs that ended with rows neither in the database nor, for sure, on the disk",
    ["partition"],
)

WAIT_S = 0.5
"""How long a patient owner waits before it looks again whether the writer lives."""
ANSWER_WAIT_S = 0.2
"""How often to look whether an alert that is being sent from the journal has its answer."""

_log = logging.getLogger(__name__)


_live: set["Writer"] = set()


def live_writers() -> list["Writer"]:
    """Return the writers that are open in this process."""
    return sorted(_live, key=lambda writer: writer.name)


class Writer:
    """One thread, one connection, one backlog.

    Args:
        dsn: libpq address of the database.
        settings: sizes and times.
        name: for logs and metrics, `"store-0"`.
        notify: whether alerts get rows in the outbox; without, they are only stored.
        patient: the owner can wait, as a replay can: no row is dropped for want of room.
        spool: folder of all partitions' spools; without one rows wait in memory only. A patient
            writer has none.

    Raises:
        ConfigError: the address is malformed, or the spool cannot be used.
    """

    def __init__(
        self,
        dsn: str,
        settings: StoreSettings,
        *,
        name: str,
        notify: bool,
        patient: bool = False,
        spool: Path | None = None,
    ) -> None:
        self.name = name
        self.totals = RowTotals()
        self._settings = settings
        self._notify = notify
        self._patient = patient
        self._dsn = complete(dsn)
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._backlog = Backlog(
            name,
            limit=settings.buffer_rows,
            totals=self.totals,
            overflow=None if patient else _overflow(spool, settings, name, self.totals),
        )
        self._buffer = self._backlog.buffer
        self._overflow = self._backlog.overflow
        self._wanted = False
        self._close_by = 0.0
        self._commits = 0
        self._stalled_at = -1
        self._late = False
        self._abandoned = threading.Event()
        self._failure: BaseException | None = None
        self._connection: psycopg.Connection | None = None
        self._commit = Commit()
        self._outage = Outage(name)
        _live.add(self)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    # -- for the owner -----------------------------------------------------------------------

    def put(self, batch: RowBatch) -> None:
        """Hand over rows; waits for room when the writer is patient, and never when it is not.

        Raises:
            SinkError: the thread met a bug and has stopped.
            ValueError: there is no such table.
        """
        if batch.table not in TABLES:
            raise ValueError(f"table {batch.table!r}: expected one of {', '.join(TABLES)}")
        with self._changed:
            self._check()
            if self._patient:
                self._wait_until(lambda: self._buffer.has_room(batch.count))
            before = self._buffer.waiting_rows
            self._backlog.put(batch, is_away=self._is_away)
            enough = self._settings.flush_rows
            if batch.urgent or not before or before < enough <= self._buffer.waiting_rows:
                self._changed.notify_all()

    def barrier(self, timeout_s: float) -> bool:
        """Wait until everything handed over is committed; what is not by then goes to the disk.

        Does not wait while the database is away: that would only hold up the feeds. A patient
        writer holds up its owner for as long as it takes, whatever `timeout_s`, until it is closed.

        Returns:
            Whether everything is in the database, on the disk for sure, or known to be lost. What
            is not has been logged and counted; a live owner goes on, for there is nowhere else.

        Raises:
            SinkError: the thread met a bug and has stopped.
        """
        with self._changed:
            self._check()
            if self._patient:
                return self._wait_until(self._is_settled)
            if self._is_away or self._stalled_at == self._commits:
                timeout_s = 0.0
            self._wanted = True
            self._changed.notify_all()
            done = self._changed.wait_for(self._is_settled, timeout_s)
            self._check()
            self._stalled_at = -1 if done else self._commits
            if not done:
                self._backlog.keep_flying()
                self._backlog.spill()
            self._note_barrier(done=done)
            done = self._is_settled()
        # The lock is free: a disk that takes its time holds up the owner and nobody else.
        is_safe = (self._overflow is None or self._overflow.sync()) and done
        if not is_safe:
            UNSAFE_EPOCHS.labels(self.name).inc()
        return is_safe

    def _wait_until(self, reached: Callable[[], bool]) -> bool:
        """Have the buffer emptied until it is enough or the end has come; return whether it is."""
        while not (enough := reached()) and not self._closing.is_set():
            self._wanted = True
            self._changed.notify_all()
            self._changed.wait(WAIT_S)
            self._check()
        return enough

    def _note_barrier(self, *, done: bool) -> None:
        if not done:
            LATE_BARRIERS.labels(self.name).inc()
        if not done and not self._late:
            where = "in memory" if self._buffer.rows else "on the disk"
            _log.warning(
                f"an epoch ended before its rows were in the database; they wait {where}",
                extra={"partition": self.name, "rows": self._backlog.rows},
            )
        self._late = not done

    def close(self, timeout_s: float) -> None:
        """Write what is left, for at most `timeout_s`; the rest goes to the disk.

        What cannot go there either is counted as lost, and logged.
        """
        with self._changed:
            if not self._closing.is_set():
                self._close_by = time.monotonic() + timeout_s
            self._closing.set()
            self._changed.notify_all()
        self._thread.join(timeout_s + FIRST_PAUSE_S)
        with self._changed:
            if self._abandoned.is_set():
                return
            # A statement that hangs may still be committed later: its rows are then both.
            self._abandoned.set()
            # What the database calls wrong is set aside, or mended, when it comes from the disk.
            if self._failure is None or isinstance(self._failure, psycopg.Error):
                self._backlog.keep_all()
            if self._buffer.rows:
                self._backlog.give_up()
            if self._overflow is not None:
                self._overflow.close()
        BUFFERED.labels(self.name).set(0)
        CONNECTED.labels(self.name).set(0)
        _live.discard(self)

    @property
    def buffered_rows(self) -> int:
        """Rows handed over that are in memory only."""
        return self._buffer.rows

    @property
    def is_connected(self) -> bool:
        """Whether the database took the last thing it was asked."""
        return self._connection is not None and self._outage.since is None

    def spool_state(self) -> SpoolState | None:
        """Return what waits on the disk; None for a writer without a spool."""
        return self._overflow.state() if self._overflow is not None else None

    @property
    def _is_away(self) -> bool:
        return self._outage.since is not None or self._backlog.hangs

    # -- the thread --------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException as error:  # noqa: BLE001 - the owner raises it
            _log.exception("the store's writer met a bug", extra={"partition": self.name})
            with self._changed:
                self._failure = error
                self._changed.notify_all()
        finally:
            self._disconnect()

    def _turn(self) -> bool:
        """Write once; return whether to go on."""
        with self._changed:
            while not self._is_due():
                self._changed.wait(self._patience())
            alerts, rows = self._backlog.take(self._rows_are_due)
            self._commit.forget()
        try:
            connection = self._connected()
            began = time.monotonic()
            if alerts:
                self._write(connection, alerts, self._insert_alerts)
            if rows:
                self._write(connection, rows, self._insert_rows)
            if self._abandoned.is_set():
                return False
            self._tell_losses(connection)
            if alerts or rows:
                COMMIT_SECONDS.labels(self.name).set(time.monotonic() - began)
            self._drain(connection)
        except RETRIABLE as error:
            return self._wait_out(error)
        finally:
            BUFFERED.labels(self.name).set(self._buffer.rows)
        with self._changed:
            self._backlog.rest()
            self._outage.ended(now=time.monotonic(), rows=self._backlog.rows)
            if self._is_settled():
                self._wanted = False
            done = self._is_settled() and self._backlog.loss is None and not self._must_drain()
            return not (self._abandoned.is_set() or (self._closing.is_set() and done))

    def _write(
        self,
        connection: psycopg.Connection,
        taken: list[Waiting],
        insert: Callable[[psycopg.Connection, Sequence[RowBatch]], dict[str, Written]],
    ) -> None:
        try:
            with self._commit.of(connection):
                outcome = insert(connection, [waiting.batch for waiting in taken])
        except REFUSALS:
            self._write_one_by_one(connection, taken, insert)
        else:
            self._landed(taken, outcome, [])

    def _write_one_by_one(
        self,
        connection: psycopg.Connection,
        taken: list[Waiting],
        insert: Callable[[psycopg.Connection, Sequence[RowBatch]], dict[str, Written]],
    ) -> None:
        """Write batches of which one has a value that the database never takes."""
        for waiting in taken:
            table = waiting.batch.table
            outcome, refused = sift(
                connection,
                self._commit,
                waiting.batch,
                lambda part: insert(connection, [part])[part.table],
            )
            self._landed([waiting], {table: outcome}, refused)

    def _landed(
        self, taken: list[Waiting], outcome: dict[str, Written], refused: Sequence[Refused]
    ) -> None:
        with self._changed:
            if self._abandoned.is_set():
                return
            self._commits += 1
            self._backlog.landed(taken, outcome, refused)
            self._changed.notify_all()

    def _insert_alerts(
        self, connection: psycopg.Connection, batches: Sequence[RowBatch]
    ) -> dict[str, Written]:
        return {ALERTS: insert_alerts(connection, rows_of(batches), notify=self._notify)}

    def _insert_rows(
        self, connection: psycopg.Connection, batches: Sequence[RowBatch]
    ) -> dict[str, Written]:
        return insert_mixed(connection, batches)

    def _tell_losses(self, connection: psycopg.Connection) -> None:
        """Write lost rows to the ledger, as one interval, once losing them has ended."""
        with self._changed:
            loss = self._backlog.loss
            if loss is None or not (self._backlog.loss_is_due() or self._closing.is_set()):
                return
            self._backlog.loss = None
        try:
            insert_loss(connection, started=loss.started, ended=loss.ended, reason=loss.reason)
        except RETRIABLE:
            with self._changed:
                self._backlog.loss = loss.joined(self._backlog.loss)
            raise
        with self._changed:
            self.totals.count("gaps", handed=1, written=1)

    def _drain(self, connection: psycopg.Connection) -> None:
        """Write the oldest rows of the spool, or the alerts of the journal."""
        overflow = self._overflow
        parcel = overflow.take(COMMIT_ROWS) if overflow is not None else None
        if overflow is None or parcel is None:
            return
        try:
            drained = drain(connection, self._commit, parcel, notify=self._notify)
        except BaseException:
            with self._changed:
                if not self._abandoned.is_set():
                    overflow.release(parcel, in_doubt=self._commit.is_in_doubt)
            raise
        with self._changed:
            if self._abandoned.is_set():
                return  # the next start reads them again
            for each in drained.refused:
                self._backlog.refuse(each.batch, each.reason)
            self._backlog.drained(parcel, drained.written)
            if drained.losses:
                self.totals.count("gaps", handed=drained.losses, written=drained.losses)
            self._changed.notify_all()

    # -- when to write -----------------------------------------------------------------------

    def _is_due(self) -> bool:
        return (
            self._buffer.has_urgent
            or self._rows_are_due()
            or self._closing.is_set()
            or self._backlog.loss_is_due()
            or (self._overflow is not None and self._overflow.is_ready)
        )

    def _rows_are_due(self) -> bool:
        if self._buffer.is_empty:
            return False
        if self._wanted or self._closing.is_set() or self._buffer.has_urgent:
            return True
        oldest = self._buffer.oldest
        return self._buffer.waiting_rows >= self._settings.flush_rows or (
            oldest is not None and time.monotonic() >= oldest + self._settings.flush_interval_s
        )

    def _patience(self) -> float | None:
        """Seconds until something is due by its age alone; None for never."""
        moments = []
        if self._buffer.oldest is not None:
            moments.append(self._buffer.oldest + self._settings.flush_interval_s)
        if self._backlog.loss_due_at is not None:
            moments.append(self._backlog.loss_due_at)
        if self._overflow is not None and self._overflow.rows:
            moments.append(time.monotonic() + ANSWER_WAIT_S)
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _is_settled(self) -> bool:
        return self._failure is not None or self._buffer.batches == 0

    def _must_drain(self) -> bool:
        return (
            self._overflow is not None
            and self._overflow.is_ready
            and time.monotonic() < self._close_by
        )

    # -- trouble -----------------------------------------------------------------------------

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._dsn, session=False)
            CONNECTED.labels(self.name).set(1)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        CONNECTED.labels(self.name).set(0)

    def _wait_out(self, error: Exception) -> bool:
        """Take back what was not taken, and pause; return whether to go on."""
        if self._connection is None or self._connection.closed:
            self._disconnect()
        now = time.monotonic()
        with self._changed:
            if self._abandoned.is_set():
                return False
            self._backlog.give_back(error, in_doubt=self._commit.is_in_doubt)
            was_away = self._outage.since is not None
            where = "in memory" if self._overflow is None else "on the disk"
            self._outage.met(error, now=now, rows=self._backlog.rows, where=where)
            if self._overflow is not None:
                self._backlog.spill_aged()
            self._changed.notify_all()
        if self._overflow is not None:
            self._overflow.sync()
        if self._closing.is_set():
            # With a disk nothing is gained by asking a database that was away before.
            if now >= self._close_by or (was_away and self._overflow is not None):
                return False
            time.sleep(min(self._outage.pause_s, max(0.0, self._close_by - now), 0.2))
        else:
            self._closing.wait(self._outage.pause_s)
        self._outage.waited()
        return True

    def _check(self) -> None:
        if self._failure is not None:
            raise SinkError(
                f"the store's writer {self.name} met a bug and has stopped: {self._failure!r}",
                retriable=False,
            ) from self._failure


def _overflow(
    spool: Path | None, settings: StoreSettings, name: str, totals: RowTotals
) -> Overflow | None:
    if spool is None or not settings.spool_bytes:
        return None
    return Overflow(
        spool,
        name,
        limit=settings.spool_bytes,
        keep_free=settings.spool_free_bytes,
        totals=totals,
    )
