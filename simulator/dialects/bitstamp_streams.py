"""Bitstamp spot's channels: who reads which, and what they say.

A book's `microtimestamp` is the time of its last change. It rises with every message, so that a
book is known by it.
"""

from collections.abc import Sequence

import msgspec

from simulator.listings import Listing, decimal_text
from simulator.market_model import MarketModel
from simulator.true_book import Change, Ladder, Print

MICROSECOND = 1_000
SECOND = 1_000_000 * MICROSECOND
TOP_LEVELS = 100
CROSSING = 0.001
"""How far a falsified bid lies above the best ask, as a share of the price."""
TRADES = "live_trades"
TOP = "order_book"
DIFF = "diff_order_book"


class Told(msgspec.Struct, frozen=True):
    """One message of a channel, for all who read it.

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
    """`{"id":93215787,"id_str":"93215787","amount":0.01414016,"amount_str":"0.01414016",…}`."""

    id: int
    id_str: str
    amount: float
    amount_str: str
    price: float
    price_str: str
    type: int
    timestamp: str
    microtimestamp: str
    buy_order_id: int
    sell_order_id: int


class _Book(msgspec.Struct):
    """`{"timestamp":"1789457617","microtimestamp":"1789457617906487","bids":[…],"asks":[…]}`."""

    timestamp: str
    microtimestamp: str
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class _Message(msgspec.Struct):
    """`{"data":{…},"channel":"order_book_btcusd","event":"data"}`."""

    data: _Trade | _Book
    channel: str
    event: str


class _Feed:
    """What is told of one market, and to whom."""

    __slots__ = (
        "asks",
        "bids",
        "false_ahead",
        "false_bid",
        "is_changed",
        "listing",
        "native",
        "readers",
        "refused_until",
        "stamp",
    )

    def __init__(self, listing: Listing, now: int) -> None:
        self.listing = listing
        self.native = f"{listing.base}{listing.quote}".lower()
        self.readers: dict[str, dict[str, None]] = {TRADES: {}, TOP: {}, DIFF: {}}
        self.stamp = now // MICROSECOND
        self.is_changed = False
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.false_bid: tuple[int, int] | None = None
        self.false_ahead = 0
        self.refused_until = 0


class BitstampStreams:
    """The channels of all markets.

    Args:
        model: the market; its books must be as new as the changes given to `advance`.
        interval: ns between two messages of a book.
    """

    def __init__(self, model: MarketModel, *, interval: int) -> None:
        self._model = model
        self._interval = interval
        self._feeds = {listing.symbol: _Feed(listing, model.now) for listing in model.listings}
        self._channels = {
            f"{kind}_{feed.native}": (feed, readers)
            for feed in self._feeds.values()
            if feed.listing.is_trading
            for kind, readers in feed.readers.items()
        }
        self._next_flush = model.now - model.now % interval + interval
        self._encoder = msgspec.json.Encoder()

    def join(self, conn: str, channel: str) -> None:
        """Let a connection read a channel; one that does not exist is never heard of again."""
        feed, readers = self._channels.get(channel, (None, {}))
        if feed is not None and self._model.now >= feed.refused_until:
            readers[conn] = None

    def leave(self, conn: str, channel: str) -> None:
        """Let a connection read a channel no longer."""
        _, readers = self._channels.get(channel, (None, {}))
        readers.pop(conn, None)

    def microtimestamp(self, symbol: str) -> int:
        """Return the time of the symbol's last change, microseconds UTC."""
        return self._feeds[symbol].stamp

    def advance(self, changes: Sequence[Change], now: int) -> list[Told]:
        """Return what is told of these changes up to `now`; books at their rhythm.

        A rhythm that was missed is not made up for: the book is told as it is now.
        """
        out: list[Told] = []
        stamps: dict[str, int] = {}
        for change in changes:
            feed = self._feeds.get(change.symbol)
            if feed is None:
                continue
            if isinstance(change, Print):
                if feed.readers[TRADES]:
                    out.append(self._trade(feed, change))
                continue
            (feed.bids if change.is_bid else feed.asks)[change.price] = change.size
            feed.is_changed = True
            stamps[change.symbol] = change.ts
        for symbol, ts in stamps.items():
            feed = self._feeds[symbol]
            feed.stamp = max(ts // MICROSECOND, feed.stamp + 1)
        if now >= self._next_flush:
            self._next_flush = now - now % self._interval + self._interval
            for feed in self._feeds.values():
                self._flush(feed, out)
        return out

    def falsify_book(self, symbol: str) -> None:
        """Put a bid above the best ask into the symbol's next book message."""
        feed = self._feeds[symbol]
        best = self._model.true_book(symbol).best_ask or feed.listing.price
        feed.false_bid = (best + max(1, int(best * CROSSING)), feed.listing.level_size)

    def falsify_trade_time(self, symbol: str, ahead: int) -> None:
        """Tell the symbol's next trade with a time `ahead` ns too late."""
        self._feeds[symbol].false_ahead = ahead

    def refuse_symbol(self, symbol: str, until: int) -> None:
        """Let nobody join the symbol's channels up to `until`, ns UTC, and tell nobody."""
        self._feeds[symbol].refused_until = until

    def _trade(self, feed: _Feed, trade: Print) -> Told:
        listing = feed.listing
        price = listing.price_text(trade.price, listing.price_decimals)
        amount = listing.size_text(trade.size)
        time = (trade.ts + feed.false_ahead) // MICROSECOND
        feed.false_ahead = 0
        message = _Trade(
            id=trade.trade_id,
            id_str=str(trade.trade_id),
            amount=float(amount),
            amount_str=amount,
            price=float(price),
            price_str=price,
            type=0 if trade.buyer_took else 1,
            timestamp=str(time // 1_000_000),
            microtimestamp=str(time),
            buy_order_id=2 * trade.trade_id,
            sell_order_id=2 * trade.trade_id + 1,
        )
        return self._told(feed, TRADES, message)

    def _flush(self, feed: _Feed, out: list[Told]) -> None:
        """Tell a book that has changed, whole and by its changes."""
        if not feed.is_changed:
            return
        if feed.readers[TOP]:
            book = self._model.true_book(feed.listing.symbol)
            bids = top(book.bids, is_bid=True)
            if feed.false_bid is not None:
                bids = [feed.false_bid, *bids[: TOP_LEVELS - 1]]
            out.append(self._told(feed, TOP, self._book(feed, bids, top(book.asks, is_bid=False))))
        if feed.readers[DIFF]:
            if feed.false_bid is not None:
                price, size = feed.false_bid
                feed.bids[price] = size
            bids = sorted(feed.bids.items(), reverse=True)
            out.append(self._told(feed, DIFF, self._book(feed, bids, sorted(feed.asks.items()))))
        if feed.readers[TOP] or feed.readers[DIFF]:
            feed.false_bid = None
        feed.bids, feed.asks = {}, {}
        feed.is_changed = False

    def _book(self, feed: _Feed, bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> _Book:
        return _Book(
            timestamp=str(feed.stamp // 1_000_000),
            microtimestamp=str(feed.stamp),
            bids=level_texts(feed.listing, bids),
            asks=level_texts(feed.listing, asks),
        )

    def _told(self, feed: _Feed, kind: str, data: _Trade | _Book) -> Told:
        event = "trade" if kind == TRADES else "data"
        message = _Message(data, f"{kind}_{feed.native}", event)
        channel = "trade" if kind == TRADES else "depth"
        readers = tuple(feed.readers[kind])
        return Told(self._encoder.encode(message), channel, feed.listing.symbol, readers)


def top(ladder: Ladder, *, is_bid: bool, levels: int = TOP_LEVELS) -> list[tuple[int, int]]:
    """Return the best levels of a side in ticks and steps, best first."""
    prices = ladder.prices[: -levels - 1 : -1] if is_bid else ladder.prices[:levels]
    return [(price, ladder.sizes[price]) for price in prices]


def level_texts(listing: Listing, levels: list[tuple[int, int]]) -> list[tuple[str, str]]:
    """Return levels as Bitstamp writes them: the price with its decimals, the size with eight."""
    decimals, size_decimals = listing.price_decimals, listing.size_decimals
    return [
        (decimal_text(price, decimals, decimals), decimal_text(size, size_decimals, 8))
        for price, size in levels
    ]
