"""Bybit v5 spot: public trades and the order book of the best 50 or 200 levels.

Sources (read 2026-11-20): bybit-exchange docs `v5/websocket/public/{orderbook,trade}`,
`v5/ws/connect`, `v5/market/instrument`, `v5/rate-limit`, changelog to 2026-07-24.

    message                  becomes                                silent limit
    publicTrade.SYMBOL       Trade each; nothing for a block trade  none
    orderbook.50.SYMBOL
      snapshot, or u == 1    BookSnapshot                           none
      delta                  BookDelta                              none: a quiet book is silent
    answer to subscribe      nothing; topics are retried one by one when it is a refusal
    answer to ping           nothing                                10 s
    anything else            DeadLetter

Book rule (orderbook page; where it is silent we take the reading that shows nothing false):
 1. The first message after a subscription is a snapshot; deltas before it are dropped.
 2. A snapshot replaces the book, also one that nobody asked for.
 3. `u == 1`: the service was restarted; whatever its type, the message is a snapshot. Ids begin
    anew, and what was lost on the way is unknown: a gap is told before it.
 4. A delta sets levels to absolute sizes, 0 removes one.
 5. A delta with `u <= id` is old and dropped, and so is an older snapshot; where its `ts` is newer
    the ids began anew unseen: start again.
 6. `u > id + 1`: messages are missing: start again (unsubscribe, subscribe). Nobody promises that
    ids are consecutive; where a connection shows that they are not, a jump means nothing.
 7. After each message the book is cut to its depth: whether Bybit says what left it is not known.

A refusal names one topic and refuses the whole request. No limit to a connection's age is
published. The book rule and the messages it reads are in `connectors.bybit_book`; all else that
concerns Bybit is here, in one file a venue, which makes it long.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import TypeAlias
from urllib.parse import quote

import msgspec

from connectors.bybit_book import (
    ASK_AGAIN_AFTER,
    JUMPS_BELIEVED,
    BookRow,
    BybitBook,
    BybitMessage,
    Numbering,
    TradeRow,
)
from connectors.bybit_candles import BybitCandles
from connectors.bybit_trades import BybitTrades
from connectors.contract import DeadLetter, FeedDescription, Limits, Outgoing, Request, Told
from market.errors import StaleFeedError, SubscriptionError, VenueProtocolError
from market.events import FeedGap, Side, Trade
from market.instruments import Instrument
from market.intervals import SECOND

MILLISECOND = 1_000_000
NAME = "bybit"

DEPTHS = (50, 200)
TOPICS_PER_REQUEST = 10
CHARACTERS_PER_CONNECTION = 21_000
INSTRUMENTS_PER_CONNECTION = 100
ANSWER_WITHIN = 10 * SECOND
SNAPSHOT_WITHIN = 10 * SECOND
RETRY_FIRST = SECOND
RETRIES_AT_ONCE = 10
"""Refusals of a topic before the waits double."""
RETRY_MOST = 60 * SECOND
PING_EVERY = 20 * SECOND
PONG_WITHIN = 10 * SECOND
QUIET_WHEN_BUSY = 3 * SECOND
PONG_WITHIN_WHEN_BUSY = 2 * SECOND
BUSY_FRAMES = 20
"""Frames in one of the two seconds before the silence that make a connection busy."""
RECENT_TRADES = 2000
"""Ids of trades that are remembered of each symbol, at least."""


class _Answer(msgspec.Struct):
    """{"success":true,"ret_msg":"subscribe","conn_id":"2324d924","req_id":"1","op":"subscribe"}"""  # noqa: D415

    topic: str = ""
    op: str = ""
    success: bool | None = None
    ret_msg: str = ""
    req_id: str = ""


class _PriceFilter(msgspec.Struct, frozen=True):
    tickSize: str = "0"  # noqa: N815


class _LotSizeFilter(msgspec.Struct, frozen=True):
    basePrecision: str = "0"  # noqa: N815


class _Symbol(msgspec.Struct):
    symbol: str
    baseCoin: str  # noqa: N815
    quoteCoin: str  # noqa: N815
    status: str
    priceFilter: _PriceFilter = _PriceFilter()  # noqa: N815
    lotSizeFilter: _LotSizeFilter = _LotSizeFilter()  # noqa: N815


class _Symbols(msgspec.Struct):
    category: str
    list: list[_Symbol]
    nextPageCursor: str = ""  # noqa: N815


class _InstrumentsInfo(msgspec.Struct):
    """{"retCode":0,"retMsg":"OK","result":{"category":"spot","list":[…]},"retExtInfo":{},…}"""  # noqa: D415

    retCode: int  # noqa: N815
    retMsg: str = ""  # noqa: N815
    result: msgspec.Raw = msgspec.Raw(b"{}")


_message = msgspec.json.Decoder(BybitMessage, strict=False).decode
_answer = msgspec.json.Decoder(_Answer).decode
_instruments_info = msgspec.json.Decoder(_InstrumentsInfo).decode
_symbols = msgspec.json.Decoder(_Symbols).decode
_encode = msgspec.json.encode

# Nesting without end is no decode error of msgspec's, but it is no message of Bybit either.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_SIDES = {"Buy": Side.BUY, "Sell": Side.SELL}
_Told: TypeAlias = list[Told]


class _TradeRule:
    """Tells each trade of one instrument once: ids are opaque, so the recent ones are kept."""

    __slots__ = ("instrument", "native", "older", "recent", "topic")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument.id
        self.native = instrument.native
        self.topic = f"publicTrade.{instrument.native}"
        self.recent: set[str] = set()
        self.older: set[str] = set()

    def trades(self, rows: list[TradeRow], now: int) -> _Told:
        """Return the trades that are news."""
        told: _Told = []
        for row in rows:
            if row.i in self.recent or row.i in self.older:
                continue
            self.recent.add(row.i)
            if not row.BT:  # a block trade is agreed off the book
                told.append(
                    Trade(
                        instrument=self.instrument,
                        ts_event=row.T * MILLISECOND,
                        ts_recv=now,
                        price=row.p,
                        size=row.v,
                        side=_SIDES[row.S],
                        trade_id=row.i,
                    )
                )
        if len(self.recent) >= RECENT_TRADES:
            self.recent, self.older = set(), self.recent
        return told


class _Asked(msgspec.Struct, frozen=True):
    """A request that Bybit has not answered yet."""

    at: int
    op: str
    topics: tuple[str, ...]


class _Refused(msgspec.Struct, frozen=True):
    """A topic that Bybit refused when it was asked for alone."""

    again_at: int
    times: int


class BybitProtocol:
    """One connection's worth of Bybit spot, without the connection."""

    def __init__(self, description: FeedDescription) -> None:
        self.url = f"{description.websocket_url}/v5/public/spot"
        self._depth = int(description.options.get("depth", DEPTHS[0]))
        self._max_age = int(description.options.get("max_age_s", 0)) * SECOND
        self._starting, self._following = Numbering(), Numbering()
        self._books: dict[str, BybitBook] = {}
        self._trades: dict[str, _TradeRule] = {}
        self._gone: set[str] = set()
        self._refused: dict[str, _Refused] = {}
        self._unanswered: dict[str, _Asked] = {}
        self._outgoing: list[Outgoing] = []
        self._last_id = 0
        self._opened_at = 0
        self._frames = 0
        self._frames_before = 0
        self._frames_earlier = 0
        self._is_busy = False
        self._pinged_at = 0
        self._awaits_pong = False
        self._doubts = False
        self.heard = 0
        self.wants_replacement = False
        self._add(description.instruments)

    @property
    def instruments(self) -> Sequence[str]:
        """Ids of the instruments that are subscribed to."""
        return tuple(book.instrument for book in self._books.values())

    @property
    def is_live(self) -> bool:
        """Whether every topic is acknowledged and every book is there.

        What was refused again and again is not waited for.
        """
        if not self._opened_at or self._unanswered:
            return False
        given_up = set()
        for topic, refused in self._refused.items():
            if refused.times <= RETRIES_AT_ONCE:
                return False
            given_up.add(topic)
        return all(book.is_live or topic in given_up for topic, book in self._books.items())

    # -- life of a connection ------------------------------------------------------------------

    def opened(self, now: int) -> _Told:
        """Subscribe to everything."""
        self._opened_at = self.heard = self._pinged_at = now
        self._subscribe([*self._books.values()], now)
        return []

    def received(self, data: bytes, now: int) -> _Told:
        """Turn one message into events.

        Raises:
            VenueProtocolError: it is no JSON object, or a field of a message we know is wrong.
            SubscriptionError: a request of ours made no sense to Bybit.
        """
        self._frames += 1
        self.heard = now
        self._awaits_pong = False
        try:
            message = _message(data)
        except _UNREADABLE as error:
            return self._other(data, error, now)
        content = message.data
        if isinstance(content, BookRow):
            book = self._books.get(message.topic)
            if book is None:
                return self._unknown(message.topic, data, now)
            if content.s != book.native or message.type not in {"snapshot", "delta"}:
                return [DeadLetter(NAME, "unknown book message", data, now)]
            told = book.update(message, content, now)
            if book.wants_again:
                self._ask_again(book, now)
            if self._following.jumps > self._following.steps:
                told += self._doubt(data, now)
            return told
        trades = self._trades.get(message.topic)
        if trades is None:
            return self._unknown(message.topic, data, now)
        if any(row.s != trades.native for row in content):
            return [DeadLetter(NAME, "unknown symbol", data, now)]
        return trades.trades(content, now)

    def fetched(self, request: Request, status: int, body: bytes, now: int) -> _Told:
        """Nothing is fetched for Bybit."""
        del request, status, body, now
        return []

    def elapsed(self, now: int) -> _Told:
        """Watch the clock: answers, pings, age, snapshots and refused topics that are due.

        Raises:
            SubscriptionError: an answer is overdue.
            StaleFeedError: the connection is silent.
        """
        for asked in self._unanswered.values():
            if now - asked.at > ANSWER_WITHIN:
                late = f"no answer in {ANSWER_WITHIN // SECOND} s"
                raise SubscriptionError(asked.topics[0], late)
        self._watch_silence(now)
        if self._max_age and now - self._opened_at > self._max_age:
            self.wants_replacement = True
        for book in self._books.values():
            waits = now - book.asked_at
            if not book.is_live and book.topic not in self._refused and waits > SNAPSHOT_WITHIN:
                book.wants_again = True
            if book.wants_again:
                self._ask_again(book, now)
        for topic, refused in self._refused.items():
            if refused.again_at <= now and not self._is_asked(topic):
                self._send("subscribe", (topic,), now)
        return []

    def outgoing(self) -> list[Outgoing]:
        """Return what is to be sent, and forget it."""
        if not self._outgoing:
            return []
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # -- changes while the connection is up ----------------------------------------------------

    def resync(self, instrument: str, reason: str, now: int) -> _Told:
        """Have one instrument's book sent again and leave the others alone."""
        for book in self._books.values():
            if book.instrument == instrument and book.is_live:
                gap = book.resync(reason, now)
                self._ask_again(book, now)
                return [gap]
        return []

    def subscribe(self, instruments: Sequence[Instrument], now: int) -> _Told:
        """Add instruments while the connection is up."""
        self._subscribe(self._add(instruments), now)
        return []

    def unsubscribe(self, instruments: Sequence[str], now: int) -> _Told:
        """Drop instruments, by id, while the connection is up."""
        told: _Told = []
        topics: list[str] = []
        for book in [book for book in self._books.values() if book.instrument in instruments]:
            both = (f"publicTrade.{book.native}", book.topic)
            del self._trades[both[0]], self._books[book.topic]
            topics += [topic for topic in both if self._refused.pop(topic, None) is None]
            told.append(FeedGap(instrument=book.instrument, ts_recv=now, reason="unsubscribed"))
        self._gone.update(topics)
        for at in range(0, len(topics), TOPICS_PER_REQUEST):
            self._send("unsubscribe", tuple(topics[at : at + TOPICS_PER_REQUEST]), now)
        return told

    # -- inside --------------------------------------------------------------------------------

    def _add(self, instruments: Sequence[Instrument]) -> list[BybitBook]:
        books = {
            book.topic: book
            for book in (
                BybitBook(one, self._depth, self._starting, self._following) for one in instruments
            )
            if book.topic not in self._books
        }
        trades = {
            rule.topic: rule
            for rule in map(_TradeRule, instruments)
            if rule.topic not in self._trades
        }
        topics = [*self._books, *self._trades, *books, *trades]
        characters = len(_encode(topics))
        if characters > CHARACTERS_PER_CONNECTION:
            count = len(topics) // 2
            raise ValueError(f"{count} instruments are too many for one connection")
        self._books |= books
        self._trades |= trades
        return list(books.values())

    def _subscribe(self, books: Sequence[BybitBook], now: int) -> None:
        topics: list[str] = []
        for book in books:
            topics += (f"publicTrade.{book.native}", book.topic)
        for at in range(0, len(topics), TOPICS_PER_REQUEST):
            self._send("subscribe", tuple(topics[at : at + TOPICS_PER_REQUEST]), now)

    def _ask_again(self, book: BybitBook, now: int) -> None:
        """Subscribe to a book anew: Bybit sends a snapshot then. Not more than once a second."""
        if book.asked_at and now - book.asked_at < ASK_AGAIN_AFTER:
            return
        book.wants_again = False
        self._send("unsubscribe", (book.topic,), now)
        self._send("subscribe", (book.topic,), now)

    def _send(self, op: str, topics: tuple[str, ...], now: int) -> None:
        self._last_id += 1
        number = str(self._last_id)
        for topic in topics:
            if op == "subscribe" and (book := self._books.get(topic)) is not None:
                book.asked_at = now
        self._unanswered[number] = _Asked(now, op, topics)
        self._outgoing.append(_encode({"req_id": number, "op": op, "args": topics}))

    def _is_asked(self, topic: str) -> bool:
        return any(topic in asked.topics for asked in self._unanswered.values())

    def _doubt(self, data: bytes, now: int) -> _Told:
        """Say once that jumps of the update ids are no longer taken for losses."""
        if self._doubts or self._following.jumps <= JUMPS_BELIEVED:
            return []
        self._doubts = True
        return [DeadLetter(NAME, "update ids are not consecutive", data, now)]

    def _unknown(self, topic: str, data: bytes, now: int) -> _Told:
        if topic in self._gone:
            return []  # the tail of a topic that was unsubscribed
        channel = topic.partition(".")[0]
        if channel in {"publicTrade", "orderbook"}:
            return [DeadLetter(NAME, f"unknown symbol or depth of {channel}", data, now)]
        return [DeadLetter(NAME, f"unknown topic {channel[:40]}", data, now)]

    def _other(self, data: bytes, error: Exception, now: int) -> _Told:
        """Sort out what is no trade and no book: an answer, something new, or nonsense."""
        try:
            answer = _answer(data)
        except _UNREADABLE:
            raise VenueProtocolError(f"not a message of Bybit: {error}", frame=data) from error
        if answer.topic in self._books or answer.topic in self._trades:
            raise VenueProtocolError(f"{answer.topic}: {error}", frame=data) from error
        if answer.topic:
            return self._unknown(answer.topic, data, now)
        if answer.op in {"ping", "pong"}:
            return []
        if answer.success is None:
            return [DeadLetter(NAME, "unknown envelope", data, now)]
        asked = self._unanswered.pop(answer.req_id, None)
        if asked is None:
            if answer.success:
                return [DeadLetter(NAME, "answer to nothing", data, now)]
            raise SubscriptionError("a request", answer.ret_msg, frame=data)
        if asked.op == "unsubscribe":  # what is not there need not be given up
            return []
        is_there = len(asked.topics) == 1 and "already subscribed" in answer.ret_msg
        if answer.success or is_there:
            for topic in asked.topics:
                self._refused.pop(topic, None)
            return []
        return self._refuse(asked.topics, answer.ret_msg, now)

    def _refuse(self, topics: tuple[str, ...], reason: str, now: int) -> _Told:
        """One bad topic refuses all of a request: ask for each alone, and later for the bad one."""
        wanted = [topic for topic in topics if topic in self._books or topic in self._trades]
        if len(topics) > 1:
            for topic in wanted:
                self._send("subscribe", (topic,), now)
            return []
        told: _Told = []
        for topic in wanted:
            before = self._refused.get(topic)
            times = 1 if before is None else before.times + 1
            wait = min(RETRY_FIRST << min(max(0, times - RETRIES_AT_ONCE), 6), RETRY_MOST)
            self._refused[topic] = _Refused(now + wait, times)
            if before is None:
                book = self._books.get(topic)
                rule = book or self._trades[topic]
                if book is not None:
                    book.restart("", now)
                    book.wants_again = False
                channel = "trade" if book is None else "book"
                refusal = f"subscription refused: {reason[:100]}"
                told.append(
                    FeedGap(
                        instrument=rule.instrument, ts_recv=now, reason=refusal, channel=channel
                    )
                )
        return told

    def _watch_silence(self, now: int) -> None:
        frames = self._frames - self._frames_before
        self._frames_before = self._frames
        if frames:
            # The last second may have been cut short by the silence itself.
            self._is_busy = max(frames, self._frames_earlier) >= BUSY_FRAMES
            self._frames_earlier = frames
        silence = now - self.heard
        if self._awaits_pong:
            if now - self._pinged_at >= (PONG_WITHIN_WHEN_BUSY if self._is_busy else PONG_WITHIN):
                raise StaleFeedError(NAME, silence)
        elif now - self._pinged_at >= PING_EVERY or (self._is_busy and silence >= QUIET_WHEN_BUSY):
            self._pinged_at = now
            self._awaits_pong = True
            self._outgoing.append(b'{"op":"ping"}')


class Bybit:
    """Bybit spot as one row of `connectors.VENUES`."""

    name = NAME
    websocket_url = "wss://stream.bybit.com"
    rest_url = "https://api.bybit.com"
    instruments_per_connection = INSTRUMENTS_PER_CONNECTION
    connections_at_once = 0
    # 500 connections in 5 minutes; 600 requests in 5 seconds.
    limits = Limits(connects=60, connects_per_s=0.8, weight=100, weight_per_s=50.0)
    channel_groups = (("trade", "book"),)
    key_names = ()
    market_page = "https://www.bybit.com/en/trade/spot/{base}/{quote}"
    candles = BybitCandles()
    past_trades = BybitTrades()

    def explain_options(self, options: Mapping[str, int | str | bool]) -> str:
        """Bybit has `depth`, 50 or 200, and `max_age_s`."""
        unknown = sorted(set(options) - {"depth", "max_age_s"})
        if unknown:
            return f"bybit has no option {unknown[0]!r}; it has depth and max_age_s"
        depth = options.get("depth", DEPTHS[0])
        if isinstance(depth, bool) or depth not in DEPTHS:
            return f"bybit's depth is 50 or 200, not {depth!r}"
        max_age = options.get("max_age_s", 0)
        if isinstance(max_age, bool) or not isinstance(max_age, int) or max_age < 0:
            return f"bybit's max_age_s is a number of seconds, not {max_age!r}"
        return ""

    def instruments_url(self, rest_url: str) -> str:
        """Address of the list of instruments."""
        return f"{rest_url}{_INSTRUMENTS}"

    def more_instruments_url(self, body: bytes) -> str:
        """The next page, under the same base address; of spot there is only one so far."""
        try:
            cursor = _read_symbols(body).nextPageCursor
        except (*_UNREADABLE, ValueError):
            return ""
        # The cursor comes encoded for an address already.
        return f"{_INSTRUMENTS}&cursor={quote(cursor, safe='%')}" if cursor else ""

    def read_instruments(self, body: bytes) -> list[Instrument]:
        """Read `instruments-info`: the symbols whose status is Trading.

        Raises:
            VenueProtocolError: it is not such a list.
        """
        try:
            listed = _read_symbols(body).list
            return [_instrument(symbol) for symbol in listed if symbol.status == "Trading"]
        except (*_UNREADABLE, ValueError) as error:
            raise VenueProtocolError(f"instruments-info: {error}", frame=body) from error

    def protocol(self, description: FeedDescription) -> BybitProtocol:
        """Make the protocol object of one connection."""
        return BybitProtocol(description)


_INSTRUMENTS = "/v5/market/instruments-info?category=spot&limit=1000"


def _read_symbols(body: bytes) -> _Symbols:
    info = _instruments_info(body)
    if info.retCode:
        raise ValueError(f"{info.retMsg} ({info.retCode})")
    symbols = _symbols(info.result)
    if symbols.category != "spot":
        raise ValueError(f"a list of {symbols.category!r}, expected 'spot'")
    return symbols


def _instrument(symbol: _Symbol) -> Instrument:
    return Instrument(
        venue=NAME,
        symbol=f"{symbol.baseCoin}-{symbol.quoteCoin}",
        native=symbol.symbol,
        base=symbol.baseCoin,
        quote=symbol.quoteCoin,
        tick=_number(symbol.priceFilter.tickSize),
        step=_number(symbol.lotSizeFilter.basePrecision),
    )


def _number(text: str) -> float:
    number = float(text)
    if not (isfinite(number) and number >= 0):
        raise ValueError(f"{text!r} is no step")
    return number
