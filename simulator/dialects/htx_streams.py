"""HTX's market data: the rows of trades, and books as changes of their best 150 levels."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import msgspec

from simulator.listings import Listing
from simulator.market_model import MarketModel
from simulator.true_book import Change, Ladder, Print, TrueBook

MILLISECOND = 1_000_000
LEVELS = 150
TRADES_KEPT = 300
CROSSING = 0.001
"""How far a falsified bid lies above the best ask, as a share of the price."""
_LEAST_PLAIN, _MOST_PLAIN = 1e-3, 1e7


class Told(msgspec.Struct, frozen=True):
    """One message of a topic, for all who read it.

    Attributes:
        data: JSON, not compressed yet.
        channel: `"trade"` or `"depth"`.
        symbol: `"BTC-USDT"`.
        readers: connections.
    """

    data: bytes
    channel: str
    symbol: str
    readers: tuple[str, ...]


class _Feed:
    """What is told of one symbol, and to whom.

    `book` is the true book as of the last 100 ms, while anybody reads it; `bids`, `asks` and
    `last` are what its readers know.
    """

    __slots__ = (
        "asks", "bids", "book", "book_readers", "false_ahead", "is_false", "jumps", "last",
        "listing", "native", "pending", "trade_readers", "trades",
    )  # fmt: skip

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.native = native_of(listing)
        self.trade_readers: dict[str, None] = {}
        self.book_readers: dict[str, None] = {}
        self.trades: deque[Print] = deque(maxlen=TRADES_KEPT)
        self.pending: list[Print] = []
        self.book: TrueBook | None = None
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}
        self.last = 0
        self.is_false = False
        self.jumps = False
        self.false_ahead = 0


class HtxStreams:
    """`trade.detail` and `mbp.150` of all symbols.

    A message of trades holds what one order took, the newest row first. A book message compares
    the best 150 levels of now with those of the message before, so that what has left them is
    removed; where the book changed further down it is empty, and still has its number.

    Args:
        model: the market; its books must be as new as the changes given to `advance`.
        interval: ns between two book messages of a symbol.
    """

    def __init__(self, model: MarketModel, *, interval: int) -> None:
        self._model = model
        self._interval = interval
        self._feeds = {listing.symbol: _Feed(listing) for listing in model.listings}
        self._natives = {feed.native: feed for feed in self._feeds.values()}
        self._next_flush = model.now - model.now % interval + interval

    def knows(self, native: str) -> bool:
        """Tell whether there is such a symbol, trading or not."""
        return native in self._natives

    def native(self, symbol: str) -> str:
        """Return HTX's spelling of `"BTC-USDT"`."""
        return self._feeds[symbol].native

    def join(self, conn: str, native: str, kind: str) -> Told | None:
        """Let a connection read a topic; return what it is told at once: the last trades."""
        feed = self._natives[native]
        if not feed.listing.is_trading:
            return None
        if kind == "mbp.150":
            if feed.book is None:
                self._follow(feed)
            feed.book_readers[conn] = None
        elif kind == "trade.detail":
            feed.trade_readers[conn] = None
            last = [trade for trade in feed.trades if trade.ts == feed.trades[-1].ts]
            if last:
                return Told(_trades(feed, last), "trade", feed.listing.symbol, (conn,))
        return None

    def leave(self, conn: str, native: str, kind: str) -> None:
        """Let a connection read a topic no longer."""
        feed = self._natives[native]
        if kind == "mbp.150":
            feed.book_readers.pop(conn, None)
            if not feed.book_readers:
                feed.book = None
        elif kind == "trade.detail":
            feed.trade_readers.pop(conn, None)

    def requested(self, native: str, kind: str) -> bytes:
        """Return the `data` of an answer to `req`; empty where the venue says nothing."""
        feed = self._natives[native]
        if not feed.listing.is_trading:
            return b""
        if kind == "trade.detail":
            return b"[%b]" % b",".join(
                _row(feed, trade, trade.ts) for trade in reversed(feed.trades)
            )
        if kind != "mbp.150":
            return b""
        if feed.book is None:  # nobody reads it: then it is the book of now
            self._follow(feed)
            feed.book = None
        bids, asks = _levels(feed, feed.bids, is_bid=True), _levels(feed, feed.asks, is_bid=False)
        return b'{"seqNum":%d,"bids":[%b],"asks":[%b]}' % (feed.last, bids, asks)

    def advance(self, changes: Sequence[Change], now: int) -> list[Told]:
        """Return what is told of these changes up to `now`; book messages at their rhythm."""
        out: list[Told] = []
        for change in changes:
            while change.ts >= self._next_flush:
                self._flush(out)
            feed = self._feeds.get(change.symbol)
            if feed is None:
                continue
            if isinstance(change, Print):
                if feed.pending and feed.pending[-1].ts != change.ts:
                    self._tell_trades(feed, out)
                feed.pending.append(change)
            elif feed.book is not None:
                feed.book.apply(change)
        while now >= self._next_flush:
            self._flush(out)
        for feed in self._feeds.values():
            if feed.pending:
                self._tell_trades(feed, out)
        return out

    def falsify_book(self, symbol: str) -> None:
        """Put a bid above the best ask into the symbol's next book message."""
        self._feeds[symbol].is_false = True

    def falsify_trade_time(self, symbol: str, ahead: int) -> None:
        """Tell the symbol's next trades with a time `ahead` ns too late."""
        self._feeds[symbol].false_ahead = ahead

    def jump_sequence(self, symbol: str) -> None:
        """Break the chain of numbers at the symbol's next book message."""
        self._feeds[symbol].jumps = True

    def _follow(self, feed: _Feed) -> None:
        feed.book = self._model.true_book(feed.listing.symbol).duplicate()
        feed.bids, feed.asks = _best(feed.book)
        feed.last = feed.book.update_id

    def _tell_trades(self, feed: _Feed, out: list[Told]) -> None:
        pending, feed.pending = feed.pending, []
        feed.trades += pending
        if feed.trade_readers:
            data = _trades(feed, pending, feed.false_ahead)
            feed.false_ahead = 0
            out.append(Told(data, "trade", feed.listing.symbol, tuple(feed.trade_readers)))

    def _flush(self, out: list[Told]) -> None:
        """Tell the book messages that are due at `_next_flush`."""
        due = self._next_flush
        self._next_flush = due + self._interval
        for feed in self._feeds.values():
            book = feed.book
            if book is not None and (book.update_id != feed.last or feed.is_false):
                data = _book(feed, book, due)
                out.append(Told(data, "depth", feed.listing.symbol, tuple(feed.book_readers)))


def native_of(listing: Listing) -> str:
    """Return HTX's spelling, `"btcusdt"`."""
    return (listing.base + listing.quote).lower()


@lru_cache(maxsize=1 << 16)
def number_text(text: str) -> str:
    """Write decimal text as HTX writes a number: with an exponent outside of [0.001, 10000000).

    Example:
        >>> [number_text(one) for one in ("618.37", "100", "0.00000000009486", "5432917497272.8")]
        ['618.37', '100.0', '9.486E-11', '5.4329174972728E12']
    """
    value = float(text)
    if value == 0 or _LEAST_PLAIN <= value < _MOST_PLAIN:
        return repr(value)
    # The shortest digits that give this number again, as `repr` has them, in one form.
    digits, _, exponent = repr(value).partition("e")
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    power = int(exponent or 0) + len(whole) - 1
    all_digits = whole + fraction
    significant = all_digits.lstrip("0")
    power -= len(all_digits) - len(significant)
    return f"{significant[0]}.{significant[1:].rstrip('0') or '0'}E{power}"


def _best(book: TrueBook) -> tuple[dict[int, int], dict[int, int]]:
    bids, asks = book.bids, book.asks
    return _part(bids, bids.prices[-LEVELS:]), _part(asks, asks.prices[:LEVELS])


def _part(side: Ladder, prices: Iterable[int]) -> dict[int, int]:
    sizes = side.sizes
    return {price: sizes[price] for price in prices}


def _book(feed: _Feed, book: TrueBook, due: int) -> bytes:
    bids, asks = _best(book)
    changed_bids, changed_asks = _changes(feed.bids, bids), _changes(feed.asks, asks)
    if feed.is_false:
        feed.is_false = False
        best = book.best_ask or feed.listing.price
        changed_bids[best + max(1, int(best * CROSSING))] = feed.listing.level_size
    data = b'{"ch":"market.%b.mbp.150","ts":%d,"tick":{"seqNum":%d,"prevSeqNum":%d,' % (
        feed.native.encode(),
        due // MILLISECOND,
        book.update_id,
        feed.last + feed.jumps,
    )
    feed.jumps = False
    data += b'"bids":[%b],"asks":[%b]}}' % (
        _levels(feed, changed_bids, is_bid=True),
        _levels(feed, changed_asks, is_bid=False),
    )
    feed.bids, feed.asks, feed.last = bids, asks, book.update_id
    return data


def _changes(before: Mapping[int, int], after: Mapping[int, int]) -> dict[int, int]:
    changed = {price: size for price, size in after.items() if before.get(price) != size}
    changed.update((price, 0) for price in before if price not in after)
    return changed


def _levels(feed: _Feed, levels: Mapping[int, int], *, is_bid: bool) -> bytes:
    listing = feed.listing
    return ",".join(
        f"[{_price(listing, price)},{_size(listing, levels[price])}]"
        for price in sorted(levels, reverse=is_bid)
    ).encode()


def _trades(feed: _Feed, trades: Sequence[Print], ahead: int = 0) -> bytes:
    """Write one message of `trade.detail`; it is sent two milliseconds later."""
    newest = trades[-1]
    ts = (newest.ts + ahead) // MILLISECOND
    rows = b",".join(_row(feed, trade, trade.ts + ahead) for trade in reversed(trades))
    return b'{"ch":"market.%b.trade.detail","ts":%d,"tick":{"id":%d,"ts":%d,"data":[%b]}}' % (
        feed.native.encode(),
        ts + 2,
        newest.trade_id,
        ts,
        rows,
    )


def _row(feed: _Feed, trade: Print, ts: int) -> bytes:
    listing = feed.listing
    row = (
        f'{{"id":{trade.trade_id}{trade.trade_id % 10**12:012},"ts":{ts // MILLISECOND},'
        f'"tradeId":{trade.trade_id},"amount":{_size(listing, trade.size)},'
        f'"price":{_price(listing, trade.price)},'
        f'"direction":"{"buy" if trade.buyer_took else "sell"}"}}'
    )
    return row.encode()


def _price(listing: Listing, ticks: int) -> str:
    return number_text(listing.price_text(ticks))


def _size(listing: Listing, steps: int) -> str:
    return number_text(listing.size_text(steps))
