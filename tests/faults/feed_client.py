"""The shipped feed and the shipped market at the simulator's wire, checked at every book message.

It does what `connectors.reader` does with sockets: names connections, backs off, closes what must
be closed, and takes the market's wish for a resync back to the feed as a `control` record.
"""

from collections.abc import Callable

import msgspec

from connectors import VENUES
from connectors.contract import FeedDescription, Login, Request, Told
from connectors.drain import Drain, FlowEvent
from connectors.feed import Feed, Steering, encode_description, encode_steering
from connectors.reader import BACKOFF_FIRST_S, BACKOFF_MOST_S, HEALTHY_AFTER
from connectors.recording import Kind, Record
from flows.market_output import MarketOutput
from flows.settings import MarketSettings
from flows.symbol_market import SymbolMarket
from market.book import Book
from market.events import Bar, FeedGap, GapInterval, State, Trade
from market.instruments import Instrument
from simulator.dialects.binance import BinanceDialect
from simulator.faults import Fault, Faults, Window
from simulator.listings import LISTINGS, Listing, choose
from simulator.market_model import MarketModel
from simulator.script import load_script
from simulator.true_book import TrueBook
from simulator.wire import Wire

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = 1_700_000_000 * SECOND
SYMBOLS = ("BTC-USDT", "ETH-USDT", "ETH-BTC")
FEED = "binance-0-0"


def instrument(symbol: str) -> Instrument:
    base, _, quote = symbol.partition("-")
    return Instrument(
        venue="binance", symbol=symbol, native=f"{base}{quote}", base=base, quote=quote
    )


def description(symbols: tuple[str, ...], **options: int | str | bool) -> FeedDescription:
    return FeedDescription(
        venue="binance",
        instruments=tuple(map(instrument, symbols)),
        websocket_url="ws://simulated",
        rest_url="http://simulated",
        options=options,
    )


class Truth(msgspec.Struct):
    """What was seen of one symbol.

    Attributes:
        live: when its book was live, as pairs of our clock in ns; the last may be open.
        looked: books compared with the true one.
    """

    live: list[list[int]] = []
    looked: int = 0


class FeedClient:
    """A `WireClient` that is one feed and the markets behind it.

    Args:
        symbols: what to follow.
        true_book: the true book of a symbol after an update id.
        settings: of the markets.
        keep: what is done with every record and what it told.
    """

    def __init__(
        self,
        symbols: tuple[str, ...],
        true_book: Callable[[str, int], TrueBook],
        settings: MarketSettings,
        keep: Callable[[Record, list[Told]], None] | None = None,
        **options: int | str | bool,
    ) -> None:
        self.feed = Feed(FEED, VENUES["binance"], description(symbols, **options))
        self.truth = {symbol: Truth() for symbol in symbols}
        self.markets = {symbol: SymbolMarket(settings) for symbol in symbols}
        self.bars: dict[str, list[Bar]] = {symbol: [] for symbol in symbols}
        self.trades: dict[str, list[Trade]] = {symbol: [] for symbol in symbols}
        self.gaps: list[FeedGap] = []
        self.ledger: list[GapInterval] = []
        self.closed_reasons: list[str] = []
        self.dead_letters = 0
        self._true_book = true_book
        self._keep = keep
        self._drain = Drain()
        self._count = 0
        self._connecting = ""
        self._connect_at = 0
        self._failed = 0
        self._healthy_since: int | None = None
        self._last = 0
        self._closes: list[str] = []
        self._resyncs: list[tuple[str, str]] = []

    @property
    def is_live(self) -> bool:
        """Whether every book is live."""
        return all(self.state(symbol) is State.LIVE for symbol in self.markets)

    def state(self, symbol: str) -> State:
        return self.markets[symbol]._markets[f"binance:{symbol}"].state

    def book(self, symbol: str) -> Book:
        return self.markets[symbol]._markets[f"binance:{symbol}"].book

    # -- what the wire says ------------------------------------------------------------------------

    def open_wishes(self, now: int) -> list[tuple[str, str]]:
        if self._connecting or now < self._connect_at:
            return []
        if self.feed.is_connected and not self.feed.wants_replacement:
            return []
        self._count += 1
        self._connecting = f"{FEED}.{self._count}"
        return [(self._connecting, self.feed.url())]

    def opened(self, conn: str, now: int) -> None:
        self._connecting = ""
        self._healthy_since = None
        self._put(now, conn, "open", encode_description(self.feed.description))

    def received(self, conn: str, data: bytes, now: int) -> None:
        self._put(now, conn, "text", data)

    def fetched(self, conn: str, url: str, status: int, body: bytes, now: int) -> None:
        self._put(now, conn, "http", body, url=url, status=status)

    def closed(self, conn: str, reason: str, now: int) -> None:
        self._back_off(now)
        if conn == self._connecting:
            self._connecting = ""
            return
        self.closed_reasons.append(reason)
        self._put(now, conn, "close", reason.encode())

    def heartbeat(self, now: int) -> None:
        self._put(now, FEED, "heartbeat")

    def outgoing(self) -> list[tuple[str, bytes | str]]:
        out: list[tuple[str, bytes | str]] = []
        for conn, item in self.feed.outgoing():
            if isinstance(item, Request):
                out.append((conn, item.url))
            else:
                sent = item.message if isinstance(item, Login) else item
                self._put(self._last, conn, "sent", sent)
                out.append((conn, sent))
        return out

    def close_wishes(self) -> list[str]:
        closes, self._closes = self._closes, []
        return closes

    # -- inside ------------------------------------------------------------------------------------

    def _put(self, now: int, conn: str, kind: Kind, body: bytes = b"", **http: object) -> None:
        self._last = max(now, self._last + 1)
        record = Record(self._last, conn, kind, body)
        self._take(msgspec.structs.replace(record, **http))
        for name, error in self.feed.failures():
            self._closes.append(name)
            self.closed_reasons.append(str(error))
            self._back_off(now)
            self._put(now, name, "close", str(error).encode())
        for name in self.feed.superseded():
            self._closes.append(name)
            self._put(now, name, "close", b"replaced")
        resyncs, self._resyncs = self._resyncs, []
        for wanted, reason in resyncs:
            steering = Steering(resync=wanted, reason=reason)
            self._put(now, FEED, "control", encode_steering(steering))

    def _take(self, record: Record) -> None:
        told = self.feed.take(record)
        if told and self._healthy_since is None and record.kind == "text":
            self._healthy_since = record.ts
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
        if type(event).__name__ in {"BookSnapshot", "BookDelta"}:
            self._look(symbol)

    def _look(self, symbol: str) -> None:
        """What is shown as live must be what the venue had at that update."""
        if self.state(symbol) is not State.LIVE:
            return
        book = self.book(symbol)
        true = self._true_book(symbol, book.sequence)
        truth = self.truth[symbol]
        truth.looked += 1
        assert len(book) == len(true.bids) + len(true.asks)
        if truth.looked % 20 == 0:
            copy = true.copy()
            assert book.levels() == (dict(copy.bids), dict(copy.asks))
            assert book.top(10) == (copy.bids[:10], copy.asks[:10])

    def _back_off(self, now: int) -> None:
        """The longest wait that the reader's jitter can draw."""
        if self._healthy_since is not None and now - self._healthy_since > HEALTHY_AFTER:
            self._failed = 0
        wait = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * (1 << self._failed))
        self._failed = min(self._failed + 1, 10)
        self._healthy_since = None
        self._connect_at = now + int(wait * SECOND)


class Rig:
    """A market, a venue, faults, the wire and a feed."""

    def __init__(
        self,
        faults: tuple[Fault, ...] = (),
        *,
        symbols: tuple[str, ...] = SYMBOLS,
        listings: tuple[Listing, ...] = LISTINGS,
        seed: int = 1,
        rate: float = 1.0,
        skew: int = 0,
        latency: int = 20 * MILLISECOND,
        script: str = "demo",
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
        self.client = FeedClient(symbols, self._true_book, settings, keep, **options)
        self.dialect = BinanceDialect(self.model, max_age=max_age)
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

    def _true_book(self, symbol: str, update_id: int) -> TrueBook:
        return self.wire.true_book(symbol, update_id)


def _without(spans: list[list[int]], windows: list[Window]) -> list[list[int]]:
    for window in windows:
        spans = [
            part
            for start, end in spans
            for part in ([start, min(end, window.start)], [max(start, window.end), end])
            if part[0] < part[1]
        ]
    return spans
