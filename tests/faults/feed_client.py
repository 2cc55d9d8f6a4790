"""The shipped feeds and the shipped market at the simulator's wire, checked at every book message.

It does what `connectors.reader` does with sockets: names connections, backs off, closes what must
be closed, puts the key into logins, and takes the market's wish for a resync back to the feed as a
`control` record. A venue with two groups of channels has two feeds.
"""

from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from connectors import VENUES
from connectors.contract import KEY, FeedDescription, Login, Request, Told, Venue
from connectors.drain import Drain, FlowEvent
from connectors.feed import Feed, Steering, encode_description, encode_steering
from connectors.reader import BACKOFF_FIRST_S, BACKOFF_MOST_S, HEALTHY_AFTER
from connectors.recording import Kind, Record
from connectors.transport import MESSAGE_LIMIT, explain_status, wait_after
from flows.market_output import MarketOutput
from flows.settings import MarketSettings
from flows.symbol_market import SymbolMarket
from market.book import Book
from market.errors import FeedError, VenueRefusalError
from market.events import (
    Bar,
    BookDelta,
    BookSnapshot,
    FeedGap,
    GapInterval,
    Level,
    Quote,
    State,
    Trade,
)
from market.instruments import Instrument
from simulator.dialects import DIALECTS
from simulator.dialects.contract import Dialect, DialectOptions
from simulator.faults import Fault, Faults, Window
from simulator.listings import LISTINGS, Listing, choose
from simulator.market_model import MarketModel
from simulator.script import load_script
from simulator.true_book import TrueBook
from simulator.wire import Wire
from tests.fakes.dips import DIPS

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND
SYMBOLS = ("BTC-USDT", "ETH-USDT", "ETH-BTC")
REST = "http://simulated"
WHOLE_BOOKS = {"binance"}
"""Venues that tell every level; of the others the levels that they tell are compared."""
SHALLOWEST = 5
"""So many levels a side a book has at least."""


def instrument(symbol: str) -> Instrument:
    base, _, quote = symbol.partition("-")
    return Instrument(
        venue="binance", symbol=symbol, native=f"{base}{quote}", base=base, quote=quote
    )


def instruments_of(
    venue: Venue, dialect: Dialect, symbols: Sequence[str], now: int, key: str = ""
) -> tuple[Instrument, ...]:
    """Read the venue's list, as its dialect gives it, and return these symbols' instruments."""
    known: dict[str, Instrument] = {}
    url = venue.instruments_url(REST)
    while url:
        target = urlsplit(url.replace(KEY.decode(), key))
        answer = dialect.requested(f"{target.path}?{target.query}".rstrip("?"), now)
        assert answer.status == 200, (url, answer)
        known |= {one.symbol: one for one in venue.read_instruments(answer.body)}
        url = venue.more_instruments_url(answer.body)
    return tuple(known[symbol] for symbol in symbols)


class Truth(msgspec.Struct):
    """What was seen of one symbol.

    Attributes:
        live: when its book was live, as pairs of our clock in ns; the last may be open.
        looked: books compared with the true one.
    """

    live: list[list[int]] = []
    looked: int = 0


class FindTrueBook(Protocol):
    """Finds what the venue had, at the moment that a book of ours shows."""

    def __call__(self, symbol: str, book: Book, *, is_thorough: bool) -> TrueBook | None:
        """Return it, None where the venue's was never so."""
        ...


class _Line:
    """One feed and the life of its connections."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self.count = 0
        self.connecting = ""
        self.connect_at = 0
        self.failed = 0
        self.healthy_since: int | None = None

    def wish(self, now: int) -> str:
        """Name the connection to open now, if any."""
        if self.connecting or now < self.connect_at:
            return ""
        if self.feed.is_connected and not self.feed.wants_replacement:
            return ""
        self.count += 1
        self.connecting = f"{self.feed.name}.{self.count}"
        return self.connecting

    def back_off(self, now: int, least_s: float = 0.0) -> None:
        """The longest wait that the reader's jitter can draw."""
        if self.healthy_since is not None and now - self.healthy_since > HEALTHY_AFTER:
            self.failed = 0
        wait = max(least_s, min(BACKOFF_MOST_S, BACKOFF_FIRST_S * (1 << self.failed)))
        self.failed = min(self.failed + 1, 10)
        self.healthy_since = None
        self.connect_at = now + int(wait * SECOND)


class FeedClient:
    """A `WireClient` that is one venue's feeds and the markets behind them.

    Args:
        venue: whose.
        instruments: what to follow.
        true_book: finds the true book at the moment that our book shows.
        settings: of the markets.
        keep: what is done with every record and what it told.
        key: the user's, where the venue wants one.
    """

    def __init__(
        self,
        venue: Venue,
        instruments: tuple[Instrument, ...],
        true_book: FindTrueBook,
        settings: MarketSettings,
        keep: Callable[[Record, list[Told]], None] | None = None,
        *,
        key: str = "",
        **options: int | str | bool,
    ) -> None:
        self.venue = venue
        self._is_whole = venue.name in WHOLE_BOOKS and options.get("book") != "partial"
        symbols = [one.symbol for one in instruments]
        groups = venue.channel_groups
        self.feeds = [
            Feed(
                f"{venue.name}-0-{number}",
                venue,
                FeedDescription(
                    venue=venue.name,
                    instruments=instruments,
                    websocket_url="ws://simulated",
                    rest_url=REST,
                    options=options,
                    channels=channels if len(groups) > 1 else (),
                ),
            )
            for number, channels in enumerate(groups)
        ]
        self.truth = {symbol: Truth() for symbol in symbols}
        self.markets = {symbol: SymbolMarket(settings) for symbol in symbols}
        self.bars: dict[str, list[Bar]] = {symbol: [] for symbol in symbols}
        self.trades: dict[str, list[Trade]] = {symbol: [] for symbol in symbols}
        self.gaps: list[FeedGap] = []
        self.ledger: list[GapInterval] = []
        self.closed_reasons: list[str] = []
        self.refused: list[str] = []
        self.dead_letters = 0
        self.heard: dict[str, int] = {}
        self._true_book = true_book
        self._keep = keep
        self._key = key.encode()
        self._drain = Drain()
        self._lines = {feed.name: _Line(feed) for feed in self.feeds}
        self._last = 0
        self._closes: list[str] = []
        self._resyncs: list[tuple[str, str]] = []

    @property
    def is_live(self) -> bool:
        """Whether every book is live."""
        return all(self.state(symbol) is State.LIVE for symbol in self.markets)

    def state(self, symbol: str) -> State:
        market = self.markets[symbol]._markets.get(f"{self.venue.name}:{symbol}")
        return State.RESYNCING if market is None else market.state

    def book(self, symbol: str) -> Book:
        return self.markets[symbol]._markets[f"{self.venue.name}:{symbol}"].book

    # -- what the wire says ------------------------------------------------------------------------

    def open_wishes(self, now: int) -> list[tuple[str, str]]:
        return [
            (conn, line.feed.url()) for line in self._lines.values() if (conn := line.wish(now))
        ]

    def opened(self, conn: str, now: int) -> None:
        line = self._line(conn)
        line.connecting = ""
        line.healthy_since = None
        self._put(line, now, conn, "open", encode_description(line.feed.description))

    def received(self, conn: str, data: bytes, now: int, *, is_binary: bool) -> None:
        line = self._line(conn)
        if len(data) > MESSAGE_LIMIT:  # the socket would not have taken it
            self._closes.append(conn)
            self.closed(conn, f"a message of {len(data)} bytes", now)
            return
        self._put(line, now, conn, "binary" if is_binary else "text", data)

    def fetched(self, conn: str, url: str, status: int, body: bytes, now: int) -> None:
        self._put(self._line(conn), now, conn, "http", body, url=url, status=status)

    def closed(self, conn: str, reason: str, now: int) -> None:
        line = self._line(conn)
        status = int(reason.removeprefix("HTTP ")) if reason.startswith("HTTP ") else 0
        line.back_off(now, wait_after(status, "", 0.0) if explain_status(status) else 0.0)
        if conn == line.connecting:
            line.connecting = ""
            self.refused.append(reason)
            return
        self.closed_reasons.append(reason)
        self._put(line, now, conn, "close", reason.encode())

    def heartbeat(self, now: int) -> None:
        for line in self._lines.values():
            self._put(line, now, line.feed.name, "heartbeat")

    def outgoing(self) -> list[tuple[str, bytes | str]]:
        out: list[tuple[str, bytes | str]] = []
        for line in self._lines.values():
            for conn, item in line.feed.outgoing():
                if isinstance(item, Request):
                    out.append((conn, item.url))
                    continue
                told = item.message if isinstance(item, Login) else item
                sent = told.replace(KEY, self._key) if isinstance(item, Login) else item
                self._put(line, self._last, conn, "sent", told)
                out.append((conn, sent))
        return out

    def close_wishes(self) -> list[str]:
        closes, self._closes = self._closes, []
        return closes

    # -- inside ------------------------------------------------------------------------------------

    def _line(self, conn: str) -> _Line:
        return self._lines[conn.rpartition(".")[0]]

    def _put(
        self, line: _Line, now: int, conn: str, kind: Kind, body: bytes = b"", **http: object
    ) -> None:
        self._last = max(now, self._last + 1)
        record = Record(self._last, conn, kind, body)
        self._take(line, msgspec.structs.replace(record, **http))
        for name, error in line.feed.failures():
            self._failed(line, name, error, now)
        for name in line.feed.superseded():
            self._closes.append(name)
            self._put(line, now, name, "close", b"replaced")
        resyncs, self._resyncs = self._resyncs, []
        for wanted, reason in resyncs:
            steering = encode_steering(Steering(resync=wanted, reason=reason))
            for other in self._lines.values():
                if "book" in (other.feed.description.channels or ("book",)):
                    self._put(other, now, other.feed.name, "control", steering)

    def _failed(self, line: _Line, name: str, error: FeedError, now: int) -> None:
        self._closes.append(name)
        self.closed_reasons.append(str(error))
        line.back_off(now, error.retry_after_s if isinstance(error, VenueRefusalError) else 0.0)
        self._put(line, now, name, "close", str(error).encode())

    def _take(self, line: _Line, record: Record) -> None:
        told = line.feed.take(record)
        if told and line.healthy_since is None and record.kind in {"text", "binary"}:
            line.healthy_since = record.ts
        if self._keep is not None:
            self._keep(record, told)
        self.gaps += [event for event in told if isinstance(event, FeedGap)]
        self._drain.add(record, told)
        self.dead_letters += len(self._drain.dead_letters)
        self._drain.dead_letters.clear()
        for symbol, events in self._drain.take():
            for event in events:
                self._advance(symbol, event, record.ts)

    def _advance(self, symbol: str, event: FlowEvent, now: int) -> None:
        out: MarketOutput = self.markets[symbol].advance([event])
        self.bars[symbol] += out.bars
        self.trades[symbol] += out.trades
        self.ledger += out.gaps
        self._resyncs += out.resyncs
        truth = self.truth[symbol]
        for change in out.states:
            if change.state is State.LIVE:
                truth.live.append([now, 0])
            elif truth.live and not truth.live[-1][1]:
                truth.live[-1][1] = now
        if isinstance(event, BookSnapshot | BookDelta | Quote):
            self.heard[symbol] = now
        if isinstance(event, BookSnapshot | BookDelta):
            self._look(symbol)

    def _look(self, symbol: str) -> None:
        """What is shown as live must be what the venue had at that update."""
        if self.state(symbol) is not State.LIVE:
            return
        truth = self.truth[symbol]
        truth.looked += 1
        is_thorough = truth.looked % 20 == 0
        book = self.book(symbol)
        true = self._true_book(symbol, book, is_thorough=is_thorough)
        assert true is not None, f"{symbol} was never so at {self.venue.name}"
        if self._is_whole:
            assert len(book) == len(true.bids) + len(true.asks)
        if is_thorough:
            assert is_same(book, true)


def is_same(book: Book, true: TrueBook) -> bool:
    """Whether our levels are the best of the true book, as many as we have."""
    copy = true.copy()
    bids, asks = book.levels()
    shown = copy.bids[: min(10, len(bids))], copy.asks[: min(10, len(asks))]
    return (
        min(len(bids), len(asks)) >= SHALLOWEST
        and book.top(10) == shown
        and (bids, asks) == (dict(copy.bids[: len(bids)]), dict(copy.asks[: len(asks)]))
    )


class Rig:
    """A market, a venue, faults, the wire and the venue's feeds."""

    def __init__(
        self,
        faults: tuple[Fault, ...] = (),
        *,
        venue: str = "binance",
        symbols: tuple[str, ...] = SYMBOLS,
        listings: tuple[Listing, ...] = LISTINGS,
        seed: int = 1,
        rate: float = 1.0,
        skew: int = 0,
        latency: int = 20 * MILLISECOND,
        script: str = DIPS,
        max_age: int = 24 * 3600 * SECOND,
        bars: tuple[str, ...] = ("1s",),
        keep: Callable[[Record, list[Told]], None] | None = None,
        **options: int | str | bool,
    ) -> None:
        self.skew = skew
        self.model = MarketModel(
            choose(symbols, listings), seed=seed, start=START, script=load_script(script), rate=rate
        )
        settings = MarketSettings(bar_intervals=bars, features=("rsi(14)",))
        chosen = DialectOptions(max_age=max_age)
        self.dialect = DIALECTS[venue](self.model, chosen)
        self.client = FeedClient(
            VENUES[venue],
            instruments_of(VENUES[venue], self.dialect, symbols, START, chosen.key),
            self.true_book,
            settings,
            keep,
            key=chosen.key,
            **options,
        )
        self.wire = Wire(
            self.model,
            self.dialect,
            self.client,
            faults=Faults(faults, start=START),
            latency=latency,
            skew=skew,
            keep_history=True,
        )

    def run_for(self, seconds: float) -> "Rig":
        self.wire.run_for(int(seconds * SECOND))
        return self

    def live_share(self, symbol: str, windows: list[Window], *, since: int = 0) -> float:
        """The share of the time outside the windows in which a book was live.

        Args:
            symbol: whose book.
            windows: when faults were at work, the venue's clock.
            since: ns after the start; by default from the first moment that it was live.
        """
        live = [
            [start - self.skew, end - self.skew] for start, end in self.client.truth[symbol].live
        ]
        if live and live[-1][1] == -self.skew:
            live[-1][1] = self.wire.now
        begin = START + since if since else live[0][0]
        outside = _without([[begin, self.wire.now]], windows)
        total = sum(end - start for start, end in outside)
        return sum(end - start for start, end in _without(live, windows) if start >= begin) / total

    def true_book(self, symbol: str, book: Book, *, is_thorough: bool) -> TrueBook | None:
        """Return the true book at the moment that a book of ours shows, None if there was none.

        By the update id where the venue gives the market's own; else the next moment from the
        last one asked for at which the best ten levels were these, or all when `is_thorough`.
        """
        history = self.wire.history(symbol)
        if history.knows(book.sequence):
            return history.at(book.sequence)
        top = book.top(10)
        return history.find(
            lambda true: _is_top(true, top) and (not is_thorough or is_same(book, true))
        )

    def find_top(self, symbol: str, top: tuple[list[Level], list[Level]]) -> TrueBook | None:
        """Return the true book at the next moment at which its best levels were these."""
        return self.wire.history(symbol).find(lambda true: _is_top(true, top))


def _is_top(true: TrueBook, top: tuple[list[Level], list[Level]]) -> bool:
    """Whether these are the best levels, best first; the two best prices decide nearly always."""
    bids, asks = top
    ticks, steps = true.listing.ticks, true.listing.steps
    for levels, prices, sizes in (
        (bids, true.bids.prices[: -len(bids) - 1 : -1], true.bids.sizes),
        (asks, true.asks.prices[: len(asks)], true.asks.sizes),
    ):
        if len(prices) < len(levels):
            return False
        for (price, size), at in zip(levels, prices, strict=True):
            if at / ticks != price or sizes[at] / steps != size:
                return False
    return True


def _without(spans: list[list[int]], windows: list[Window]) -> list[list[int]]:
    for window in windows:
        spans = [
            part
            for start, end in spans
            for part in ([start, min(end, window.start)], [max(start, window.end), end])
            if part[0] < part[1]
        ]
    return spans
