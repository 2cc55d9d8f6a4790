"""The benchmark's input: raw Binance messages in memory, 80 % trades and 20 % book diffs.

Twenty symbols; a diff has 20 levels a side, 30 % of them removals, most near the best; books start
with 1000 levels a side. Seeded: every run has the same bytes.
"""

import json
import random
from collections.abc import Iterator

from connectors import VENUES
from connectors.contract import FeedDescription
from connectors.placement import owner_of
from connectors.recording import Record
from market.instruments import Instrument

SYMBOLS = 20
MESSAGES = 100_000
TRADES = 0.8
LEVELS = 20
DEPTH = 1000
START_MS = 1_795_168_800_000
MESSAGES_PER_SECOND = 2_000
MILLISECOND = 1_000_000
CONN = "binance-0-0.1"


def _names() -> list[str]:
    """As many of one worker of two as of the other: not the luck of names is measured."""
    names = [f"C{number:02}" for number in range(100)]
    shares = (
        [name for name in names if owner_of(f"{name}-USDT", 2) == worker] for worker in (0, 1)
    )
    return [name for pair in zip(*shares, strict=False) for name in pair][:SYMBOLS]


def instruments() -> list[Instrument]:
    """The twenty symbols."""
    return [
        Instrument(
            venue="binance",
            symbol=f"{name}-USDT",
            native=f"{name}USDT",
            base=name,
            quote="USDT",
            tick=0.01,
            step=0.00001,
        )
        for name in _names()
    ]


def description(subscribed: list[Instrument]) -> FeedDescription:
    """A feed of these symbols."""
    venue = VENUES["binance"]
    return FeedDescription(
        venue=venue.name,
        instruments=tuple(subscribed),
        websocket_url=venue.websocket_url,
        rest_url=venue.rest_url,
    )


class _Market:
    """One symbol's prices, in ticks, and what of its book is known to be there."""

    def __init__(self, number: int) -> None:
        self.random = random.Random(number)
        self.mid = 6_400_000 - 100_000 * number
        self.update_id = 1000
        self.trade_id = 1

    def snapshot(self) -> dict[str, object]:
        """A book of `DEPTH` levels a side."""
        return {
            "lastUpdateId": self.update_id,
            "bids": [self._level(self.mid - 1 - at) for at in range(DEPTH)],
            "asks": [self._level(self.mid + 1 + at) for at in range(DEPTH)],
        }

    def diff(self, ms: int, native: str) -> dict[str, object]:
        """A change of `LEVELS` levels a side."""
        first = self.update_id + 1
        self.update_id += 40
        return {
            "e": "depthUpdate",
            "E": ms,
            "s": native,
            "U": first,
            "u": self.update_id,
            "b": [self._level(self.mid - 1 - at, may_go=at > 0) for at in self._places()],
            "a": [self._level(self.mid + 1 + at, may_go=at > 0) for at in self._places()],
        }

    def trade(self, ms: int, native: str) -> dict[str, object]:
        """A trade at the best price of a side."""
        self.trade_id += 1
        buy = self.random.random() < 0.5
        return {
            "e": "trade",
            "E": ms,
            "s": native,
            "t": self.trade_id,
            "p": _price(self.mid + (1 if buy else -1)),
            "q": f"{self.random.uniform(0.0001, 2):.8f}",
            "T": ms,
            "m": not buy,
            "M": True,
        }

    def _places(self) -> list[int]:
        places = {0}
        while len(places) < LEVELS:
            places.add(min(int(self.random.expovariate(1 / 15)), DEPTH - 1))
        return sorted(places)

    def _level(self, ticks: int, *, may_go: bool = False) -> list[str]:
        goes = may_go and self.random.random() < 0.3
        size = 0.0 if goes else self.random.uniform(0.001, 5)
        return [_price(ticks), f"{size:.8f}"]


def _price(ticks: int) -> str:
    return f"{ticks // 100}.{ticks % 100:02}000000"


def opening(subscribed: list[Instrument]) -> Iterator[Record]:
    """The records before the messages: open, answer, and what starts the books."""
    start = START_MS * MILLISECOND
    yield Record(start, CONN, "open", b"")
    yield Record(start, CONN, "text", b'{"result":null,"id":1}')
    venue = VENUES["binance"]
    names = _names()
    for instrument in subscribed:
        market = _Market(names.index(instrument.base))
        url = f"{venue.rest_url}/api/v3/depth?symbol={instrument.native}&limit=1000"
        # A heartbeat lets the fetch become due whose answer follows.
        yield Record(start + 2_000_000_000, CONN.partition(".")[0], "heartbeat")
        yield Record(
            start + 2_000_000_000, CONN, "http", json.dumps(market.snapshot()).encode(), url
        )


def messages(count: int = MESSAGES) -> Iterator[tuple[str, Record]]:
    """The measured messages, each with its symbol."""
    chooser = random.Random(1)
    subscribed = instruments()
    markets = [_Market(number) for number in range(SYMBOLS)]
    for market in markets:
        market.snapshot()
    for index in range(count):
        number = chooser.randrange(SYMBOLS)
        instrument, market = subscribed[number], markets[number]
        ms = START_MS + 1500 + index * 1000 // MESSAGES_PER_SECOND
        name = instrument.native.lower()
        if chooser.random() < TRADES:
            stream, data = f"{name}@trade", market.trade(ms, instrument.native)
        else:
            stream, data = f"{name}@depth@100ms", market.diff(ms, instrument.native)
        body = json.dumps({"stream": stream, "data": data}, separators=(",", ":")).encode()
        yield instrument.symbol, Record(ms * MILLISECOND + 5 * MILLISECOND, CONN, "text", body)
