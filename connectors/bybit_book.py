"""Bybit's messages of market data, and its book rule for one instrument.

The numbered steps are those of the docstring of `connectors.bybit`.
"""

from typing import Annotated, Literal

import msgspec

from connectors.contract import Told
from market.events import BookDelta, BookSnapshot, FeedGap, Level
from market.instruments import Instrument
from market.intervals import SECOND

MILLISECOND = 1_000_000

ASK_AGAIN_AFTER = SECOND
"""So long after a subscription a delta instead of the snapshot means that this was lost."""
JUMPS_BELIEVED = 20
"""Jumps of the update ids, among few steps of one, that it takes to doubt that ids are counted."""
STALE_SNAPSHOTS = 3
"""The one that is believed, of snapshots that are older than what was told before."""

_Price = Annotated[float, msgspec.Meta(gt=0, lt=1e18)]
_Size = Annotated[float, msgspec.Meta(ge=0, lt=1e18)]
_Time = Annotated[int, msgspec.Meta(gt=0, lt=9 * 10**12)]  # ms: in ns it fits 63 bits
_Id = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
_TradeId = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class TradeRow(msgspec.Struct, gc=False):
    """{"T":1672304486865,"s":"BTCUSDT","S":"Buy","v":"0.001","p":"16578.50",
    "i":"2290000000068683805","BT":false,"RPI":false,"seq":1783284617}"""  # noqa: D205, D209, D415

    T: _Time
    s: str
    S: Literal["Buy", "Sell"]
    v: _Price
    p: _Price
    i: _TradeId
    BT: bool = False


class BookRow(msgspec.Struct):
    """{"s":"BTCUSDT","b":[["16493.00","0"]],"a":[],"u":18521289,"seq":7961638730}"""  # noqa: D415

    s: str
    b: list[tuple[_Price, _Size]]
    a: list[tuple[_Price, _Size]]
    u: _Id


class BybitMessage(msgspec.Struct):
    """{"topic":"orderbook.50.BTCUSDT","ts":1672304485000,"type":"delta","data":{…},
    "cts":1672304484998}; a time is text in one printed example."""  # noqa: D205, D209

    topic: str
    type: str
    ts: _Time
    data: list[TradeRow] | BookRow
    cts: _Time | None = None


class Numbering:
    """Step 6: whether a jump of the update ids means that something was lost.

    Ids are taken to be consecutive until a connection has seen `JUMPS_BELIEVED` jumps, and more
    jumps than steps of one: a line that loses more than half of its messages is none that works.
    """

    __slots__ = ("jumps", "steps")

    def __init__(self) -> None:
        self.steps = 0
        self.jumps = 0

    def is_loss(self) -> bool:
        """Count a jump and judge it."""
        self.jumps += 1
        return self.jumps <= JUMPS_BELIEVED or self.jumps <= self.steps


class BybitBook:
    """Steps 1 to 7 of the book rule for one instrument.

    `wants_again` says that the subscription must be made anew.
    """

    __slots__ = (
        "_asks",
        "_bids",
        "_born",
        "_depth",
        "_floor",
        "_following",
        "_id",
        "_numbering",
        "_stale",
        "_starting",
        "_ts",
        "asked_at",
        "instrument",
        "is_live",
        "native",
        "topic",
        "wants_again",
    )

    def __init__(
        self, instrument: Instrument, depth: int, starting: Numbering, following: Numbering
    ) -> None:
        self.instrument = instrument.id
        self.native = instrument.native
        self.topic = f"orderbook.{depth}.{instrument.native}"
        self.is_live = False
        self.wants_again = False
        self.asked_at = 0
        self._depth = depth
        self._starting = starting  # from a snapshot to its first delta
        self._following = following  # from delta to delta
        self._numbering = starting
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}
        self._id = 0
        self._floor = 0
        self._stale = 0
        self._ts = 0
        self._born = 0  # when the ids that are in force began, where that was told

    def update(self, message: BybitMessage, book: BookRow, now: int) -> list[Told]:
        """Take one message of the book's topic."""
        if message.type == "snapshot" or book.u == 1:
            return self._replace(message, book, now)
        if not self.is_live:
            if now - self.asked_at >= ASK_AGAIN_AFTER:
                self.wants_again = True
            return []
        number = book.u
        if message.ts < self._born:
            return []  # from before the restart
        if number <= self._id:
            if number < self._id and message.ts > self._ts:
                return [self.restart(f"update ids began anew: {number} after {self._id}", now)]
            return []
        if number == self._id + 1:
            self._numbering.steps += 1
        elif self._numbering.is_loss():
            missing = f"sequence: expected u {self._id + 1}, got {number}"
            return [self.restart(missing, now, floor=number)]
        self._numbering = self._following
        self._id = number
        self._ts = message.ts
        bids, asks = book.b, book.a
        _set(self._bids, bids)
        _set(self._asks, asks)
        if len(self._bids) > self._depth:
            bids = bids + _cut(self._bids, self._depth, is_bid=True)
        if len(self._asks) > self._depth:
            asks = asks + _cut(self._asks, self._depth, is_bid=False)
        delta = BookDelta(
            instrument=self.instrument,
            ts_event=(message.cts or message.ts) * MILLISECOND,
            ts_recv=now,
            bids=bids,
            asks=asks,
            sequence=number,
        )
        return [delta]

    def restart(self, reason: str, now: int, *, floor: int = 0) -> FeedGap:
        """Forget the book; what comes next must be a snapshot with `u` of `floor` or more."""
        self.is_live = False
        self.wants_again = True
        self._floor = floor
        self._stale = 0
        return FeedGap(instrument=self.instrument, ts_recv=now, reason=reason, channel="book")

    def resync(self, reason: str, now: int) -> FeedGap:
        """Forget the book because of what somebody else found in it."""
        return self.restart(reason, now, floor=self._id)

    def _replace(self, message: BybitMessage, book: BookRow, now: int) -> list[Told]:
        """Steps 1 to 3 and 5."""
        number = book.u
        told: list[Told] = []
        if self.is_live:
            if message.ts < self._ts or (number == self._id and message.ts == self._ts):
                return []  # late, or told twice
            if number < self._id:
                reason = f"update ids began anew: {number} after {self._id}"
                told = [self.restart(reason, now)]
        elif number < self._floor and number != 1:
            self._stale += 1
            if self._stale < STALE_SNAPSHOTS:  # else it is no accident: ids began anew
                self.wants_again = True
                return []
        self.is_live = True
        self.wants_again = False
        self._numbering = self._starting
        self._id = number
        self._ts = message.ts
        if number == 1:
            self._born = message.ts
        self._bids = {price: size for price, size in book.b if size}
        self._asks = {price: size for price, size in book.a if size}
        _cut(self._bids, self._depth, is_bid=True)
        _cut(self._asks, self._depth, is_bid=False)
        snapshot = BookSnapshot(
            instrument=self.instrument,
            ts_event=(message.cts or message.ts) * MILLISECOND,
            ts_recv=now,
            bids=list(self._bids.items()),
            asks=list(self._asks.items()),
            sequence=number,
        )
        return [*told, snapshot]


def _set(side: dict[float, float], levels: list[Level]) -> None:
    for price, size in levels:
        if size:
            side[price] = size
        else:
            side.pop(price, None)


def _cut(side: dict[float, float], depth: int, *, is_bid: bool) -> list[Level]:
    """Forget the levels behind the best `depth`; return their removal."""
    if len(side) <= depth:
        return []
    worst = sorted(side, reverse=not is_bid)[: len(side) - depth]
    for price in worst:
        del side[price]
    return [(price, 0.0) for price in worst]
