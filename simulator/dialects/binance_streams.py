"""Binance spot's market data streams: who reads which, and what they say."""

from collections.abc import Sequence

import msgspec

from simulator.dialects.binance_partial import PartialStream, partial_kinds
from simulator.listings import Listing
from simulator.market_model import MarketModel
from simulator.true_book import Change, LevelChange, Print

MILLISECOND = 1_000_000
SLOW = 1_000 * MILLISECOND
CROSSING = 0.001
"""How far a falsified bid lies above the best ask, as a share of the price."""


class Told(msgspec.Struct, frozen=True):
    """One message of a stream, for all who read it, without the envelope.

    Attributes:
        stream: `"btcusdt@trade"`.
        data: JSON.
        channel: `"trade"` or `"depth"`.
        symbol: `"BTC-USDT"`.
        readers: connections.
    """

    stream: str
    data: bytes
    channel: str
    symbol: str
    readers: tuple[str, ...]


class _Trade(msgspec.Struct):
    """`{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"1.0","q":"1.0","T":1,"m":true,"M":true}`."""

    e: str
    E: int
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool
    M: bool


class _DepthUpdate(msgspec.Struct):
    """`{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":157,"u":160,"b":[["1.0","1.0"]],"a":[]}`."""

    e: str
    E: int
    s: str
    U: int
    u: int
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]


class _Diff:
    """The changed levels of one symbol since its last depth message."""

    __slots__ = ("asks", "bids", "first", "interval", "last", "readers")

    def __init__(self, interval: int, last: int) -> None:
        self.interval = interval
        self.first = last + 1
        self.last = last
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.readers: dict[str, None] = {}

    def absorb(self, change: LevelChange) -> None:
        (self.bids if change.is_bid else self.asks)[change.price] = change.size
        self.last = change.update_id

    def clear(self) -> None:
        self.first = self.last + 1
        self.bids = {}
        self.asks = {}


class _Feed:
    """What is told of one symbol, and to whom."""

    __slots__ = (
        "diffs",
        "false_ahead",
        "is_false",
        "jumps",
        "listing",
        "native",
        "partials",
        "refused_until",
        "trade_readers",
        "trade_stream",
    )

    def __init__(self, listing: Listing, native: str) -> None:
        self.listing = listing
        self.native = native
        self.trade_stream = f"{native.lower()}@trade"
        self.trade_readers: dict[str, None] = {}
        self.diffs: dict[str, _Diff] = {}
        self.partials: dict[str, PartialStream] = {}
        self.is_false = False
        self.jumps = False
        self.false_ahead = 0
        self.refused_until = 0


class BinanceStreams:
    """The streams of all symbols.

    Depth messages are gathered only for streams that somebody reads, and encoded once for all.

    Args:
        model: the market; its books must be as new as the changes given to `advance`.
        fast: ns between two messages of a `@depth@100ms` stream.
    """

    def __init__(self, model: MarketModel, *, fast: int) -> None:
        self._model = model
        self._intervals = {"depth@100ms": fast, "depth@1000ms": SLOW, "depth": SLOW}
        self._partial_kinds = partial_kinds(fast)
        self._feeds: dict[str, _Feed] = {}
        self._natives: dict[str, _Feed] = {}
        for listing in model.listings:
            feed = _Feed(listing, listing.base + listing.quote)
            self._feeds[listing.symbol] = self._natives[feed.native.lower()] = feed
        self._tick = min(fast, SLOW)
        self._next_flush = model.now - model.now % self._tick + self._tick
        self._encoder = msgspec.json.Encoder()

    def join(self, conn: str, stream: str) -> None:
        """Let a connection read a stream; one that does not exist is never heard of again."""
        native, _, kind = stream.partition("@")
        feed = self._natives.get(native)
        if feed is None or not feed.listing.is_trading or self._model.now < feed.refused_until:
            return
        if kind == "trade":
            feed.trade_readers[conn] = None
        elif (interval := self._intervals.get(kind)) is not None:
            diff = feed.diffs.get(stream)
            if diff is None:
                last = self._model.true_book(feed.listing.symbol).update_id
                diff = feed.diffs[stream] = _Diff(interval, last)
            diff.readers[conn] = None
        elif (found := self._partial_kinds.get(kind)) is not None:
            partial = feed.partials.get(stream)
            if partial is None:
                book = self._model.true_book(feed.listing.symbol)
                partial = feed.partials[stream] = PartialStream(*found, book)
            partial.join(conn)

    def leave(self, conn: str, stream: str) -> None:
        """Let a connection read a stream no longer."""
        native, _, kind = stream.partition("@")
        feed = self._natives.get(native)
        if feed is None:
            return
        if kind == "trade":
            feed.trade_readers.pop(conn, None)
        elif (diff := feed.diffs.get(stream)) is not None:
            diff.readers.pop(conn, None)
            if not diff.readers:
                del feed.diffs[stream]
        elif (partial := feed.partials.get(stream)) is not None:
            partial.readers.pop(conn, None)
            if not partial.readers:
                del feed.partials[stream]

    def advance(self, changes: Sequence[Change], now: int) -> list[Told]:
        """Return what is told of these changes up to `now`; depth messages at their rhythm."""
        out: list[Told] = []
        feeds = self._feeds
        for change in changes:
            while change.ts >= self._next_flush:
                self._flush(out)
            feed = feeds.get(change.symbol)
            if feed is None:
                continue
            if isinstance(change, Print):
                if feed.trade_readers:
                    out.append(self._trade(feed, change))
            else:
                for diff in feed.diffs.values():
                    diff.absorb(change)
                for partial in feed.partials.values():
                    partial.absorb(change)
        while now >= self._next_flush:
            self._flush(out)
        return out

    def falsify_book(self, symbol: str) -> None:
        """Put a bid above the best ask into the symbol's next depth message."""
        self._feeds[symbol].is_false = True

    def falsify_trade_time(self, symbol: str, ahead: int) -> None:
        """Tell the symbol's next trade with a time `ahead` ns too late."""
        self._feeds[symbol].false_ahead = ahead

    def jump_sequence(self, symbol: str) -> None:
        """Begin the symbol's next depth message of several ids with the last of them."""
        self._feeds[symbol].jumps = True

    def refuse_symbol(self, symbol: str, until: int) -> None:
        """Let nobody join the symbol's streams up to `until`, ns UTC, and tell nobody."""
        self._feeds[symbol].refused_until = until

    def _trade(self, feed: _Feed, trade: Print) -> Told:
        listing = feed.listing
        time = (trade.ts + feed.false_ahead) // MILLISECOND
        feed.false_ahead = 0
        data = self._encoder.encode(
            _Trade(
                "trade",
                time,
                feed.native,
                trade.trade_id,
                listing.price_text(trade.price),
                listing.size_text(trade.size),
                time,
                not trade.buyer_took,
                True,
            )
        )
        return Told(feed.trade_stream, data, "trade", listing.symbol, tuple(feed.trade_readers))

    def _flush(self, out: list[Told]) -> None:
        """Tell the depth messages that are due at `_next_flush`."""
        due = self._next_flush
        self._next_flush = due + self._tick
        for feed in self._feeds.values():
            for stream, diff in feed.diffs.items():
                if due % diff.interval < self._tick and diff.last >= diff.first:
                    data = self._depth(feed, diff, due)
                    readers = tuple(diff.readers)
                    out.append(Told(stream, data, "depth", feed.listing.symbol, readers))
            for stream, partial in feed.partials.items():
                if due % partial.interval < self._tick:
                    self._partial(feed, stream, partial, out)

    def _partial(self, feed: _Feed, stream: str, partial: PartialStream, out: list[Told]) -> None:
        message = partial.message(is_false=feed.is_false)
        if message is not None:
            feed.is_false = False
            readers = tuple(partial.readers)
            out.append(Told(stream, message, "depth", feed.listing.symbol, readers))

    def _depth(self, feed: _Feed, diff: _Diff, due: int) -> bytes:
        listing = feed.listing
        if feed.is_false:
            feed.is_false = False
            best = self._model.true_book(listing.symbol).best_ask or listing.price
            diff.bids[best + max(1, int(best * CROSSING))] = listing.level_size
        price_text, size_text = listing.price_text, listing.size_text
        bids, asks = diff.bids, diff.asks
        if feed.jumps and diff.first < diff.last:
            feed.jumps = False
            diff.first = diff.last
        message = _DepthUpdate(
            "depthUpdate",
            due // MILLISECOND,
            feed.native,
            diff.first,
            diff.last,
            [(price_text(price), size_text(bids[price])) for price in sorted(bids, reverse=True)],
            [(price_text(price), size_text(asks[price])) for price in sorted(asks)],
        )
        diff.clear()
        return self._encoder.encode(message)
