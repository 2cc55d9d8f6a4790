"""The words of the system: what happens in a market, and what is known of it.

Times are `int` nanoseconds UTC: `ts_event` is the venue's clock, `ts_recv` is ours. Prices are in
quote currency, sizes in base currency, both `float`, finite, parsed from the venue's text and
never computed when they are keys of a book. `None` is a missing number; zero is a number.
"""

import enum
from typing import TypeAlias, final

import msgspec

Level: TypeAlias = tuple[float, float]
"""Price and size."""


class Side(enum.StrEnum):
    """Side of the aggressor: who crossed the spread; `unknown` where the venue does not say."""

    BUY = "buy"
    SELL = "sell"
    UNKNOWN = "unknown"


class State(enum.StrEnum):
    """Whether a value is true now.

    `live`: it is. `warming`: not enough input yet. `stale`: the feed is silent.
    `resyncing`: the book is being fetched again. `suspect`: it contradicts itself.
    """

    LIVE = "live"
    WARMING = "warming"
    STALE = "stale"
    RESYNCING = "resyncing"
    SUSPECT = "suspect"


class Trade(msgspec.Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """One match at a venue."""

    instrument: str
    ts_event: int
    ts_recv: int
    price: float
    size: float
    side: Side
    trade_id: str


class Quote(msgspec.Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """Best bid and ask from a venue's own top-of-book feed.

    `bid` or `ask` is None, and its size 0, where that side is empty. `exchange` is whose quote it
    is, where the venue passes on several and joins none.
    """

    instrument: str
    ts_event: int
    ts_recv: int
    bid: float | None
    bid_size: float
    ask: float | None
    ask_size: float
    exchange: str = ""


class Aggregate(msgspec.Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """A bar that the venue made, as it made it.

    It is for `[start, end)` of the venue's clock. `volume` is base currency; `vwap` (quote
    currency) and `mean_size`, of a trade (base currency), are None where the venue leaves them out.
    """

    instrument: str
    interval: str
    start: int
    end: int
    ts_recv: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float | None = None
    mean_size: float | None = None


class BookSnapshot(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A whole book: throw away what you had.

    `sequence` is the venue's update id, 0 where the venue has none. `catching_up`: the book was so
    once, and what changed since follows at once.
    """

    instrument: str
    ts_event: int
    ts_recv: int
    bids: list[Level]
    asks: list[Level]
    sequence: int
    catching_up: bool = False


class BookDelta(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Changed levels: sizes are absolute, 0 removes the level.

    `catching_up` is as in `BookSnapshot`.
    """

    instrument: str
    ts_event: int
    ts_recv: int
    bids: list[Level]
    asks: list[Level]
    sequence: int
    catching_up: bool = False


class FeedGap(msgspec.Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """From here on what we knew of this instrument is unknown.

    `channel` is `"all"` when the connection broke, `"book"` or `"trade"` when only that sequence
    did. `ts_recv` is our clock.
    """

    instrument: str
    ts_recv: int
    reason: str
    channel: str = "all"


class Unsubscribed(msgspec.Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """We have let go of the instrument: nothing more is expected of it, and it may be forgotten."""

    instrument: str
    ts_recv: int


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """A second has passed on our clock, and every frame read before it is ahead of it.

    `heard` is our clock when the connection last said anything, 0 when there is none: a book that
    does not change is true as long as the venue would tell us of a change. `channel` is what the
    connection carries, for which alone it vouches: `"all"`, `"trade"` or `"book"`.
    """

    instrument: str
    ts_recv: int
    heard: int = 0
    channel: str = "all"


class BookTop(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The best levels of one venue's book after one message.

    `bids` fall, `asks` rise, at most the configured depth (10) each. `imbalance` is
    (bid size - ask size) / (bid size + ask size) over these levels, -1 to 1, None when a side is
    empty; `spread` is best ask - best bid, None unless both sides are there.
    """

    instrument: str
    ts_event: int
    ts_recv: int
    bids: list[Level]
    asks: list[Level]
    spread: float | None
    imbalance: float | None
    sequence: int
    state: State


class BookUpdate(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What is kept of a book: a whole one (`is_whole`), or changed levels, sizes absolute.

    `prev_sequence` is that of the update that a change follows; None for a whole book, which
    follows nothing.
    """

    instrument: str
    ts_event: int
    ts_recv: int
    sequence: int
    prev_sequence: int | None
    is_whole: bool
    bids: list[Level]
    asks: list[Level]


class Bar(msgspec.Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """Trades of `[start, end)` by `ts_event`.

    `volume` and `buy_volume` are base currency, `vwap` and `notional` quote currency. Of a trade
    whose aggressor is unknown one half counts as bought. `revision` counts late trades'
    corrections. `partial`: our first bar, begun in its middle. `gap`: trades may be missing.
    """

    instrument: str
    interval: str
    start: int
    end: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    buy_volume: float
    notional: float
    count: int
    revision: int = 0
    partial: bool = False
    gap: bool = False

    @property
    def vwap(self) -> float:
        """Mean price weighted by size, in quote currency; the close when nothing traded."""
        return self.notional / self.volume if self.volume > 0 else self.close


class Feature(msgspec.Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """What an indicator says at one moment of one series.

    `value` is None while `state` is `warming`. `ts_event` is the bar's start. `reason` says why it
    is not, or not wholly, to be believed: `"warming(3 of 15)"`, `"revised input"`.
    """

    instrument: str
    interval: str
    name: str
    ts_event: int
    value: float | None
    state: State
    revision: int = 0
    reason: str = ""


class StateChange(msgspec.Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """The truth state of an instrument's book changed."""

    instrument: str
    ts_recv: int
    state: State
    reason: str


class Silence(msgspec.Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """A channel that should speak is silent, or speaks again.

    `since` is when it last spoke, by our clock. It is told when the silence is found, with `ended`
    None, and again when it is over.
    """

    instrument: str
    channel: str
    reason: str
    since: int
    ended: int | None = None


class GapInterval(msgspec.Struct, frozen=True, kw_only=True, tag=True, gc=False):
    """One row of the gap ledger: from `started` to `ended` (our clock, ns) data may be missing.

    It is told when the gap opens, with `ended` None, and again when data flows.
    """

    instrument: str
    channel: str
    reason: str
    started: int
    ended: int | None = None


@final
class LeftOpen(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Intervals of the gap ledger that an earlier run could not close: our first data does."""

    instrument: str
    gaps: tuple[GapInterval, ...]


@final
class History(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Closed bars of the past, from the venue or the database, to warm indicators up with.

    Attributes:
        instrument: id.
        interval: of the bars, `"1m"`.
        bars: oldest first; none is forming, and none is missing between the first and `until`,
            but for those in which nothing traded.
        until: every bar that ended by then is in it, ns of the venue's clock.
        tells_sides: `buy_volume` is what was bought; False where it is a guess of one half.
        asked: how many bars were asked for; None for as many as there are.
    """

    instrument: str
    interval: str
    bars: tuple[Bar, ...]
    until: int
    tells_sides: bool = True
    asked: int | None = None


@final
class Demand(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What clients look at of a symbol, to be computed besides what is configured.

    Attributes:
        symbol: `"BTC-USDT"`.
        features: canonical names of indicators of every venue's bars, by bar interval; what an
            earlier demand of the symbol asked for and this one does not is computed no longer.
        merged: the same of the bars over all venues, which are built of these intervals then.
    """

    symbol: str
    features: dict[str, tuple[str, ...]]
    merged: dict[str, tuple[str, ...]] = {}


MarketEvent: TypeAlias = (
    Trade | Quote | Aggregate | BookSnapshot | BookDelta | FeedGap | Unsubscribed | Heartbeat
)
"""What a connector tells."""
