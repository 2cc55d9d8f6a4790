"""Binance spot: combined streams and diff depth.

Sources (read 2026-11-20): binance-spot-api-docs `web-socket-streams.md`, `rest-api.md`, CHANGELOG
to 2026-07-21.

    message                becomes                      silent limit
    SYMBOL@trade           Trade                        none
    SYMBOL@depth@100ms     BookDelta                    none: a quiet book is silent
    SYMBOL@depth20@100ms   BookSnapshot, instead of the book above where `book = "partial"`
    /api/v3/depth          BookSnapshot, then BookDelta
    serverShutdown         nothing: a replacement is wanted
    answer to SUBSCRIBE    nothing, or SubscriptionError
    anything else          DeadLetter

Book rule (How to manage a local order book, text of 2025-11-12):
 1. Subscribe and keep the updates; remember `U` of the first.
 2. Fetch a snapshot.
 3. `lastUpdateId + 1 < U` of the first kept update: the snapshot is too old, fetch again.
 4. Drop kept updates with `u <= lastUpdateId`; the next must hold `lastUpdateId + 1` in [U, u].
 5. The book is the snapshot, its id `lastUpdateId`; apply the rest.
 6. Each update: `u <= id` is old; `U > id + 1` is a gap: start again; else apply, `id = u`.
 7. A snapshot older than what was told before, on this connection or the last, is a stale one, also
    where no update shows it; ids that are lower many times in a row have begun anew.
 8. Levels beyond the snapshot are unknown until they change: publish only the best ones, and
    fetch again every hour.

A partial book (5, 10 or 20 levels) is whole in each message and has neither a symbol nor a time of
its own: the first is in the stream's name, the second is that of the connection's last trade.
The messages of books and their rule are in `connectors.binance_book`; all else that concerns
Binance is here, in one file a venue, which makes it long.

A connection lives 24 h; Binance takes five messages a second from us. It acknowledges a symbol
that it does not have and stays silent, so symbols are checked against `exchangeInfo` before.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TypeAlias

import msgspec

from connectors.binance_book import (
    MICROSECONDS,
    REFETCH_AFTER,
    BookRule,
    Depth,
    Id,
    PartialBook,
    Price,
    Snapshot,
    Time,
    nanoseconds,
)
from connectors.binance_candles import BinanceCandles
from connectors.binance_trades import BinanceTrades
from connectors.contract import (
    DeadLetter,
    FeedDescription,
    Limits,
    Outgoing,
    Request,
    Told,
    VenueProtocol,
)
from market.errors import StaleFeedError, SubscriptionError, VenueProtocolError
from market.events import FeedGap, Side, Trade
from market.instruments import Instrument
from market.intervals import SECOND

NAME = "binance"

BOOKS = ("diff", "partial")
PARTIAL_DEPTHS = (5, 10, 20)
STREAMS_PER_CONNECTION = 1024
INSTRUMENTS_PER_MESSAGE = 50
MESSAGES_AT_ONCE = 4
MESSAGES_PERIOD = SECOND + SECOND // 5
"""Binance allows five in a second, a pong counts too, and on the way messages may close up."""
ANSWER_WITHIN = 10 * SECOND
FIRST_UPDATE_WITHIN = SECOND
"""So long after its subscription a book is fetched though no update came: it is quiet."""
QUIET = 20 * SECOND
QUIET_WHEN_BUSY = 3 * SECOND
BUSY_FRAMES = 20
"""Frames in one of the two seconds before the silence that make a connection busy."""
PROBE_WITHIN = 10 * SECOND
PROBE_WITHIN_WHEN_BUSY = 2 * SECOND
STREAM_SILENT = 5 * SECOND
"""A book that is to be fetched again after such a silence may have lost its subscription."""
RETRY_AFTER_REFUSAL = 60 * SECOND
MAX_AGE = (23 * 3600 + 1800) * SECOND
SNAPSHOT_LIMIT = 1000
SNAPSHOT_WEIGHT = 50
WEIGHT_PER_SECOND = 50
WEIGHT_BURST = 2000


class _Trade(msgspec.Struct, tag_field="e", tag="trade", gc=False):
    """{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.001","q":"100",
    "T":1672515782136,"m":true,"M":true}"""  # noqa: D205, D209, D415

    s: str
    t: Id
    p: Price
    q: Price
    T: Time
    m: bool


class _Shutdown(msgspec.Struct, tag_field="e", tag="serverShutdown"):
    """{"e":"serverShutdown","E":1770123456789}"""  # noqa: D415

    E: Time


class _Message(msgspec.Struct):
    """{"stream":"bnbbtc@trade","data":{…}}"""  # noqa: D415

    stream: str
    data: _Trade | Depth | _Shutdown


class _Envelope(msgspec.Struct):
    """{"stream":"bnbbtc@depth20@100ms","data":{"lastUpdateId":160,"bids":[…],"asks":[…]}}"""  # noqa: D415

    stream: str
    data: msgspec.Raw


class _Refusal(msgspec.Struct):
    code: int = 0
    msg: str = ""


class _Answer(msgspec.Struct):
    """{"result":null,"id":1}, or {"error":{"code":2,"msg":"…"},"id":2}, or the error flat."""

    id: int | str | None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: _Refusal | None = None
    code: int = 0
    msg: str = ""


class _Kind(msgspec.Struct):
    """Enough of a message to name what we do not know."""

    stream: str = ""
    e: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Limit(msgspec.Struct):
    filterType: str  # noqa: N815
    tickSize: str = "0"  # noqa: N815
    stepSize: str = "0"  # noqa: N815


class _Symbol(msgspec.Struct):
    symbol: str
    status: str
    baseAsset: str  # noqa: N815
    quoteAsset: str  # noqa: N815
    filters: list[_Limit] = []


class _ExchangeInfo(msgspec.Struct):
    symbols: list[_Symbol]


_message = msgspec.json.Decoder(_Message, strict=False).decode
_envelope = msgspec.json.Decoder(_Envelope).decode
_answer = msgspec.json.Decoder(_Answer).decode
_kind = msgspec.json.Decoder(_Kind).decode
_snapshot = msgspec.json.Decoder(Snapshot, strict=False).decode
_exchange_info = msgspec.json.Decoder(_ExchangeInfo).decode
_encode = msgspec.json.encode

# Nesting without end is no decode error of msgspec's, but it is no message of Binance either.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_BUY, _SELL = Side.BUY, Side.SELL
_Told: TypeAlias = list[Told]


class _Asked(msgspec.Struct, frozen=True):
    """A subscription that Binance has not answered yet; `natives` are its symbols."""

    at: int
    method: str
    natives: list[str]


class _Stream:
    """A symbol that is subscribed to, and the id of its last trade, -1 before the first."""

    __slots__ = ("instrument", "last_trade")

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.last_trade = -1


class BinanceProtocol:
    """One connection's worth of Binance spot, without the connection."""

    def __init__(self, description: FeedDescription) -> None:
        self.url = f"{description.websocket_url}/stream"
        self._rest_url = description.rest_url
        self._max_age = int(description.options.get("max_age_s", 0)) * SECOND or MAX_AGE
        self._depth_stream = "depth@100ms"
        self._is_partial = description.options.get("book", BOOKS[0]) == "partial"
        if self._is_partial:
            levels = int(description.options.get("depth", PARTIAL_DEPTHS[-1]))
            self._depth_stream = f"depth{levels}@100ms"
        self._subscribed: dict[str, _Stream] = {}
        self._books: dict[str, BookRule] = {}
        self._partials: dict[str, PartialBook] = {}  # by the name of the stream
        self._fetching: dict[str, BookRule | None] = {}
        self._renewing: set[str] = set()  # their streams are not in force now
        self._gone: set[str] = set()
        self._unsent: list[tuple[str, list[str], list[str]]] = []  # method, symbols, streams
        self._unanswered: dict[int, _Asked] = {}
        self._sent_at: deque[int] = deque(maxlen=MESSAGES_AT_ONCE)
        self._outgoing: list[Outgoing] = []
        self._last_id = 0
        self._opened_at = 0
        self._frames = 0
        self._frames_before = 0
        self._frames_earlier = 0
        self._clock: tuple[int, int] | None = None  # Binance's, and ours at that moment
        self._is_busy = False
        self._probed_at: int | None = None
        self._weight = float(WEIGHT_BURST)
        self._weight_at = 0
        self._refused_until = 0
        self.heard = 0
        self.wants_replacement = False
        self._add(description.instruments)

    @property
    def instruments(self) -> Sequence[str]:
        """Ids of the instruments that are subscribed to."""
        return tuple(one.instrument for one in self._subscribed.values())

    @property
    def is_live(self) -> bool:
        """Whether every stream is acknowledged and every book is there; what is refused is not."""
        waiting = self._unsent or self._unanswered
        return (
            not waiting
            and all(book.is_live or book.is_refused for book in self._books.values())
            and all(book.is_live for book in self._partials.values())
        )

    # -- life of a connection ------------------------------------------------------------------

    def opened(self, now: int) -> _Told:
        """Subscribe to everything; snapshots come when a subscription is known to be in force."""
        self._opened_at = self.heard = self._weight_at = now
        self._send_subscriptions(now)
        return []

    def inherit(self, previous: VenueProtocol) -> None:
        """Know from the connection before how new a book must be."""
        if isinstance(previous, BinanceProtocol):
            for native, book in self._books.items():
                before = previous._books.get(native)  # noqa: SLF001 - of our own kind
                if before is not None:
                    book.id = before.id

    def received(self, data: bytes, now: int) -> _Told:
        """Turn one message into events.

        Raises:
            VenueProtocolError: it is no JSON object, or a field of a message we know is wrong.
            SubscriptionError: a subscription was refused.
        """
        self._frames += 1
        self.heard = now
        self._probed_at = None
        if self._is_partial and (told := self._partial_book(data, now)) is not None:
            return told
        try:
            payload = _message(data).data
        except _UNREADABLE as error:
            return self._other(data, error, now)
        if type(payload) is _Trade:  # in this place, not in a method: four of five messages
            stream = self._subscribed.get(payload.s)
            if stream is None:
                return self._unknown_symbol(payload.s, data, now)
            number = payload.t
            last = stream.last_trade
            if number <= last:
                return []
            stream.last_trade = number
            ts = payload.T
            if self._is_partial:
                self._clock = (ts, now)
            trade = Trade(
                instrument=stream.instrument,
                ts_event=ts * 1_000_000 if ts < MICROSECONDS else ts * 1_000,
                ts_recv=now,
                price=payload.p,
                size=payload.q,
                side=_SELL if payload.m else _BUY,
                trade_id=str(number),
            )
            if number == last + 1 or last < 0:
                return [trade]
            missing = f"trade ids {last + 1} to {number - 1} are missing"
            gap = FeedGap(
                instrument=stream.instrument, ts_recv=now, reason=missing, channel="trade"
            )
            return [gap, trade]
        if type(payload) is Depth:
            self._clock = (payload.E, now)
            book = self._books.get(payload.s)
            if book is None:
                return self._unknown_symbol(payload.s, data, now)
            update = book.update(payload, now)
            if len(book.kept) == 1 and book.fetch_at is not None:
                self._fetch(now)
            return [] if update is None else [update]
        self.wants_replacement = True
        return []

    def fetched(self, request: Request, status: int, body: bytes, now: int) -> _Told:
        """Take a book snapshot, or plan another try.

        Raises:
            VenueProtocolError: the body of a good answer is no snapshot.
        """
        asking = self._fetching.pop(request.subject, None)
        if status in {418, 429}:
            wait = RETRY_AFTER_REFUSAL * (1 if status == 429 else 5)
            self._refused_until = max(self._refused_until, now + wait)
            self._weight = 0.0  # and then slowly
            self._weight_at = self._refused_until
        book = self._books.get(request.subject)
        if book is None:
            return []
        if book is not asking:  # unsubscribed since, or silent, and subscribed again
            self._fetch(now)
            return []
        if status == 400:  # a symbol that is no longer there
            return book.refused("snapshot refused: HTTP 400", now)
        if status != 200:
            book.retry(now)
            return []
        try:
            snapshot = _snapshot(body)
        except _UNREADABLE as error:
            raise VenueProtocolError(f"book snapshot: {error}", frame=body) from error
        told = book.snapshot(snapshot, self._venue_time(now), now)
        if not told:
            self._fetch(now)
        return told

    def elapsed(self, now: int) -> _Told:
        """Watch the clock: answers, silence, age, snapshots that are due.

        Raises:
            SubscriptionError: an answer is overdue.
            StaleFeedError: the connection is silent.
        """
        for asked in self._unanswered.values():
            if now - asked.at > ANSWER_WITHIN:
                late = f"no answer in {ANSWER_WITHIN // SECOND} s"
                raise SubscriptionError(self._streams(asked.natives[0])[0], late)
        self._watch_silence(now)
        if now - self._opened_at > self._max_age:
            self.wants_replacement = True
        for book in self._books.values():
            if book.is_live and 0 < book.fetched_at < now - REFETCH_AFTER:
                book.fetch_at = now
        if self._unsent:
            self._send_subscriptions(now)
        self._fetch(now)
        return []

    def outgoing(self) -> list[Outgoing]:
        """Return what is to be sent, and forget it."""
        if not self._outgoing:
            return []
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # -- changes while the connection is up ----------------------------------------------------

    def resync(self, instrument: str, reason: str, now: int) -> _Told:
        """Fetch one instrument's book again and leave the others alone.

        A stream that was silent is subscribed to anew: a snapshot would not make it speak again.
        """
        for native, stream in self._subscribed.items():
            book = self._partials.get(self._streams(native)[1]) or self._books.get(native)
            if stream.instrument != instrument or book is None or not book.is_live:
                continue
            gap = book.restart(reason, now)
            if now - book.heard >= STREAM_SILENT:
                book.heard = now
                self._renew(native, now)
            else:
                self._fetch(now)
            return [gap]
        return []

    def subscribe(self, instruments: Sequence[Instrument], now: int) -> _Told:
        """Add instruments while the connection is up."""
        self._add(instruments)
        self._send_subscriptions(now)
        return []

    def unsubscribe(self, instruments: Sequence[str], now: int) -> _Told:
        """Drop instruments, by id, while the connection is up."""
        gone = [
            native
            for native, stream in self._subscribed.items()
            if stream.instrument in instruments
        ]
        told: _Told = []
        for native in gone:
            known = self._subscribed.pop(native).instrument
            self._books.pop(native, None)
            self._partials.pop(self._streams(native)[1], None)
            told.append(FeedGap(instrument=known, ts_recv=now, reason="unsubscribed"))
        self._gone.update(gone)
        self._plan("UNSUBSCRIBE", gone)
        self._send_subscriptions(now)
        return told

    # -- inside --------------------------------------------------------------------------------

    def _add(self, instruments: Sequence[Instrument]) -> None:
        new = {one.native: one for one in instruments if one.native not in self._subscribed}
        count = len(self._subscribed) + len(new)
        if count * 2 > STREAMS_PER_CONNECTION:
            raise ValueError(f"{count} instruments are too many for one connection")
        for native, instrument in new.items():
            self._subscribed[native] = _Stream(instrument.id)
            if self._is_partial:
                self._partials[self._streams(native)[1]] = PartialBook(instrument)
                continue
            url = f"{self._rest_url}/api/v3/depth?symbol={native}&limit={SNAPSHOT_LIMIT}"
            request = Request(url=url, subject=native, weight=SNAPSHOT_WEIGHT)
            self._books[native] = BookRule(instrument, request)
        self._plan("SUBSCRIBE", list(new))

    def _streams(self, native: str) -> list[str]:
        name = native.lower()
        return [f"{name}@trade", f"{name}@{self._depth_stream}"]

    def _plan(self, method: str, natives: list[str]) -> None:
        for at in range(0, len(natives), INSTRUMENTS_PER_MESSAGE):
            some = natives[at : at + INSTRUMENTS_PER_MESSAGE]
            streams = [stream for native in some for stream in self._streams(native)]
            self._unsent.append((method, some, streams))

    def _renew(self, native: str, now: int) -> None:
        """Subscribe anew to one symbol's book; a snapshot is fetched when that is in force."""
        self._renewing.add(native)
        if native in self._fetching:
            self._fetching[native] = None  # what is on its way comes too early
        stream = [self._streams(native)[1]]
        self._unsent += [("UNSUBSCRIBE", [native], stream), ("SUBSCRIBE", [native], stream)]
        self._send_subscriptions(now)

    def _send_subscriptions(self, now: int) -> None:
        while self._unsent and self._may_send(now):
            method, natives, streams = self._unsent.pop(0)
            self._last_id += 1
            self._unanswered[self._last_id] = _Asked(now, method, natives)
            self._send({"method": method, "params": streams, "id": self._last_id}, now)

    def _may_send(self, now: int) -> bool:
        sent = self._sent_at
        return len(sent) < MESSAGES_AT_ONCE or now - sent[0] >= MESSAGES_PERIOD

    def _send(self, message: dict[str, object], now: int) -> None:
        self._sent_at.append(now)
        self._outgoing.append(_encode(message))

    def _partial_book(self, data: bytes, now: int) -> _Told | None:
        """Take a message if it is a partial book; None if it is anything else."""
        try:
            envelope = _envelope(data)
        except _UNREADABLE:
            return None  # whoever reads it next says what it is
        native, _, stream = envelope.stream.partition("@")
        if stream != self._depth_stream:
            return None
        try:
            snapshot = _snapshot(envelope.data)
        except _UNREADABLE as error:
            raise VenueProtocolError(f"{stream}: {error}", frame=data) from error
        book = self._partials.get(envelope.stream)
        if book is None:
            return self._unknown_symbol(native.upper(), data, now)
        return book.take(snapshot, self._venue_time(now), now)

    def _venue_time(self, now: int) -> int:
        """Tell Binance's time by its last update, or by our own clock before any."""
        if self._clock is None:
            return now
        theirs, ours = self._clock
        return nanoseconds(theirs) + now - ours

    def _unknown_symbol(self, native: str, data: bytes, now: int) -> _Told:
        if native in self._gone:
            return []  # the tail of a stream that was unsubscribed
        return [DeadLetter(NAME, "unknown symbol", data, now)]

    def _other(self, data: bytes, error: Exception, now: int) -> _Told:
        """Sort out what is no trade, update or shutdown: an answer, something new, or nonsense."""
        try:
            kind = _kind(data)
            inner = kind
            if kind.stream:
                payload = bytes(kind.data)
                inner = _kind(payload) if payload.startswith(b"{") else _Kind()
        except _UNREADABLE:
            raise VenueProtocolError(f"not a message of Binance: {error}", frame=data) from error
        if inner.e in {"trade", "depthUpdate", "serverShutdown"}:
            if not kind.stream:
                return [DeadLetter(NAME, f"raw {inner.e}", data, now)]
            raise VenueProtocolError(f"{inner.e}: {error}", frame=data) from error
        if kind.stream or kind.e:
            name = inner.e or kind.stream.partition("@")[2] or kind.stream
            return [DeadLetter(NAME, f"unknown event {name[:40]}", data, now)]
        try:
            answer = _answer(data)
        except _UNREADABLE:
            return [DeadLetter(NAME, "unknown envelope", data, now)]
        return self._answered(answer, data, now)

    def _answered(self, answer: _Answer, data: bytes, now: int) -> _Told:
        asked = self._unanswered.pop(answer.id, None) if isinstance(answer.id, int) else None
        refusal = answer.error or _Refusal(answer.code, answer.msg)
        if refusal.code or refusal.msg:
            channel = self._streams(asked.natives[0])[0] if asked else "a subscription"
            raise SubscriptionError(channel, f"{refusal.msg} ({refusal.code})", frame=data)
        if asked is None and answer.id != 0:
            return [DeadLetter(NAME, "answer to nothing", data, now)]
        if asked is not None and asked.method == "SUBSCRIBE":
            self._renewing.difference_update(asked.natives)
            for native in asked.natives:
                book = self._books.get(native)
                if book is not None:
                    book.heard = now
                if book is not None and not book.is_live and not book.kept:
                    book.fetch_at = now + FIRST_UPDATE_WITHIN
        return []

    def _watch_silence(self, now: int) -> None:
        frames = self._frames - self._frames_before
        self._frames_before = self._frames
        if frames:
            # The last second may have been cut short by the silence itself.
            self._is_busy = max(frames, self._frames_earlier) >= BUSY_FRAMES
            self._frames_earlier = frames
            return
        silence = now - self.heard
        if self._probed_at is None:
            quiet = QUIET_WHEN_BUSY if self._is_busy else QUIET
            if silence >= quiet and self._may_send(now):
                self._probed_at = now
                self._send({"method": "LIST_SUBSCRIPTIONS", "id": 0}, now)
        elif now - self._probed_at >= (PROBE_WITHIN_WHEN_BUSY if self._is_busy else PROBE_WITHIN):
            raise StaleFeedError(NAME, silence)

    def _fetch(self, now: int) -> None:
        """Ask for the snapshots that are due, as far as the request weight allows."""
        due = [
            book
            for native, book in self._books.items()
            if book.fetch_at is not None
            and book.fetch_at <= now
            and native not in self._fetching  # one at a time: its answer may do
            and native not in self._renewing
        ]
        if not due or now < self._refused_until:
            return
        earned = (now - self._weight_at) / SECOND * WEIGHT_PER_SECOND
        self._weight = min(WEIGHT_BURST, self._weight + max(earned, 0.0))
        self._weight_at = now
        for book in due:
            if self._weight < SNAPSHOT_WEIGHT:
                return
            self._weight -= SNAPSHOT_WEIGHT
            book.asked()
            self._fetching[book.request.subject] = book
            self._outgoing.append(book.request)


class Binance:
    """Binance spot as one row of `connectors.VENUES`."""

    name = NAME
    websocket_url = "wss://stream.binance.com:9443"
    rest_url = "https://api.binance.com"
    instruments_per_connection = STREAMS_PER_CONNECTION // 2
    connections_at_once = 0
    # 300 connections in 5 minutes; weight 6000 a minute.
    limits = Limits(connects=60, connects_per_s=0.5, weight=2000, weight_per_s=50.0)
    channel_groups = (("trade", "book"),)
    key_names = ()
    market_page = "https://www.binance.com/en/trade/{base}_{quote}?type=spot"
    candles = BinanceCandles()
    past_trades = BinanceTrades()

    def explain_options(self, options: Mapping[str, int | str | bool]) -> str:
        """Binance has `book`, diff or partial, the `depth` of the latter, and `max_age_s`."""
        unknown = sorted(set(options) - {"book", "depth", "max_age_s"})
        if unknown:
            return f"binance has no option {unknown[0]!r}; it has book, depth and max_age_s"
        book = options.get("book", BOOKS[0])
        if book not in BOOKS:
            return f"binance's book is diff or partial, not {book!r}"
        depth = options.get("depth", PARTIAL_DEPTHS[-1])
        if isinstance(depth, bool) or depth not in PARTIAL_DEPTHS:
            return f"binance's depth is 5, 10 or 20, not {depth!r}"
        if "depth" in options and book != "partial":
            return 'binance has a depth only with book = "partial"'
        max_age = options.get("max_age_s", 0)
        if isinstance(max_age, bool) or not isinstance(max_age, int) or max_age < 0:
            return f"binance's max_age_s is a number of seconds, not {max_age!r}"
        return ""

    def instruments_url(self, rest_url: str) -> str:
        """Address of the list of instruments."""
        return f"{rest_url}/api/v3/exchangeInfo"

    def more_instruments_url(self, body: bytes) -> str:
        """The list is one page."""
        del body
        return ""

    def read_instruments(self, body: bytes) -> list[Instrument]:
        """Read `exchangeInfo`: the symbols whose status is TRADING.

        Raises:
            VenueProtocolError: it is not such a list.
        """
        try:
            info = _exchange_info(body)
            return [_instrument(symbol) for symbol in info.symbols if symbol.status == "TRADING"]
        except (*_UNREADABLE, ValueError) as error:
            raise VenueProtocolError(f"exchangeInfo: {error}", frame=body) from error

    def protocol(self, description: FeedDescription) -> BinanceProtocol:
        """Make the protocol object of one connection."""
        return BinanceProtocol(description)


def _instrument(symbol: _Symbol) -> Instrument:
    limits = {limit.filterType: limit for limit in symbol.filters}
    price, size = limits.get("PRICE_FILTER"), limits.get("LOT_SIZE")
    return Instrument(
        venue=NAME,
        symbol=f"{symbol.baseAsset}-{symbol.quoteAsset}",
        native=symbol.symbol,
        base=symbol.baseAsset,
        quote=symbol.quoteAsset,
        tick=_number(price.tickSize) if price else 0.0,
        step=_number(size.stepSize) if size else 0.0,
    )


def _number(text: str) -> float:
    number = float(text)
    if not (isfinite(number) and number >= 0):
        raise ValueError(f"{text!r} is no step")
    return number
