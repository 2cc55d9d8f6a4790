"""The one sender: takes alerts from the outbox and calls their targets.

Every process may have a `Sender`; the one whose connection holds the outbox's advisory lock sends,
the others ask for the lock once a second. The lock dies with the connection, and the server ends
the connection of a sender that is frozen, cut off or killed: another takes over within 10 s.
It needs a session of its own: a pooler that shares sessions (transaction pooling) must not be
between the sender and the server.

A delivery is one attempt, on record before the call. What comes back decides: an answer makes the
row `sent` or `failed`; "not now" and "no connection" put it back, and leave the target alone for a
while; no answer makes it `unknown`. An answer that cannot be recorded, because the database is
away, is kept and recorded first thing when it is back. Meanwhile each process, whether it held the
lock or not, sends the critical alerts that it fired itself. `sinks.dispatch` makes the attempts,
`sinks.journal_dispatch` those without a database; here is the thread, its session and its turn.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psycopg

from sinks import delivery_log, sender_lock
from sinks.alert_journal import AlertJournal, open_journals
from sinks.alert_settings import AlertSettings
from sinks.calls import Calls
from sinks.delivery import Companion, Target
from sinks.delivery_log import Presence
from sinks.dispatch import Dispatcher
from sinks.insertion import CHANNEL
from sinks.journal_dispatch import JournalDispatcher
from sinks.kept_mutes import KeptMutes
from sinks.message import Composer, Link
from sinks.pacing import Pacer
from sinks.pictures import Picture
from sinks.secret import Secret

WAKE_S = 0.1
"""How soon a stop is noticed."""
STANDBY_S = 1.0
RECONNECT_S = (0.2, 0.5, 1.0, 2.0)
"""Pauses before asking an absent database again."""
JOURNAL_S = 0.05
"""How often the journals are looked at in these."""
STOP_S = 0.9

CALL_LIMIT_S = 6.0
"""A target's `send` returns within this time."""

_SESSION = {
    # A frozen sender says nothing to the server; one that waits for a target is silent for
    # CALL_LIMIT_S at most. Eight seconds tell them apart.
    "idle_session_timeout": "8s",
    # The same for a host that is gone; without effect on a Unix socket.
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "statement_timeout": "5s",
    "default_transaction_isolation": "read committed",
}

_log = logging.getLogger(__name__)


class Sender:
    """A thread that delivers the alerts of one outbox.

    Args:
        dsn: address of the database; at least PostgreSQL 14.
        targets: name, as the outbox has it, to target. The sender closes them when it ends.
        settings: how old an alert may get, digests, quiet hours, escalation.
        pacer: shared with whoever else calls the same places; its own when not given.
        link: from venue and symbol to the address of the market's page.
        picture: draws an alert; None for texts alone.
        companion: runs while this sender is the one that sends.
        journals: alerts of this process that wait for the database.
        mutes_file: where it is kept what is muted, for while the database is away; None for
            memory alone.
        clock: our clock, ns UTC.

    A bug in a target ends the thread with a traceback, and `is_alive` says so; no error of a
    database, network or target does.
    """

    def __init__(
        self,
        dsn: Secret,
        targets: Mapping[str, Target],
        settings: AlertSettings,
        *,
        pacer: Pacer | None = None,
        link: Link = lambda _venue, _symbol: "",
        picture: Picture | None = None,
        companion: Companion | None = None,
        journals: Callable[[], Sequence[AlertJournal]] = open_journals,
        mutes_file: Path | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._dsn = dsn
        self._targets = dict(targets)
        self._companion = companion
        self._journals = journals
        self._clock = clock
        self._mutes = KeptMutes(mutes_file)
        calls = Calls(self._targets, pacer if pacer is not None else Pacer(time.monotonic))
        composer = Composer(settings.zone, link)
        self._dispatcher = Dispatcher(
            calls, settings, composer, picture=picture, mutes=self._mutes, clock=clock
        )
        self._journal_dispatcher = JournalDispatcher(
            calls, settings, composer, mutes=self._mutes, clock=clock
        )
        self._stop = threading.Event()
        self._drain_until = 0.0
        self._is_sending = False
        self._presence = Presence()
        self._thread = threading.Thread(target=self._run, name="alert-sender", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def is_sending(self) -> bool:
        """Whether this sender holds the lock."""
        return self._is_sending

    def start(self) -> None:
        """Start the thread; the database need not be there yet."""
        self._thread.start()

    def stop(self, *, drain_s: float = 0.0) -> bool:
        """End the thread, a call that is not answered in time included.

        Args:
            drain_s: seconds to go on for, while rows are due.

        Returns:
            Whether the thread ended, within `drain_s` and a second.
        """
        self._drain_until = time.monotonic() + drain_s
        self._stop.set()
        if not self._thread.is_alive():
            return True
        self._thread.join(drain_s + STOP_S / 2)
        if self._thread.is_alive():
            for target in self._targets.values():
                target.abort()
            self._thread.join(STOP_S / 2)
        return not self._thread.is_alive()

    def _run(self) -> None:
        failures = 0
        try:
            while True:
                try:
                    with self._session() as connection:
                        failures = 0
                        self._serve(connection)
                except psycopg.Error as error:
                    self._presence.away(error)
                    self._send_journaled(RECONNECT_S[min(failures, len(RECONNECT_S) - 1)])
                    failures += 1
                if self._stop.is_set():
                    return
        finally:
            for target in self._targets.values():
                target.close()

    def _send_journaled(self, seconds: float) -> None:
        """For so long, send what this process fired while the database was away."""
        deadline = time.monotonic() + seconds
        while not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            if not self._journal_dispatcher.deliver_next(self._journals()):
                self._stop.wait(min(left, JOURNAL_S))

    @contextlib.contextmanager
    def _session(self) -> Iterator[psycopg.Connection]:
        """Open a connection; what happens to it ends our turn, and with it the lock."""
        connection = psycopg.connect(
            self._dsn.reveal(),
            autocommit=True,
            connect_timeout=3,
            application_name="candlewax alert sender",
            tcp_user_timeout=5000,
        )
        try:
            for name, value in _SESSION.items():
                connection.execute("SELECT set_config(%s, %s, false)", (name, value))
            yield connection
        finally:
            self._is_sending = False
            delivery_log.is_active(active=False)
            if self._companion is not None:
                self._companion.stop()
            connection.close()

    def _serve(self, connection: psycopg.Connection) -> None:
        self._dispatcher.record_unrecorded(connection)
        while not sender_lock.take_lock(connection):
            self._presence.doing("another process sends the alerts; standing by")
            self._mutes.refresh(connection, now=self._clock())
            if self._stop.wait(STANDBY_S):
                return
        connection.execute(f"LISTEN {CHANNEL}")
        self._is_sending = True
        delivery_log.is_active(active=True)
        self._presence.doing("sending alerts")
        self._dispatcher.take_over(connection)
        if self._companion is not None:
            self._companion.start()
        while True:
            delivered = self._dispatcher.deliver_next(connection)
            if self._stop.is_set() and (not delivered or time.monotonic() >= self._drain_until):
                return
            if not delivered:
                self._wait_for_news(connection)

    def _wait_for_news(self, connection: psycopg.Connection) -> None:
        """Wait for a notification, a stop, or the time of a target that is not ready."""
        deadline = time.monotonic() + self._dispatcher.wait_s()
        while not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            if list(connection.notifies(timeout=min(left, WAKE_S), stop_after=1)):
                return
