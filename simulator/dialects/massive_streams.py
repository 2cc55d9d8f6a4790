"""Massive's crypto events: who reads which, and what they say.

Frames hold events of one kind and pair: the venue may mix them, but a fault must find its own.
A quote is told when the best level of a side has changed, at most one an advance; a bar when its
window is over and something traded in it.
"""

from collections.abc import Sequence

import msgspec

from simulator.frames import Text
from simulator.listings import Listing
from simulator.market_model import MarketModel
from simulator.true_book import Change, Print

MILLISECOND = 1_000_000
SECOND = 1_000 * MILLISECOND
TRADE, QUOTE, MINUTE_BAR, SECOND_BAR = "XT", "XQ", "XA", "XAS"
LENGTHS = {MINUTE_BAR: 60 * SECOND, SECOND_BAR: SECOND}
CHANNELS = {TRADE: "trade", QUOTE: "depth", MINUTE_BAR: "bar", SECOND_BAR: "bar"}
"""What faults call them: a quote is all that there is of a book."""
EXCHANGE = 1
CROSSING = 0.001
"""How far a falsified bid lies above the best ask, as a share of the price."""


class Told(msgspec.Struct, frozen=True):
    """One frame, for all who read its stream, `"XT.BTC-USD"`."""

    stream: str
    frame: Text
    readers: tuple[str, ...]


class _Trade(msgspec.Struct):
    ev: str
    pair: str
    p: float
    t: int
    s: float
    c: list[int]
    i: str
    x: int
    r: int


class _Quote(msgspec.Struct):
    ev: str
    pair: str
    bp: float
    bs: float
    ap: float
    as_: float = msgspec.field(name="as")
    t: int
    x: int
    r: int


class _Bar(msgspec.Struct):
    ev: str
    pair: str
    v: float
    vw: float
    z: int
    o: float
    c: float
    h: float
    l: float  # noqa: E741 - the venue's name
    s: int
    e: int


class _Window:
    """The trades of one bar so far, in ticks and steps."""

    __slots__ = ("close", "count", "high", "low", "open", "start", "volume", "worth")

    def __init__(self, start: int, price: int) -> None:
        self.start = start
        self.open = self.high = self.low = self.close = price
        self.volume = self.worth = self.count = 0

    def absorb(self, trade: Print) -> None:
        self.high = max(self.high, trade.price)
        self.low = min(self.low, trade.price)
        self.close = trade.price
        self.volume += trade.size
        self.worth += trade.size * trade.price
        self.count += 1


class _Pair:
    """What is told of one pair, and to whom."""

    __slots__ = ("false_ahead", "is_false", "listing", "quoted", "readers", "windows")

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.readers: dict[str, dict[str, None]] = {kind: {} for kind in CHANNELS}
        self.windows: dict[str, _Window] = {}
        self.quoted: tuple[float, ...] = ()
        self.is_false = False
        self.false_ahead = 0


class MassiveStreams:
    """The events of all pairs.

    Args:
        model: the market; its books must be as new as the changes given to `advance`.
    """

    def __init__(self, model: MarketModel) -> None:
        self._model = model
        self._pairs = {listing.symbol: _Pair(listing) for listing in model.listings}
        self._encode = msgspec.json.Encoder().encode

    def join(self, conn: str, stream: str) -> None:
        """Let a connection read a stream; one of a pair that is not here is never heard of."""
        for pair, readers in self._named(stream):
            if pair.listing.is_trading:
                readers[conn] = None
                pair.quoted = ()  # a newcomer need not wait until the best level changes

    def leave(self, conn: str, stream: str) -> None:
        """Let a connection read a stream no longer."""
        for _, readers in self._named(stream):
            readers.pop(conn, None)

    def advance(self, changes: Sequence[Change], now: int) -> list[Told]:
        """Return what is told of these changes up to `now`."""
        out: list[Told] = []
        trades: dict[str, list[Print]] = {}
        touched: dict[str, int] = {}
        for change in changes:
            if isinstance(change, Print):
                trades.setdefault(change.symbol, []).append(change)
            else:
                touched[change.symbol] = change.ts
        for symbol, prints in trades.items():
            self._trades(self._pairs[symbol], prints, now, out)
        for symbol, ts in touched.items():
            self._quote(self._pairs[symbol], ts, now, out)
        for pair in self._pairs.values():
            self._bars(pair, now, out)
        return out

    def falsify_book(self, symbol: str) -> None:
        """Put a bid above the best ask into the symbol's next quote."""
        self._pairs[symbol].is_false = True

    def falsify_trade_time(self, symbol: str, ahead: int) -> None:
        """Tell the symbol's next trade with a time `ahead` ns too late."""
        self._pairs[symbol].false_ahead = ahead

    def _named(self, stream: str) -> list[tuple[_Pair, dict[str, None]]]:
        kind, _, symbol = stream.partition(".")
        if kind not in CHANNELS:
            return []
        pairs = self._pairs.values() if symbol == "*" else [self._pairs.get(symbol)]
        return [(pair, pair.readers[kind]) for pair in pairs if pair is not None]

    def _trades(self, pair: _Pair, prints: list[Print], now: int, out: list[Told]) -> None:
        listing = pair.listing
        for trade in prints:
            for kind, length in LENGTHS.items():
                start = trade.ts - trade.ts % length
                window = pair.windows.get(kind)
                if window is not None and window.start != start:
                    self._bar(pair, kind, window, out)
                    window = None
                if window is None:
                    window = pair.windows[kind] = _Window(start, trade.price)
                window.absorb(trade)
        if not pair.readers[TRADE]:
            return
        events = []
        for trade in prints:
            ahead, pair.false_ahead = pair.false_ahead, 0
            events.append(
                _Trade(
                    ev=TRADE,
                    pair=listing.symbol,
                    p=listing.price_number(trade.price),
                    t=(trade.ts + ahead) // MILLISECOND,
                    s=listing.size_number(trade.size),
                    c=[2 if trade.buyer_took else 1],
                    i=str(trade.trade_id),
                    x=EXCHANGE,
                    r=now // MILLISECOND,
                )
            )
        self._tell(pair, TRADE, events, out)

    def _quote(self, pair: _Pair, ts: int, now: int, out: list[Told]) -> None:
        """Tell the best levels when they are others than last time."""
        listing = pair.listing
        book = self._model.true_book(listing.symbol)
        bid, ask = book.best_bid, book.best_ask
        best = (
            listing.price_number(bid) if bid is not None else 0.0,
            listing.size_number(book.bids.sizes[bid]) if bid is not None else 0.0,
            listing.price_number(ask) if ask is not None else 0.0,
            listing.size_number(book.asks.sizes[ask]) if ask is not None else 0.0,
        )
        if best == pair.quoted or not pair.readers[QUOTE]:
            return
        pair.quoted = best
        told = best
        if pair.is_false and ask is not None:
            pair.is_false = False
            pair.quoted = ()  # the next advance tells the truth again
            told = (listing.price_number(ask + max(1, int(ask * CROSSING))), *best[1:])
        event = _Quote(
            ev=QUOTE,
            pair=listing.symbol,
            bp=told[0],
            bs=told[1],
            ap=told[2],
            as_=told[3],
            t=ts // MILLISECOND,
            x=EXCHANGE,
            r=now // MILLISECOND,
        )
        self._tell(pair, QUOTE, [event], out)

    def _bars(self, pair: _Pair, now: int, out: list[Told]) -> None:
        for kind, window in list(pair.windows.items()):
            if window.start + LENGTHS[kind] <= now:
                self._bar(pair, kind, window, out)

    def _bar(self, pair: _Pair, kind: str, window: _Window, out: list[Told]) -> None:
        del pair.windows[kind]
        if not pair.readers[kind]:
            return
        listing = pair.listing
        scale = 10**listing.price_decimals
        mean = window.volume / window.count / 10**listing.size_decimals
        event = _Bar(
            ev=kind,
            pair=listing.symbol,
            v=listing.size_number(window.volume),
            vw=round(window.worth / window.volume / scale, 8),
            z=int(mean),
            o=listing.price_number(window.open),
            c=listing.price_number(window.close),
            h=listing.price_number(window.high),
            l=listing.price_number(window.low),
            s=window.start // MILLISECOND,
            e=(window.start + LENGTHS[kind]) // MILLISECOND,
        )
        self._tell(pair, kind, [event], out)

    def _tell(self, pair: _Pair, kind: str, events: Sequence[object], out: list[Told]) -> None:
        symbol = pair.listing.symbol
        frame = Text(self._encode(events), CHANNELS[kind], symbol)
        out.append(Told(f"{kind}.{symbol}", frame, tuple(pair.readers[kind])))
