"""Bitstamp spot, from the server's side: websocket channels and REST.

After the venue's public documentation and what was measured of it in September 2026.

    message                 answer
    bts:subscribe           bts:subscription_succeeded, or bts:error
    bts:unsubscribe         bts:unsubscription_succeeded, or bts:error
    bts:heartbeat           bts:heartbeat

    channel                 event   rhythm
    live_trades_<market>    trade   at once
    order_book_<market>     data    100 ms when it changed: the best 100 levels a side
    diff_order_book_<market> data   100 ms when it changed: the changed levels

The venue's silences are kept: a market that does not exist is acknowledged and never speaks, a
book says nothing before its next change, and the channel after the 1024th ends the connection
without a word. Channels that exist at the venue but not here are silent too. What the
documentation leaves open is decided so: a client that answers no ping for a minute is cut, giving
up a channel that is not held succeeds, and the end that was announced comes with code 1001.
"""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

from simulator.dialects.bitstamp_rest import PER_PERIOD, BitstampRest
from simulator.dialects.bitstamp_streams import BitstampStreams
from simulator.frames import Close, Cut, Frame, HttpAnswer, Ping, Text
from simulator.market_model import MarketModel
from simulator.true_book import Change

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND
MOST_CHANNELS = 1024
LONGEST_FRAME = 511
PING_EVERY = 54 * SECOND
PONG_WITHIN = 60 * SECOND
MOST_AGE = 90 * 24 * 3600 * SECOND
RHYTHM = 100 * MILLISECOND

_CHANNEL = re.compile(
    r"(?:live_trades|live_orders|order_book|detail_order_book|diff_order_book|funding_rate)"
    r"_[a-z0-9]+(?:-perp)?"
)
_PRIVATE = re.compile(r"private-\w+_[a-z0-9-]+")


class _Data(msgspec.Struct):
    channel: str


class _Request(msgspec.Struct):
    """`{"event":"bts:subscribe","data":{"channel":"live_trades_btcusd"}}`."""

    event: str
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Connection:
    """One client."""

    __slots__ = ("channels", "ends_at", "next_ping", "pong_due")

    def __init__(self, now: int, max_age: int) -> None:
        self.channels: dict[str, None] = {}
        self.ends_at = now + max_age
        self.next_ping = now + PING_EVERY
        self.pong_due = 0


class BitstampDialect:
    """Bitstamp spot for any number of connections; see `simulator.dialects.contract.Dialect`.

    Args:
        model: the market; the caller advances it and hands the changes on.
        max_age: ns after which a connection is cut.
        depth_interval: ns between two messages of a book.
        requests_per_period: REST requests that a client may make in ten minutes.
    """

    def __init__(
        self,
        model: MarketModel,
        *,
        max_age: int = MOST_AGE,
        depth_interval: int = RHYTHM,
        requests_per_period: int = PER_PERIOD,
    ) -> None:
        self._max_age = max_age
        self._streams = BitstampStreams(model, interval=depth_interval)
        self._rest = BitstampRest(
            model, self._streams.microtimestamp, requests_per_period=requests_per_period
        )
        self._connections: dict[str, _Connection] = {}
        self._out: list[tuple[str, Frame]] = []
        self._next_check = model.now
        self._encoder = msgspec.json.Encoder()

    # connections

    def refusal(self, path: str) -> HttpAnswer | None:
        """Return the answer to a handshake at a path that has no channels; None to let it in."""
        return None if urlsplit(path).path in {"", "/"} else HttpAnswer(404, b"Not Found")

    def opened(self, conn: str, path: str, now: int) -> None:  # noqa: ARG002 - the contract's
        """A client connected; nothing is said to it."""
        self._connections[conn] = _Connection(now, self._max_age)

    def closed(self, conn: str) -> None:
        """A connection ended; nothing is sent to it any more."""
        connection = self._connections.pop(conn, None)
        if connection is not None:
            for channel in connection.channels:
                self._streams.leave(conn, channel)

    def ponged(self, conn: str, payload: bytes, now: int) -> None:  # noqa: ARG002 - the contract's
        """A client sent a pong: it is alive."""
        connection = self._connections.get(conn)
        if connection is not None:
            connection.pong_due = 0

    def pinged(self, conn: str, now: int) -> None:
        """A client sent a ping; nothing is counted."""

    def received(self, conn: str, data: bytes, now: int) -> None:  # noqa: ARG002 - the contract's
        """A client sent a message."""
        connection = self._connections.get(conn)
        if connection is None:
            return
        if len(data) > LONGEST_FRAME:
            self._end(conn, Close(1009, "read limited at 513 bytes"))
            return
        try:
            request = msgspec.json.decode(data, type=_Request)
        except msgspec.ValidationError:
            self._refuse(conn, "Bad subscription string.")
            return
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._refuse(conn, "Incorrect JSON format.")
            return
        match request.event:
            case "bts:heartbeat":
                self._send(conn, "bts:heartbeat", "", {"status": "success"})
            case "bts:subscribe" | "bts:unsubscribe":
                self._subscription(conn, connection, request)
            case _:
                self._refuse(conn, "Bad subscription string.")

    def _subscription(self, conn: str, connection: _Connection, request: _Request) -> None:
        try:
            channel = msgspec.json.decode(request.data, type=_Data).channel
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._refuse(conn, "Bad subscription string.")
            return
        if _PRIVATE.fullmatch(channel):
            self._refuse(conn, "Connection is unauthorized.", code=4009)
        elif not _CHANNEL.fullmatch(channel):
            self._refuse(conn, "Invalid channel provided.")
        elif request.event == "bts:unsubscribe":
            connection.channels.pop(channel, None)
            self._streams.leave(conn, channel)
            self._send(conn, "bts:unsubscription_succeeded", channel, {})
        elif channel not in connection.channels and len(connection.channels) >= MOST_CHANNELS:
            self._end(conn, Cut())
        else:
            connection.channels[channel] = None
            self._streams.join(conn, channel)
            self._send(conn, "bts:subscription_succeeded", channel, {})

    def _send(self, conn: str, event: str, channel: str, data: dict[str, object] | None) -> None:
        message = {"event": event, "channel": channel, "data": data}
        self._out.append((conn, Text(self._encoder.encode(message))))

    def _refuse(self, conn: str, text: str, code: int | None = None) -> None:
        self._send(conn, "bts:error", "", {"code": code, "message": text})

    def _end(self, conn: str, frame: Close | Cut) -> None:
        self._out.append((conn, frame))
        self.closed(conn)

    # the market

    def advance(self, changes: Sequence[Change], now: int) -> None:
        """Tell what happened up to `now`; books at their rhythm."""
        for told in self._streams.advance(changes, now):
            frame = Text(told.data, told.channel, told.symbol)
            self._out += [(conn, frame) for conn in told.readers]
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
        """Send `bts:request_reconnect`; end the connections of now `grace` ns later."""
        for conn, connection in self._connections.items():
            self._send(conn, "bts:request_reconnect", "", None)
            connection.ends_at = min(connection.ends_at, now + grace)

    def falsify_book(self, symbol: str) -> None:
        """Put a bid above the best ask into the next message of either book channel."""
        self._streams.falsify_book(symbol)

    def falsify_trade_time(self, symbol: str, ahead: int) -> None:
        """Tell the next trade with a time `ahead` ns too late."""
        self._streams.falsify_trade_time(symbol, ahead)

    def unknown_message(self, conn: str) -> Text:
        """Return an event that the venue never had, on a channel that it has."""
        del conn
        return Text(b'{"event":"novelty","channel":"live_trades_btcusd","data":{"id":1}}')

    def refuse_symbol(self, symbol: str, until: int) -> None:
        """Acknowledge the symbol's channels and be silent, as for one that does not exist."""
        self._streams.refuse_symbol(symbol, until)
        self._rest.refuse_symbol(symbol, until)

    def _check(self, now: int) -> None:
        """Send pings; end what is too old or does not answer."""
        for conn, connection in list(self._connections.items()):
            if now >= connection.ends_at:
                self._end(conn, Close(1001, ""))
            elif connection.pong_due and now >= connection.pong_due:
                self._end(conn, Cut())
            elif now >= connection.next_ping:
                connection.next_ping = now + PING_EVERY
                if not connection.pong_due:
                    connection.pong_due = now + PONG_WITHIN
                self._out.append((conn, Ping(b"")))
