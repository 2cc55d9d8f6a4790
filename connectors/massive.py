"""Massive, once Polygon.io: the crypto cluster, with trades, quotes and its own bars.

Sources (read 2026-11-20): massive-com/client-python `.massive/websocket.json`, `.massive/rest.json`
(2026-07-09), massive.com/docs/websocket (undated, 2026), and what others measured in 2026.

    message                becomes                      silent limit
    XT                     Trade                        none
    XQ                     Quote                        none
    XA, XAS                Aggregate                    none: no bar where nothing traded
    status                 nothing, a login, or an error
    anything else          DeadLetter

A session: `connected`, then our key, then `auth_success`, then our subscriptions, each confirmed by
its own `success`. Every frame is a JSON array and may mix kinds and symbols.

There is no order book: level 2 (`XL2`) was withdrawn on 2024-07-01. A quote is the best bid and ask
of one of the exchanges that Massive listens to, named by its number, and not of all together.

Quote rule (ours: a quote has no sequence number):
 1. Quotes of one exchange and pair come in the order of `t`, then `r`.
 2. One that is older than its predecessor says nothing new: it is left out.
 3. A step back of more than five seconds is a clock that was wrong: it is believed again.

An account has one connection. A key that is refused, a plan without these streams and a connection
that somebody else took are refusals: there is a long wait before the next try. A ticker that does
not exist is confirmed and stays silent, so tickers are checked against the reference list before.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Final, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from connectors.contract import (
    KEY,
    DeadLetter,
    FeedDescription,
    Limits,
    Login,
    Outgoing,
    Request,
    Told,
)
from connectors.massive_candles import MassiveCandles
from connectors.massive_trades import MassiveTrades
from market.errors import (
    StaleFeedError,
    SubscriptionError,
    VenueProtocolError,
    VenueRefusalError,
)
from market.events import Aggregate, FeedGap, Quote, Side, Trade
from market.instruments import Instrument

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND
NAME = "massive"
KEY_NAMES = ("MASSIVE_API_KEY", "POLYGON_API_KEY")

INSTRUMENTS_PER_CONNECTION = 10_000
"""Massive has no such limit: it cuts off who reads too slowly."""
PARAMS_PER_MESSAGE = 100
ANSWER_WITHIN = 10 * SECOND
QUIET = 20 * SECOND
QUIET_WHEN_BUSY = 3 * SECOND
BUSY_FRAMES = 20
"""Frames in one of the two seconds before the silence that make a connection busy."""
PROBE_WITHIN = 10 * SECOND
PROBE_WITHIN_WHEN_BUSY = 2 * SECOND
PROBE = "XA.CANDLEWAX-PROBE"
"""A bar of a pair that does not exist: Massive confirms it and never tells one."""
STEP_BACK = 5 * SECOND
TRADES_REMEMBERED = 1000
RETRY_REFUSED_KEY_S = 3600.0
RETRY_TAKEN_S = 120.0
TICKERS_PER_PAGE = 1000

TRADES, QUOTES, MINUTES, SECONDS = "XT", "XQ", "XA", "XAS"
_INTERVALS: Final = {MINUTES: ("1m", 60_000), SECONDS: ("1s", 1_000)}
_SELLER, _BUYER = 1, 2

_Price = Annotated[float, msgspec.Meta(gt=0, lt=1e18)]
_Amount = Annotated[float, msgspec.Meta(ge=0, lt=1e18)]
_Time = Annotated[int, msgspec.Meta(gt=0, lt=9 * 10**12)]  # milliseconds; in ns it fits 63 bits


class _Trade(msgspec.Struct, tag_field="ev", tag=TRADES, gc=False):
    """{"ev":"XT","pair":"BTC-USD","p":33021.9,"t":1610462007425,"s":0.01616617,"c":[2],
    "i":14272084,"x":3,"r":1610462007576}"""  # noqa: D205, D209, D415

    pair: str
    p: _Price
    s: _Amount
    t: _Time
    c: list[int] | None = None
    i: int | str | None = None
    x: int = 0


class _Quote(msgspec.Struct, tag_field="ev", tag=QUOTES, gc=False):
    """{"ev":"XQ","pair":"BTC-USD","bp":33052.79,"bs":0.48,"ap":33073.19,"as":0.601,
    "t":1610462411115,"x":1,"r":1610462411128}"""  # noqa: D205, D209, D415

    pair: str
    t: _Time
    bid: _Amount = msgspec.field(default=0.0, name="bp")
    bid_size: _Amount = msgspec.field(default=0.0, name="bs")
    ask: _Amount = msgspec.field(default=0.0, name="ap")
    ask_size: _Amount = msgspec.field(default=0.0, name="as")
    x: int = 0
    r: int = 0


class _Bar(msgspec.Struct, gc=False):
    """{"ev":"XA","pair":"BCD-USD","v":951.6112,"vw":0.7756,"z":73,"o":0.772,"c":0.784,"h":0.784,
    "l":0.771,"s":1610463240000,"e":1610463300000}"""  # noqa: D205, D209, D415

    pair: str
    o: _Price
    h: _Price
    l: _Price  # noqa: E741 - Massive's name
    c: _Price
    v: _Amount
    s: _Time
    e: _Time
    vw: _Amount = 0.0
    z: _Amount | None = None


class _Minute(_Bar, tag_field="ev", tag=MINUTES, gc=False):
    pass


class _Second(_Bar, tag_field="ev", tag=SECONDS, gc=False):
    pass


class _Status(msgspec.Struct, tag_field="ev", tag="status"):
    """{"ev":"status","status":"success","message":"subscribed to: XT.BTC-USD"}"""  # noqa: D415

    status: str
    message: str = ""


_Event: TypeAlias = _Trade | _Quote | _Minute | _Second | _Status


class _Kind(msgspec.Struct):
    """Enough of an event to name what we do not know."""

    ev: str = ""


class _Ticker(msgspec.Struct):
    """{"ticker":"X:BTCUSD","market":"crypto","active":true,"currency_symbol":"USD",
    "base_currency_symbol":"BTC",…}"""  # noqa: D205, D209, D415

    ticker: str
    market: str = "crypto"
    active: bool = True
    base_currency_symbol: str = ""
    currency_symbol: str = ""


class _Tickers(msgspec.Struct):
    results: list[_Ticker] = []
    status: str = ""
    next_url: str = ""


_events = msgspec.json.Decoder(list[_Event]).decode
_event = msgspec.json.Decoder(_Event).decode
_parts = msgspec.json.Decoder(list[msgspec.Raw]).decode
_kind = msgspec.json.Decoder(_Kind).decode
_tickers = msgspec.json.Decoder(_Tickers).decode
_encode = msgspec.json.encode

# Nesting without end is no decode error of msgspec's, but it is no message of Massive either.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_KNOWN = frozenset({TRADES, QUOTES, MINUTES, SECONDS, "status"})
_LOGIN = Login(_encode({"action": "auth", "params": KEY.decode()}))
_ADDED, _REMOVED = "subscribed to:", "unsubscribed to:"

_Told: TypeAlias = list[Told]


class _Order:
    """The quote rule, for one pair: the times of the last quote of each exchange."""

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: dict[int, tuple[int, int]] = {}

    def is_news(self, quote: _Quote) -> bool:
        """Tell whether this quote comes after the one before it."""
        at = (quote.t, quote.r)
        last = self.last.get(quote.x)
        if last is not None and at < last and (last[0] - quote.t) * MILLISECOND <= STEP_BACK:
            return False
        self.last[quote.x] = at
        return True


class _Recent:
    """The ids of the last trades of one pair; they are no numbers in a row."""

    __slots__ = ("ids", "order")

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.order: deque[str] = deque()

    def is_new(self, identity: str) -> bool:
        """Tell whether a trade was not told before, and remember it."""
        if identity in self.ids:
            return False
        self.ids.add(identity)
        self.order.append(identity)
        if len(self.order) > TRADES_REMEMBERED:
            self.ids.discard(self.order.popleft())
        return True


class MassiveProtocol:
    """One connection's worth of Massive's crypto cluster, without the connection."""

    def __init__(self, description: FeedDescription) -> None:
        self.url = f"{description.websocket_url}/crypto"
        with_bars = bool(description.options.get("aggregates", False))
        self._channels = (TRADES, QUOTES, *((MINUTES, SECONDS) if with_bars else ()))
        self._ids: dict[str, str] = {}
        self._gone: set[str] = set()
        self._orders: dict[str, _Order] = {}
        self._recent: dict[str, _Recent] = {}
        self._quoted: set[str] = set()
        self._unsent: list[tuple[str, list[str]]] = []
        self._unanswered: dict[str, int] = {}  # parameters, and when they were asked for
        self._refused = 0
        self._outgoing: list[Outgoing] = []
        self._waits_for = "connected"
        self._waits_since = 0
        self._frames = 0
        self._frames_before = 0
        self._frames_earlier = 0
        self._is_busy = False
        self._probed_at: int | None = None
        self._is_probe_held = False
        self.heard = 0
        self.wants_replacement = False
        self._add(description.instruments)

    @property
    def instruments(self) -> Sequence[str]:
        """Ids of the instruments that are subscribed to."""
        return tuple(self._ids.values())

    @property
    def is_live(self) -> bool:
        """Whether everything is confirmed and every instrument has its first quote."""
        waits = self._waits_for or self._unsent or self._unanswered
        return not waits and self._quoted >= self._ids.keys()

    # -- life of a connection ------------------------------------------------------------------

    def opened(self, now: int) -> _Told:
        """Wait for Massive's greeting; nothing may be said before."""
        self._waits_since = self.heard = now
        return []

    def received(self, data: bytes, now: int) -> _Told:
        """Turn one message into events.

        Raises:
            VenueProtocolError: it is no JSON array of events, or a field we know is wrong.
            VenueRefusalError: the key, the plan or a second connection.
            SubscriptionError: the login was not in time.
        """
        self._frames += 1
        self.heard = now
        self._probed_at = None
        told: _Told = []
        try:
            events = _events(data)
        except _UNREADABLE:
            for part in _split(data):
                told += self._one(part, now)
            return told
        for event in events:
            self._take(event, data, told, now)
        return told

    def fetched(self, request: Request, status: int, body: bytes, now: int) -> _Told:
        """Nothing is ever fetched."""
        del request, status
        return [DeadLetter(NAME, "answer to nothing", body, now)]

    def elapsed(self, now: int) -> _Told:
        """Watch the clock: greeting, answers, silence.

        Raises:
            SubscriptionError: an answer is overdue.
            VenueRefusalError: what is not confirmed was refused.
            StaleFeedError: the connection is silent.
        """
        if self._waits_for and now - self._waits_since > ANSWER_WITHIN:
            late = f"no {self._waits_for!r} in {ANSWER_WITHIN // SECOND} s"
            raise SubscriptionError("the crypto cluster", late)
        for param, asked_at in self._unanswered.items():
            if now - asked_at > ANSWER_WITHIN:
                if self._refused:
                    raise self._not_entitled()
                raise SubscriptionError(param, f"no answer in {ANSWER_WITHIN // SECOND} s")
        self._watch_silence(now)
        return []

    def outgoing(self) -> list[Outgoing]:
        """Return what is to be sent, and forget it."""
        if not self._outgoing:
            return []
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # -- changes while the connection is up ----------------------------------------------------

    def resync(self, instrument: str, reason: str, now: int) -> _Told:
        """Forget an instrument's quote: the next one says all there is to know."""
        for pair, known in self._ids.items():
            if known == instrument:
                self._quoted.discard(pair)
                self._orders[pair] = _Order()
                return [
                    FeedGap(instrument=known, ts_recv=now, reason=reason, channel="book"),
                ]
        return []

    def subscribe(self, instruments: Sequence[Instrument], now: int) -> _Told:
        """Add instruments while the connection is up."""
        self._add(instruments)
        self._send_subscriptions(now)
        return []

    def unsubscribe(self, instruments: Sequence[str], now: int) -> _Told:
        """Drop instruments, by id, while the connection is up."""
        gone = [pair for pair, known in self._ids.items() if known in instruments]
        told: _Told = []
        for pair in gone:
            known = self._ids.pop(pair)
            del self._orders[pair], self._recent[pair]
            self._quoted.discard(pair)
            told.append(FeedGap(instrument=known, ts_recv=now, reason="unsubscribed"))
        self._gone.update(gone)
        self._plan("unsubscribe", gone)
        self._send_subscriptions(now)
        return told

    # -- events --------------------------------------------------------------------------------

    def _one(self, part: bytes, now: int) -> _Told:
        """Take one event of a frame that holds one we do not know."""
        told: _Told = []
        try:
            event = _event(part)
        except _UNREADABLE as error:
            try:
                kind = _kind(part).ev
            except _UNREADABLE:
                raise VenueProtocolError(f"not an event: {error}", frame=part) from error
            if kind in _KNOWN:
                raise VenueProtocolError(f"{kind}: {error}", frame=part) from error
            return [DeadLetter(NAME, f"unknown event {kind[:40]}".rstrip(), part, now)]
        self._take(event, part, told, now)
        return told

    def _take(self, event: _Event, data: bytes, told: _Told, now: int) -> None:
        if isinstance(event, _Status):
            told += self._status(event, data, now)
            return
        instrument = self._ids.get(event.pair)
        if instrument is None:
            if event.pair not in self._gone:  # else the tail of what was unsubscribed
                told.append(DeadLetter(NAME, "unknown symbol", data, now))
        elif type(event) is _Quote:
            if self._orders[event.pair].is_news(event):
                self._quoted.add(event.pair)
                told.append(_quote(event, instrument, now))
        elif type(event) is _Trade:
            if not event.s:
                told.append(DeadLetter(NAME, "trade of nothing", data, now))
                return
            trade = _trade(event, instrument, now)
            if self._recent[event.pair].is_new(trade.trade_id):
                told.append(trade)
        elif type(event) is _Minute:
            told.append(_aggregate(MINUTES, event, instrument, data, now))
        elif type(event) is _Second:
            told.append(_aggregate(SECONDS, event, instrument, data, now))

    def _status(self, event: _Status, data: bytes, now: int) -> _Told:
        message = event.message.strip()
        match event.status:
            case "connected":
                if self._waits_for == "connected":
                    self._outgoing.append(_LOGIN)
                    self._wait_for("auth_success", now)
            case "auth_success":
                self._wait_for("", now)
                self._send_subscriptions(now)
            case "auth_failed":
                raise VenueRefusalError(
                    f"{NAME} refused the key ({message}): set {KEY_NAMES[0]} (or {KEY_NAMES[1]})"
                    " to a key of massive.com whose plan holds crypto websockets, and start again",
                    retry_after_s=RETRY_REFUSED_KEY_S,
                )
            case "auth_timeout":
                raise SubscriptionError("the crypto cluster", f"login too late: {message}")
            case "max_connections":
                raise VenueRefusalError(
                    f"{NAME}: {message or 'too many connections'}: the account has one connection"
                    " for crypto; stop the other program that uses its key, or ask for more",
                    retry_after_s=RETRY_TAKEN_S,
                )
            case "success" if message.startswith((_ADDED, _REMOVED)):
                return self._confirmed(message, data, now)
            case "error":
                return self._error(message, data, now)
            case unknown:
                return [DeadLetter(NAME, f"unknown status {unknown[:40]}".rstrip(), data, now)]
        return []

    def _confirmed(self, message: str, data: bytes, now: int) -> _Told:
        """Take an answer to one parameter of a subscription, or of its end."""
        told: _Told = []
        for param in message.partition(":")[2].split(","):
            name = param.strip()
            if name == PROBE:
                self._is_probe_held = message.startswith(_ADDED)
            elif self._unanswered.pop(name, None) is None and not self._is_ours(name):
                told.append(DeadLetter(NAME, "answer to nothing", data, now))
        if self._refused and len(self._unanswered) <= self._refused:
            raise self._not_entitled()
        return told

    def _is_ours(self, param: str) -> bool:
        pair = param.partition(".")[2]
        return pair in self._ids or pair in self._gone

    def _error(self, message: str, data: bytes, now: int) -> _Told:
        """Take a refusal: it names nothing, so it is what stays unconfirmed in the end."""
        if not self._unanswered:
            return [DeadLetter(NAME, f"error {message[:60]}".rstrip(), data, now)]
        self._refused += 1
        if len(self._unanswered) <= self._refused:
            raise self._not_entitled()
        return []

    def _not_entitled(self) -> VenueRefusalError:
        missing = ", ".join(list(self._unanswered)[:3])
        return VenueRefusalError(
            f"{NAME}: not authorized for {missing}: the plan of this key does not hold it; change"
            " the plan, or follow less",
            retry_after_s=RETRY_REFUSED_KEY_S,
        )

    # -- inside --------------------------------------------------------------------------------

    def _wait_for(self, status: str, now: int) -> None:
        self._waits_for = status
        self._waits_since = now

    def _add(self, instruments: Sequence[Instrument]) -> None:
        new = {one.native: one for one in instruments if one.native not in self._ids}
        for pair, instrument in new.items():
            self._ids[pair] = instrument.id
            self._orders[pair] = _Order()
            self._recent[pair] = _Recent()
        self._plan("subscribe", list(new))

    def _plan(self, action: str, pairs: list[str]) -> None:
        params = [f"{channel}.{pair}" for pair in pairs for channel in self._channels]
        for at in range(0, len(params), PARAMS_PER_MESSAGE):
            self._unsent.append((action, params[at : at + PARAMS_PER_MESSAGE]))

    def _send_subscriptions(self, now: int) -> None:
        if self._waits_for:
            return
        unsent, self._unsent = self._unsent, []
        for action, params in unsent:
            self._unanswered.update(dict.fromkeys(params, now))
            self._outgoing.append(_encode({"action": action, "params": ",".join(params)}))

    def _watch_silence(self, now: int) -> None:
        """Ask when Massive is silent: it has no heartbeat, and answers only what is new to it."""
        if self._waits_for:
            return
        frames = self._frames - self._frames_before
        self._frames_before = self._frames
        if frames:
            # The last second may have been cut short by the silence itself.
            self._is_busy = max(frames, self._frames_earlier) >= BUSY_FRAMES
            self._frames_earlier = frames
            return
        silence = now - self.heard
        if self._probed_at is None:
            if silence >= (QUIET_WHEN_BUSY if self._is_busy else QUIET):
                self._probed_at = now
                action = "unsubscribe" if self._is_probe_held else "subscribe"
                self._outgoing.append(_encode({"action": action, "params": PROBE}))
        elif now - self._probed_at >= (PROBE_WITHIN_WHEN_BUSY if self._is_busy else PROBE_WITHIN):
            raise StaleFeedError(NAME, silence)


class Massive:
    """Massive's crypto cluster as one row of `connectors.VENUES`.

    The names from before the change, wss://socket.polygon.io and https://api.polygon.io, answer
    the same and may be set as `websocket_url` and `rest_url`.
    """

    name = NAME
    websocket_url = "wss://socket.massive.com"
    rest_url = "https://api.massive.com"
    instruments_per_connection = INSTRUMENTS_PER_CONNECTION
    connections_at_once = 1
    limits = Limits()
    channel_groups = (("trade", "book"),)
    key_names = KEY_NAMES
    market_page = ""  # it sells data and has no market of its own
    candles = MassiveCandles()
    past_trades = MassiveTrades()

    def explain_options(self, options: Mapping[str, int | str | bool]) -> str:
        """Massive has one setting, `aggregates`; `max_age_s` has no effect on one connection."""
        unknown = sorted(set(options) - {"aggregates", "max_age_s"})
        if unknown:
            return f"{NAME} has no option {unknown[0]!r}; it has aggregates"
        if not isinstance(options.get("aggregates", False), bool):
            return f"aggregates: expected true or false, found {options['aggregates']!r}"
        return ""

    def instruments_url(self, rest_url: str) -> str:
        """Address of the first page of the list of tickers; the key goes with it in a header."""
        return f"{rest_url}/v3/reference/tickers?market=crypto&active=true&limit={TICKERS_PER_PAGE}"

    def more_instruments_url(self, body: bytes) -> str:
        """Address of the next page, without a key if it held one; empty when it is the last."""
        try:
            parts = urlsplit(_tickers(body).next_url)
        except (*_UNREADABLE, ValueError):
            return ""
        query = [pair for pair in parse_qsl(parts.query) if pair[0].lower() != "apikey"]
        return urlunsplit(parts._replace(query=urlencode(query), fragment=""))

    def read_instruments(self, body: bytes) -> list[Instrument]:
        """Read one page of the list of tickers: the active pairs.

        Raises:
            VenueProtocolError: it is not such a list.
        """
        try:
            page = _tickers(body)
        except _UNREADABLE as error:
            raise VenueProtocolError(f"tickers: {error}", frame=body) from error
        if not page.status and not page.results:
            raise VenueProtocolError("tickers: neither a status nor results", frame=body)
        return [
            _instrument(ticker)
            for ticker in page.results
            if ticker.active
            and ticker.market == "crypto"
            and ticker.base_currency_symbol
            and ticker.currency_symbol
        ]

    def protocol(self, description: FeedDescription) -> MassiveProtocol:
        """Make the protocol object of one connection."""
        return MassiveProtocol(description)


def _split(data: bytes) -> Iterator[bytes]:
    try:
        parts = _parts(data)
    except _UNREADABLE as error:
        raise VenueProtocolError(f"not a message of Massive: {error}", frame=data) from error
    return map(bytes, parts)


def _trade(trade: _Trade, instrument: str, now: int) -> Trade:
    """An id is unique at its exchange only; where there is none, the trade itself stands for it."""
    number = f"{trade.t}-{trade.p!r}-{trade.s!r}" if trade.i is None else trade.i
    conditions = trade.c or ()
    if _BUYER in conditions:
        side = Side.BUY if _SELLER not in conditions else Side.UNKNOWN
    else:
        side = Side.SELL if _SELLER in conditions else Side.UNKNOWN
    return Trade(
        instrument=instrument,
        ts_event=trade.t * MILLISECOND,
        ts_recv=now,
        price=trade.p,
        size=trade.s,
        side=side,
        trade_id=f"{trade.x}-{number}",
    )


def _quote(quote: _Quote, instrument: str, now: int) -> Quote:
    """A side without a price or a size is empty."""
    has_bid, has_ask = quote.bid and quote.bid_size, quote.ask and quote.ask_size
    return Quote(
        instrument=instrument,
        ts_event=quote.t * MILLISECOND,
        ts_recv=now,
        bid=quote.bid if has_bid else None,
        bid_size=quote.bid_size if has_bid else 0.0,
        ask=quote.ask if has_ask else None,
        ask_size=quote.ask_size if has_ask else 0.0,
        exchange=str(quote.x),
    )


def _aggregate(kind: str, bar: _Bar, instrument: str, data: bytes, now: int) -> Told:
    interval, length = _INTERVALS[kind]
    if bar.e - bar.s != length or bar.s % length:
        return DeadLetter(NAME, f"{kind} of another length", data, now)
    if not bar.l <= min(bar.o, bar.c) <= max(bar.o, bar.c) <= bar.h:
        return DeadLetter(NAME, f"{kind} that contradicts itself", data, now)
    return Aggregate(
        instrument=instrument,
        interval=interval,
        start=bar.s * MILLISECOND,
        end=bar.e * MILLISECOND,
        ts_recv=now,
        open=bar.o,
        high=bar.h,
        low=bar.l,
        close=bar.c,
        volume=bar.v,
        vwap=bar.vw or None,
        mean_size=bar.z,
    )


def _instrument(ticker: _Ticker) -> Instrument:
    """The streams spell a pair `BTC-USD`, the list `X:BTCUSD`; its two currencies are named."""
    base, quote = ticker.base_currency_symbol.upper(), ticker.currency_symbol.upper()
    return Instrument(
        venue=NAME, symbol=f"{base}-{quote}", native=f"{base}-{quote}", base=base, quote=quote
    )
