"""Binance spot, from the server's side: websocket streams and REST.

After the venue's public documentation of streams and REST endpoints, as of July 2026.

    path               what
    /stream, /ws       SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY
    /stream?streams=   the same, subscribed from the start
    /ws/<stream>       the same, without the envelope

    stream             message           rhythm
    <symbol>@trade     trade             at once
    <symbol>@depth     depthUpdate       1 s
    <symbol>@depth@100ms                 100 ms
    <symbol>@depth20@100ms
                       partial book      100 ms, or 1 s without it; of 5, 10 or 20 levels

The venue's silences are kept: a stream of an unknown symbol is acknowledged and never speaks, and
so does one in capital letters. Streams that exist at the venue but not here are silent too. What
the documentation leaves open is decided so: more than `MOST_STREAMS` streams get error 2.
"""

import re
from collections import deque
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import msgspec

from simulator.dialects.binance_rest import BinanceRest
from simulator.dialects.binance_streams import BinanceStreams
from simulator.frames import Close, Frame, HttpAnswer, Ping, Text
from simulator.market_model import MarketModel
from simulator.true_book import Change

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND
MOST_STREAMS = 1024
MOST_MESSAGES_PER_S = 5
PING_EVERY = 20 * SECOND
PONG_WITHIN = 60 * SECOND
MOST_AGE = 24 * 3600 * SECOND
FAST = 100 * MILLISECOND
LONGEST_ID = 36
NOTICE = "!serverShutdown"

_STREAM = re.compile(
    r"[^@/!]+@(?:trade|aggTrade|blockTrade|bookTicker|avgPrice|miniTicker|ticker(?:_\w+)?"
    r"|kline_\w+(?:@[+\-:\w]+)?|depth(?:5|10|20)?(?:@100ms|@1000ms)?)"
    r"|!\w+@arr(?:@\w+)?"
)
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class _Request(msgspec.Struct):
    """`{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}`."""

    method: str
    id: int | str | None = None
    params: list[str | bool] = []


class _Connection:
    """One client."""

    __slots__ = ("ends_at", "is_combined", "next_ping", "pong_due", "recent", "streams")

    def __init__(self, now: int, max_age: int, *, is_combined: bool) -> None:
        self.ends_at = now + max_age
        self.is_combined = is_combined
        self.streams: dict[str, None] = {}
        self.recent: deque[int] = deque()
        self.next_ping = now + PING_EVERY
        self.pong_due = 0


class BinanceDialect:
    """Binance spot for any number of connections; see `simulator.dialects.contract.Dialect`.

    Args:
        model: the market; the caller advances it and hands the changes on.
        max_age: ns after which a connection is cut.
        depth_interval: ns between two messages of a `@depth@100ms` stream. Anything but 100 ms
            is untrue to the venue and for benchmarks only.
        weight_per_minute: REST weight that a client may use.
    """

    def __init__(
        self,
        model: MarketModel,
        *,
        max_age: int = MOST_AGE,
        depth_interval: int = FAST,
        weight_per_minute: int = 6000,
    ) -> None:
        self._max_age = max_age
        self._rest = BinanceRest(model, weight_per_minute=weight_per_minute)
        self._streams = BinanceStreams(model, fast=depth_interval)
        self._connections: dict[str, _Connection] = {}
        self._out: list[tuple[str, Frame]] = []
        self._next_check = model.now
        self._encoder = msgspec.json.Encoder()

    # connections

    def refusal(self, path: str) -> HttpAnswer | None:
        """Return the answer to a handshake at a path that has no streams; None to let it in."""
        route = urlsplit(path).path.rstrip("/")
        if route in {"/stream", "/ws"} or route.startswith("/ws/"):
            return None
        return HttpAnswer(404, b"Not Found")

    def opened(self, conn: str, path: str, now: int) -> None:
        """A client connected to `/stream`, `/stream?streams=a/b`, `/ws` or `/ws/a`."""
        parts = urlsplit(path)
        connection = _Connection(now, self._max_age, is_combined=parts.path.startswith("/stream"))
        self._connections[conn] = connection
        if connection.is_combined:
            names = "/".join(parse_qs(parts.query).get("streams", [""])).split("/")
        else:
            names = parts.path.removeprefix("/ws").split("/")
        for name in names:
            if name:
                self._subscribe(conn, connection, name)

    def closed(self, conn: str) -> None:
        """A connection ended; nothing is sent to it any more."""
        connection = self._connections.pop(conn, None)
        if connection is not None:
            for name in connection.streams:
                self._streams.leave(conn, name)

    def ponged(self, conn: str, payload: bytes, now: int) -> None:  # noqa: ARG002 - the contract's
        """A client sent a pong: it is alive, and it counts as a message."""
        connection = self._connections.get(conn)
        if connection is not None:
            connection.pong_due = 0
            self._count(conn, connection, now)

    def pinged(self, conn: str, now: int) -> None:
        """A client sent a ping: it counts as a message."""
        connection = self._connections.get(conn)
        if connection is not None:
            self._count(conn, connection, now)

    def received(self, conn: str, data: bytes, now: int) -> None:
        """A client sent a control message."""
        connection = self._connections.get(conn)
        if connection is None or not self._count(conn, connection, now):
            return
        try:
            request = msgspec.json.decode(data, type=_Request)
        except msgspec.ValidationError as error:
            self._refuse(conn, f"Invalid request: {error}", None)
            return
        except msgspec.DecodeError as error:
            self._refuse(conn, f"Invalid JSON: {error}", None, code=3)
            return
        self._answer(conn, connection, request)

    def _answer(self, conn: str, connection: _Connection, request: _Request) -> None:
        names = [param for param in request.params if isinstance(param, str)]
        identity = request.id
        if isinstance(identity, str) and not (
            identity.isascii() and identity.isalnum() and len(identity) <= LONGEST_ID
        ):
            self._refuse(conn, "Invalid request: request ID must be an alphanumeric string", None)
            return
        match request.method:
            case "SUBSCRIBE" | "UNSUBSCRIBE" if not names or len(names) < len(request.params):
                self._refuse(conn, "Invalid request: params must be stream names", identity)
            case "SUBSCRIBE" | "UNSUBSCRIBE" if not all(map(_STREAM.fullmatch, names)):
                self._refuse(conn, "Invalid request: invalid stream", identity)
            case "SUBSCRIBE":
                if len(connection.streams.keys() | set(names)) > MOST_STREAMS:
                    self._refuse(conn, "Invalid request: too many streams", identity)
                    return
                self._send(conn, {"result": None, "id": identity})
                for name in names:
                    self._subscribe(conn, connection, name)
            case "UNSUBSCRIBE":
                for name in names:
                    if name in connection.streams:
                        del connection.streams[name]
                        self._streams.leave(conn, name)
                self._send(conn, {"result": None, "id": identity})
            case "LIST_SUBSCRIPTIONS":
                self._send(conn, {"result": list(connection.streams), "id": identity})
            case "SET_PROPERTY" | "GET_PROPERTY" if request.params[:1] != ["combined"]:
                self._refuse(conn, "Unknown property", identity, code=0)
            case "SET_PROPERTY":
                connection.is_combined = request.params[1:] == [True]
                self._send(conn, {"result": None, "id": identity})
            case "GET_PROPERTY":
                self._send(conn, {"result": connection.is_combined, "id": identity})
            case unknown:
                known = ", ".join(f"`{method}`" for method in _METHODS)
                self._refuse(
                    conn, f"Invalid request: unknown variant `{unknown}`, expected one of {known}",
                    identity,
                )  # fmt: skip

    def _subscribe(self, conn: str, connection: _Connection, name: str) -> None:
        connection.streams[name] = None
        self._streams.join(conn, name)

    def _count(self, conn: str, connection: _Connection, now: int) -> bool:
        """Count an incoming message; end the connection that sends too many."""
        recent = connection.recent
        recent.append(now)
        while recent[0] <= now - SECOND:
            recent.popleft()
        if len(recent) <= MOST_MESSAGES_PER_S:
            return True
        self._end(conn, "Too many requests")
        return False

    def _end(self, conn: str, reason: str, code: int = 1008) -> None:
        self._out.append((conn, Close(code, reason)))
        self.closed(conn)

    def _send(self, conn: str, message: dict[str, object]) -> None:
        self._out.append((conn, Text(self._encoder.encode(message))))

    def _refuse(self, conn: str, text: str, identity: int | str | None, code: int = 2) -> None:
        self._send(conn, {"error": {"code": code, "msg": text}, "id": identity})

    # the market

    def advance(self, changes: Sequence[Change], now: int) -> None:
        """Tell what happened up to `now`; depth messages at their rhythm."""
        for told in self._streams.advance(changes, now):
            self._tell(told.readers, told.stream, told.data, told.channel, told.symbol)
        if now >= self._next_check:
            self._next_check = now + SECOND // 2
            self._check(now)

    def outgoing(self) -> list[tuple[str, Frame]]:
        """Return what is to be sent, in order, and forget it."""
        out, self._out = self._out, []
        return out

    def requested(self, target: str, now: int) -> HttpAnswer:
        """Answer a GET of the REST interface."""
        return self._rest.requested(target, now)

    def shut_down(self, now: int, grace: int) -> None:
        """Send `serverShutdown` to every client; end the connections of now `grace` ns later."""
        notice = self._encoder.encode({"e": "serverShutdown", "E": now // MILLISECOND})
        self._tell(tuple(self._connections), NOTICE, notice, "", "")
        for connection in self._connections.values():
            connection.ends_at = min(connection.ends_at, now + grace)

    def falsify_book(self, symbol: str) -> None:
        """Put a bid above the best ask into the next depth message."""
        self._streams.falsify_book(symbol)

    def falsify_trade_time(self, symbol: str, ahead: int) -> None:
        """Tell the next trade with a time `ahead` ns too late."""
        self._streams.falsify_trade_time(symbol, ahead)

    def unknown_message(self, conn: str) -> Text:
        """Return an event of a kind that the venue never had, in the connection's envelope."""
        event = b'{"e":"novelty","E":1,"s":"BTCUSDT"}'
        connection = self._connections.get(conn)
        if connection is not None and connection.is_combined:
            event = b'{"stream":"btcusdt@novelty","data":%b}' % event
        return Text(event)

    def jump_sequence(self, symbol: str) -> None:
        """Let the symbol's next depth message that can begin with too high an id."""
        self._streams.jump_sequence(symbol)

    def refuse_symbol(self, symbol: str, until: int) -> None:
        """Acknowledge the symbol's streams and be silent, as for one that does not exist."""
        self._streams.refuse_symbol(symbol, until)
        self._rest.refuse_symbol(symbol, until)

    def end_old(self, now: int) -> None:
        """End every connection as one that is a day old."""
        del now
        for conn in list(self._connections):
            self._end(conn, "Going away", 1001)

    def _tell(
        self, readers: Sequence[str], name: str, data: bytes, channel: str,
        symbol: str,
    ) -> None:  # fmt: skip
        combined: Text | None = None
        raw: Text | None = None
        for conn in readers:
            if self._connections[conn].is_combined:
                if combined is None:
                    envelope = b'{"stream":"%b","data":%b}' % (name.encode(), data)
                    combined = Text(envelope, channel, symbol)
                self._out.append((conn, combined))
            else:
                if raw is None:
                    raw = Text(data, channel, symbol)
                self._out.append((conn, raw))

    def _check(self, now: int) -> None:
        """Send pings; end what is too old or does not answer."""
        for conn, connection in list(self._connections.items()):
            if now >= connection.ends_at:
                self._end(conn, "Going away", 1001)
            elif connection.pong_due and now >= connection.pong_due:
                self._end(conn, "Pong timeout")
            elif now >= connection.next_ping:
                connection.next_ping = now + PING_EVERY
                if not connection.pong_due:
                    connection.pong_due = now + PONG_WITHIN
                self._out.append((conn, Ping(str(now // MILLISECOND).encode())))
