"""Events to feed the pure objects of the flow with, by hand and at random."""

from collections.abc import Iterable, Sequence
from random import Random

import msgspec
from hypothesis import strategies as st

from connectors.drain import FlowEvent
from filters.specs import Source, Spec, SpecsChanged
from flows.market_output import MarketOutput
from flows.settings import MarketSettings
from flows.symbol_market import SymbolMarket
from market.events import (
    Bar,
    BookDelta,
    BookSnapshot,
    Demand,
    FeedGap,
    Heartbeat,
    History,
    Level,
    Side,
    Trade,
)

SECOND = 1_000_000_000
MS = 1_000_000
START = 1_700_000_040 * SECOND
"""A whole minute."""
BTC = "binance:BTC-USDT"
OTHER = "kraken:BTC-USDT"
LATENCY = 20 * MS


def trade(
    at: float,
    price: float = 100.0,
    size: float = 1.0,
    *,
    side: Side = Side.BUY,
    instrument: str = BTC,
    lag: int = LATENCY,
) -> Trade:
    """A trade `at` seconds after START by the venue's clock."""
    ts = START + round(at * SECOND)
    return Trade(
        instrument=instrument,
        ts_event=ts,
        ts_recv=ts + lag,
        price=price,
        size=size,
        side=side,
        trade_id=f"{ts}",
    )


def beat(
    at: float,
    *,
    instrument: str = BTC,
    lag: int = LATENCY,
    heard: float | None = None,
    channel: str = "all",
) -> Heartbeat:
    """A heartbeat `at` seconds after START by the venue's clock."""
    return Heartbeat(
        instrument=instrument,
        ts_recv=START + round(at * SECOND) + lag,
        heard=0 if heard is None else START + round(heard * SECOND) + lag,
        channel=channel,
    )


def gap(at: float, channel: str = "all", *, reason: str = "cut", instrument: str = BTC) -> FeedGap:
    """A gap `at` seconds after START by the venue's clock."""
    ts = START + round(at * SECOND) + LATENCY
    return FeedGap(instrument=instrument, ts_recv=ts, reason=reason, channel=channel)


def snapshot(
    at: float,
    bids: list[Level] | None = None,
    asks: list[Level] | None = None,
    *,
    sequence: int = 1,
    instrument: str = BTC,
) -> BookSnapshot:
    """A whole book, 99 to 101 unless told."""
    ts = START + round(at * SECOND)
    return BookSnapshot(
        instrument=instrument,
        ts_event=ts,
        ts_recv=ts + LATENCY,
        bids=[(99.0, 1.0), (98.0, 2.0)] if bids is None else bids,
        asks=[(101.0, 1.0), (102.0, 3.0)] if asks is None else asks,
        sequence=sequence,
    )


def delta(
    at: float,
    bids: list[Level] | None = None,
    asks: list[Level] | None = None,
    *,
    sequence: int = 2,
    instrument: str = BTC,
) -> BookDelta:
    """Changed levels; none unless told."""
    ts = START + round(at * SECOND)
    return BookDelta(
        instrument=instrument,
        ts_event=ts,
        ts_recv=ts + LATENCY,
        bids=bids or [],
        asks=asks or [],
        sequence=sequence,
    )


def past(at: float, *, interval: str = "1s", count: int = 30, instrument: str = BTC) -> History:
    """As many bars of the past as end `at` seconds after START."""
    length = round(SECOND * {"1s": 1, "5s": 5}[interval])
    until = START + round(at * SECOND)
    until -= until % length
    bars = [
        Bar(
            instrument=instrument,
            interval=interval,
            start=until - number * length,
            end=until - (number - 1) * length,
            open=100.0,
            high=101.0 + number % 3,
            low=99.0,
            close=100.0 + number % 3,
            volume=2.0,
            buy_volume=1.0,
            notional=200.0,
            count=2,
        )
        for number in range(count, 0, -1)
    ]
    return History(instrument=instrument, interval=interval, bars=tuple(bars), until=until)


def bar_spec(when: str = "rsi(3) < 40", *, name: str = "bars", interval: str = "1s") -> Spec:
    """A spec over bars."""
    return Spec(id=name, source=Source(stream="bar", symbols=("*",), interval=interval), when=when)


def book_spec(when: str = "book.imbalance(5) > 0.1", *, name: str = "book") -> Spec:
    """A spec over books."""
    return Spec(id=name, source=Source(stream="book", symbols=("*",)), when=when)


def specs(*given: Spec, generation: int = 1) -> SpecsChanged:
    """Put specs in force."""
    return SpecsChanged(generation=generation, specs=given)


def make_market(
    settings: MarketSettings | None = None, *, keeps_books: bool = True
) -> SymbolMarket:
    """A market that tells everything."""
    return SymbolMarket(
        settings
        or MarketSettings(
            bar_intervals=("1s", "5s"), features=("rsi(3)", "ema(4)"), stale_after_s=10
        ),
        wants_tops=True,
        wants_events=True,
        keeps_books=keeps_books,
    )


def joined(outputs: Iterable[MarketOutput]) -> MarketOutput:
    """Put outputs one behind the other."""
    whole = MarketOutput()
    for output in outputs:
        for field in msgspec.structs.fields(MarketOutput):
            if field.name == "trades_outside":
                whole.trades_outside += output.trades_outside
            else:
                told = [*getattr(whole, field.name), *getattr(output, field.name)]
                setattr(whole, field.name, told)
    return whole


def parts(events: Sequence[FlowEvent], sizes: Sequence[int]) -> list[Sequence[FlowEvent]]:
    """Cut events into micro-batches of these sizes, over and over."""
    cut, at, turn = [], 0, 0
    while at < len(events):
        size = sizes[turn % len(sizes)]
        cut.append(events[at : at + size])
        at += size
        turn += 1
    return cut


_KINDS = ("trade", "delta", "snapshot", "beat", "gap", "history", "demand")
_WEIGHTS = (16, 12, 4, 10, 2, 3, 1)
_PAUSES = (0.0, 0.001, 0.3, 0.3, 0.8, 0.8, 2.5, 12.0)
_DEMANDS: tuple[dict[str, tuple[str, ...]], ...] = (
    {},
    {"5s": ("rsi(2)",)},
    {"1s": ("ema(2)", "rsi(3)")},
)
_LAGS = (*[LATENCY] * 6, 5 * LATENCY, 3 * SECOND, -5 * SECOND)


def random_stream(seed: int, length: int) -> list[FlowEvent]:
    """Any events of two venues, sensible or not, in the order of our clock."""
    random = Random(seed)
    crossing = random.choice([0, 0, 12])
    at = 0.0
    events: list[FlowEvent] = []

    def levels(least: int, most: int) -> list[Level]:
        return [
            (float(random.randint(least, most)), float(random.randint(0, 5)))
            for _ in range(random.randint(0, 5))
        ]

    for sequence in range(1, length + 1):
        at += random.choice(_PAUSES)
        name = random.choice((BTC, BTC, BTC, OTHER))
        bids, asks = levels(80, 99 + crossing), levels(100, 120)
        match random.choices(_KINDS, _WEIGHTS)[0]:
            case "trade":
                lag = random.choice(_LAGS)
                price = float(random.randint(90, 110))
                side = random.choice(tuple(Side))
                sent = at - (lag - LATENCY) / SECOND
                size = float(random.randint(1, 9))
                event: FlowEvent = trade(sent, price, size, side=side, instrument=name, lag=lag)
            case "delta":
                event = delta(at, bids, asks, sequence=sequence, instrument=name)
            case "snapshot":
                event = snapshot(at, bids, asks, sequence=sequence, instrument=name)
            case "history":
                interval = random.choice(("1s", "5s"))
                event = past(at - random.choice((0, 1, 3)), interval=interval, instrument=name)
            case "demand":
                event = Demand(
                    symbol="BTC-USDT",
                    features=random.choice(_DEMANDS),
                    merged=random.choice(_DEMANDS),
                )
            case "gap":
                event = gap(at, random.choice(("all", "book", "trade")), instrument=name)
            case _:
                heard = random.choice((None, at, at - 4))
                event = beat(at, instrument=name, heard=heard)
        events.append(event)
    return events


def streams() -> st.SearchStrategy[list[FlowEvent]]:
    """Strategy for random streams of events."""
    return st.builds(random_stream, st.integers(0, 1 << 32), st.integers(1, 150))
