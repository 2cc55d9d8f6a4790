"""What only Bybit does, and Binance's partial books, at the wire in virtual time.

Every book message that leaves a book live is compared with the true book, inside the client of
`feed_client`; the faults that every venue can have are in `test_every_venue`.
"""

import pytest

from market.events import State
from simulator.dialects import DIALECTS
from simulator.dialects.bybit import BybitDialect
from simulator.faults import Fault
from tests.faults.feed_client import SECOND, START, Rig, is_same

SYMBOLS = ("BTC-USDT", "ETH-USDT")


def rig(*faults: Fault, symbols: tuple[str, ...] = SYMBOLS, **options: int | str) -> Rig:
    return Rig(faults, venue="bybit", symbols=symbols, **options)  # type: ignore[arg-type]


def breaks(venue: Rig) -> list[tuple[str, str]]:
    """The gaps that are not the beginning of a connection."""
    return [
        (gap.instrument.partition(":")[2], gap.reason.partition(":")[0])
        for gap in venue.client.gaps
        if gap.reason != "connecting"
    ]


def assert_true(venue: Rig) -> None:
    """Every book is live, is the venue's, and is the latest."""
    for symbol in venue.client.markets:
        assert venue.client.state(symbol) is State.LIVE
        book = venue.client.book(symbol)
        true = venue.true_book(symbol, book, is_thorough=True)
        assert true is not None
        assert is_same(book, true)
        assert true.update_id > venue.model.true_book(symbol).update_id - 100
    assert venue.client.dead_letters == 0
    assert venue.client.closed_reasons == []


@pytest.mark.parametrize("tells_what_left", [True, False])
@pytest.mark.parametrize("depth", [50, 200])
def test_books_are_true_all_the_time_whether_levels_that_left_are_told_or_not(
    depth: int, tells_what_left: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dialect(model: object, options: object) -> BybitDialect:
        return BybitDialect(model, tells_what_left=tells_what_left)  # type: ignore[arg-type]

    monkeypatch.setitem(DIALECTS, "bybit", dialect)
    venue = rig(depth=depth).run_for(20)
    assert breaks(venue) == []
    for symbol, truth in venue.client.truth.items():
        assert truth.looked > 100
        assert venue.live_share(symbol, []) == 1.0
        bids, asks = venue.client.book(symbol).levels()
        assert depth * 0.9 <= len(bids) <= depth
        assert depth * 0.9 <= len(asks) <= depth
    assert_true(venue)


def test_a_dropped_message_is_found_and_costs_that_book_a_moment() -> None:
    lost = Fault(at=10 * SECOND, kind="drop", channel="depth", symbol="BTC-USDT", count=1)
    venue = rig(lost).run_for(20)
    assert breaks(venue) == [("BTC-USDT", "sequence")]
    assert venue.live_share("ETH-USDT", []) == 1.0
    [first, second] = venue.client.truth["BTC-USDT"].live
    assert second[0] - first[1] < SECOND // 5
    assert_true(venue)


def test_a_restart_of_the_service_is_a_gap_and_a_new_book_at_once() -> None:
    venue = rig().run_for(5)
    assert isinstance(venue.dialect, BybitDialect)
    venue.dialect.restart("BTC-USDT")
    venue.run_for(5)
    assert breaks(venue) == [("BTC-USDT", "update ids began anew")]
    assert venue.client.book("BTC-USDT").sequence < 1000
    assert venue.live_share("BTC-USDT", []) > 0.999
    assert_true(venue)


def test_a_restart_that_is_lost_is_found() -> None:
    venue = rig(
        Fault(at=5 * SECOND, kind="drop", channel="depth", symbol="BTC-USDT", count=1)
    ).run_for(4.99)
    assert isinstance(venue.dialect, BybitDialect)
    venue.dialect.restart("BTC-USDT")
    venue.run_for(5)
    assert {symbol for symbol, _ in breaks(venue)} == {"BTC-USDT"}
    assert_true(venue)


def test_a_quiet_connection_is_kept_by_pings() -> None:
    venue = rig(symbols=("LTC-BTC",)).run_for(1300)
    assert venue.wire.counts.opened == 1
    assert venue.live_share("LTC-BTC", []) == 1.0
    assert_true(venue)


def test_partial_books_of_binance_are_true_all_the_time() -> None:
    venue = Rig(symbols=SYMBOLS, book="partial", depth=10).run_for(20)
    assert breaks(venue) == []
    assert venue.wire.counts.gets == 0
    for symbol, truth in venue.client.truth.items():
        assert truth.looked > 100
        assert truth.live[0][0] < START + SECOND
        assert venue.live_share(symbol, []) == 1.0
        bids, asks = venue.client.book(symbol).levels()
        assert (len(bids), len(asks)) == (10, 10)
    assert_true(venue)


@pytest.mark.parametrize("kind", ["drop", "cross"])
def test_a_partial_book_that_is_lost_or_false_is_healed_by_the_next(kind: str) -> None:
    fault = Fault(at=10 * SECOND, kind=kind, channel="depth", symbol="BTC-USDT", count=1)  # type: ignore[arg-type]
    venue = Rig((fault,), symbols=SYMBOLS, book="partial").run_for(20)
    assert venue.live_share("ETH-USDT", []) == 1.0
    assert venue.live_share("BTC-USDT", []) > 0.98
    assert_true(venue)
