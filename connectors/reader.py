"""The thread that owns a feed's sockets: it reads, stamps, sends, reconnects and decides nothing.

What a message means is the feed's business, which is told every record here in the order in which
it goes into the queue. Other threads make connections and fetches, so that neither holds up what
is being read.

The file is long because a turn of the thread is one thing: reading, sending, asking, watching and
closing share the state of the same sockets, in an order that matters.
"""

import logging
import queue
import random
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

import httpx
import websocket
from prometheus_client import Counter, Gauge

from connectors.contract import KEY, Login, Request, Venue
from connectors.errands import Errands
from connectors.feed import Feed, Steering, encode_description, encode_steering
from connectors.frame_queue import FrameQueue
from connectors.limiter import HostLimiter, limiter_of
from connectors.reason_counter import ReasonCounter
from connectors.recording import Record
from connectors.transport import Answer, Socket, explain_status, fetch, http_client
from market.errors import FeedError, VenueRefusalError
from market.intervals import SECOND

TICK_S = 0.05
HEARTBEAT = SECOND
OVERRUN_S = 2.0
FRAMES_PER_TURN = 200
FETCHES_AT_ONCE = 4
BACKOFF_FIRST_S = 0.5
BACKOFF_MOST_S = 60.0
HEALTHY_AFTER = 10 * SECOND
"""How long a connection must have told news before the next backoff starts small again."""
PING_AFTER = 15 * SECOND
"""Without anything to read a connection is asked for a sign of life."""
PONG_WITHIN = 10 * SECOND
"""A connection that gives none is half open: the other side has gone without a word."""
STOP_WITHIN_S = 2.0
SET_BACK = SECOND
"""A clock that goes back further than this was set; less is its correction."""

CONNECTIONS = Counter("candlewax_feed_connections_total", "Connections opened", ["venue"])
FRAMES = Counter("candlewax_feed_frames_total", "Messages read from a venue", ["venue"])
CLOSES = ReasonCounter("candlewax_feed_closes_total", "Connections that ended unplanned")
OVERRUNS = Counter(
    "candlewax_feed_overruns_total", "Times the flow was too slow for the queue", ["venue"]
)
QUEUE = Gauge("candlewax_feed_queue_records", "Records that wait for the flow")

log = logging.getLogger(__name__)

_T = TypeVar("_T")


class Clock:
    """Our clock in ns UTC, always ahead of what it said before.

    When the system's clock is set back, time goes on from where it was at its usual pace: bars and
    timers cannot wait until the old time comes again.
    """

    def __init__(self) -> None:
        self._last = 0
        self._ahead = time.time_ns() - time.monotonic_ns()

    def now(self) -> int:
        """Return the time; two calls never return the same."""
        monotonic = time.monotonic_ns()
        ahead = time.time_ns() - monotonic
        if ahead > self._ahead - SET_BACK:
            self._ahead = ahead
        self._last = max(monotonic + self._ahead, self._last + 1)
        return self._last


class Reader:
    """Runs one feed until `stop`.

    Args:
        feed: told every record.
        frames: where records go.
        clock: our clock; tests may shift it.
        seed: makes the backoff's jitter differ between feeds.
        overrun_s: seconds without room in the queue after which the feed begins anew.
        key: the user's key for this venue, sent in a `Login` and never told or recorded.
        limiter: finds the budget of a venue's address.
    """

    def __init__(
        self,
        feed: Feed,
        frames: FrameQueue,
        *,
        clock: Callable[[], int] | None = None,
        seed: int = 0,
        overrun_s: float = OVERRUN_S,
        key: str = "",
        limiter: Callable[[Venue, str], HostLimiter] = limiter_of,
    ) -> None:
        self.feed = feed
        self._frames = frames
        self._now = clock or Clock().now
        self._random = random.Random(seed)  # noqa: S311 - jitter is no secret
        self._overrun_s = overrun_s
        self._key = key
        self._venue = feed.description.venue
        self._limiter = limiter
        self._sockets: dict[str, Socket] = {}
        self._heard: dict[str, int] = {}
        self._pinged: dict[str, int] = {}
        self._to_ask: deque[tuple[str, Request]] = deque()
        self._ask_at = 0
        self._done: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._bell, self._rope = socket.socketpair()
        self._bell.setblocking(False)
        self._rope.setblocking(False)
        self._count = 0
        self._connecting: Future[Socket] | None = None
        self._connect_at = 0
        self._failed = 0
        self._healthy_since: int | None = None
        self._beat_at = 0
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"feed-{feed.name}", daemon=True)

    # -- from other threads --------------------------------------------------------------------

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; `join` waits for it.

        The queue then takes what was read, however much: who stops may not be taking any more.
        """
        self._stopping.set()
        self._frames.release()
        self._ring()

    def join(self) -> None:
        """Wait for the thread's end, a bounded time."""
        self._thread.join(STOP_WITHIN_S)

    def check(self) -> None:
        """Raise what killed the thread: a bug of ours is loud."""
        if self._error is not None:
            raise RuntimeError(f"the reader of {self.feed.name} died") from self._error

    def steer(self, steering: Steering) -> None:
        """Change what the feed does: resync, subscribe, unsubscribe."""
        self._later(partial(self._steer, steering))

    # -- the loop ------------------------------------------------------------------------------

    def _run(self) -> None:
        log.info("feed starts", extra={"feed": self.feed.name})
        self._put(Record(self._now(), self.feed.name, "begin"))
        connects = Errands(1, f"connect-{self.feed.name}")
        fetches = Errands(FETCHES_AT_ONCE, f"fetch-{self.feed.name}")
        client = http_client()
        try:
            while not self._stopping.is_set():
                self._turn(connects, fetches, client)
        except BaseException as error:
            self._error = error
            log.critical("feed thread died", exc_info=error, extra={"feed": self.feed.name})
        finally:
            for name in list(self._sockets):
                self._drop(name)
            if self._connecting is not None:
                self._connecting.add_done_callback(_close_unused)
            connects.close()
            fetches.close()
            client.close()
            self._bell.close()
            self._rope.close()

    def _turn(self, connects: Errands, fetches: Errands, client: httpx.Client) -> None:
        now = self._now()
        self._connect_if_due(now, connects)
        for name in self._wait():
            self._read(name)
        while not self._done.empty():
            self._done.get()()
        now = self._now()
        if now >= self._beat_at:
            self._beat_at = now + HEARTBEAT
            self._put(Record(now, self.feed.name, "heartbeat"))
            QUEUE.set(len(self._frames))
            self._watch_sockets(now)
        self._send()
        self._ask(now, fetches, client)
        self._close_what_must()

    def _wait(self) -> list[str]:
        """Wait a tick for something to read; return the connections that have it."""
        ready = [name for name, sock in self._sockets.items() if sock.has_buffered]
        by_descriptor = {sock.fileno(): name for name, sock in self._sockets.items()}
        bell = self._bell.fileno()
        poll = select.poll()  # select() ends at descriptor 1024
        for descriptor in (bell, *by_descriptor):
            poll.register(descriptor, select.POLLIN)
        readable = [descriptor for descriptor, _ in poll.poll(0 if ready else TICK_S * 1000)]
        if bell in readable:
            self._bell.recv(4096)
        return ready + [by_descriptor[fd] for fd in readable if fd != bell]

    def _read(self, name: str) -> None:
        """Read what is there, a bounded number of messages."""
        sock = self._sockets.get(name)
        if sock is not None:
            self._heard[name] = self._now()
            self._pinged.pop(name, None)
        frames = 0
        while sock is not None and frames < FRAMES_PER_TURN:
            try:
                message = sock.receive()
            except (OSError, websocket.WebSocketException) as error:
                self._lost(name, str(error) or type(error).__name__)
                break
            if message is not None:
                frames += 1
                is_binary, data = message
                self._put(Record(self._now(), name, "binary" if is_binary else "text", data))
            if self._sockets.get(name) is not sock or not sock.is_readable:
                break  # dropped by an overrun, or all read
        if frames:
            FRAMES.labels(self._venue).inc(frames)

    def _watch_sockets(self, now: int) -> None:
        """Ask silent connections for a sign of life, and close those that give none.

        What comes of it is a `close` record, so a recording needs to know nothing of pings.
        """
        for name, sock in list(self._sockets.items()):
            pinged = self._pinged.get(name)
            silence = now - self._heard[name]
            if pinged is None:
                if silence >= PING_AFTER:
                    self._pinged[name] = now
                    try:
                        sock.ping()
                    except (OSError, websocket.WebSocketException) as error:
                        self._lost(name, f"cannot send: {error}")
            elif now - pinged >= PONG_WITHIN:
                lost = f"nothing came for {silence // SECOND} s, not even an answer to a ping"
                self._lost(name, lost)

    def _ask(self, now: int, fetches: Errands, client: httpx.Client) -> None:
        """Make the GETs that are wanted, as far as the host's budget goes."""
        while self._to_ask and now >= self._ask_at:
            name, request = self._to_ask[0]
            if name in self._sockets:
                wait = self._limiter(self.feed.venue, request.url).ask(request.weight)
                if wait:
                    self._ask_at = now + int(wait * SECOND)
                    return
            self._to_ask.popleft()
            job = fetches.run(partial(self._fetch, client, name, request.url))
            job.add_done_callback(
                partial(self._when_done, partial(self._fetched, name, request.url))
            )

    def _send(self) -> None:
        for name, item in self.feed.outgoing():
            if isinstance(item, Request):
                self._to_ask.append((name, item))
            elif name in self._sockets:
                told = item.message if isinstance(item, Login) else item
                sent = told.replace(KEY, self._key.encode()) if isinstance(item, Login) else item
                try:
                    self._sockets[name].send(sent)
                except (OSError, websocket.WebSocketException) as error:
                    self._lost(name, f"cannot send: {error}")
                else:
                    self._put(Record(self._now(), name, "sent", told))

    def _close_what_must(self) -> None:
        for name, error in self.feed.failures():
            log.warning("connection failed", extra={"feed": self.feed.name, "reason": str(error)})
            least = error.retry_after_s if isinstance(error, VenueRefusalError) else 0.0
            self._closed(name, str(error), least_s=least)
        for name in self.feed.superseded():
            log.info("connection replaced", extra={"feed": self.feed.name, "conn": name})
            self._drop(name)
            self._put(Record(self._now(), name, "close", b"replaced"))

    # -- connections ---------------------------------------------------------------------------

    def _connect_if_due(self, now: int, connects: Errands) -> None:
        if self._connecting is not None or now < self._connect_at:
            return
        if self.feed.is_connected and not self.feed.wants_replacement:
            return
        url = self.feed.url()
        wait = self._limiter(self.feed.venue, url).connect()
        if wait:
            log.info(
                "connects later: the venue's limit",
                extra={"feed": self.feed.name, "again_in_s": round(wait, 1)},
            )
            self._connect_at = now + int(wait * SECOND)
            return
        self._connecting = connects.run(partial(Socket, url))
        self._connecting.add_done_callback(partial(self._when_done, self._connected))

    def _connected(self, done: Future[Socket]) -> None:
        self._connecting = None
        error = done.exception()
        if error is None:
            self._count += 1
            name = f"{self.feed.name}.{self._count}"
            self._sockets[name] = done.result()
            self._heard[name] = self._now()
            CONNECTIONS.labels(self._venue).inc()
            log.info("connected", extra={"feed": self.feed.name, "conn": name})
            self._healthy_since = None
            self._put(Record(self._now(), name, "open", encode_description(self.feed.description)))
            return
        if not isinstance(error, (OSError, websocket.WebSocketException, FeedError)):
            raise error
        least = 0.0
        if isinstance(error, VenueRefusalError):
            least = error.retry_after_s
            self._limiter(self.feed.venue, self.feed.url()).refused(least)
        wait = self._back_off(least)
        log.warning(
            "cannot connect",
            extra={"feed": self.feed.name, "reason": str(error), "again_in_s": round(wait, 1)},
        )

    def _lost(self, name: str, reason: str) -> None:
        """A connection is gone; why its protocol gave it up, a refusal perhaps, weighs more."""
        self._close_what_must()
        if name in self._sockets:
            self._closed(name, reason)

    def _closed(self, name: str, reason: str, *, least_s: float = 0.0) -> None:
        """A connection ended that was not meant to."""
        self._drop(name)
        CLOSES.count(self._venue, reason)
        wait = self._back_off(least_s)
        log.warning(
            "connection closed",
            extra={"conn": name, "reason": reason, "again_in_s": round(wait, 1)},
        )
        self._put(Record(self._now(), name, "close", reason.encode()))

    def _drop(self, name: str) -> None:
        sock = self._sockets.pop(name, None)
        self._heard.pop(name, None)
        self._pinged.pop(name, None)
        if sock is not None:
            sock.close()

    def _back_off(self, least_s: float) -> float:
        """Plan the next connection; return the wait in seconds."""
        now = self._now()
        if self._healthy_since is not None and now - self._healthy_since > HEALTHY_AFTER:
            self._failed = 0
        most = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * (1 << self._failed))
        wait = max(least_s, most * (0.5 + self._random.random() / 2))
        self._failed = min(self._failed + 1, 10)
        self._healthy_since = None
        self._connect_at = now + int(wait * SECOND)
        return wait

    # -- records -------------------------------------------------------------------------------

    def _put(self, record: Record) -> None:
        """Tell the feed, and hand the record and what it told to the flow."""
        told = self.feed.take(record)
        if told and self._healthy_since is None and record.kind in {"text", "binary"}:
            self._healthy_since = record.ts
        if not self._frames.put(record, told, wait_s=self._overrun_s):
            self._overrun()

    def _overrun(self) -> None:
        """The flow has not taken anything for too long: let go, say so, begin again."""
        OVERRUNS.labels(self._venue).inc()
        feed = self.feed
        for name in list(self._sockets):
            self._drop(name)
        # What led here is gone from the queue, so the records must say by themselves that the feed
        # has nothing now: a connection 0, which never was, and the end of all.
        reason = f"overrun: the flow took nothing for {self._overrun_s:g} s"
        feed.take(Record(self._now(), feed.name, "close"))
        told = [
            (record, feed.take(record))
            for record in (
                Record(self._now(), f"{feed.name}.0", "open", encode_description(feed.description)),
                Record(self._now(), feed.name, "close", reason.encode()),
            )
        ]
        dropped = self._frames.replace(feed.name, told)
        log.error("queue overrun", extra={"feed": feed.name, "records_dropped": dropped})
        while not self._stopping.is_set() and not self._frames.wait_for_room(wait_s=TICK_S * 4):
            pass
        self._back_off(0.0)

    def _fetch(self, client: httpx.Client, name: str, url: str) -> Answer:
        """Make one GET, in another thread, unless its connection has ended meanwhile."""
        if name not in self._sockets:
            return Answer(0, b"the connection has ended")
        return fetch(client, url)

    def _fetched(self, name: str, url: str, done: Future[Answer]) -> None:
        answer = done.result()
        if answer.wait_s:
            self._limiter(self.feed.venue, url).refused(answer.wait_s)
        meaning = explain_status(answer.status)
        if answer.status != 200:
            log.warning(
                "fetch failed",
                extra={"url": url, "status": answer.status, "reason": meaning or answer.body[:200]},
            )
        self._put(Record(self._now(), name, "http", answer.body, url, answer.status))

    def _steer(self, steering: Steering) -> None:
        self._put(Record(self._now(), self.feed.name, "control", encode_steering(steering)))

    def _when_done(self, then: Callable[[Future[_T]], None], done: Future[_T]) -> None:
        self._later(partial(then, done))

    def _later(self, job: Callable[[], None]) -> None:
        self._done.put(job)
        self._ring()

    def _ring(self) -> None:
        try:
            self._rope.send(b"!")
        except OSError:
            log.debug("the bell rings already, or nobody listens", extra={"feed": self.feed.name})


def _close_unused(done: Future[Socket]) -> None:
    if done.exception() is None:
        done.result().close()
