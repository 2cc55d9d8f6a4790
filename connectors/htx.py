"""HTX (Huobi) spot: trade details, and books from MBP incremental messages.

Sources (read 2026-11-20): huobiapi docs `spot/v1/en` (copy of 2021-06-25), htx.com "newApiPages"
MBP incremental (after 2022-12), notices to 2020-11, and frames captured on 2021-04-17.

    message                          becomes                      silent limit
    market.SYMBOL.trade.detail       Trade, one for each row      none
    market.SYMBOL.mbp.150            BookDelta                    none: a quiet book is silent
    rep market.SYMBOL.mbp.150        BookSnapshot, then BookDelta
    ping                             nothing: a pong goes out     12 s, with everything else
    subbed, unsubbed                 nothing
    status error                     FeedGap of the one symbol, tried again later
    anything else                    DeadLetter

Every frame of HTX is binary and holds one gzip member of JSON; ours are text. MBP is served on
`/feed` alone and trades are documented for `/ws`, so a connection serves one group of
`channel_groups`. Nothing serves both: a description without channels means the books.

Book rule (Market By Price, incremental update):
 1. Subscribe and keep the updates.
 2. On the same connection `req` the same topic: a snapshot.
 3. Drop kept updates with `seqNum` <= the snapshot's; the first of the rest must have
    `prevSeqNum` equal to it. Else the snapshot does not fit: ask again.
 4. The book is the snapshot without its levels of size 0; apply the rest.
 5. Each update: `seqNum` <= the last is old, but twenty that rise began anew: start again;
    `prevSeqNum` other than the last is a loss: start again; else apply, size 0 removes. A side may
    be missing or empty, even both.

HTX pings about every 5 s and drops who misses two; it takes one `req` in 100 ms. It answers a
symbol that it does not have with an error that names it; a suspended market is acknowledged and
silent, so symbols are checked against `common/symbols` before. Right after a subscription to
trades it tells the last one again: what is older than the acknowledgement is no news.
"""

import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

import msgspec

from connectors.contract import (
    DeadLetter,
    FeedDescription,
    Limits,
    Outgoing,
    Request,
    Told,
    caught_up,
)
from connectors.htx_candles import HtxCandles
from connectors.htx_trades import HtxTrades
from market.errors import StaleFeedError, SubscriptionError, VenueProtocolError
from market.events import BookDelta, BookSnapshot, FeedGap, Level, Side, Trade
from market.instruments import Instrument

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND
NAME = "htx"

INSTRUMENTS_PER_CONNECTION = 50
SUBSCRIPTIONS_AT_ONCE = 30
SUBSCRIPTIONS_PERIOD = SECOND + SECOND // 5
"""40 in a second are documented for futures, none for spot."""
ASK_PERIOD = 125 * MILLISECOND
"""HTX takes a `req` in 100 ms, and on the way messages may close up."""
ANSWER_WITHIN = 10 * SECOND
SNAPSHOT_WITHIN = 5 * SECOND
FIRST_UPDATE_WITHIN = SECOND
"""So long after its subscription a book is asked for though no update came: it is quiet."""
QUIET = 12 * SECOND
"""Two pings and some time: then there is nobody."""
QUIET_WHEN_BUSY = 3 * SECOND
PROBE_WITHIN = 2 * SECOND
BUSY_FRAMES = 8
"""Frames in one of the two seconds before the silence that make a connection busy."""
TOPIC_SILENT = 5 * SECOND
"""A book that is to be fetched again after such a silence may have lost its subscription."""
RETRY_FIRST = SECOND
RETRY_MOST = 32 * SECOND
KEPT_UPDATES = 5_000
LATE_UPDATES = 20
"""Updates with lower numbers, in a row, that are no late ones: the numbers began anew."""
LARGEST_MESSAGE = 1 << 24
"""Bytes of JSON; a snapshot of 150 levels a side is some 10,000."""
GZIP = 16 + zlib.MAX_WBITS
PROBE = "probe"

_Price = Annotated[float, msgspec.Meta(gt=0, lt=1e18)]
_Size = Annotated[float, msgspec.Meta(ge=0, lt=1e18)]
_Time = Annotated[int, msgspec.Meta(gt=0, lt=9 * 10**12)]  # ms; in ns it fits 63 bits
_Id = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
_Digits = Annotated[int, msgspec.Meta(ge=0, le=30)]


class _TradeRow(msgspec.Struct, gc=False):
    """{"amount":0.0099,"ts":1533265950234,"id":146507451359183894799,"tradeId":102043495674,
    "price":401.74,"direction":"buy"}"""  # noqa: D205, D209, D415

    tradeId: _Id  # noqa: N815
    ts: _Time
    price: _Price
    amount: _Price
    direction: Literal["buy", "sell"]


class _TradeTick(msgspec.Struct):
    data: list[_TradeRow]


class _TradeMessage(msgspec.Struct):
    """{"ch":"market.btcusdt.trade.detail","ts":1489474082831,"tick":{"id":14650745135,
    "ts":1533265950234,"data":[…]}}, the newest row first."""  # noqa: D205, D209

    ch: str
    tick: _TradeTick


class _BookTick(msgspec.Struct):
    seqNum: _Id  # noqa: N815
    prevSeqNum: _Id  # noqa: N815
    bids: list[tuple[_Price, _Size]] = []
    asks: list[tuple[_Price, _Size]] = []


class _BookMessage(msgspec.Struct):
    """{"ch":"market.aidogeusdt.mbp.150","ts":1690948841557,"tick":{"seqNum":155247358,
    "prevSeqNum":155247355,"bids":[],"asks":[[9.486E-11,5.4329174972728E12],[9.488E-11,0.0]]}}"""  # noqa: D205, D209, D415

    ch: str
    ts: _Time
    tick: _BookTick


class _Snapshot(msgspec.Struct):
    seqNum: _Id  # noqa: N815
    bids: list[tuple[_Price, _Size]] = []
    asks: list[tuple[_Price, _Size]] = []


class _Reply(msgspec.Struct):
    """{"id":"id2","rep":"market.btcusdt.mbp.150","status":"ok","ts":1698359289261,
    "data":{"seqNum":100020142010,"bids":[[618.37,71.594]],"asks":[[650.59,14.909733438479636]]}}"""  # noqa: D205, D209, D415

    ts: _Time
    data: _Snapshot


class _Kind(msgspec.Struct, rename={"err_code": "err-code", "err_msg": "err-msg"}):
    """What is no update of ours: enough of it to tell which of the rest it is."""

    ping: _Time | None = None
    ch: str = ""
    rep: str = ""
    subbed: str = ""
    unsubbed: str = ""
    status: str = ""
    id: int | str | None = None
    ts: _Time = 0
    err_code: str = ""
    err_msg: str = ""


class _Symbol(msgspec.Struct, rename="kebab"):
    """{"base-currency":"btc","quote-currency":"usdt","price-precision":2,"amount-precision":6,
    "symbol-partition":"main","symbol":"btcusdt","state":"online","value-precision":8,…}"""  # noqa: D205, D209, D415

    base_currency: str
    quote_currency: str
    symbol: str
    state: str
    price_precision: _Digits | None = None
    amount_precision: _Digits | None = None


class _Symbols(msgspec.Struct):
    status: Literal["ok"]
    data: list[_Symbol]


_trade_message = msgspec.json.Decoder(_TradeMessage, strict=False).decode
_book_message = msgspec.json.Decoder(_BookMessage, strict=False).decode
_reply = msgspec.json.Decoder(_Reply, strict=False).decode
_kind = msgspec.json.Decoder(_Kind).decode
_symbols = msgspec.json.Decoder(_Symbols, strict=False).decode
_encode = msgspec.json.encode

# Nesting without end is no decode error of msgspec's, but it is no message of HTX either.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_BUY, _SELL = Side.BUY, Side.SELL
_TOPICS = {"trade": "trade.detail", "book": "mbp.150"}
_PATHS = {"trade": "/ws", "book": "/feed"}

_Told: TypeAlias = list[Told]


class _BookRule:
    """Steps 1 to 5 of the book rule for one instrument."""

    __slots__ = (
        "ask_at", "asked", "asked_at", "failures", "id", "instrument", "is_live", "kept", "late",
        "late_id",
    )  # fmt: skip

    def __init__(self, instrument: str) -> None:
        self.instrument = instrument
        self.id = 0
        self.is_live = False
        self.kept: list[tuple[_BookTick, int, int]] = []  # with HTX's time and ours
        self.ask_at: int | None = None  # None: there is no need, or the answer is on its way
        self.asked = ""
        self.asked_at = 0
        self.failures = 0
        self.late = self.late_id = 0

    def update(self, tick: _BookTick, venue_time: int, now: int) -> Told | None:
        """Steps 1 and 5: keep an update, or make it a delta; a loss starts again."""
        if tick.seqNum <= self.id:
            return self._late(tick, venue_time, now)
        self.late = 0
        if not self.is_live:
            self._keep(tick, venue_time, now)
            return None
        if tick.prevSeqNum != self.id:
            missing = f"sequence: expected prevSeqNum {self.id}, got {tick.prevSeqNum}"
            gap = self.restart(missing, now)
            self._keep(tick, venue_time, now)
            return gap
        self.id = tick.seqNum
        return self._delta(tick, venue_time, now)

    def _late(self, tick: _BookTick, venue_time: int, now: int) -> Told | None:
        """Leave an old update out; many that rise, and no other between, began anew."""
        if self.late and tick.seqNum <= self.late_id:
            return None  # told again
        self.late_id = tick.seqNum
        self.late += 1
        if self.late < LATE_UPDATES:
            return None
        self.id = self.late = 0
        gap = self.restart("the sequence numbers began anew", now) if self.is_live else None
        self._keep(tick, venue_time, now)
        return gap

    def restart(self, reason: str, now: int) -> FeedGap:
        """Forget the book and ask for another at once, one not older than what was told."""
        self.is_live = False
        self.kept = []
        self.ask_at = now
        return FeedGap(instrument=self.instrument, ts_recv=now, reason=reason, channel="book")

    def snapshot(self, snapshot: _Snapshot, venue_time: int, now: int) -> _Told:
        """Steps 3 and 4: join the snapshot and the kept updates, or ask again."""
        last = following = snapshot.seqNum
        newer = []
        for kept in self.kept:
            tick = kept[0]
            if tick.seqNum <= following:
                continue
            if tick.prevSeqNum != following:  # it does not fit, or there is a hole among them
                return self._unfit(last, now)
            newer.append(kept)
            following = tick.seqNum
        if following < self.id:  # older than what was told already
            return self._unfit(last, now)
        self.is_live = True
        self.kept = []
        self.failures = 0
        self.id = following
        book = BookSnapshot(
            instrument=self.instrument,
            ts_event=venue_time * MILLISECOND,
            ts_recv=now,
            bids=_there(snapshot.bids),
            asks=_there(snapshot.asks),
            sequence=last,
        )
        return caught_up([book, *(self._delta(*kept) for kept in newer)])

    def _unfit(self, last: int, now: int) -> _Told:
        self.kept = [kept for kept in self.kept if kept[0].seqNum > last]
        self.retry(now)
        return []

    def retry(self, now: int) -> None:
        """Ask again after a wait that doubles."""
        self.ask_at = now + _wait(self.failures)
        self.failures += 1

    def _keep(self, tick: _BookTick, venue_time: int, now: int) -> None:
        self.kept.append((tick, venue_time, now))
        if len(self.kept) > KEPT_UPDATES:
            del self.kept[: KEPT_UPDATES // 2]

    def _delta(self, tick: _BookTick, venue_time: int, now: int) -> BookDelta:
        return BookDelta(
            instrument=self.instrument,
            ts_event=venue_time * MILLISECOND,
            ts_recv=now,
            bids=tick.bids,
            asks=tick.asks,
            sequence=tick.seqNum,
        )


class _Stream:
    """One topic of one instrument.

    `since` is HTX's time of the acknowledgement in ms, 0 before it; `refused` what HTX said
    instead, and `retry_at` when it is asked again.
    """

    __slots__ = (
        "asked", "book", "failures", "heard", "instrument", "last_trade", "refused", "retry_at",
        "since", "topic",
    )  # fmt: skip

    def __init__(self, instrument: str, topic: str) -> None:
        self.instrument = instrument
        self.topic = topic
        self.book = _BookRule(instrument)
        self.heard = 0
        self.last_trade = -1
        self.asked = ""
        self.since = 0
        self.refused = ""
        self.retry_at: int | None = None
        self.failures = 0


class _Asked(msgspec.Struct, frozen=True):
    """A `sub` or `req` that HTX has not answered yet."""

    at: int
    verb: str
    stream: _Stream


class HtxProtocol:
    """One connection's worth of HTX, without the connection: trades, or books.

    Args:
        description: its `channels` say which; empty means the books, see the module.

    Raises:
        ValueError: both, which no connection of HTX carries, or too many instruments.
    """

    def __init__(self, description: FeedDescription) -> None:
        channels = description.channels or ("book",)
        if len(channels) != 1 or channels[0] not in _TOPICS:
            raise ValueError(f"htx: one connection carries trade or book, not {channels}")
        self._channel = channels[0]
        self._suffix = _TOPICS[self._channel]
        self.url = f"{description.websocket_url}{_PATHS[self._channel]}"
        self._max_age = int(description.options.get("max_age_s", 0)) * SECOND
        self._streams: dict[str, _Stream] = {}
        self._unasked: dict[str, _Stream] = {}  # their books are to be asked for, now or later
        self._gone: set[str] = set()
        self._unsent: list[tuple[str, str]] = []
        self._unanswered: dict[str, _Asked] = {}
        self._sent_at: deque[int] = deque(maxlen=SUBSCRIPTIONS_AT_ONCE)
        self._asked_at = 0
        self._outgoing: list[Outgoing] = []
        self._last_id = 0
        self._opened_at = 0
        self._frames = 0
        self._frames_before = 0
        self._frames_earlier = 0
        self._is_busy = False
        self._probed_at: int | None = None
        self.heard = 0
        self.wants_replacement = False
        self._add(description.instruments)

    @property
    def instruments(self) -> Sequence[str]:
        """Ids of the instruments that are subscribed to."""
        return tuple(stream.instrument for stream in self._streams.values())

    @property
    def is_live(self) -> bool:
        """Whether every topic is acknowledged and every book is there; what is refused is not."""
        return not self._unsent and all(
            stream.refused or (stream.since and (self._channel == "trade" or stream.book.is_live))
            for stream in self._streams.values()
        )

    # -- life of a connection ------------------------------------------------------------------

    def opened(self, now: int) -> _Told:
        """Subscribe to everything; a book is asked for when its subscription is in force."""
        self._opened_at = self.heard = now
        self._send_subscriptions(now)
        return []

    def received(self, data: bytes, now: int) -> _Told:
        """Turn one message into events.

        Raises:
            VenueProtocolError: it is no gzip of JSON, or a field of a message we know is wrong.
        """
        self._frames += 1
        self.heard = now
        self._probed_at = None
        text = _unpacked(data)
        told = self._book(text, now) if self._channel == "book" else self._trades(text, now)
        if self._unsent:
            self._send_subscriptions(now)
        if self._unasked:
            self._ask(now)
        return told

    def fetched(self, request: Request, status: int, body: bytes, now: int) -> _Told:
        """Nothing: HTX's books come over the websocket, and `version` of REST is another count."""
        del request, status, body, now
        return []

    def elapsed(self, now: int) -> _Told:
        """Watch the clock: answers, silence, age, what is to be tried again.

        Raises:
            SubscriptionError: the answer to a subscription is overdue.
            StaleFeedError: the connection is silent.
        """
        for identity, asked in list(self._unanswered.items()):
            if asked.verb == "sub" and now - asked.at > ANSWER_WITHIN:
                late = f"no answer in {ANSWER_WITHIN // SECOND} s"
                raise SubscriptionError(asked.stream.topic, late)
            if asked.verb == "req" and now - asked.at > SNAPSHOT_WITHIN:
                del self._unanswered[identity]
                self._ask_later(asked.stream, now)
        self._watch_silence(now)
        if self._max_age and now - self._opened_at > self._max_age:
            self.wants_replacement = True
        for stream in self._streams.values():
            if stream.retry_at is not None and stream.retry_at <= now:
                stream.retry_at = None
                self._unsent.append(("sub", stream.topic))
        if self._unsent:
            self._send_subscriptions(now)
        if self._unasked:
            self._ask(now)
        return []

    def outgoing(self) -> list[Outgoing]:
        """Return what is to be sent, and forget it."""
        if not self._outgoing:
            return []
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # -- changes while the connection is up ----------------------------------------------------

    def resync(self, instrument: str, reason: str, now: int) -> _Told:
        """Ask for one instrument's book again and leave the others alone.

        A topic that was silent is subscribed to anew: a snapshot would not make it speak again.
        """
        for stream in self._streams.values():
            if stream.instrument == instrument and stream.book.is_live:
                gap = stream.book.restart(reason, now)
                if now - stream.heard >= TOPIC_SILENT:
                    self._renew(stream, now)
                else:
                    self._unasked[stream.topic] = stream
                    self._ask(now)
                return [gap]
        return []

    def subscribe(self, instruments: Sequence[Instrument], now: int) -> _Told:
        """Add instruments while the connection is up."""
        self._add(instruments)
        self._send_subscriptions(now)
        return []

    def unsubscribe(self, instruments: Sequence[str], now: int) -> _Told:
        """Drop instruments, by id, while the connection is up."""
        told: _Told = []
        for stream in [one for one in self._streams.values() if one.instrument in instruments]:
            topic = stream.topic
            del self._streams[topic]
            self._unasked.pop(topic, None)
            self._gone.add(topic)
            for identity in [stream.asked, stream.book.asked]:
                self._unanswered.pop(identity, None)
            if ("sub", topic) in self._unsent:
                self._unsent.remove(("sub", topic))
            elif not stream.refused:  # HTX forbids to give up what was not subscribed to
                self._unsent.append(("unsub", topic))
            told.append(self._gap(stream, "unsubscribed", now))
        self._send_subscriptions(now)
        return told

    # -- messages ------------------------------------------------------------------------------

    def _trades(self, text: bytes, now: int) -> _Told:
        try:
            message = _trade_message(text)
        except _UNREADABLE as error:
            return self._other(text, error, now)
        stream = self._streams.get(message.ch)
        if stream is None:
            return self._unknown_topic(message.ch, text, now)
        if not stream.since:
            return []  # history: the subscription is not in force yet
        rows = message.tick.data
        if len(rows) > 1:
            rows.sort(key=_trade_id)
        told: _Told = []
        for row in rows:
            if row.tradeId <= stream.last_trade:
                continue
            stream.last_trade = row.tradeId
            if row.ts < stream.since:
                continue
            told.append(
                Trade(
                    instrument=stream.instrument,
                    ts_event=row.ts * MILLISECOND,
                    ts_recv=now,
                    price=row.price,
                    size=row.amount,
                    side=_BUY if row.direction == "buy" else _SELL,
                    trade_id=str(row.tradeId),
                )
            )
        return told

    def _book(self, text: bytes, now: int) -> _Told:
        try:
            message = _book_message(text)
        except _UNREADABLE as error:
            return self._other(text, error, now)
        stream = self._streams.get(message.ch)
        if stream is None:
            return self._unknown_topic(message.ch, text, now)
        book = stream.book
        stream.heard = now
        told = book.update(message.tick, message.ts, now)
        if book.is_live:
            return [] if told is None else [told]
        if stream.since and not book.asked:
            if len(book.kept) == 1 and not book.failures:
                book.ask_at = now
            self._unasked[stream.topic] = stream
        return [] if told is None else [told]

    def _unknown_topic(self, topic: str, text: bytes, now: int) -> _Told:
        if topic in self._gone:
            return []  # the tail of a topic that was given up
        _, _, kind = topic.removeprefix("market.").partition(".")
        reason = "unknown symbol" if kind == self._suffix else f"unknown channel {kind or topic}"
        return [DeadLetter(NAME, reason[:60], text, now)]

    def _other(self, text: bytes, error: Exception, now: int) -> _Told:
        """Sort out what is no update: a ping, an answer, something new, or nonsense."""
        try:
            kind = _kind(text)
        except _UNREADABLE:
            raise VenueProtocolError(f"not a message of HTX: {error}", frame=text) from error
        if kind.ping is not None:
            self._outgoing.append(_encode({"pong": kind.ping}))
            return []
        if kind.ch:
            if kind.ch in self._streams:
                raise VenueProtocolError(f"{self._suffix}: {error}", frame=text) from error
            return self._unknown_topic(kind.ch, text, now)
        if kind.status == "error":
            return self._refused(kind, text, now)
        if kind.rep:
            return self._replied(kind, text, now)
        if kind.subbed:
            return self._subscribed(kind, text, now)
        if kind.unsubbed in self._gone or kind.unsubbed in self._streams:
            return []  # in the latter case it has been subscribed to again
        reason = "answer to nothing" if kind.unsubbed else "unknown envelope"
        return [DeadLetter(NAME, reason, text, now)]

    def _subscribed(self, kind: _Kind, text: bytes, now: int) -> _Told:
        stream = self._streams.get(kind.subbed)
        if stream is None or self._unanswered.pop(stream.asked, None) is None:
            if kind.subbed in self._gone:
                return []
            return [DeadLetter(NAME, "answer to nothing", text, now)]
        stream.asked = stream.refused = ""
        stream.failures = 0
        stream.since = kind.ts or 1
        stream.heard = now
        if self._channel == "book":
            stream.book.ask_at = now if stream.book.kept else now + FIRST_UPDATE_WITHIN
            self._unasked[stream.topic] = stream
        return []

    def _replied(self, kind: _Kind, text: bytes, now: int) -> _Told:
        if kind.id == PROBE or kind.rep in self._gone:
            return []
        stream = self._streams.get(kind.rep)
        if stream is None or self._unanswered.pop(stream.book.asked, None) is None:
            return [DeadLetter(NAME, "answer to nothing", text, now)]
        try:
            reply = _reply(text)
        except _UNREADABLE as error:
            raise VenueProtocolError(f"snapshot: {error}", frame=text) from error
        book = stream.book
        book.asked = ""
        told = book.snapshot(reply.data, reply.ts, now)
        if not told:
            self._unasked[stream.topic] = stream
        return told

    def _refused(self, kind: _Kind, text: bytes, now: int) -> _Told:
        """HTX will not have a `sub` or `req`: it concerns one symbol, and is tried again."""
        if kind.id == PROBE:
            return []
        asked = self._unanswered.pop(str(kind.id), None)
        if asked is None:
            return [DeadLetter(NAME, "refusal of nothing", text, now)]
        stream = asked.stream
        if asked.verb == "req":
            self._ask_later(stream, now)
            return []
        stream.asked = ""
        stream.retry_at = now + _wait(stream.failures)
        stream.failures += 1
        reason = f"subscription refused: {kind.err_msg[:100]} ({kind.err_code[:40]})"
        if reason == stream.refused:
            return []
        stream.refused = reason
        return [self._gap(stream, reason, now)]

    # -- inside --------------------------------------------------------------------------------

    def _add(self, instruments: Sequence[Instrument]) -> None:
        for instrument in instruments:
            topic = f"market.{instrument.native}.{self._suffix}"
            if topic not in self._streams:
                self._streams[topic] = _Stream(instrument.id, topic)
                self._gone.discard(topic)
                self._unsent.append(("sub", topic))

    def _renew(self, stream: _Stream, now: int) -> None:
        """Give a topic up and subscribe anew; its book is asked for when that is in force."""
        stream.since = 0
        stream.heard = now
        stream.book.ask_at = None
        self._unsent += [("unsub", stream.topic), ("sub", stream.topic)]
        self._send_subscriptions(now)

    def _gap(self, stream: _Stream, reason: str, now: int) -> FeedGap:
        return FeedGap(
            instrument=stream.instrument, ts_recv=now, reason=reason, channel=self._channel
        )

    def _send_subscriptions(self, now: int) -> None:
        sent = self._sent_at
        while self._unsent and (
            len(sent) < SUBSCRIPTIONS_AT_ONCE or now - sent[0] >= SUBSCRIPTIONS_PERIOD
        ):
            verb, topic = self._unsent.pop(0)
            sent.append(now)
            identity = self._send(verb, topic)
            stream = self._streams.get(topic)
            if verb == "sub" and stream is not None:
                stream.asked = identity
                self._unanswered[identity] = _Asked(now, verb, stream)

    def _send(self, verb: str, topic: str) -> str:
        self._last_id += 1
        identity = str(self._last_id)
        self._outgoing.append(_encode({verb: topic, "id": identity}))
        return identity

    def _ask(self, now: int) -> None:
        """Ask for a snapshot that is due, the one that waits longest; one in `ASK_PERIOD`."""
        if now - self._asked_at < ASK_PERIOD:
            return
        for stream in self._unasked.values():
            book = stream.book
            if book.ask_at is not None and book.ask_at <= now:
                del self._unasked[stream.topic]
                book.ask_at = None
                book.asked = self._send("req", stream.topic)
                self._unanswered[book.asked] = _Asked(now, "req", stream)
                self._asked_at = now
                return

    def _ask_later(self, stream: _Stream, now: int) -> None:
        stream.book.asked = ""
        stream.book.retry(now)
        self._unasked[stream.topic] = stream

    def _watch_silence(self, now: int) -> None:
        frames = self._frames - self._frames_before
        self._frames_before = self._frames
        if frames:
            # The last second may have been cut short by the silence itself.
            self._is_busy = max(frames, self._frames_earlier) >= BUSY_FRAMES
            self._frames_earlier = frames
            return
        silence = now - self.heard
        if silence >= QUIET:
            raise StaleFeedError(NAME, silence)
        if not self._is_busy or silence < QUIET_WHEN_BUSY:
            return
        if self._probed_at is None:
            topic = next(iter(self._streams), "")
            if topic and now - self._asked_at >= ASK_PERIOD:
                self._probed_at = self._asked_at = now
                self._outgoing.append(_encode({"req": topic, "id": PROBE}))
        elif now - self._probed_at >= PROBE_WITHIN:
            raise StaleFeedError(NAME, silence)


class Htx:
    """HTX spot as one row of `connectors.VENUES`."""

    name = NAME
    websocket_url = "wss://api.huobi.pro"
    rest_url = "https://api.huobi.pro"
    instruments_per_connection = INSTRUMENTS_PER_CONNECTION
    connections_at_once = 0
    limits = Limits()
    channel_groups = (("trade",), ("book",))
    key_names = ()
    market_page = "https://www.htx.com/trade/{base_lower}_{quote_lower}?type=spot"
    candles = HtxCandles()
    past_trades = HtxTrades()

    def explain_options(self, options: Mapping[str, int | str | bool]) -> str:
        """HTX has one setting, `max_age_s`."""
        unknown = sorted(set(options) - {"max_age_s"})
        return f"htx has no option {unknown[0]!r}; it has max_age_s" if unknown else ""

    def instruments_url(self, rest_url: str) -> str:
        """Address of the list of instruments."""
        return f"{rest_url}/v1/common/symbols"

    def more_instruments_url(self, body: bytes) -> str:
        """The list is one page."""
        del body
        return ""

    def read_instruments(self, body: bytes) -> list[Instrument]:
        """Read `common/symbols`: the symbols whose state is online.

        Raises:
            VenueProtocolError: it is not such a list.
        """
        try:
            listed = _symbols(body)
        except _UNREADABLE as error:
            raise VenueProtocolError(f"common/symbols: {error}", frame=body) from error
        return [_instrument(symbol) for symbol in listed.data if symbol.state == "online"]

    def protocol(self, description: FeedDescription) -> HtxProtocol:
        """Make the protocol object of one connection."""
        return HtxProtocol(description)


def _unpacked(data: bytes) -> bytes:
    """Return the JSON in a frame."""
    unpack = zlib.decompressobj(GZIP)
    try:
        text = unpack.decompress(data, LARGEST_MESSAGE)
    except zlib.error as error:
        raise VenueProtocolError(f"not a gzip frame: {error}", frame=data) from error
    if not unpack.eof or unpack.unused_data:
        raise VenueProtocolError("a gzip frame that is truncated or too long", frame=data)
    return text


def _instrument(symbol: _Symbol) -> Instrument:
    base, quote = symbol.base_currency.upper(), symbol.quote_currency.upper()
    return Instrument(
        venue=NAME,
        symbol=f"{base}-{quote}",
        native=symbol.symbol,
        base=base,
        quote=quote,
        tick=_step(symbol.price_precision),
        step=_step(symbol.amount_precision),
    )


def _step(digits: int | None) -> float:
    return 0.0 if digits is None else float(f"1e-{digits}")


def _there(levels: list[Level]) -> list[Level]:
    """Leave out levels of size 0: a snapshot may hold some."""
    return [level for level in levels if level[1]]


def _trade_id(row: _TradeRow) -> int:
    return row.tradeId


def _wait(failures: int) -> int:
    return min(RETRY_FIRST << min(failures, 6), RETRY_MOST)
