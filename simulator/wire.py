"""Joins a venue and a client in virtual time, without a socket: an hour takes a minute.

The venue's clock is the time here; the client sees it with its own error (`skew`). Every frame
and every answer takes its latency; on one connection nothing overtakes.
"""

import heapq
from collections.abc import Callable
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from simulator.dialects.contract import Dialect
from simulator.faults import Faults
from simulator.frames import Binary, Close, Cut, Frame, Ping, Text
from simulator.market_model import MarketModel
from simulator.true_book import LevelChange, TrueBook, TrueBookHistory

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND


class WireClient(Protocol):
    """What sits at the other end. All times are the client's own clock, ns UTC.

    It is not told `closed` of a connection that it wished to close, nor of a GET after it.
    """

    def open_wishes(self, now: int) -> list[tuple[str, str]]:
        """Return name and address of each connection to open now; asked once a step."""
        ...

    def opened(self, conn: str, now: int) -> None:
        """A connection is open."""
        ...

    def received(self, conn: str, data: bytes, now: int, *, is_binary: bool) -> None:
        """A message came."""
        ...

    def fetched(self, conn: str, url: str, status: int, body: bytes, now: int) -> None:
        """The answer to a GET came."""
        ...

    def closed(self, conn: str, reason: str, now: int) -> None:
        """A connection ended, or could not be opened."""
        ...

    def heartbeat(self, now: int) -> None:
        """A second has passed."""
        ...

    def outgoing(self) -> list[tuple[str, bytes | str]]:
        """Return what to send: bytes are a message, text is an address to GET."""
        ...

    def close_wishes(self) -> list[str]:
        """Return the connections to close now."""
        ...


class WireCounts(msgspec.Struct):
    """What passed over the wire."""

    frames: int = 0
    gets: int = 0
    opened: int = 0
    closed: int = 0


class Wire:
    """One venue and one client, in virtual time.

    Args:
        model: the market; the wire advances it.
        dialect: the venue.
        client: the other end.
        faults: what goes wrong; None for nothing.
        latency: ns from one end to the other, for frames and for opening and closing.
        http_latency: ns from asking to having the answer; the venue answers half way.
        skew: ns that the client's clock is ahead of the venue's; may be negative.
        step: ns of virtual time that everything is cut into.
        keep_history: keep the true books' changes, for `true_book`.
    """

    def __init__(
        self,
        model: MarketModel,
        dialect: Dialect,
        client: WireClient,
        *,
        faults: Faults | None = None,
        latency: int = 20 * MILLISECOND,
        http_latency: int = 80 * MILLISECOND,
        skew: int = 0,
        step: int = 10 * MILLISECOND,
        keep_history: bool = False,
    ) -> None:
        self.now = model.now
        self.counts = WireCounts()
        self._model = model
        self._dialect = dialect
        self._client = client
        self._faults = faults or Faults(start=model.now)
        self._latency = latency
        self._http_latency = http_latency
        self._skew = skew
        self._step = step
        self._next_heartbeat = model.now
        self._number = 0
        self._at_venue: list[tuple[int, int, Callable[[], None]]] = []
        self._at_client: list[tuple[int, int, Callable[[], None]]] = []
        self._lines: dict[str, str] = {}
        self._conns: dict[str, str] = {}
        self._accepted: dict[str, None] = {}
        self._waiting: dict[str, list[bytes]] = {}
        self._histories = (
            {
                listing.symbol: TrueBookHistory(model.true_book(listing.symbol))
                for listing in model.listings
            }
            if keep_history
            else {}
        )

    @property
    def faults(self) -> Faults:
        """The faults at work."""
        return self._faults

    def run_for(self, length: int) -> None:
        """Let `length` ns of virtual time pass."""
        self.run_until(self.now + length)

    def run_until(self, until: int) -> None:
        """Let virtual time pass up to `until`, ns UTC on the venue's clock."""
        while self.now < until:
            self.now = min(self.now + self._step, until)
            self._venue_turn()
            if self.now >= self._faults.blocked_until:
                self._client_turn()

    def true_book(self, symbol: str, update_id: int) -> TrueBook:
        """Return the true book as it was after an update id; ask in rising order.

        Raises:
            ValueError: an id that is not known yet or not any more, or `keep_history` is off.
        """
        return self.history(symbol).at(update_id)

    def history(self, symbol: str) -> TrueBookHistory:
        """Return what a symbol's true book was.

        Raises:
            ValueError: `keep_history` is off.
        """
        if symbol not in self._histories:
            raise ValueError(f"no history of {symbol}: give keep_history=True")
        return self._histories[symbol]

    # the venue's end: `line` is one connection's own name, used once

    def _venue_turn(self) -> None:
        now = self.now
        changes = self._model.advance(now)
        if self._histories:
            for change in changes:
                if isinstance(change, LevelChange):
                    self._histories[change.symbol].record((change,))
        self._dialect.advance(changes, now)
        for line, frame in self._faults.due(now, self._accepted, self._dialect):
            self._send(line, frame)
        self._deliver(self._at_venue)
        if self._waiting:
            for line in [line for line in self._waiting if not self._faults.is_frozen(line)]:
                for data in self._waiting.pop(line):
                    self._dialect.received(line, data, now)
        for line, frame in self._dialect.outgoing():
            for sent in self._faults.frames(line, frame, now):
                self._send(line, sent)

    def _send(self, line: str, frame: Frame) -> None:
        match frame:
            case Text(data=data) | Binary(data=data):
                is_binary = isinstance(frame, Binary)
                self._to_client(self._latency, partial(self._receive, line, data, is_binary))
            case Ping(payload=payload):
                self._to_client(self._latency, partial(self._pong, line, payload))
            case Close(code=code, reason=reason):
                self._end(line, f"{code} {reason}")
            case Cut():
                self._end(line, "connection lost")

    def _end(self, line: str, reason: str) -> None:
        self._forget(line)
        self._to_client(self._latency, partial(self._close, line, reason))

    def _forget(self, line: str) -> None:
        self._accepted.pop(line, None)
        self._dialect.closed(line)
        self._faults.closed(line)
        self._waiting.pop(line, None)

    def _accept(self, line: str, path: str) -> None:
        refusal = self._faults.refusal(self.now) or self._dialect.refusal(path)
        if refusal is not None:
            reason = f"HTTP {refusal.status}"
            self._to_client(self._latency, partial(self._close, line, reason))
            return
        self._accepted[line] = None
        self._to_client(self._latency, partial(self._opened, line))
        self._dialect.opened(line, path, self.now)

    def _take(self, line: str, data: bytes) -> None:
        if line not in self._accepted or self._faults.is_mute(line):
            return
        if self._faults.is_frozen(line):
            self._waiting.setdefault(line, []).append(data)
        else:
            self._dialect.received(line, data, self.now)

    def _request(self, line: str, url: str, half: int) -> None:
        target = _target(url)
        answer = self._dialect.requested(target, self.now)
        answer = self._faults.answer(target, answer, self.now)
        wait = half + self._faults.delay(self.now)
        self._to_client(wait, partial(self._fetched, line, url, answer.status, answer.body))

    # the client's end

    def _client_turn(self) -> None:
        client = self._client
        now = self.now + self._skew
        self._deliver(self._at_client)
        while self.now >= self._next_heartbeat:
            self._next_heartbeat += SECOND
            if self.now < self._next_heartbeat:  # those that a block swallowed do not come late
                client.heartbeat(now)
                self._obey()
        for conn, url in client.open_wishes(now):
            self._number += 1
            line = f"{conn}#{self._number}"
            self._lines[conn] = line
            self._conns[line] = conn
            self._to_venue(self._latency, partial(self._accept, line, _target(url)))
        self._obey()

    def _obey(self) -> None:
        """Do what the client wants done."""
        for conn, what in self._client.outgoing():
            line = self._lines.get(conn)
            if line is None:
                continue
            if isinstance(what, bytes):
                self._to_venue(self._latency, partial(self._take, line, what))
            else:
                self.counts.gets += 1
                half = self._http_latency // 2
                self._to_venue(half, partial(self._request, line, what, half))
        for conn in self._client.close_wishes():
            line = self._lines.pop(conn, None)
            if line is not None:
                del self._conns[line]
                self.counts.closed += 1
                self._to_venue(self._latency, partial(self._forget, line))

    def _opened(self, line: str) -> None:
        if (conn := self._conns.get(line)) is not None:
            self.counts.opened += 1
            self._client.opened(conn, self.now + self._skew)
            self._obey()

    def _receive(self, line: str, data: bytes, is_binary: bool) -> None:
        if (conn := self._conns.get(line)) is not None:
            self.counts.frames += 1
            self._client.received(conn, data, self.now + self._skew, is_binary=is_binary)
            self._obey()

    def _pong(self, line: str, payload: bytes) -> None:
        if line in self._conns:
            self._to_venue(self._latency, partial(self._ponged, line, payload))

    def _ponged(self, line: str, payload: bytes) -> None:
        self._dialect.ponged(line, payload, self.now)

    def _fetched(self, line: str, url: str, status: int, body: bytes) -> None:
        if (conn := self._conns.get(line)) is not None:
            self._client.fetched(conn, url, status, body, self.now + self._skew)
            self._obey()

    def _close(self, line: str, reason: str) -> None:
        if (conn := self._conns.pop(line, None)) is not None:
            del self._lines[conn]
            self.counts.closed += 1
            self._client.closed(conn, reason, self.now + self._skew)
            self._obey()

    # both

    def _to_client(self, wait: int, action: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._at_client, (self.now + wait, self._number, action))

    def _to_venue(self, wait: int, action: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._at_venue, (self.now + wait, self._number, action))

    def _deliver(self, queue: list[tuple[int, int, Callable[[], None]]]) -> None:
        while queue and queue[0][0] <= self.now:
            heapq.heappop(queue)[2]()


def _target(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
