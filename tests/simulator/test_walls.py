"""Walls in the true book: there while the script says so, and ended as it says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.listings import Listing, choose
from simulator.market_model import MarketModel
from simulator.script import Script, Wall
from simulator.true_book import Change, Print
from tests.drawn_examples import examples

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
SYMBOL = "BTC-USDT"
LISTING = choose([SYMBOL])[0]
STEPS = 100 * LISTING.level_size


def wall(
    *,
    is_bid: bool = True,
    bps: float = 20.0,
    size: float = 100.0,
    at: int = 2,
    until: int = 12,
    is_traded: bool = False,
    repeat: int = 0,
) -> Wall:
    return Wall(
        symbol=SYMBOL,
        is_bid=is_bid,
        bps=bps,
        size=size,
        at=at * SECOND,
        length=(until - at) * SECOND,
        is_traded=is_traded,
        repeat=repeat * SECOND,
    )


def market(*walls: Wall, seed: int = 1, listing: Listing = LISTING) -> MarketModel:
    return MarketModel([listing], seed=seed, start=START, script=Script(walls=walls))


def sizes(model: MarketModel, *, is_bid: bool) -> dict[int, int]:
    book = model.true_book(SYMBOL)
    return (book.bids if is_bid else book.asks).sizes


@pytest.mark.parametrize(("is_bid", "price"), [(True, 6_387_200), (False, 6_412_800)])
def test_a_wall_stands_at_its_price_from_its_beginning_to_its_end(is_bid: bool, price: int) -> None:
    model = market(wall(is_bid=is_bid))
    for second in range(2, 12):
        model.advance(START + second * SECOND)
        assert sizes(model, is_bid=is_bid)[price] == STEPS
    model.advance(START + 12 * SECOND)
    assert price not in sizes(model, is_bid=is_bid)
    model = market(wall(is_bid=is_bid))
    model.advance(START + 2 * SECOND - 1)
    assert sizes(model, is_bid=is_bid).get(price, 0) < STEPS


def test_a_repeated_wall_comes_and_goes() -> None:
    model = market(wall(at=5, until=7, repeat=7))
    seen = []
    for second in range(40):
        model.advance(START + second * SECOND)
        seen.append(sizes(model, is_bid=True).get(6_387_200, 0) == STEPS)
    assert seen == [second >= 5 and (second - 5) % 7 < 2 for second in range(40)]


@pytest.mark.parametrize("is_bid", [True, False])
def test_a_traded_wall_is_printed_whole_and_the_price_goes_beyond(is_bid: bool) -> None:
    model = market(wall(is_bid=is_bid, is_traded=True))
    model.advance(START + 12 * SECOND - 1)
    price = 6_387_200 if is_bid else 6_412_800
    there = sizes(model, is_bid=is_bid)
    before = sum(size for each, size in there.items() if each == price or is_bid == (each > price))
    changes = model.advance(START + 12 * SECOND)
    prints = [change for change in changes if isinstance(change, Print)]
    swept = [each for each in prints if each.ts == START + 12 * SECOND]
    assert sum(each.size for each in swept) == before
    assert swept[-1].price == price
    assert swept[-1].size == STEPS
    assert all(each.buyer_took != is_bid for each in swept)
    beyond = model.advance(START + 21 * SECOND)
    traded = [each.price for each in beyond if isinstance(each, Print)]
    assert all(each < price if is_bid else each > price for each in traded)
    model.advance(START + 40 * SECOND)
    best = model.true_book(SYMBOL).best_bid
    assert best is not None
    assert abs(best - LISTING.price) < LISTING.price * 0.0005


def test_takers_eat_a_wall_at_the_best_level_and_the_price_does_not_pass_it() -> None:
    rally = wall(is_bid=False, bps=0.0, size=50.0, at=1, until=300)
    model = market(rally, seed=3)
    model.advance(START + SECOND)
    (price,) = {each for each, size in sizes(model, is_bid=False).items() if size > STEPS // 4}
    left = STEPS
    for second in range(2, 300):
        for change in model.advance(START + second * SECOND):
            assert not isinstance(change, Print) or change.price <= price or left == 0
        now = sizes(model, is_bid=False).get(price, 0)
        assert now <= left or left == 0
        left = now
        if not left:
            break
    assert left < STEPS // 2


WALLS = st.lists(
    st.builds(
        wall,
        is_bid=st.booleans(),
        bps=st.one_of(st.just(0.0), st.floats(0, 300)),
        size=st.floats(0.01, 200),
        at=st.integers(0, 3),
        until=st.integers(4, 6),
        is_traded=st.booleans(),
        repeat=st.sampled_from([0, 7]),
    ),
    min_size=1,
    max_size=4,
)


def told(model: MarketModel, seconds: list[int]) -> list[Change]:
    return [change for second in seconds for change in model.advance(START + second)]


@examples(15)
@given(WALLS, st.integers(0, 99), st.lists(st.integers(0, 9 * SECOND), max_size=5))
def test_no_wall_crosses_or_empties_the_book_and_cuts_of_time_change_nothing(
    walls: list[Wall], seed: int, cuts: list[int]
) -> None:
    model = market(*walls, seed=seed)
    book = model.true_book(SYMBOL).duplicate()
    whole = model.advance(START + 9 * SECOND)
    for change in whole:
        if not isinstance(change, Print):
            book.apply(change)
        assert book.best_bid is not None
        assert book.best_ask is not None
        assert 0 < book.best_bid < book.best_ask
    assert book.copy() == model.book(SYMBOL)
    assert told(market(*walls, seed=seed), [*sorted(cuts), 9 * SECOND]) == whole


def test_a_wall_in_skipped_time_breaks_no_order_of_time() -> None:
    model = market(wall(at=2, until=100))
    model.advance(START + SECOND)
    model.skip(START + 60 * SECOND)
    changes = model.advance(START + 61 * SECOND)
    assert changes[0].ts >= START + 60 * SECOND
    assert sizes(model, is_bid=True)[6_387_200] == STEPS


def test_the_only_bids_of_a_tiny_market_are_never_taken_away() -> None:
    tiny = Listing(
        base="BTC",
        quote="USDT",
        price=3,
        price_decimals=8,
        size_decimals=0,
        level_size=100,
        trade_size=5,
        trades_per_s=20.0,
        changes_per_s=20.0,
    )
    for bps in (0.0, 1000.0):
        for is_bid in (True, False):
            for is_traded in (True, False):
                script = wall(bps=bps, is_bid=is_bid, is_traded=is_traded, until=4, repeat=3)
                model = market(script, listing=tiny)
                assert all(change.price > 0 for change in model.advance(START + 60 * SECOND))
                assert model.true_book(SYMBOL).best_bid is not None
