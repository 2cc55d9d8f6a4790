"""Bybit spot's public topics: who reads which, and what they say.

What the documentation leaves open is decided so: update ids of a topic are consecutive, and a
level that leaves the best 50 or 200 is removed by name (`tells_what_left`) or silently.
"""

from collections.abc import Sequence

import msgspec

from simulator.listings import Listing
from simulator.market_model import MarketModel
from simulator.true_book import Change, Ladder, LevelChange, Print, TrueBook

MILLISECOND = 1_000_000
INTERVALS = {50: 20 * MILLISECOND, 200: 100 * MILLISECOND}
UPDATE_IDS_PER_NS = 10 * MILLISECOND
"""Ids start at the start time over this: a later run begins above all ids of an earlier one."""
TRADE_IDS = 2_290_000_000_000_000_000
CROSSING = 0.001
"""How far a falsified bid lies above the best ask, as a share of the price."""


class Told(msgspec.Struct, frozen=True):
    """One message of a topic, for all who read it.

    Attributes:
        data: JSON.
        channel: `"trade"` or `"depth"`.
        symbol: `"BTC-USDT"`.
        readers: connections.
    """

    data: bytes
    channel: str
    symbol: str
    readers: tuple[str, ...]


class _Trade(msgspec.Struct):
    T: int
    s: str
    S: str
    v: str
    p: str
    i: str
    BT: bool
    RPI: bool
    seq: int


class _Trades(msgspec.Struct):
    """`{"topic":"publicTrade.BTCUSDT","ts":1,"type":"snapshot","data":[{"T":1,…}]}`."""

    topic: str
    ts: int
    type: str
    data: list[_Trade]


class _Book(msgspec.Struct):
    s: str
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int
    seq: int


class _BookMessage(msgspec.Struct):
    """`{"topic":"orderbook.50.BTCUSDT","ts":1,"type":"delta","data":{"s":…},"cts":1}`."""

    topic: str
    ts: int
    type: str
    data: _Book
    cts: int


class _Window:
    """The best levels of one symbol, as they were told last."""

    __slots__ = (
        "asks", "bids", "depth", "interval", "looked_at", "readers", "topic", "ts", "update_id",
    )  # fmt: skip

    def __init__(self, depth: int, interval: int, topic: str, update_id: int) -> None:
        self.depth = depth
        self.interval = interval
        self.topic = topic
        self.update_id = update_id
        self.looked_at = 0  # the book's own update id, when it was last compared
        self.ts = 0
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.readers: dict[str, None] = {}


class _Feed:
    """What is told of one symbol, and to whom; `book` is as new as what was told at least."""

    __slots__ = ("book", "false_ahead", "is_false", "listing", "native", "trade_readers", "windows")

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.native = listing.base + listing.quote
        self.book: TrueBook | None = None
        self.windows: dict[int, _Window] = {}
        self.trade_readers: dict[str, None] = {}
        self.is_false = False
        self.false_ahead = 0


class BybitStreams:
    """The topics of all symbols.

    Args:
        model: the market; its books must be as new as the changes given to `advance`.
        fast: ns between two messages of a 50-level topic; None for the venue's 20 ms.
        tells_what_left: a level that leaves the window is told with the size 0.
    """

    def __init__(
        self, model: MarketModel, *, fast: int | None = None, tells_what_left: bool = True
    ) -> None:
        self._model = model
        self._tells_what_left = tells_what_left
        self._intervals = INTERVALS if fast is None else INTERVALS | {50: fast}
        self._first_id = model.now // UPDATE_IDS_PER_NS
        self._feeds = {listing.symbol: _Feed(listing) for listing in model.listings}
        self._natives = {feed.native: feed for feed in self._feeds.values()}
        self._tick = min(self._intervals.values())
        self._next_flush = model.now - model.now % self._tick + self._tick
        self._encoder = msgspec.json.Encoder()

    def knows(self, topic: str) -> bool:
        """Whether a topic is one that can be heard here."""
        return self._find(topic) is not None

    def knows_kind(self, topic: str) -> bool:
        """Whether a topic is one but for its symbol."""
        kind = topic.rpartition(".")[0]
        return kind == "publicTrade" or kind in {f"orderbook.{depth}" for depth in self._intervals}

    def join(self, conn: str, topic: str, now: int) -> Told | None:
        """Let a connection read a topic that is known; return the first message of a book."""
        found = self._find(topic)
        if found is None:
            return None
        feed, depth = found
        if depth is None:
            feed.trade_readers[conn] = None
            return None
        if feed.book is None:
            feed.book = self._model.true_book(feed.listing.symbol).duplicate()
        window = feed.windows.get(depth)
        if window is None:
            window = _Window(depth, self._intervals[depth], topic, self._first_id)
            feed.windows[depth] = window
        if not window.readers:  # nobody has been told what changed meanwhile
            window.bids, window.asks = _best(feed.book, depth)
            window.update_id += 1
            window.ts = now
        window.readers[conn] = None
        return self._snapshot(feed, window, (conn,))

    def leave(self, conn: str, topic: str) -> None:
        """Let a connection read a topic no longer."""
        found = self._find(topic)
        if found is None:
            return
        feed, depth = found
        if depth is None:
            feed.trade_readers.pop(conn, None)
        elif (window := feed.windows.get(depth)) is not None:
            window.readers.pop(conn, None)
            if not any(other.readers for other in feed.windows.values()):
                feed.book = None

    def advance(self, changes: Sequence[Change], now: int) -> list[Told]:
        """Return what is told of these changes up to `now`; books at their rhythm."""
        out: list[Told] = []
        trades: list[Print] = []
        for change in changes:
            if trades and (change.ts, change.symbol) != (trades[0].ts, trades[0].symbol):
                self._print(trades, out)
            while change.ts >= self._next_flush:
                self._flush(out)
            feed = self._feeds[change.symbol]
            if isinstance(change, LevelChange):
                if feed.book is not None:
                    feed.book.apply(change)
            elif feed.trade_readers:
                trades.append(change)
        self._print(trades, out)
        while now >= self._next_flush:
            self._flush(out)
        return out

    def restart(self, symbol: str) -> list[Told]:
        """Restart the venue's book service for a symbol: its ids begin at 1, with a snapshot."""
        feed = self._feeds[symbol]
        told = []
        for window in feed.windows.values():
            if feed.book is not None and window.readers:
                window.update_id = 1
                window.ts = self._next_flush - self._tick
                window.bids, window.asks = _best(feed.book, window.depth)
                told.append(self._snapshot(feed, window, tuple(window.readers)))
        return told

    def jump_sequence(self, symbol: str) -> None:
        """Leave out an update id before the symbol's next delta."""
        for window in self._feeds[symbol].windows.values():
            window.update_id += 1

    def falsify_book(self, symbol: str) -> None:
        """Put a bid above the best ask into the symbol's next book message."""
        self._feeds[symbol].is_false = True

    def falsify_trade_time(self, symbol: str, ahead: int) -> None:
        """Tell the symbol's next trade with a time `ahead` ns too late."""
        self._feeds[symbol].false_ahead = ahead

    def _find(self, topic: str) -> tuple[_Feed, int | None] | None:
        """Return the feed of a topic and its depth, None for trades."""
        kind, _, native = topic.rpartition(".")
        feed = self._natives.get(native)
        if feed is None or not feed.listing.is_trading:
            return None
        if kind == "publicTrade":
            return feed, None
        channel, _, text = kind.partition(".")
        depth = int(text) if text.isascii() and text.isdigit() else 0
        return (feed, depth) if channel == "orderbook" and depth in self._intervals else None

    def _print(self, trades: list[Print], out: list[Told]) -> None:
        """Tell trades of one moment in one message."""
        if not trades:
            return
        feed = self._feeds[trades[0].symbol]
        listing = feed.listing
        time = (trades[0].ts + feed.false_ahead) // MILLISECOND
        feed.false_ahead = 0
        seq = self._model.true_book(listing.symbol).update_id
        rows = [
            _Trade(
                time,
                feed.native,
                "Buy" if trade.buyer_took else "Sell",
                listing.size_text(trade.size, listing.size_decimals),
                listing.price_text(trade.price, listing.price_decimals),
                str(TRADE_IDS + trade.trade_id),
                False,
                False,
                seq,
            )
            for trade in trades
        ]
        data = self._encoder.encode(_Trades(f"publicTrade.{feed.native}", time, "snapshot", rows))
        out.append(Told(data, "trade", listing.symbol, tuple(feed.trade_readers)))
        trades.clear()

    def _flush(self, out: list[Told]) -> None:
        """Tell the book messages that are due at `_next_flush`."""
        due = self._next_flush
        self._next_flush = due + self._tick
        for feed in self._feeds.values():
            if feed.book is None:
                continue
            for window in feed.windows.values():
                if window.readers and due % window.interval < self._tick:
                    self._change(feed, window, due, out)

    def _change(self, feed: _Feed, window: _Window, due: int, out: list[Told]) -> None:
        book = feed.book
        if book is None or (window.looked_at == book.update_id and not feed.is_false):
            return
        window.looked_at = book.update_id
        bids, asks = _best(book, window.depth)
        if feed.is_false:
            feed.is_false = False
            window.looked_at = 0  # the next look puts it right
            best = book.best_ask or feed.listing.price
            if len(bids) == window.depth:
                del bids[min(bids)]
            bids[best + max(1, int(best * CROSSING))] = feed.listing.level_size
        bid_changes = self._changes(window.bids, bids, book.bids)
        ask_changes = self._changes(window.asks, asks, book.asks)
        if not bid_changes and not ask_changes:
            return
        window.bids, window.asks = bids, asks
        window.update_id += 1
        window.ts = due
        data = self._message(feed, window, "delta", bid_changes, ask_changes)
        out.append(Told(data, "depth", feed.listing.symbol, tuple(window.readers)))

    def _changes(self, told: dict[int, int], now: dict[int, int], side: Ladder) -> dict[int, int]:
        changes = {price: size for price, size in now.items() if told.get(price) != size}
        for price in told:
            if price not in now and (self._tells_what_left or price not in side.sizes):
                changes[price] = 0
        return changes

    def _snapshot(self, feed: _Feed, window: _Window, readers: tuple[str, ...]) -> Told:
        data = self._message(feed, window, "snapshot", window.bids, window.asks)
        return Told(data, "depth", feed.listing.symbol, readers)

    def _message(
        self, feed: _Feed, window: _Window, kind: str, bids: dict[int, int], asks: dict[int, int]
    ) -> bytes:
        listing = feed.listing
        book = feed.book
        content = _Book(
            feed.native,
            [_level(listing, price, bids[price]) for price in sorted(bids, reverse=True)],
            [_level(listing, price, asks[price]) for price in sorted(asks)],
            window.update_id,
            0 if book is None else book.update_id,
        )
        time = window.ts // MILLISECOND
        return self._encoder.encode(_BookMessage(window.topic, time, kind, content, time))


def _best(book: TrueBook, depth: int) -> tuple[dict[int, int], dict[int, int]]:
    """Return the best levels of both sides, ticks to steps."""
    bids, asks = book.bids, book.asks
    return (
        {price: bids.sizes[price] for price in bids.prices[-depth:]},
        {price: asks.sizes[price] for price in asks.prices[:depth]},
    )


def _level(listing: Listing, price: int, size: int) -> tuple[str, str]:
    text = listing.size_text(size, listing.size_decimals) if size else "0"
    return listing.price_text(price, listing.price_decimals), text
