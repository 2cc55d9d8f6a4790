"""Massive's crypto cluster (once Polygon.io), from the server's side: websocket and REST.

After the venue's public documentation and what others measured of it, as of 2026.

    path       what
    /crypto    connected → auth → subscribe, unsubscribe; every frame is a JSON array

    event      what                     rhythm
    XT         a trade                  at once
    XQ         best bid and ask         when one of them changes
    XA, XAS    bars of a minute, second when their window is over, if anything traded

The venue's silences are kept: a ticker that it does not have is confirmed and never speaks, a
channel that it does not have is not answered at all, nor is a subscription that is there already.
After a login that fails the connection ends without a close frame. An account has one connection:
the newcomer is let in, and the older one is told `max_connections` and closed with 1008. What
nobody documents is decided so: a login may take `LOGIN_WITHIN`, an unknown action is an `error`.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from simulator.dialects.massive_rest import MassiveRest
from simulator.dialects.massive_streams import CHANNELS, MassiveStreams
from simulator.frames import Close, Cut, Frame, HttpAnswer, Text
from simulator.market_model import MarketModel
from simulator.true_book import Change

SECOND = 1_000_000_000
LOGIN_WITHIN = 30 * SECOND
MOST_AGE = 24 * 3600 * SECOND
TOO_MANY = "Maximum number of websocket connections exceeded. "


class _Request(msgspec.Struct):
    """`{"action":"subscribe","params":"XT.BTC-USD,XQ.BTC-USD"}`."""

    action: str
    params: str = ""


class _Status(msgspec.Struct):
    """`{"ev":"status","status":"success","message":"subscribed to: XT.BTC-USD"}`."""

    ev: Literal["status"]
    status: str
    message: str


class _Connection:
    """One client."""

    __slots__ = ("ends_at", "is_in", "login_until", "streams")

    def __init__(self, now: int, max_age: int) -> None:
        self.ends_at = now + max_age
        self.login_until = now + LOGIN_WITHIN
        self.is_in = False
        self.streams: dict[str, None] = {}


class MassiveDialect:
    """Massive's crypto cluster for one account; see `simulator.dialects.contract.Dialect`.

    Args:
        model: the market; the caller advances it and hands the changes on.
        key: the account's.
        connections: connections that the account may hold.
        max_age: ns after which a connection is cut, without a close frame.
    """

    def __init__(
        self, model: MarketModel, *, key: str, connections: int = 1, max_age: int = MOST_AGE
    ) -> None:
        self._key = key
        self._most = connections
        self._max_age = max_age
        self._rest = MassiveRest(model, key=key)
        self._streams = MassiveStreams(model)
        self._symbols = {listing.symbol for listing in model.listings}
        self._connections: dict[str, _Connection] = {}
        self._out: list[tuple[str, Frame]] = []
        self._refuses_until = 0
        self._taken_until = 0
        self._hidden: dict[str, int] = {}
        self._now = model.now
        self._encode = msgspec.json.Encoder().encode

    # connections

    def refusal(self, path: str) -> HttpAnswer | None:
        """Return the answer to a handshake at a path that has no cluster; None to let it in."""
        if path.partition("?")[0].rstrip("/") == "/crypto":
            return None
        return HttpAnswer(404, b"Not Found")

    def opened(self, conn: str, path: str, now: int) -> None:
        """A client connected: greet it."""
        del path
        self._connections[conn] = _Connection(now, self._max_age)
        self._say(conn, "connected", "Connected Successfully")

    def closed(self, conn: str) -> None:
        """A connection ended; nothing is sent to it any more."""
        connection = self._connections.pop(conn, None)
        if connection is not None:
            for stream in connection.streams:
                self._streams.leave(conn, stream)

    def ponged(self, conn: str, payload: bytes, now: int) -> None:
        """A client sent a pong; nobody asked for it."""

    def pinged(self, conn: str, now: int) -> None:
        """A client sent a ping; it has been answered."""

    def received(self, conn: str, data: bytes, now: int) -> None:
        """A client sent a control message."""
        connection = self._connections.get(conn)
        if connection is None:
            return
        try:
            request = msgspec.json.decode(data, type=_Request)
        except msgspec.DecodeError:
            self._say(conn, "error", "invalid message")
            return
        match request.action:
            case "auth":
                self._log_in(conn, connection, request.params, now)
            case "subscribe" | "unsubscribe" if not connection.is_in:
                self._say(conn, "error", "not authorized")
            case "subscribe":
                self._subscribe(conn, connection, request.params, now)
            case "unsubscribe":
                self._unsubscribe(conn, connection, request.params)
            case _:
                self._say(conn, "error", "unknown action")

    def _log_in(self, conn: str, connection: _Connection, key: str, now: int) -> None:
        if key != self._key or now < self._refuses_until:
            self._say(conn, "auth_failed", "authentication failed")
            connection.ends_at = now  # at the next moment: what was said must go out before
            return
        self._say(conn, "auth_success", "authenticated")
        connection.is_in = True
        if now < self._taken_until:
            self._evict(conn)
            return
        inside = [name for name, other in self._connections.items() if other.is_in]
        for name in inside[: len(inside) - self._most]:
            self._evict(name)

    def _subscribe(self, conn: str, connection: _Connection, params: str, now: int) -> None:
        answers = []
        for param in params.split(","):
            stream = param.strip()
            channel, dot, symbol = stream.partition(".")
            if channel not in CHANNELS or not dot or stream in connection.streams:
                continue
            connection.streams[stream] = None
            if now >= self._hidden.get(symbol, 0):
                self._streams.join(conn, stream)
            answers.append(_Status("status", "success", f"subscribed to: {stream}"))
        self._answer(conn, answers)

    def _unsubscribe(self, conn: str, connection: _Connection, params: str) -> None:
        answers = []
        for param in params.split(","):
            stream = param.strip()
            if stream in connection.streams:
                del connection.streams[stream]
                self._streams.leave(conn, stream)
                answers.append(_Status("status", "success", f"unsubscribed to: {stream}"))
        self._answer(conn, answers)

    def _answer(self, conn: str, answers: list[_Status]) -> None:
        if answers:
            self._out.append((conn, Text(self._encode(answers))))

    def _say(self, conn: str, status: str, message: str) -> None:
        self._answer(conn, [_Status("status", status, message)])

    def _evict(self, conn: str) -> None:
        self._say(conn, "max_connections", TOO_MANY)
        self._out.append((conn, Close(1008, "max_connections")))
        self.closed(conn)

    def _cut(self, conn: str) -> None:
        self._out.append((conn, Cut()))
        self.closed(conn)

    # the market

    def advance(self, changes: Sequence[Change], now: int) -> None:
        """Tell what happened up to `now`, and end who is too late or too old."""
        self._now = now
        for told in self._streams.advance(changes, now):
            for conn in told.readers:
                self._out.append((conn, told.frame))
        for conn, connection in list(self._connections.items()):
            if now >= connection.ends_at:
                self._cut(conn)
            elif not connection.is_in and now >= connection.login_until:
                self._say(conn, "auth_timeout", "authentication timed out")
                connection.ends_at = now

    def outgoing(self) -> list[tuple[str, Frame]]:
        """Return what is to be sent, in order, and forget it."""
        out, self._out = self._out, []
        return out

    def requested(self, target: str, now: int) -> HttpAnswer:
        """Answer a GET of the REST interface."""
        return self._rest.requested(target, now)

    def shut_down(self, now: int, grace: int) -> None:
        """End the connections of now `grace` ns later: the venue announces nothing."""
        for connection in self._connections.values():
            connection.ends_at = min(connection.ends_at, now + grace)

    def falsify_book(self, symbol: str) -> None:
        """Put a bid above the best ask into the symbol's next quote."""
        self._streams.falsify_book(symbol)

    def falsify_trade_time(self, symbol: str, ahead: int) -> None:
        """Tell the next trade with a time `ahead` ns too late."""
        self._streams.falsify_trade_time(symbol, ahead)

    # what only this venue can do wrong

    def unknown_message(self, conn: str) -> Text:
        """Return an event of a kind that it never had."""
        del conn
        return Text(b'[{"ev":"XNEWS","pair":"BTC-USD","headline":"simulated"}]')

    def refuse_keys(self, until: int) -> None:
        """Refuse every login up to `until`, ns UTC."""
        self._refuses_until = until

    def refuse_symbol(self, symbol: str, until: int) -> None:
        """Confirm new subscriptions to a symbol up to `until`, and never speak of it there."""
        self._hidden[symbol] = until

    def end_old(self, now: int) -> None:
        """Cut every connection: the venue says no word."""
        del now
        for conn in list(self._connections):
            self._cut(conn)

    def limit_connections(self, now: int, until: int) -> None:
        """Let another client of the account hold the only place up to `until`."""
        del now
        self._taken_until = until
        for conn, connection in list(self._connections.items()):
            if connection.is_in:
                self._evict(conn)
