"""HTX (Huobi) spot, from the server's side: two websocket paths and the list of symbols.

After the public documentation (2021 and after 2022), notices, and frames captured in April 2021.

    path     topic                          message              rhythm
    /ws      market.SYMBOL.trade.detail     trades of an order   at once; the last ones at first
    /feed    market.SYMBOL.mbp.150          changed levels       100 ms, while anything changes

    ours     {"sub":…}, {"unsub":…}, {"req":…}, each with an id, and {"pong":…}
    theirs   one gzip member of JSON in every frame, all binary

A ping comes every 5 s; who leaves two unanswered is closed with 1003 when the third is due. The
venue's ways are kept: a symbol that it has not is refused by an error that names it, and the rest
goes on; a halted one is acknowledged and silent, and so are topics that exist at the venue but not
here. What the documentation leaves open is decided so: a topic of the other path is an invalid
topic; a second `req` within 100 ms is refused as too many; to `unsub` what is not subscribed is
refused; a second `sub` is acknowledged; an end is not announced, and no connection is too old.
"""

import re
import zlib
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from simulator.dialects.htx_rest import HtxRest
from simulator.dialects.htx_streams import HtxStreams
from simulator.frames import Binary, Close, Frame, HttpAnswer
from simulator.market_model import MarketModel
from simulator.true_book import Change

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND
PING_EVERY = 5 * SECOND
MOST_UNANSWERED = 2
LEAST_BETWEEN_REQUESTS = 100 * MILLISECOND
BOOK_INTERVAL = 100 * MILLISECOND
GZIP = 16 + zlib.MAX_WBITS
FASTEST = 1

_TOPIC = re.compile(r"market\.(\w+)\.(.+)")
_KINDS = {
    "/ws": re.compile(
        r"trade\.detail|kline\.\w+|depth\.step[0-5]|bbo|detail|mbp\.refresh\.(?:5|10|20)"
    ),
    "/feed": re.compile(r"mbp\.(?:5|20|150|400|refresh\.(?:5|10|20))"),
}


class _Request(msgspec.Struct):
    """`{"sub":"market.btcusdt.mbp.150","id":"id1"}`, or `unsub`, `req`, or `{"pong":1}`."""

    sub: str = ""
    unsub: str = ""
    req: str = ""
    pong: int | None = None
    id: int | str | None = None


class _Connection:
    """One client."""

    __slots__ = ("ends_at", "next_ping", "next_request", "path", "topics", "unanswered")

    def __init__(self, path: str, now: int) -> None:
        self.path = path
        self.topics: dict[str, tuple[str, str]] = {}
        self.next_ping = now + PING_EVERY
        self.unanswered: set[int] = set()
        self.next_request = 0
        self.ends_at: int | None = None


class HtxDialect:
    """HTX spot for any number of connections; see `simulator.dialects.contract.Dialect`.

    Args:
        model: the market; the caller advances it and hands the changes on.
        book_interval: ns between two book messages. Anything but 100 ms is untrue to the venue
            and for benchmarks only.
    """

    def __init__(self, model: MarketModel, *, book_interval: int = BOOK_INTERVAL) -> None:
        self._rest = HtxRest(model)
        self._streams = HtxStreams(model, interval=book_interval)
        self._connections: dict[str, _Connection] = {}
        self._refused: dict[str, int] = {}
        self._out: list[tuple[str, Frame]] = []
        self._now = model.now

    # connections

    def refusal(self, path: str) -> HttpAnswer | None:
        """Return the answer to a handshake at a path that has no topics; None to let it in."""
        return None if _path(path) in _KINDS else HttpAnswer(404, b"Not Found")

    def opened(self, conn: str, path: str, now: int) -> None:
        """A client connected to `/ws` or `/feed`."""
        self._connections[conn] = _Connection(_path(path), now)

    def closed(self, conn: str) -> None:
        """A connection ended; nothing is sent to it any more."""
        connection = self._connections.pop(conn, None)
        if connection is not None:
            for native, kind in connection.topics.values():
                self._streams.leave(conn, native, kind)

    def ponged(self, conn: str, payload: bytes, now: int) -> None:
        """A websocket pong is nothing to HTX: its own pings are messages."""

    def pinged(self, conn: str, now: int) -> None:
        """A websocket ping is nothing to HTX."""

    def received(self, conn: str, data: bytes, now: int) -> None:
        """A client sent a message."""
        connection = self._connections.get(conn)
        if connection is None:
            return
        self._now = now
        try:
            request = msgspec.json.decode(data, type=_Request)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._refuse(conn, None, "invalid json")
            return
        if request.pong is not None:
            if request.pong in connection.unanswered:
                connection.unanswered.clear()
        elif request.sub:
            self._subscribe(conn, connection, request.sub, request.id)
        elif request.unsub:
            self._unsubscribe(conn, connection, request.unsub, request.id)
        elif request.req:
            self._answer(conn, connection, request.req, request.id)
        else:
            self._refuse(conn, request.id, "invalid command")

    def _subscribe(
        self, conn: str, connection: _Connection, topic: str, identity: int | str | None
    ) -> None:
        found = self._find(connection.path, topic)
        if isinstance(found, str):
            self._refuse(conn, identity, found)
            return
        self._send(conn, self._acknowledgement("subbed", topic, identity))
        if topic not in connection.topics:
            connection.topics[topic] = found
            last = self._streams.join(conn, *found)
            if last is not None:
                self._out.append((conn, Binary(_packed(last.data), last.channel, last.symbol)))

    def _unsubscribe(
        self, conn: str, connection: _Connection, topic: str, identity: int | str | None
    ) -> None:
        found = connection.topics.pop(topic, None)
        if found is None:
            self._refuse(conn, identity, f"unsub with not subbed topic {topic}")
            return
        self._streams.leave(conn, *found)
        self._send(conn, self._acknowledgement("unsubbed", topic, identity))

    def _answer(
        self, conn: str, connection: _Connection, topic: str, identity: int | str | None
    ) -> None:
        if self._now < connection.next_request:
            self._refuse(conn, identity, "429 too many request")
            return
        connection.next_request = self._now + LEAST_BETWEEN_REQUESTS
        found = self._find(connection.path, topic)
        if isinstance(found, str):
            self._refuse(conn, identity, found)
            return
        native, kind = found
        told = self._streams.requested(native, kind)
        if told:
            answer: dict[str, object] = {
                "id": identity,
                "rep": topic,
                "status": "ok",
                "ts": self._now // MILLISECOND,
                "data": msgspec.Raw(told),
            }
            self._send(conn, answer)

    def _find(self, path: str, topic: str) -> tuple[str, str] | str:
        """Return symbol and kind of a topic, or what is wrong with it."""
        match = _TOPIC.fullmatch(topic)
        if match is None or _KINDS[path].fullmatch(match[2]) is None:
            return f"invalid topic {topic}"
        native, kind = match[1], match[2]
        if not self._streams.knows(native) or self._now < self._refused.get(native, 0):
            return (
                f"invalid {kind}.symbol {native}" if "mbp" in kind else f"invalid symbol {native}"
            )
        return native, kind

    def _acknowledgement(
        self, said: str, topic: str, identity: int | str | None
    ) -> dict[str, object]:
        return {"id": identity, "status": "ok", said: topic, "ts": self._now // MILLISECOND}

    def _refuse(self, conn: str, identity: int | str | None, text: str) -> None:
        self._send(
            conn,
            {
                "status": "error",
                "ts": self._now // MILLISECOND,
                "id": identity,
                "err-code": "bad-request",
                "err-msg": text,
            },
        )

    def _send(self, conn: str, message: dict[str, object]) -> None:
        self._out.append((conn, Binary(_packed(msgspec.json.encode(message)))))

    # the market

    def advance(self, changes: Sequence[Change], now: int) -> None:
        """Tell what happened up to `now`; book messages at their rhythm."""
        self._now = now
        for told in self._streams.advance(changes, now):
            frame = Binary(_packed(told.data), told.channel, told.symbol)
            self._out += [(conn, frame) for conn in told.readers]
        for conn, connection in list(self._connections.items()):
            if connection.ends_at is not None and now >= connection.ends_at:
                self._end(conn, 1001, "")
            elif now >= connection.next_ping:
                self._ping(conn, connection, now)

    def _ping(self, conn: str, connection: _Connection, now: int) -> None:
        if len(connection.unanswered) >= MOST_UNANSWERED:
            self._end(conn, 1003, "ping check expired")
            return
        connection.next_ping = now + PING_EVERY
        ping = now // MILLISECOND
        connection.unanswered.add(ping)
        self._send(conn, {"ping": ping})

    def _end(self, conn: str, code: int, reason: str) -> None:
        self._out.append((conn, Close(code, reason)))
        self.closed(conn)

    def outgoing(self) -> list[tuple[str, Frame]]:
        """Return what is to be sent, in order, and forget it."""
        out, self._out = self._out, []
        return out

    def requested(self, target: str, now: int) -> HttpAnswer:
        """Answer a GET of the REST interface."""
        return self._rest.requested(target, now)

    # what goes wrong

    def shut_down(self, now: int, grace: int) -> None:
        """End the connections of now `grace` ns later; HTX announces nothing."""
        for connection in self._connections.values():
            connection.ends_at = now + grace

    def falsify_book(self, symbol: str) -> None:
        """Put a bid above the best ask into the next book message."""
        self._streams.falsify_book(symbol)

    def falsify_trade_time(self, symbol: str, ahead: int) -> None:
        """Tell the next trades with a time `ahead` ns too late."""
        self._streams.falsify_trade_time(symbol, ahead)

    def jump_sequence(self, symbol: str) -> None:
        """Break the chain of numbers at the next book message."""
        self._streams.jump_sequence(symbol)

    def refuse_symbol(self, symbol: str, until: int) -> None:
        """Answer new subscriptions up to `until` as those of a symbol it never had."""
        self._refused[self._streams.native(symbol)] = until

    def unknown_message(self, conn: str) -> Binary:
        """Return a message of a topic that nobody knows."""
        del conn
        ts = self._now // MILLISECOND
        return Binary(_packed(b'{"ch":"market.news","ts":%d,"tick":{"text":"hello"}}' % ts))


def _path(target: str) -> str:
    return urlsplit(target).path.rstrip("/")


def _packed(data: bytes) -> bytes:
    """Return one gzip member; its time is 0, so that the same market gives the same bytes."""
    return zlib.compress(data, FASTEST, GZIP)
