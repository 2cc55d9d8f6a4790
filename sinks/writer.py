"""The thread that writes rows: its own clock, its own connection, and no feed waits for it.

Rows are handed over in memory and committed by size or age; alerts at once. While the database is
away the rows wait in a bounded buffer. What does not fit is counted, and written to the gap ledger
once the database is back; a patient writer has its owner wait instead. A network's or a server's
trouble is waited out; a bug (an unknown column, a value that a type refuses) stops the thread and
is raised to whoever hands rows over.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence

import psycopg
from prometheus_client import Counter, Gauge

from market.errors import SinkError
from sinks.insertion import Written, insert_alerts, insert_batches, insert_loss
from sinks.lost_rows import LostRows
from sinks.row_buffer import RowBuffer, Waiting
from sinks.row_totals import RowTotals
from sinks.rows import ALERTS, Cell, RowBatch, unpack
from sinks.settings import StoreSettings
from sinks.store_connection import RETRIABLE, complete, connect
from sinks.tables import TABLES

BUFFERED = Gauge("candlewax_store_buffer_rows", "Rows not committed yet", ["partition"])
CONNECTED = Gauge("candlewax_store_connected", "1 while the database answers", ["partition"])
COMMIT_SECONDS = Gauge(
    "candlewax_store_commit_seconds", "How long the last commit took", ["partition"]
)

LATE_BARRIERS = Counter(
    "candlewax_store_late_barriers_total", "Epochs that ended with rows in memory", ["partition"]
)

COMMIT_ROWS = 10_000
"""Rows of one transaction while a backlog drains; more gains nothing."""
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
LOSS_QUIET_S = 1.0
"""How long no row must be lost before the ledger tells the interval."""
REMIND_S = 30.0
WAIT_S = 0.5
"""How long a patient owner waits before it looks again whether the writer lives."""

_log = logging.getLogger(__name__)


_live: set["Writer"] = set()


def live_writers() -> list["Writer"]:
    """Return the writers that are open in this process."""
    return sorted(_live, key=lambda writer: writer.name)


class Writer:
    """One thread, one connection, one buffer.

    Args:
        dsn: libpq address of the database.
        settings: sizes and times.
        name: for logs and metrics, `"store-0"`.
        notify: whether alerts get rows in the outbox; without, they are only stored.
        patient: the owner can wait, as a replay can: no row is dropped for want of room.

    Raises:
        ConfigError: the address is malformed.
    """

    def __init__(
        self, dsn: str, settings: StoreSettings, *, name: str, notify: bool, patient: bool = False
    ) -> None:
        self.name = name
        self.totals = RowTotals()
        self._settings = settings
        self._notify = notify
        self._patient = patient
        self._dsn = complete(dsn)
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._buffer = RowBuffer(settings.buffer_rows)
        self._wanted = False
        self._close_by = 0.0
        self._commits = 0
        self._stalled_at = -1
        self._late = False
        self._abandoned = False
        self._loss: LostRows | None = None
        self._failure: BaseException | None = None
        self._connection: psycopg.Connection | None = None
        self._pause_s = FIRST_PAUSE_S
        self._trouble_since = 0.0
        self._reminded = 0.0
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
            gone = self._buffer.put(batch, ts=time.time_ns(), at=time.monotonic())
            self.totals.count(batch.table, handed=batch.count)
            self._lose(gone)
            enough = self._settings.flush_rows
            if batch.urgent or not before or before < enough <= self._buffer.waiting_rows:
                self._changed.notify_all()

    def barrier(self, timeout_s: float) -> bool:
        """Wait until everything handed over is committed, or known to be lost.

        Returns at once while the database is away: waiting would only hold up the feeds. A patient
        writer holds up its owner for as long as it takes, whatever `timeout_s`, until it is closed.

        Returns:
            Whether nothing is left in the buffer.

        Raises:
            SinkError: the thread met a bug and has stopped.
        """
        with self._changed:
            self._check()
            if self._patient:
                return self._wait_until(self._is_settled)
            if self._trouble_since or self._stalled_at == self._commits:
                timeout_s = 0.0
            self._wanted = True
            self._changed.notify_all()
            done = self._changed.wait_for(self._is_settled, timeout_s)
            self._check()
            self._stalled_at = -1 if done else self._commits
            self._note_barrier(done=done)
            return done

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
            _log.warning(
                "an epoch ended before its rows were in the database; they wait in memory",
                extra={"partition": self.name, "rows": self._buffer.rows},
            )
        self._late = not done

    def close(self, timeout_s: float) -> None:
        """Write what is left, for at most `timeout_s`; the rest is counted as lost, and logged."""
        with self._changed:
            if not self._closing.is_set():
                self._close_by = time.monotonic() + timeout_s
            self._closing.set()
            self._changed.notify_all()
        self._thread.join(timeout_s + FIRST_PAUSE_S)
        with self._changed:
            left = self._buffer.rows
            if left:
                # A statement that hangs may still be committed later: these rows are then both.
                self._abandoned = True
                self._give_up_all()
        BUFFERED.labels(self.name).set(0)
        CONNECTED.labels(self.name).set(0)
        _live.discard(self)

    @property
    def buffered_rows(self) -> int:
        """Rows handed over and neither committed nor lost yet."""
        return self._buffer.rows

    @property
    def is_connected(self) -> bool:
        """Whether the database took the last thing it was asked."""
        return self._connection is not None and not self._trouble_since

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
            alerts = self._buffer.take_alerts()
            rows = self._buffer.take_rows(COMMIT_ROWS) if self._rows_are_due() else []
        try:
            connection = self._connected()
            began = time.monotonic()
            if alerts:
                self._commit(connection, alerts, self._insert_alerts)
                alerts = []
            if rows:
                self._commit(connection, rows, self._insert_rows)
                rows = []
            self._tell_losses(connection)
            COMMIT_SECONDS.labels(self.name).set(time.monotonic() - began)
        except RETRIABLE as error:
            with self._changed:
                self._lose(self._buffer.put_back(alerts + rows))
            return self._wait_out(error)
        finally:
            BUFFERED.labels(self.name).set(self._buffer.rows)
        self._recovered()
        with self._changed:
            if self._is_settled():
                self._wanted = False
            done = self._is_settled() and self._loss is None
            return not (self._abandoned or (self._closing.is_set() and done))

    def _commit(
        self,
        connection: psycopg.Connection,
        taken: list[Waiting],
        write: Callable[[psycopg.Connection, list[Waiting]], dict[str, Written]],
    ) -> None:
        with connection.transaction():
            outcome = write(connection, taken)
        with self._changed:
            if self._abandoned:
                return
            self._buffer.settle(taken)
            self._commits += 1
            for table, done in outcome.items():
                self.totals.count(table, written=done.new, updated=done.updated, known=done.known)
            self._changed.notify_all()

    def _insert_alerts(
        self, connection: psycopg.Connection, taken: list[Waiting]
    ) -> dict[str, Written]:
        rows = _rows_of(waiting.batch for waiting in taken)
        return {ALERTS: insert_alerts(connection, rows, notify=self._notify)}

    def _insert_rows(
        self, connection: psycopg.Connection, taken: list[Waiting]
    ) -> dict[str, Written]:
        outcome = {}
        for name in dict.fromkeys(waiting.batch.table for waiting in taken):
            batches = [waiting.batch for waiting in taken if waiting.batch.table == name]
            outcome[name] = insert_batches(connection, TABLES[name], batches)
        return outcome

    def _tell_losses(self, connection: psycopg.Connection) -> None:
        """Write lost rows to the ledger, as one interval, once losing them has ended."""
        with self._changed:
            loss = self._loss
            quiet = loss is not None and time.monotonic() - loss.at >= LOSS_QUIET_S
            if loss is None or not (quiet or self._closing.is_set()):
                return
            self._loss = None
        try:
            insert_loss(connection, started=loss.started, ended=loss.ended, reason=loss.reason)
        except RETRIABLE:
            with self._changed:
                self._loss = loss.joined(self._loss)
            raise
        with self._changed:
            self.totals.count("gaps", handed=1, written=1)

    # -- when to write -----------------------------------------------------------------------

    def _is_due(self) -> bool:
        return (
            self._buffer.has_urgent
            or self._rows_are_due()
            or self._closing.is_set()
            or (self._loss is not None and time.monotonic() >= self._loss.at + LOSS_QUIET_S)
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
        oldest = self._buffer.oldest
        moments = []
        if oldest is not None:
            moments.append(oldest + self._settings.flush_interval_s)
        if self._loss is not None:
            moments.append(self._loss.at + LOSS_QUIET_S)
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _is_settled(self) -> bool:
        return self._failure is not None or self._buffer.batches == 0

    # -- trouble -----------------------------------------------------------------------------

    def _connected(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = connect(self._dsn)
            CONNECTED.labels(self.name).set(1)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        CONNECTED.labels(self.name).set(0)

    def _wait_out(self, error: Exception) -> bool:
        """Pause after trouble that passes; return whether to go on."""
        if self._connection is None or self._connection.closed:
            self._disconnect()
        now = time.monotonic()
        if now >= self._reminded + REMIND_S or not self._trouble_since:
            self._reminded = now
            _log.warning(
                "the database does not take rows; they wait in memory",
                extra={
                    "partition": self.name,
                    "reason": str(error).strip(),
                    "rows": self._buffer.rows,
                },
            )
        with self._changed:
            self._trouble_since = self._trouble_since or now
            self._changed.notify_all()
        if self._closing.is_set():
            if now >= self._close_by:
                return False
            self._pause_s = min(self._pause_s, max(0.0, self._close_by - now), 0.2)
            time.sleep(self._pause_s)
        else:
            self._closing.wait(self._pause_s)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        return True

    def _recovered(self) -> None:
        self._pause_s = FIRST_PAUSE_S
        if self._trouble_since:
            away = time.monotonic() - self._trouble_since
            with self._changed:
                self._trouble_since = 0.0
            _log.info(
                "the database takes rows again",
                extra={"partition": self.name, "away_s": round(away, 3), "rows": self._buffer.rows},
            )

    def _check(self) -> None:
        if self._failure is not None:
            raise SinkError(
                f"the store's writer {self.name} met a bug and has stopped: {self._failure!r}",
                retriable=False,
            ) from self._failure

    def _lose(self, gone: Sequence[Waiting]) -> None:
        if not gone:
            return
        loss = LostRows.of(gone, at=time.monotonic())
        if self._loss is None:
            _log.error(
                "the store's buffer is full and its oldest rows are lost",
                extra={"partition": self.name, "limit": self._settings.buffer_rows},
            )
        self._loss = loss.joined(self._loss)
        for table, count in loss.tables.items():
            self.totals.count(table, lost=count)

    def _give_up_all(self) -> None:
        left = self.totals.unsettled()
        for table, count in left.items():
            self.totals.count(table, lost=count)
        _log.error(
            "the database did not take the last rows in time; they are lost",
            extra={"partition": self.name, "rows": left},
        )


def _rows_of(batches: Iterable[RowBatch]) -> list[list[Cell]]:
    return [row for batch in batches for row in unpack(batch)]
