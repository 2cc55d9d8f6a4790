"""A book built from `book_updates` is the live one, also after gaps; or there is none."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import psycopg
import pytest

from connectors import VENUES
from connectors.drain import Drain, FlowEvent
from connectors.playback import Playback
from flows.market_output import MarketOutput
from flows.settings import MarketSettings
from flows.symbol_market import SymbolMarket
from market.events import BookUpdate, GapInterval, Level, State
from market.kept_depth import KeptDepth
from simulator.faults import load_faults
from sinks.insertion import insert
from sinks.rows import book_update_row, gap_row, pack, unpack
from sinks.stored_books import UnknownBookError, book_at
from sinks.tables import TABLES
from tests.captures import hftbacktest
from tests.faults.feed_client import SECOND, Rig

SYMBOL = "BTC-USDT"
Levels: TypeAlias = tuple[dict[float, float], dict[float, float]]


class Watched(SymbolMarket):
    """A market that notes what it tells to be stored, and its books after every message."""

    def __init__(self, depth: str) -> None:
        super().__init__(
            MarketSettings(bar_intervals=("1m",), features=()), kept_depth=KeptDepth.parse(depth)
        )
        self.updates: list[BookUpdate] = []
        self.gaps: dict[tuple[str, str, int], GapInterval] = {}
        self.books: dict[int, tuple[int, Levels]] = {}  # the last of each time of the venue

    def advance(self, events: Iterable[FlowEvent], out: MarketOutput | None = None) -> MarketOutput:
        out = super().advance(events, out)
        self.updates += out.book_updates
        for gap in out.gaps:
            self.gaps[gap.instrument, gap.channel, gap.started] = gap
        for update in out.book_updates:
            market = self._markets[update.instrument]
            if market.state is State.LIVE and market.top is not None:
                self.books[market.top.ts_event] = market.book.sequence, market.book.levels()
        return out

    def store(self, dsn: str) -> None:
        with psycopg.connect(dsn) as connection:
            for table, rows in (
                ("book_updates", [book_update_row(each) for each in self.updates]),
                ("gaps", [gap_row(each) for each in self.gaps.values()]),
            ):
                if rows:
                    with connection.transaction():
                        insert(connection, TABLES[table], unpack(pack(table, rows)))


def levels_of(bids: list[Level], asks: list[Level]) -> Levels:
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    return dict(bids), dict(asks)


def ran(venue: str, depth: str, faults: str = "", seconds: float = 40) -> Watched:
    rig = Rig(load_faults(faults) if faults else (), venue=venue, symbols=(SYMBOL,), rate=0.5)
    watched = Watched(depth)
    rig.client.markets[SYMBOL] = watched
    rig.run_for(seconds)  # and each book is compared with the venue's true one
    return watched


@pytest.mark.parametrize(
    ("venue", "faults"),
    [
        ("binance", ""),
        ("binance", "cut"),
        ("binance", "drop-depth"),
        ("bitstamp", "cut"),
        ("bybit", "drop-depth"),
        ("htx", "drop-depth"),
    ],
)
def test_every_change_gives_the_book_of_any_moment(venue: str, faults: str, database: str) -> None:
    watched = ran(venue, "all", faults)
    watched.store(database)
    assert len(watched.books) > 100
    if faults == "cut":
        assert watched.gaps
    moments = list(watched.books.items())[:: max(1, len(watched.books) // 60)]
    with psycopg.connect(database) as connection:
        for time, (sequence, levels) in moments:
            book = book_at(connection, f"{venue}:{SYMBOL}", time)
            assert (book.time, book.sequence) == (time, sequence)
            assert levels_of(book.bids, book.asks) == levels


def test_whole_books_of_a_venue_give_the_last_one_before_a_moment(database: str) -> None:
    watched = ran("binance", "snapshots 5s")
    assert 8 <= len(watched.updates) <= 10
    assert all(update.is_whole for update in watched.updates)
    watched.store(database)
    first, second = watched.updates[2:4]
    with psycopg.connect(database) as connection:
        for at in (first.ts_event, second.ts_event - 1000):
            book = book_at(connection, f"binance:{SYMBOL}", at)
            assert (book.sequence, book.bids, book.asks) == (
                first.sequence, first.bids, first.asks
            )  # fmt: skip


def test_quotes_without_numbers_are_books_too(database: str) -> None:
    watched = ran("massive", "all", seconds=15)
    watched.store(database)
    with psycopg.connect(database) as connection:
        for time, (_, levels) in list(watched.books.items())[::20]:
            book = book_at(connection, f"massive:{SYMBOL}", time)
            assert levels_of(book.bids, book.asks) == levels


def test_no_book_is_told_where_a_change_is_missing_or_a_gap_was(database: str) -> None:
    watched = ran("binance", "all", "cut")
    gone = watched.updates.pop(len(watched.updates) * 9 // 10)
    assert not gone.is_whole
    watched.store(database)
    gap = next(gap for gap in watched.gaps.values() if gap.ended is not None)
    assert gap.ended is not None
    name = f"binance:{SYMBOL}"
    with psycopg.connect(database) as connection:
        with pytest.raises(UnknownBookError, match=f"between the updates {gone.prev_sequence}"):
            book_at(connection, name, gone.ts_event + SECOND)
        with pytest.raises(UnknownBookError, match="was not known then"):
            book_at(connection, name, (gap.started + gap.ended) // 2)
        with pytest.raises(UnknownBookError, match="no whole book is stored up to then"):
            book_at(connection, name, watched.updates[0].ts_event - SECOND)


def test_nothing_is_kept_unless_it_is_asked_for() -> None:
    assert not ran("binance", "off", seconds=5).updates


@pytest.mark.slow
def test_a_captured_day_gives_its_books_again(database: str) -> None:
    folder = os.environ.get("CANDLEWAX_CAPTURES")
    if not folder:
        pytest.skip("CANDLEWAX_CAPTURES is not set")
    path = Path(folder) / "binance" / "hftbacktest_spot_btcusdt_20240808.gz"
    playback, drain, watched = Playback(VENUES), Drain(), Watched("all")
    for record in hftbacktest(path):
        drain.add(record, playback.take(record))
        for _, events in drain.take():
            for event in events:
                watched.advance([event])
    assert len(watched.books) > 100
    watched.store(database)
    with psycopg.connect(database) as connection:
        for time, (sequence, levels) in list(watched.books.items())[:: len(watched.books) // 40]:
            book = book_at(connection, f"binance:{SYMBOL}", time)
            assert book.sequence == sequence
            assert levels_of(book.bids, book.asks) == levels
