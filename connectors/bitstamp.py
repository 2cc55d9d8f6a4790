"""Bitstamp spot: trades, and books by their best hundred levels or whole.

Sources (read 2026-11-20): Bitstamp's websocket and REST documentation as reviewed and measured on
2026-09-15; order and shape of the messages also from captures of 2022.

    message                      becomes                          silent limit
    trade on live_trades_M       Trade                            none
    data on order_book_M         BookSnapshot                     60 s, then REST is asked
    data on diff_order_book_M    BookDelta                        none: a quiet book is silent
    /api/v2/order_book/M/        BookSnapshot, then BookDelta
    bts:subscription_succeeded,
    bts:unsubscription_succeeded nothing
    bts:heartbeat                nothing: the answer to ours
    bts:request_reconnect        nothing: a replacement is wanted
    bts:error                    SubscriptionError; DeadLetter when nothing was asked
    anything else                DeadLetter

No message of a book says whether one is missing before it. So `book = "top"` is what is used
unless told otherwise. Its rule:
 1. Every message is the whole of the best 100 levels a side: it replaces the book.
 2. One with a `microtimestamp` that is not newer than the last is old.
 3. Nothing is sent on subscribing: a book that stays silent is fetched, and again 3 s later, for
    REST lags. When both agree that is the book.
 4. A book that was silent for 60 s is compared with REST.
 5. Where REST saw a change and the channel says nothing in 2 s more, a message was lost or the
    channel is dead: a gap, and the channel is subscribed to again. So it is when REST did not
    know the market at first: then the subscription was one to nothing.

`book = "full"`, all levels (documented; a lost message stays unnoticed until the next fetch):
 1. Subscribe and keep the updates.
 2. Half a second after the acknowledgement fetch the book.
 3. Drop kept updates with `microtimestamp` not newer than the book's.
 4. If none is dropped and some are kept, the book may be too old to join: fetch again. If none
    is kept, fetch again too, as above.
 5. The book is the snapshot; apply the rest in order, then those that are newer than the last.
 6. Fetch again every hour, and after 60 s of silence.

Bitstamp takes one channel a message, fewer than 512 bytes a message, 1024 channels a connection.
It acknowledges a market that it does not have and stays silent, so markets are checked against its
list before. The file is long because it holds both rules: a venue is one file.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Annotated, TypeAlias

import msgspec

from connectors.bitstamp_candles import BitstampCandles
from connectors.bitstamp_trades import BitstampTrades
from connectors.contract import (
    DeadLetter,
    FeedDescription,
    Limits,
    Outgoing,
    Request,
    Told,
    caught_up,
)
from market.errors import StaleFeedError, SubscriptionError, VenueProtocolError
from market.events import BookDelta, BookSnapshot, FeedGap, Level, Side, Trade
from market.instruments import Instrument
from market.intervals import SECOND

NAME = "bitstamp"

CHANNELS_PER_CONNECTION = 1024
INSTRUMENTS_PER_CONNECTION = 100
"""Far below what is allowed: with two channels each, 20 a second, they take 10 s to subscribe."""
MESSAGES_AT_ONCE = 20
MESSAGES_PERIOD = SECOND
"""Bitstamp publishes no limit of messages."""
ANSWER_WITHIN = 10 * SECOND
FIRST_FETCH_AFTER = SECOND // 2
QUIET = 20 * SECOND
QUIET_WHEN_BUSY = 3 * SECOND
BUSY_FRAMES = 20
"""Frames in one of the two seconds before the silence that make a connection busy."""
PROBE_WITHIN = 10 * SECOND
PROBE_WITHIN_WHEN_BUSY = 2 * SECOND
QUIET_BOOK = 60 * SECOND
"""The longest silence of a book that was measured is 49 s."""
REST_LAG = 3 * SECOND
"""REST knows what happened so long before; it was captured 2.3 s behind the stream."""
DOUBT = 2 * SECOND
"""REST may be ahead of a channel for less than this."""
MAX_AGE = 89 * 24 * 3600 * SECOND
TOP_LEVELS = 100
REQUESTS_PER_SECOND = 8
REQUESTS_AT_ONCE = 40
REFETCH_AFTER = 3600 * SECOND
RETRY_FIRST = SECOND
RETRIES_AT_FIRST = 6
RETRY_MOST = 32 * SECOND
UNKNOWN_BELIEVED = 3
"""So many tries without a book, the last of them a 404: the market is not there."""
RETRY_AFTER_REFUSAL = 60 * SECOND
REFUSALS = frozenset({403, 418, 429})
RATE_LIMIT_CODES = frozenset({"400.002", "400.067", "400.068"})
KEPT_UPDATES = 20_000
RECENT_TRADES = 256
"""Trade ids of one market that a repeat is recognised by: their order is not promised."""

_Price = Annotated[float, msgspec.Meta(gt=0, lt=1e18)]
_AnyPrice = Annotated[float, msgspec.Meta(ge=0, lt=1e18)]
_Size = Annotated[float, msgspec.Meta(ge=0, lt=1e18)]
_Time = Annotated[int, msgspec.Meta(gt=0, lt=9 * 10**15)]  # in ns it fits 63 bits
_Id = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
_Decimals = Annotated[int, msgspec.Meta(ge=0, le=30)]


class _Trade(msgspec.Struct, gc=False):
    """{"id":93215787,"id_str":"93215787","amount":0.014140160000000001,"amount_str":"0.01414016",
    "price":12700.0,"price_str":"12700.00","type":1,"timestamp":"1562650233",
    "microtimestamp":"1562650233964229","buy_order_id":3709484695,"sell_order_id":3709484799}

    The numbers lose digits, the texts beside them do not; `type` is 0 where the buyer took.
    """  # noqa: D205, D415

    id: _Id
    amount_str: _Price
    price_str: _Price
    type: Annotated[int, msgspec.Meta(ge=0, le=1)]
    microtimestamp: _Time


class _Book(msgspec.Struct):
    """{"timestamp":"1789457617","microtimestamp":"1789457617906487",
    "bids":[["77188","0.41122"]],"asks":[["77189","0.41124"]]}"""  # noqa: D205, D209, D415

    microtimestamp: _Time
    bids: list[tuple[_Price, _Size]]
    asks: list[tuple[_Price, _Size]]


class _TradeMessage(msgspec.Struct, tag_field="event", tag="trade"):
    """{"data":{…},"channel":"live_trades_btcusd","event":"trade"}"""  # noqa: D415

    channel: str
    data: _Trade


class _BookMessage(msgspec.Struct, tag_field="event", tag="data"):
    """{"data":{…},"channel":"order_book_btcusd","event":"data"}"""  # noqa: D415

    channel: str
    data: _Book


class _Row(msgspec.Struct, array_like=True):
    """A level as older messages had it, with an order's id behind, or at the price 0."""

    price: _AnyPrice
    size: _Size


class _LooseBook(msgspec.Struct):
    microtimestamp: _Time
    bids: list[_Row]
    asks: list[_Row]


class _LooseMessage(msgspec.Struct):
    data: _LooseBook


class _Notice(msgspec.Struct):
    """{"event":"bts:subscription_succeeded","channel":"order_book_btcusd","data":{}}"""  # noqa: D415

    event: str = ""
    channel: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class _Refusal(msgspec.Struct):
    """{"code":null,"message":"Invalid channel provided."}"""  # noqa: D415

    code: int | str | None = None
    message: str = ""


class _RestRefusal(msgspec.Struct):
    response_code: str


class _Market(msgspec.Struct):
    """{"name":"BTC/USD","market_symbol":"btcusd","base_currency":"BTC","base_decimals":8,
    "counter_currency":"USD","counter_decimals":2,"trading":"Enabled","market_type":"SPOT"}

    Only what is used; a list that leaves out the currencies still has `name`.
    """  # noqa: D205, D415

    name: str
    market_symbol: str
    trading: str
    market_type: str = "SPOT"
    base_currency: str = ""
    counter_currency: str = ""
    base_decimals: _Decimals | None = None
    counter_decimals: _Decimals | None = None


_message = msgspec.json.Decoder(_TradeMessage | _BookMessage, strict=False).decode
_loose_message = msgspec.json.Decoder(_LooseMessage, strict=False).decode
_book = msgspec.json.Decoder(_Book, strict=False).decode
_loose_book = msgspec.json.Decoder(_LooseBook, strict=False).decode
_notice = msgspec.json.Decoder(_Notice).decode
_refusal = msgspec.json.Decoder(_Refusal).decode
_rest_refusal = msgspec.json.Decoder(_RestRefusal).decode
_markets = msgspec.json.Decoder(list[_Market]).decode
_encode = msgspec.json.encode

# Nesting without end is no decode error of msgspec's, but it is no message of Bitstamp either.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_BUY, _SELL = Side.BUY, Side.SELL
_SUBSCRIBE, _UNSUBSCRIBE = "bts:subscribe", "bts:unsubscribe"
_ANSWERS = {
    "bts:subscription_succeeded": _SUBSCRIBE,
    "bts:unsubscription_succeeded": _UNSUBSCRIBE,
}

_Told: TypeAlias = list[Told]


class _BookRule:
    """What both rules share: when REST is asked, and what a break means."""

    __slots__ = (
        "asked_at",
        "doubted_at",
        "failures",
        "fetch_at",
        "heard_at",
        "instrument",
        "is_acknowledged",
        "is_given_up",
        "is_live",
        "is_unknown",
        "last",
        "native",
        "seen",
    )
    prefix = ""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument.id
        self.native = instrument.native
        self.last = 0
        """`microtimestamp` of what was told last."""
        self.is_live = False
        self.is_acknowledged = False
        self.is_unknown = False
        """REST does not have it, so that its subscription may be one to nothing."""
        self.is_given_up = False
        """And that goes on, so that nobody should wait for it."""
        self.fetch_at: int | None = None
        self.asked_at = 0
        self.failures = 0
        self.heard_at = 0
        """Our clock at the last message of the stream, or answer of REST."""
        self.seen: _Book | None = None
        """What REST said since the stream spoke: it must not change while the stream is silent."""
        self.doubted_at: int | None = None
        """Our clock when it had changed."""

    @property
    def channel(self) -> str:
        """Name of its stream."""
        return f"{self.prefix}{self.native}"

    def acknowledged(self, now: int) -> None:
        """The subscription is in force."""
        self.is_acknowledged = True
        if not self.is_live:
            self.fetch_at = now + FIRST_FETCH_AFTER

    def update(self, book: _Book, now: int) -> Told | None:
        """Take a message of the stream."""
        raise NotImplementedError

    def snapshot(self, book: _Book, now: int) -> _Told:
        """Take REST's answer."""
        raise NotImplementedError

    def asked(self, now: int) -> None:
        """REST has been asked."""
        self.fetch_at = None
        self.asked_at = now

    def retry(self, now: int) -> None:
        """Ask again in a second; after some tries the wait doubles."""
        doublings = min(max(0, self.failures - RETRIES_AT_FIRST), 6)
        self.fetch_at = now + min(RETRY_FIRST << doublings, RETRY_MOST)
        self.failures += 1

    def unknown(self, now: int) -> _Told:
        """REST does not have it: say so once when that goes on."""
        if self.is_live:
            return []
        self.is_unknown = True
        if self.is_given_up or self.failures < UNKNOWN_BELIEVED:
            return []
        self.is_given_up = True
        reason = "unknown to REST: HTTP 404"
        return [FeedGap(instrument=self.instrument, ts_recv=now, reason=reason, channel="book")]

    def restart(self, reason: str, now: int) -> FeedGap:
        """Forget the book and get another, one not older than what was told."""
        self.is_live = False
        self.seen = None
        self.doubted_at = None
        return FeedGap(instrument=self.instrument, ts_recv=now, reason=reason, channel="book")

    def elapsed(self, now: int) -> None:
        """Compare a silent book with REST's."""
        if self.is_live and now - self.heard_at > QUIET_BOOK and self.fetch_at is None:
            self.heard_at = now
            self.fetch_at = now

    def is_dead(self, now: int) -> bool:
        """Whether its channel should have spoken and did not."""
        return self.doubted_at is not None and now - self.doubted_at >= DOUBT

    def renewed(self) -> None:
        """The channel is being subscribed to again."""
        self.is_acknowledged = False
        self.is_unknown = self.is_given_up = False
        self.fetch_at = None
        self.seen = None
        self.doubted_at = None

    def _spoke(self, now: int) -> None:
        """The stream is alive."""
        self.heard_at = now
        self.is_unknown = self.is_given_up = False
        self.seen = None
        self.doubted_at = None

    def _is_settled(self, book: _Book, now: int) -> bool:
        """Whether REST says what it said `REST_LAG` before, while the stream was silent.

        Then the book is quiet, and what REST says is not older than our subscription.
        """
        seen, self.seen = self.seen, book
        self.heard_at = now
        if seen is None:
            self.fetch_at = self.asked_at + REST_LAG
            return False
        if (seen.bids, seen.asks) == (book.bids, book.asks):
            return True
        self.doubted_at = now
        return False

    def _whole(self, bids: list[Level], asks: list[Level], now: int) -> BookSnapshot:
        return BookSnapshot(
            instrument=self.instrument,
            ts_event=self.last * 1_000,
            ts_recv=now,
            bids=bids,
            asks=asks,
            sequence=self.last,
        )


class _TopBook(_BookRule):
    """The rule of `book = "top"`, steps 1 to 5."""

    __slots__ = ("told",)
    prefix = "order_book_"

    def __init__(self, instrument: Instrument) -> None:
        super().__init__(instrument)
        self.told: _Book | None = None

    def update(self, book: _Book, now: int) -> Told | None:
        """Steps 1 and 2: the message is the book, unless it is old."""
        self._spoke(now)
        if book.microtimestamp <= self.last:
            return None
        self.fetch_at = None
        return self._tell(book, now)

    def snapshot(self, book: _Book, now: int) -> _Told:
        """Steps 3 to 5: REST has a book where the stream has none, or doubts the one it has."""
        if not self.is_acknowledged:
            return []
        bids = sorted(book.bids, reverse=True)[:TOP_LEVELS]
        top = _Book(book.microtimestamp, bids, sorted(book.asks)[:TOP_LEVELS])
        if self.is_live:
            told = self.told
            is_same = told is not None and (told.bids, told.asks) == (top.bids, top.asks)
            if top.microtimestamp > self.last and not is_same:
                self.doubted_at = now
            return []
        if top.microtimestamp < self.last:
            self.retry(now)
            return []
        return [self._tell(top, now)] if self._is_settled(top, now) else []

    def restart(self, reason: str, now: int) -> FeedGap:
        """Forget the book; the next message or REST brings another."""
        self.fetch_at = now
        return super().restart(reason, now)

    def _tell(self, book: _Book, now: int) -> BookSnapshot:
        self.told = book
        self.last = book.microtimestamp
        self.is_live = True
        self.failures = 0
        return self._whole(book.bids, book.asks, now)


class _FullBook(_BookRule):
    """The rule of `book = "full"`, steps 1 to 6.

    `kept` holds the updates that a snapshot must be joined with: all since the subscription or a
    break, or, while the book lives on, those since REST was asked.
    """

    __slots__ = ("fetched_at", "is_keeping", "kept", "kept_after")
    prefix = "diff_order_book_"

    def __init__(self, instrument: Instrument) -> None:
        super().__init__(instrument)
        self.kept: list[tuple[_Book, int]] = []
        self.kept_after = 0
        """`microtimestamp` of the update before the kept ones, while the book lives on."""
        self.is_keeping = True
        self.fetched_at = 0

    def update(self, book: _Book, now: int) -> Told | None:
        """Steps 1 and 5: keep an update, or make it a delta."""
        if not self.is_acknowledged:
            return None  # the tail of a subscription before this one
        self._spoke(now)
        if not self.is_live:
            if not self.kept or self.kept[-1][0].microtimestamp < book.microtimestamp:
                self._keep(book, now)
                if len(self.kept) == 1 and self.fetch_at is not None:
                    self.fetch_at = min(self.fetch_at, now + FIRST_FETCH_AFTER)
            return None
        if book.microtimestamp <= self.last:
            return None
        self.last = book.microtimestamp
        if self.is_keeping:
            self._keep(book, now)
        return self._delta(book, now)

    def asked(self, now: int) -> None:
        """REST has been asked; a book that lives on keeps from here on."""
        super().asked(now)
        if not self.is_keeping:
            self.is_keeping = True
            self.kept = []
            self.kept_after = self.last

    def snapshot(self, book: _Book, now: int) -> _Told:
        """Steps 3 to 5: join the snapshot and the kept updates, or ask again."""
        if not self.is_acknowledged:
            return []
        at = book.microtimestamp
        newer = [(update, came) for update, came in self.kept if update.microtimestamp > at]
        following = newer[-1][0].microtimestamp if newer else at
        is_joined = len(newer) < len(self.kept) or (self.is_live and at >= self.kept_after)
        if following < self.last or (newer and not is_joined):
            self.retry(now)
            return []
        if not self.kept and not self._is_settled(book, now) and not self.is_live:
            return []
        self.failures = 0
        self.fetched_at = now
        self.fetch_at = None
        self.kept = []
        self.is_keeping = False
        if self.is_live:
            bids, asks = dict(book.bids), dict(book.asks)
            for update, _ in newer:
                bids.update(update.bids)
                asks.update(update.asks)
            self.last = following
            return [self._whole(list(bids.items()), list(asks.items()), now)]
        self.is_live = True
        self.last = at
        told: _Told = [self._whole(book.bids, book.asks, now)]
        self.last = following
        told += [self._delta(update, came) for update, came in newer]
        return caught_up(told)

    def restart(self, reason: str, now: int) -> FeedGap:
        """Forget the book and the updates; fetch another when some have come again."""
        self._keep_anew()
        self.fetch_at = now + FIRST_FETCH_AFTER
        return super().restart(reason, now)

    def renewed(self) -> None:
        """The channel is being subscribed to again."""
        self._keep_anew()
        super().renewed()

    def elapsed(self, now: int) -> None:
        """Step 6: fetch again."""
        super().elapsed(now)
        if self.is_live and now - self.fetched_at > REFETCH_AFTER and self.fetch_at is None:
            self.fetched_at = now
            self.fetch_at = now

    def _keep_anew(self) -> None:
        self.kept = []
        self.is_keeping = True

    def _keep(self, book: _Book, now: int) -> None:
        self.kept.append((book, now))
        if len(self.kept) > KEPT_UPDATES:
            del self.kept[: KEPT_UPDATES // 2]

    def _delta(self, book: _Book, now: int) -> BookDelta:
        return BookDelta(
            instrument=self.instrument,
            ts_event=book.microtimestamp * 1_000,
            ts_recv=now,
            bids=book.bids,
            asks=book.asks,
            sequence=book.microtimestamp,
        )


_BOOK_RULES: dict[str, type[_BookRule]] = {"top": _TopBook, "full": _FullBook}


class _Trades:
    """The trades of one market."""

    __slots__ = ("instrument", "recent")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument.id
        self.recent: dict[int, None] = {}  # in the order in which they came


class _Asked(msgspec.Struct, frozen=True):
    """A message of ours that Bitstamp has not answered yet."""

    event: str
    channel: str
    at: int


class BitstampProtocol:
    """One connection's worth of Bitstamp spot, without the connection.

    Raises:
        ValueError: `book` is no rule, or there are too many instruments.
    """

    def __init__(self, description: FeedDescription) -> None:
        book = str(description.options.get("book", "top"))
        if book not in _BOOK_RULES:
            raise ValueError(f"bitstamp has no book {book!r}")
        self.url = f"{description.websocket_url}/"
        self._book_rule = _BOOK_RULES[book]
        self._rest_url = description.rest_url
        self._max_age = int(description.options.get("max_age_s", 0)) * SECOND or MAX_AGE
        self._known: dict[str, Instrument] = {}  # by Bitstamp's name, `btcusd`
        self._books: dict[str, _BookRule] = {}  # by channel
        self._trades: dict[str, _Trades] = {}
        self._gone: set[str] = set()
        self._fetching: dict[str, _BookRule] = {}
        self._unsent: list[tuple[str, str]] = []
        self._unanswered: list[_Asked] = []
        self._sent_at: deque[int] = deque(maxlen=MESSAGES_AT_ONCE)
        self._outgoing: list[Outgoing] = []
        self._opened_at = 0
        self._frames = 0
        self._frames_before = 0
        self._frames_earlier = 0
        self._is_busy = False
        self._probed_at: int | None = None
        self._requests = float(REQUESTS_AT_ONCE)
        self._requests_at = 0
        self._refused_until = 0
        self.heard = 0
        self.wants_replacement = False
        self._add(description.instruments)

    @property
    def instruments(self) -> Sequence[str]:
        """Ids of the instruments that are subscribed to."""
        return tuple(one.id for one in self._known.values())

    @property
    def is_live(self) -> bool:
        """Whether every channel is acknowledged and every known book is there."""
        waiting = self._unsent or self._unanswered
        return not waiting and all(
            book.is_live or book.is_given_up for book in self._books.values()
        )

    # -- life of a connection ------------------------------------------------------------------

    def opened(self, now: int) -> _Told:
        """Subscribe to everything, as fast as is polite."""
        self._opened_at = self.heard = self._requests_at = now
        self._send_subscriptions(now)
        return []

    def received(self, data: bytes, now: int) -> _Told:
        """Turn one message into events.

        Raises:
            VenueProtocolError: it is no JSON object, or a field of a message we know is wrong.
            SubscriptionError: a subscription was refused.
        """
        self._frames += 1
        self.heard = now
        self._probed_at = None
        try:
            message = _message(data)
        except _UNREADABLE as error:
            return self._other(data, error, now)
        if type(message) is _BookMessage:
            book = self._books.get(message.channel)
            if book is None:
                return self._unknown_channel(message.channel, data, now)
            told = book.update(message.data, now)
            return [] if told is None else [told]
        trades = self._trades.get(message.channel)
        if trades is None or type(message) is not _TradeMessage:
            return self._unknown_channel(message.channel, data, now)
        trade = message.data
        recent = trades.recent
        if trade.id in recent:
            return []
        recent[trade.id] = None
        if len(recent) > RECENT_TRADES:
            del recent[next(iter(recent))]
        return [
            Trade(
                instrument=trades.instrument,
                ts_event=trade.microtimestamp * 1_000,
                ts_recv=now,
                price=trade.price_str,
                size=trade.amount_str,
                side=_SELL if trade.type else _BUY,
                trade_id=str(trade.id),
            )
        ]

    def fetched(self, request: Request, status: int, body: bytes, now: int) -> _Told:
        """Take a book from REST, or plan another try.

        Raises:
            VenueProtocolError: the body of a good answer is no book.
        """
        asking = self._fetching.pop(request.subject, None)
        if status in REFUSALS or (status == 400 and _is_rate_limit(body)):
            self._refused_until = max(self._refused_until, now + RETRY_AFTER_REFUSAL)
            self._requests = 0.0  # and then slowly
            self._requests_at = self._refused_until
        book = self._books.get(request.subject)
        if book is None:
            return []
        if book is not asking:  # unsubscribed since, and subscribed again
            self._fetch(now)
            return []
        if status != 200:
            book.retry(now)
            return book.unknown(now) if status == 404 else []
        snapshot = _read_book(body)
        if book.is_unknown:
            return self._renew(request.subject, book, now)
        return book.snapshot(snapshot, now)

    def elapsed(self, now: int) -> _Told:
        """Watch the clock: answers, silence, age, books that are to be fetched.

        Raises:
            SubscriptionError: an answer is overdue.
            StaleFeedError: the connection is silent.
        """
        for asked in self._unanswered:
            if now - asked.at > ANSWER_WITHIN:
                late = f"no answer in {ANSWER_WITHIN // SECOND} s"
                raise SubscriptionError(asked.channel, late)
        self._watch_silence(now)
        if now - self._opened_at > self._max_age:
            self.wants_replacement = True
        told: _Told = []
        for channel, book in self._books.items():
            if book.is_dead(now):
                told += self._renew(channel, book, now)
            else:
                book.elapsed(now)
        self._send_subscriptions(now)
        self._fetch(now)
        return told

    def outgoing(self) -> list[Outgoing]:
        """Return what is to be sent, and forget it."""
        if not self._outgoing:
            return []
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # -- changes while the connection is up ----------------------------------------------------

    def resync(self, instrument: str, reason: str, now: int) -> _Told:
        """Fetch one instrument's book again and leave the others alone."""
        for book in self._books.values():
            if book.instrument == instrument and book.is_live:
                gap = book.restart(reason, now)
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
        told: _Told = []
        for native in [native for native, one in self._known.items() if one.id in instruments]:
            known = self._known.pop(native)
            for channel in self._channels(known):
                self._books.pop(channel, None)
                self._trades.pop(channel, None)
                self._gone.add(channel)
                self._unsent.append((_UNSUBSCRIBE, channel))
            told.append(FeedGap(instrument=known.id, ts_recv=now, reason="unsubscribed"))
        self._send_subscriptions(now)
        return told

    # -- inside --------------------------------------------------------------------------------

    def _add(self, instruments: Sequence[Instrument]) -> None:
        new = {one.native: one for one in instruments if one.native not in self._known}
        count = len(self._known) + len(new)
        if count * 2 > CHANNELS_PER_CONNECTION:
            raise ValueError(f"{count} instruments are too many for one connection")
        for native, instrument in new.items():
            self._known[native] = instrument
            book, trades = self._channels(instrument)
            self._books[book] = self._book_rule(instrument)
            self._trades[trades] = _Trades(instrument)
            for channel in (book, trades):
                self._gone.discard(channel)
                self._unsent.append((_SUBSCRIBE, channel))

    def _renew(self, channel: str, book: _BookRule, now: int) -> _Told:
        """Subscribe again to a channel that is silent though it should speak."""
        told: _Told = []
        if book.is_live:
            told.append(book.restart("changed while its channel was silent", now))
        book.renewed()
        self._unsent += [(_UNSUBSCRIBE, channel), (_SUBSCRIBE, channel)]
        self._send_subscriptions(now)
        return told

    def _channels(self, instrument: Instrument) -> tuple[str, str]:
        native = instrument.native
        return f"{self._book_rule.prefix}{native}", f"live_trades_{native}"

    def _send_subscriptions(self, now: int) -> None:
        while self._unsent and self._may_send(now):
            event, channel = self._unsent.pop(0)
            self._unanswered.append(_Asked(event, channel, now))
            self._send({"event": event, "data": {"channel": channel}}, now)

    def _may_send(self, now: int) -> bool:
        sent = self._sent_at
        return len(sent) < MESSAGES_AT_ONCE or now - sent[0] >= MESSAGES_PERIOD

    def _send(self, message: dict[str, object], now: int) -> None:
        self._sent_at.append(now)
        self._outgoing.append(_encode(message))

    def _unknown_channel(self, channel: str, data: bytes, now: int) -> _Told:
        if channel in self._gone:
            return []  # the tail of a channel that was unsubscribed
        return [DeadLetter(NAME, "unknown channel", data, now)]

    def _other(self, data: bytes, error: Exception, now: int) -> _Told:
        """Sort out what is no trade and no book as it should be."""
        try:
            notice = _notice(data)
        except _UNREADABLE:
            raise VenueProtocolError(f"not a message of Bitstamp: {error}", frame=data) from error
        match notice.event:
            case "trade" | "data":
                return self._odd(notice, data, error, now)
            case "bts:subscription_succeeded" | "bts:unsubscription_succeeded":
                return self._answered(notice, data, now)
            case "bts:heartbeat":
                return []
            case "bts:request_reconnect":
                self.wants_replacement = True
                return []
            case "bts:error":
                return self._refused(notice, data, now)
            case "":
                return [DeadLetter(NAME, "unknown envelope", data, now)]
            case event:
                return [DeadLetter(NAME, f"unknown event {event[:40]}", data, now)]

    def _odd(self, notice: _Notice, data: bytes, error: Exception, now: int) -> _Told:
        """A book in an older shape is one; any other odd message of our channels is not."""
        book = self._books.get(notice.channel)
        if book is None and notice.channel not in self._trades:
            return self._unknown_channel(notice.channel, data, now)
        if book is not None and notice.event == "data":
            try:
                told = book.update(_strict(_loose_message(data).data), now)
            except _UNREADABLE as looser:
                raise VenueProtocolError(f"{notice.channel}: {looser}", frame=data) from looser
            return [] if told is None else [told]
        raise VenueProtocolError(f"{notice.channel}: {error}", frame=data) from error

    def _answered(self, notice: _Notice, data: bytes, now: int) -> _Told:
        event = _ANSWERS[notice.event]
        found = [
            one for one in self._unanswered if (one.event, one.channel) == (event, notice.channel)
        ]
        if not found:
            return [DeadLetter(NAME, "answer to nothing", data, now)]
        self._unanswered.remove(found[0])
        book = self._books.get(notice.channel)
        if book is not None and event == _SUBSCRIBE:
            later = [one.channel for one in self._unanswered]
            later += [channel for _, channel in self._unsent]
            if notice.channel not in later:
                book.acknowledged(now)
        return []

    def _refused(self, notice: _Notice, data: bytes, now: int) -> _Told:
        if not self._unanswered:
            return [DeadLetter(NAME, "error", data, now)]
        try:
            refusal = _refusal(bytes(notice.data))
        except _UNREADABLE:
            refusal = _Refusal(message="no reason given")
        waiting = self._unanswered
        channel = waiting[0].channel if len(waiting) == 1 else f"one of {len(waiting)} channels"
        raise SubscriptionError(channel, f"{refusal.message} ({refusal.code})", frame=data)

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
                self._send({"event": "bts:heartbeat"}, now)
        elif now - self._probed_at >= (PROBE_WITHIN_WHEN_BUSY if self._is_busy else PROBE_WITHIN):
            raise StaleFeedError(NAME, silence)

    def _fetch(self, now: int) -> None:
        """Ask for the books that are due, as far as our share of the limit allows."""
        due = [
            book
            for channel, book in self._books.items()
            if book.fetch_at is not None
            and book.fetch_at <= now
            and channel not in self._fetching  # one at a time: its answer may do
        ]
        if not due or now < self._refused_until:
            return
        earned = (now - self._requests_at) / SECOND * REQUESTS_PER_SECOND
        self._requests = min(REQUESTS_AT_ONCE, self._requests + max(earned, 0.0))
        self._requests_at = now
        for book in due:
            if self._requests < 1:
                return
            self._requests -= 1
            book.asked(now)
            self._fetching[book.channel] = book
            # Bitstamp's edge keeps an answer for a second; an address never seen is answered anew.
            url = f"{self._rest_url}/api/v2/order_book/{book.native}/?group=1&fresh={now}"
            self._outgoing.append(Request(url=url, subject=book.channel))


class Bitstamp:
    """Bitstamp spot as one row of `connectors.VENUES`."""

    name = NAME
    websocket_url = "wss://ws.bitstamp.net"
    rest_url = "https://www.bitstamp.net"
    instruments_per_connection = INSTRUMENTS_PER_CONNECTION
    connections_at_once = 0
    # 400 requests a second, 10,000 in 10 minutes.
    limits = Limits(connects=20, connects_per_s=1.0, weight=100, weight_per_s=8.0)
    channel_groups = (("trade", "book"),)
    key_names = ()
    market_page = "https://www.bitstamp.net/trade/{base_lower}/{quote_lower}/"
    candles = BitstampCandles()
    past_trades = BitstampTrades()

    def explain_options(self, options: Mapping[str, int | str | bool]) -> str:
        """Bitstamp has `book` and `max_age_s`."""
        unknown = sorted(set(options) - {"book", "max_age_s"})
        if unknown:
            return f"bitstamp has no option {unknown[0]!r}; it has book and max_age_s"
        book = options.get("book", "top")
        if book not in _BOOK_RULES:
            return f"bitstamp has no book {book!r}; write 'top' (100 levels) or 'full'"
        return ""

    def instruments_url(self, rest_url: str) -> str:
        """Address of the list of instruments."""
        return f"{rest_url}/api/v2/markets/"

    def more_instruments_url(self, body: bytes) -> str:
        """The list is one page."""
        del body
        return ""

    def read_instruments(self, body: bytes) -> list[Instrument]:
        """Read `markets`: the spot markets where trading is enabled.

        Raises:
            VenueProtocolError: it is not such a list.
        """
        try:
            return [
                _instrument(market)
                for market in _markets(body)
                if market.trading == "Enabled" and market.market_type == "SPOT"
            ]
        except (*_UNREADABLE, ValueError) as error:
            raise VenueProtocolError(f"markets: {error}", frame=body) from error

    def protocol(self, description: FeedDescription) -> BitstampProtocol:
        """Make the protocol object of one connection."""
        return BitstampProtocol(description)


def _instrument(market: _Market) -> Instrument:
    before, _, after = market.name.partition("/")
    base, quote = market.base_currency or before, market.counter_currency or after
    if not (base and quote and market.market_symbol):
        raise ValueError(f"market {market.name!r} lacks a currency or its symbol")
    return Instrument(
        venue=NAME,
        symbol=f"{base}-{quote}",
        native=market.market_symbol,
        base=base,
        quote=quote,
        tick=_unit(market.counter_decimals),
        step=_unit(market.base_decimals),
    )


def _unit(decimals: int | None) -> float:
    return 0.0 if decimals is None else float(f"1e-{decimals}")


def _read_book(body: bytes) -> _Book:
    try:
        return _book(body)
    except _UNREADABLE:
        pass
    try:
        return _strict(_loose_book(body))
    except _UNREADABLE as error:
        raise VenueProtocolError(f"order_book: {error}", frame=body) from error


def _strict(book: _LooseBook) -> _Book:
    """Leave out levels at the price 0, which occur, and what follows the size."""
    return _Book(
        book.microtimestamp,
        [(row.price, row.size) for row in book.bids if row.price > 0],
        [(row.price, row.size) for row in book.asks if row.price > 0],
    )


def _is_rate_limit(body: bytes) -> bool:
    try:
        return _rest_refusal(body).response_code in RATE_LIMIT_CODES
    except _UNREADABLE:
        return False
