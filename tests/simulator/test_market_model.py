import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from simulator.listings import Listing, choose
from simulator.market_model import MarketModel
from simulator.script import load_script, read_script
from simulator.true_book import Change, LevelChange, Print
from tests.drawn_examples import examples
from tests.fakes.dips import DIPS

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
DEMO = choose(["BTC-USDT", "ETH-USDT", "ETH-BTC"])
DIP_OF_ONE = "moves: [{symbol: ETH-BTC, at: 1s, kind: dip, depth: 3%, fall: 1s, recover: 1s}]"


def one_second_rsi(changes: list[Change], symbol: str) -> np.ndarray:
    closes: dict[int, float] = {}
    for change in changes:
        if isinstance(change, Print) and change.symbol == symbol:
            closes[change.ts // SECOND] = float(change.price)
    rsi = talib.RSI(np.array([closes[second] for second in sorted(closes)]), 14)
    return rsi[14:]


@examples(20)
@given(st.integers(0, 2**32), st.integers(1, 6), st.booleans())
def test_the_book_is_never_crossed_never_empty_and_replays(
    seed: int, seconds: int, is_moved: bool
) -> None:
    script = read_script(DIP_OF_ONE, "moves.yaml") if is_moved else None
    model = MarketModel(DEMO, seed=seed, start=START, script=script)
    copies = {listing.symbol: model.true_book(listing.symbol).duplicate() for listing in DEMO}
    trades = {listing.symbol: model.last_trade_id(listing.symbol) for listing in DEMO}
    last_ts = START
    taken: Print | None = None
    for change in model.advance(START + seconds * SECOND):
        assert change.ts >= last_ts
        last_ts = change.ts
        book = copies[change.symbol]
        if isinstance(change, Print):
            trades[change.symbol] += 1
            assert change.trade_id == trades[change.symbol]
            assert change.size > 0
            best = book.best_ask if change.buyer_took else book.best_bid
            assert change.price == best
            taken = change
            continue
        assert change.update_id == book.update_id + 1
        if taken is not None:  # a print is a true take: the level says so next
            ladder = book.asks if taken.buyer_took else book.bids
            assert change.price == taken.price
            assert change.size == ladder.sizes[taken.price] - taken.size
            taken = None
        book.apply(change)
        assert book.best_bid is not None
        assert book.best_ask is not None
        assert 0 < book.best_bid < book.best_ask
    for symbol, book in copies.items():
        assert book.copy() == model.book(symbol)


@examples(20)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 3 * SECOND), max_size=8))
def test_the_same_seed_gives_the_same_market_however_time_is_cut(
    seed: int, cuts: list[int]
) -> None:
    whole = MarketModel(DEMO, seed=seed, start=START).advance(START + 3 * SECOND)
    model = MarketModel(DEMO, seed=seed, start=START)
    pieces: list[Change] = []
    for cut in [*sorted(cuts), 3 * SECOND]:
        pieces += model.advance(START + cut)
    assert pieces == whole


def test_another_seed_gives_another_market() -> None:
    one, other = (MarketModel(DEMO, seed=seed, start=START) for seed in (1, 2))
    assert one.advance(START + SECOND) != other.advance(START + SECOND)


@pytest.mark.parametrize("seed", range(3))
def test_without_a_script_the_price_does_not_trend(seed: int) -> None:
    changes = MarketModel(DEMO, seed=seed, start=START).advance(START + 600 * SECOND)
    for listing in DEMO:
        rsi = one_second_rsi(changes, listing.symbol)
        assert rsi.min() > 20
        assert rsi.max() < 80


@pytest.mark.parametrize("seed", range(3))
def test_a_scripted_dip_takes_rsi_below_fifteen_exactly_once(seed: int) -> None:
    model = MarketModel(DEMO, seed=seed, start=START, script=load_script(DIPS))
    changes = model.advance(START + 120 * SECOND)
    for symbol, second, dips in (("BTC-USDT", 20, 1), ("ETH-USDT", 25, 1), ("ETH-BTC", 0, 0)):
        rsi = one_second_rsi(changes, symbol)
        falls = [14 + index for index in range(1, len(rsi)) if rsi[index] < 15 <= rsi[index - 1]]
        assert len(falls) == dips
        if dips:
            assert second <= falls[0] <= second + 2
            assert rsi.min() < 10


def test_rates_are_about_what_the_listing_says() -> None:
    changes = MarketModel(DEMO[:1], seed=5, start=START).advance(START + 60 * SECOND)
    trades = sum(isinstance(change, Print) for change in changes) / 60
    levels = sum(isinstance(change, LevelChange) for change in changes) / 60
    assert 9 < trades < 12
    assert 35 < levels < 60
    thrice = MarketModel(DEMO[:1], seed=5, start=START, rate=3.0).advance(START + 20 * SECOND)
    assert 27 < sum(isinstance(change, Print) for change in thrice) / 20 < 36


@pytest.mark.parametrize(("script", "before"), [(DIPS, 19), ("demo", 11)])
def test_books_are_deep_and_stay_so_through_a_dip(script: str, before: int) -> None:
    model = MarketModel(DEMO[:2], seed=3, start=START, script=load_script(script))
    for second in (0, before, 60):
        model.advance(START + second * SECOND)
        for symbol in ("BTC-USDT", "ETH-USDT"):
            book = model.book(symbol)
            assert len(book.bids) >= 200
            assert len(book.asks) >= 200


def test_a_silent_instrument_trades_once_a_minute_and_changes_no_level_else() -> None:
    silent = choose(["LTC-BTC"])
    changes = MarketModel(silent, seed=1, start=START).advance(START + 1200 * SECOND)
    trades = [change for change in changes if isinstance(change, Print)]
    assert 15 <= len(trades) <= 25
    assert {change.ts for change in changes} == {trade.ts for trade in trades}


def test_a_halted_instrument_does_nothing() -> None:
    model = MarketModel(choose(["XMR-USDT"]), seed=1, start=START)
    assert model.advance(START + 600 * SECOND) == []
    assert len(model.book("XMR-USDT").bids) >= 200


def test_a_later_run_has_higher_ids_throughout() -> None:
    first = MarketModel(DEMO, seed=1, start=START, rate=10.0)
    changes = first.advance(START + 10 * SECOND)
    second = MarketModel(DEMO, seed=1, start=START + 10 * SECOND)
    for listing in DEMO:
        symbol = listing.symbol
        assert first.last_trade_id(symbol) < second.last_trade_id(symbol)
        assert first.true_book(symbol).update_id < second.true_book(symbol).update_id
    assert changes


def test_skipped_time_has_no_changes_and_breaks_no_chain() -> None:
    model = MarketModel(DEMO[:1], seed=1, start=START)
    model.advance(START + SECOND)
    before = model.true_book("BTC-USDT").update_id
    model.skip(START + 60 * SECOND)
    changes = model.advance(START + 61 * SECOND)
    assert changes[0].ts >= START + 60 * SECOND
    levels = [change.update_id for change in changes if isinstance(change, LevelChange)]
    assert levels == list(range(before + 1, before + 1 + len(levels)))


def test_a_price_of_few_ticks_stays_above_nothing() -> None:
    tiny = Listing(
        base="TINY",
        quote="USDT",
        price=3,
        price_decimals=8,
        size_decimals=0,
        level_size=100,
        trade_size=5,
        trades_per_s=20.0,
        changes_per_s=20.0,
    )
    model = MarketModel([tiny], seed=1, start=START)
    assert all(change.price > 0 for change in model.advance(START + 60 * SECOND))
