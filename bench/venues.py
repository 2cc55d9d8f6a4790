"""What a venue's messages cost, from raw bytes to the book: `python -m bench --venues [NAME …]`.

The simulator's dialect makes the messages, in virtual time. Measured are the shipped protocol and
`Book` with its best ten levels, for book messages and for trades apart; the floor is msgspec's
untyped decode of the same bytes, for HTX after gunzip, which both then have to do. Ours and the
floor's slices lie between each other, as in `bench.measure`.
"""

import gc
import json
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec

from connectors import VENUES
from connectors.contract import KEY, FeedDescription, Login, Request, Venue
from connectors.feed import Feed, encode_description
from connectors.recording import Kind, Record
from flows.collector import tune_collector
from market.book import Book
from market.events import BookDelta, BookSnapshot, FeedGap, Quote, Trade
from market.instruments import Instrument
from market.intervals import SECOND
from simulator.dialects import DIALECTS
from simulator.dialects.contract import Dialect, DialectOptions
from simulator.listings import LISTINGS
from simulator.market_model import MarketModel
from simulator.settings import DEFAULT_KEY
from simulator.wire import Wire

START = 1_700_000_000 * SECOND
REST = "http://simulated"
WARM_S = 12
"""Every book is there by then: HTX gives a snapshot every eighth of a second."""
LENGTH_S = 40
RATE = 4.0
SYMBOLS = 20
PASSES = 5
SLICE = 500
TOP = 10
GZIP = 16 + zlib.MAX_WBITS

KINDS = {"book": (BookSnapshot, BookDelta), "quote": (Quote,), "trade": (Trade,)}

Figures: TypeAlias = dict[str, float]


class Keeper:
    """A `WireClient` that keeps every record of one venue's feeds; nothing goes wrong here."""

    def __init__(self, venue: Venue, instruments: tuple[Instrument, ...]) -> None:
        self.feeds = feeds_of(venue, instruments)
        self.records: list[Record] = []
        self._opened: set[str] = set()
        self._last = 0

    def open_wishes(self, _now: int) -> list[tuple[str, str]]:
        """Open each feed once."""
        new = [name for name in self.feeds if name not in self._opened]
        self._opened.update(new)
        return [(f"{name}.1", self.feeds[name].url()) for name in new]

    def opened(self, conn: str, now: int) -> None:
        """A connection is open."""
        feed = self.feeds[conn.partition(".")[0]]
        self._keep(Record(now, conn, "open", encode_description(feed.description)))

    def received(self, conn: str, data: bytes, now: int, *, is_binary: bool) -> None:
        """A message came."""
        kind: Kind = "binary" if is_binary else "text"
        self._keep(Record(now, conn, kind, data))

    def fetched(self, conn: str, url: str, status: int, body: bytes, now: int) -> None:
        """An answer came."""
        self._keep(Record(now, conn, "http", body, url, status))

    def closed(self, conn: str, reason: str, _now: int) -> None:
        """Nothing closes here."""
        raise RuntimeError(f"{conn}: {reason}")

    def heartbeat(self, now: int) -> None:
        """A second has passed."""
        for name in self.feeds:
            self._keep(Record(now, name, "heartbeat"))

    def outgoing(self) -> list[tuple[str, bytes | str]]:
        """What the protocols want to be sent."""
        out: list[tuple[str, bytes | str]] = []
        for feed in self.feeds.values():
            for conn, item in feed.outgoing():
                if isinstance(item, Request):
                    out.append((conn, item.url))
                elif isinstance(item, Login):
                    out.append((conn, item.message.replace(KEY, DEFAULT_KEY.encode())))
                else:
                    out.append((conn, item))
        return out

    def close_wishes(self) -> list[str]:
        """None, unless a protocol fails, which is loud."""
        for feed in self.feeds.values():
            for conn, error in feed.failures():
                raise RuntimeError(conn) from error
        return []

    def _keep(self, record: Record) -> None:
        self._last = max(record.ts, self._last + 1)
        record = msgspec.structs.replace(record, ts=self._last)
        self.records.append(record)
        self.feeds[record.feed].take(record)


def feeds_of(venue: Venue, instruments: tuple[Instrument, ...]) -> dict[str, Feed]:
    """Make the feeds of these instruments, one for each group of channels."""
    groups = venue.channel_groups
    return {
        (name := f"{venue.name}-0-{number}"): Feed(
            name,
            venue,
            FeedDescription(
                venue=venue.name,
                instruments=instruments,
                websocket_url="ws://simulated",
                rest_url=REST,
                channels=channels if len(groups) > 1 else (),
            ),
        )
        for number, channels in enumerate(groups)
    }


def instruments_of(venue: Venue, dialect: Dialect) -> tuple[Instrument, ...]:
    """Read the venue's list as its dialect gives it."""
    known: list[Instrument] = []
    url = venue.instruments_url(REST)
    while url:
        target = urlsplit(url)
        body = dialect.requested(f"{target.path}?{target.query}".rstrip("?"), START).body
        known += venue.read_instruments(body)
        url = venue.more_instruments_url(body)
    return tuple(known[:SYMBOLS])


def recorded(
    name: str, *, length_s: int = LENGTH_S, symbols: int = SYMBOLS
) -> tuple[tuple[Instrument, ...], list[Record]]:
    """Let a venue speak for a while; return its instruments and every record."""
    venue = VENUES[name]
    model = MarketModel(LISTINGS[:symbols], seed=1, start=START, rate=RATE)
    dialect = DIALECTS[name](model, DialectOptions(key=DEFAULT_KEY))
    keeper = Keeper(venue, instruments_of(venue, dialect))
    Wire(model, dialect, keeper).run_for((WARM_S + length_s) * SECOND)
    return keeper.feeds[next(iter(keeper.feeds))].description.instruments, keeper.records


def measure(
    name: str, *, length_s: int = LENGTH_S, passes: int = PASSES, symbols: int = SYMBOLS
) -> dict[str, Figures]:
    """Measure one venue; return ns a message by kind.

    Args:
        name: of the venue.
        length_s: seconds of virtual time that are measured.
        passes: how often; the median counts.
        symbols: how many are followed.
    """
    instruments, records = recorded(name, length_s=length_s, symbols=symbols)
    at = next(i for i, one in enumerate(records) if one.ts >= START + WARM_S * SECOND)
    before = records[:at]
    by_kind: dict[str, list[Record]] = {kind: [] for kind in KINDS}
    feeds = _warm(name, instruments, before)[0]
    for record in records[at:]:
        told = {type(one) for one in feeds[record.feed].take(record)}
        for kind, types in KINDS.items():
            if record.kind in {"text", "binary"} and told & set(types):
                by_kind[kind].append(record)
    figures: dict[str, Figures] = {}
    for kind, some in by_kind.items():
        if len(some) < SLICE:
            continue
        _check(name, instruments, before, some)
        rounds = [_timed(name, instruments, before, some) for _ in range(passes)]
        figures[kind] = {
            "messages": len(some),
            "bytes": round(statistics.mean(len(one.body) for one in some), 1),
            "ns": round(statistics.median(ours for ours, _ in rounds) / len(some), 1),
            "floor_ns": round(statistics.median(floor for _, floor in rounds) / len(some), 1),
            "ratio": round(statistics.median(ours / floor for ours, floor in rounds), 2),
        }
    return figures


def _warm(
    name: str, instruments: tuple[Instrument, ...], before: Sequence[Record]
) -> tuple[dict[str, Feed], dict[str, Book]]:
    feeds = feeds_of(VENUES[name], instruments)
    books = {one.id: Book() for one in instruments}
    for record in before:
        feed = feeds[record.feed]
        for event in feed.take(record):
            if isinstance(event, BookSnapshot):
                books[event.instrument].apply(event)
            elif isinstance(event, BookDelta) and not books[event.instrument].is_empty:
                books[event.instrument].change(event.bids, event.asks, event.sequence)
        feed.outgoing()
    return feeds, books


def _check(
    name: str,
    instruments: tuple[Instrument, ...],
    before: Sequence[Record],
    some: Sequence[Record],
) -> None:
    """Make sure that messages of one kind alone, without the others between, break nothing."""
    feeds, _ = _warm(name, instruments, before)
    told = [event for record in some for event in feeds[record.feed].take(record)]
    failures = [failure for feed in feeds.values() for failure in feed.failures()]
    gaps = [event for event in told if isinstance(event, FeedGap)]
    if failures or gaps or len(told) < len(some):
        raise RuntimeError(f"{name}: {failures[:1]} {gaps[:1]}, {len(told)} of {len(some)}")


def _timed(
    name: str,
    instruments: tuple[Instrument, ...],
    before: Sequence[Record],
    some: Sequence[Record],
) -> tuple[int, int]:
    """Return ns of ours and of the floor for all these messages."""
    feeds, books = _warm(name, instruments, before)
    takes = {feed: one.take for feed, one in feeds.items()}
    paired = [(takes[record.feed], record) for record in some]
    floor = _floor(some[0].body)
    bodies = [record.body for record in some]
    bodies = bodies[len(bodies) // 2 :] + bodies[: len(bodies) // 2]
    ours = its = 0
    gc.collect()
    for at in range(0, len(paired), SLICE):
        began = time.process_time_ns()
        for take, record in paired[at : at + SLICE]:
            for event in take(record):
                if type(event) is BookDelta:
                    book = books[event.instrument]
                    book.change(event.bids, event.asks, event.sequence)
                    book.top(TOP)
                elif type(event) is BookSnapshot:
                    book = books[event.instrument]
                    book.apply(event)
                    book.top(TOP)
        middle = time.process_time_ns()
        for body in bodies[at : at + SLICE]:
            floor(body)
        its += time.process_time_ns() - middle
        ours += middle - began
    return ours, its


def _floor(sample: bytes) -> Callable[[bytes], object]:
    decode = msgspec.json.Decoder().decode
    if not sample.startswith(b"\x1f\x8b"):
        return decode
    return lambda body: decode(zlib.decompress(body, GZIP))


def table(figures: dict[str, dict[str, Figures]]) -> list[str]:
    """Return the lines that a person reads."""
    heads = ("messages", "bytes", "ns/msg", "floor", "x floor")
    lines = [f"{'row':22} " + " ".join(f"{head:>9}" for head in heads)]
    for name, kinds in figures.items():
        for kind, row in kinds.items():
            lines.append(
                f"{f'{name} {kind}':22} " + " ".join(f"{value:>9}" for value in row.values())
            )
    return lines


def main() -> None:
    """Measure what the command line names and print one JSON object."""
    tune_collector()
    print(json.dumps(measure(sys.argv[1])))


if __name__ == "__main__":
    main()
