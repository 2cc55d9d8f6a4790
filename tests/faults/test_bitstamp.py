"""Bitstamp's own: whole books, quiet markets and planned ends, in virtual time.

What every venue must overcome is in `test_every_venue`, with books of the best levels.
"""

import pytest

from market.events import State
from simulator.faults import load_faults, read_faults
from simulator.true_book import TrueBook
from tests.faults.feed_client import MILLISECOND, SECOND, START, Rig
from tests.slow_case import slow

SYMBOLS = ("BTC-USDT", "ETH-BTC", "LTC-BTC")
BUSY = SYMBOLS[:2]
QUIET = "LTC-BTC"


def started(name: str = "", *, symbols: tuple[str, ...] = SYMBOLS, **options: int | str) -> Rig:
    faults = load_faults(name) if name else ()
    return Rig(faults, venue="bitstamp", symbols=symbols, **options)  # type: ignore[arg-type]


def breaks(run: Rig) -> set[tuple[str, str]]:
    return {
        (gap.instrument.partition(":")[2], gap.channel)
        for gap in run.client.gaps
        if gap.reason != "connecting"
    }


def assert_true(run: Rig) -> None:
    """Every book is live and the venue's, level by level."""
    for symbol in run.client.markets:
        assert run.client.state(symbol) is State.LIVE
        assert run.true_book(symbol, run.client.book(symbol), is_thorough=True) is not None
    assert run.client.dead_letters == 0


def assert_whole(run: Rig) -> None:
    """The same, and no level beyond the best is missing or too many."""
    assert_true(run)
    for symbol in run.client.markets:
        bids, asks = run.client.book(symbol).levels()
        assert len(bids) + len(asks) > 300

        def is_this(true: TrueBook, ours: tuple[object, object] = (bids, asks)) -> bool:
            copy = true.copy()
            return (dict(copy.bids), dict(copy.asks)) == ours

        assert run.wire.history(symbol).find(is_this) is not None, symbol


@pytest.mark.parametrize("book", ["top", "full"])
def test_busy_books_are_live_at_once_and_quiet_ones_when_rest_has_said_so_twice(book: str) -> None:
    run = started(book=book).run_for(40)
    assert breaks(run) == set()
    for symbol in SYMBOLS:
        [[began, ended]] = run.client.truth[symbol].live
        assert ended == 0
        assert began - START < (6 * SECOND if symbol == QUIET else 1.5 * SECOND)
    (assert_whole if book == "full" else assert_true)(run)


@pytest.mark.parametrize("name", ["cut", "duplicate", "slow-snapshot", "stale-snapshot"])
def test_whole_books_are_true_after_a_fault(name: str) -> None:
    run = started(name, symbols=BUSY, book="full").run_for(45)
    assert breaks(run) <= {(symbol, "all") for symbol in BUSY} | {("BTC-USDT", "book")}
    assert_whole(run)


def test_a_whole_book_that_crosses_is_fetched_again() -> None:
    run = started("cross", symbols=BUSY, book="full").run_for(40)
    assert breaks(run) == {("BTC-USDT", "book")}
    assert len(run.client.truth["ETH-BTC"].live) == 1
    assert_whole(run)


@pytest.mark.parametrize("book", ["top", "full"])
def test_a_market_that_was_not_known_for_a_while_comes_back(book: str) -> None:
    run = started("refuse-symbol", symbols=BUSY, book=book).run_for(48)
    assert run.client.truth["BTC-USDT"].live[-1][0] - START < 46 * SECOND
    assert_true(run)


@pytest.mark.parametrize("book", ["top", "full"])
def test_a_planned_end_leaves_no_gap(book: str) -> None:
    run = started("shutdown", book=book).run_for(45)
    assert breaks(run) == set()
    assert run.wire.counts.opened == 2
    assert run.client.closed_reasons == []
    assert all(len(run.client.truth[symbol].live) == 1 for symbol in SYMBOLS)
    for symbol in BUSY:
        ids = [int(trade.trade_id) for trade in run.client.trades[symbol]]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert_true(run)


def test_a_connection_that_has_nothing_to_say_is_asked_and_stays_live() -> None:
    run = started(symbols=(QUIET,)).run_for(300)
    assert run.wire.counts.opened == 1
    assert breaks(run) == set()
    assert run.live_share(QUIET, []) == 1.0
    assert run.wire.counts.gets < 10
    assert_true(run)


def test_a_quiet_book_recovers_from_a_message_that_was_lost() -> None:
    text = "faults: [{at: 10s, kind: drop, channel: depth, symbol: LTC-BTC, count: 1}]"
    faults = read_faults(text, "faults.yaml")
    run = Rig(faults, venue="bitstamp", symbols=(QUIET, "BTC-USDT")).run_for(10)
    while not run.wire.faults.windows() or run.wire.faults.ended > run.wire.now:
        run.run_for(1)
    run.run_for(70)
    assert run.client.state(QUIET) is State.LIVE
    assert_true(run)


@pytest.mark.parametrize("latency", [slow(0), 400, slow(1500)])
@pytest.mark.parametrize("book", ["top", "full"])
def test_books_are_true_over_any_distance(book: str, latency: int) -> None:
    run = Rig(
        load_faults("cross"),
        venue="bitstamp",
        symbols=SYMBOLS,
        latency=latency * MILLISECOND,
        book=book,
    ).run_for(45)
    assert breaks(run) <= {("BTC-USDT", "book")}
    assert_true(run)
