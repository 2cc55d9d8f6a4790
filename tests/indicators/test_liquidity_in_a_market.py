"""Support and resistance in a market whose walls are known, because a script built them."""

import gzip
import json
import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from indicators.book_imbalance import VolumeImbalance
from indicators.liquidity import HALF_LIFE_S, LiquidityMap, RestingDepth
from indicators.names import create_for_depth
from market.book import Book
from market.events import Level
from market.intervals import SECOND
from simulator.listings import choose
from simulator.market_model import MarketModel
from simulator.script import Script, read_script

START = 1_700_000_000 * SECOND
CAPTURE = "binance/hftbacktest_spot_btcusdt_20240808.gz"

support = create_for_depth("support(1)").measure
support_distance = create_for_depth("support_distance_bps(1)").measure
resistance = create_for_depth("resistance(1)").measure
resistance_distance = create_for_depth("resistance_distance_bps(1)").measure


def script(*walls: str) -> Script:
    return read_script("walls:\n" + "".join(f"  - {{{wall}}}\n" for wall in walls), "walls.yaml")


def seconds(symbol: str, walls: Script, length: int, seed: int = 1) -> Iterator[RestingDepth]:
    """Sample the true book every second, as it is then."""
    model = MarketModel(choose([symbol]), seed=seed, start=START, script=walls)
    liquidity = LiquidityMap()
    for second in range(length):
        model.advance(START + second * SECOND)
        book = model.book(symbol)
        yield liquidity.sample(dict(book.bids), dict(book.asks), START + second * SECOND)


@pytest.mark.parametrize(
    ("symbol", "below", "above"),
    [
        ("BTC-USDT", 63_872.0, 64_192.0),
        ("ETH-USDT", 3_393.2, 3_410.2),
        ("SOL-USDT", 149.7, 150.45),
    ],
)
def test_walls_that_rest_are_support_and_resistance_at_their_price(
    symbol: str, below: float, above: float
) -> None:
    walls = script(
        f"symbol: {symbol}, side: bid, bps: 20, size: 150, from: 0s, until: 1h",
        f"symbol: {symbol}, side: ask, bps: 30, size: 150, from: 0s, until: 1h",
    )
    for second, depth in enumerate(seconds(symbol, walls, 90)):
        if second < HALF_LIFE_S:
            assert support(depth) is None
            assert resistance(depth) is None
            continue
        assert (support(depth), resistance(depth)) == (below, above)
        mid = (max(depth.bids) + min(depth.asks)) / 2
        assert support_distance(depth) == pytest.approx((mid - below) / mid * 10_000)
        assert resistance_distance(depth) == pytest.approx((above - mid) / mid * 10_000)
        assert support_distance(depth) == pytest.approx(20, abs=3)
        assert depth.supports is not None
        # The usual levels beside it rest as well, in part.
        assert depth.bids[below] <= depth.supports[0][1] <= 1.2 * depth.bids[below]


def test_a_wall_built_later_is_found_and_once_pulled_it_is_gone_at_the_next_sample() -> None:
    walls = script("symbol: BTC-USDT, side: bid, bps: 25, size: 300, from: 70s, until: 150s")
    found = [support(depth) for depth in seconds("BTC-USDT", walls, 200)]
    first = found.index(63_840.0)
    assert 70 + 15 <= first <= 70 + HALF_LIFE_S
    assert set(found[first:150]) == {63_840.0}
    assert set(found[:first]) == set(found[150:]) == {None}


@pytest.mark.parametrize("size", [100, 90_000])
def test_a_wall_that_flashes_is_never_support(size: int) -> None:
    walls = script(
        f"symbol: BTC-USDT, side: bid, bps: 15, size: {size}, from: 3s, until: 5s, repeat: 7s",
        f"symbol: BTC-USDT, side: ask, bps: 15, size: {size}, from: 0s, until: 2s, repeat: 7s",
    )
    there = 0
    for depth in seconds("BTC-USDT", walls, 210):
        there += depth.bids.get(63_904.0, 0.0) > 30
        assert not depth.supports
        assert not depth.resistances
    assert there == 60


def test_a_wall_that_is_traded_through_is_gone_and_the_next_one_is_the_support() -> None:
    walls = script(
        "symbol: BTC-USDT, side: bid, bps: 10, size: 200, from: 0s, until: 100s, end: traded",
        "symbol: BTC-USDT, side: bid, bps: 40, size: 200, from: 0s, until: 1h",
    )
    for second, depth in enumerate(seconds("BTC-USDT", walls, 140)):
        if second >= HALF_LIFE_S:
            assert support(depth) == (63_936.0 if second < 100 else 63_744.0)


def test_without_walls_hardly_anything_is_told() -> None:
    told = asked = 0
    for symbol in ("BTC-USDT", "ETH-BTC", "SOL-USDT", "DOT-USDT"):
        for seed in range(2):
            for depth in seconds(symbol, Script(), 110, seed):
                if depth.supports is not None and depth.resistances is not None:
                    asked += 2
                    told += bool(depth.supports) + bool(depth.resistances)
    assert asked == 8 * 2 * (110 - HALF_LIFE_S)
    assert told / asked < 0.02


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_a_wall_at_the_best_level_shifts_the_imbalance_as_counted_by_hand(side: str) -> None:
    walls = script(f"symbol: BTC-USDT, side: {side}, bps: 0, size: 50, from: 5s, until: 9s")
    model = MarketModel(choose(["BTC-USDT"]), seed=2, start=START, script=walls)
    model.advance(START + 5 * SECOND - 1)
    before = model.book("BTC-USDT")
    model.advance(START + 5 * SECOND)
    after = model.book("BTC-USDT")
    there = (before.bids if side == "bid" else before.asks)[0][1]
    added = Fraction(f"{50 * choose(['BTC-USDT'])[0].level_size / 100_000}") - Fraction(f"{there}")
    bid, ask = (
        sum((Fraction(f"{size}") for _, size in levels[:10]), Fraction())
        for levels in (before.bids, before.asks)
    )
    measure = VolumeImbalance(10).measure
    assert measure(before.bids, before.asks) == pytest.approx(float((bid - ask) / (bid + ask)))
    shift = added if side == "bid" else -added
    by_hand = (bid - ask + shift) / (bid + ask + added)
    assert measure(after.bids, after.asks) == pytest.approx(float(by_hand))
    assert abs(by_hand) > 0.5


def captured() -> Iterator[RestingDepth]:
    """Sample a real book about once a second."""
    folder = os.environ.get("CANDLEWAX_CAPTURES")
    if not folder:
        pytest.skip("CANDLEWAX_CAPTURES is not set")

    def levels(pairs: list[list[str]]) -> list[Level]:
        return [(float(price), float(size)) for price, size in pairs]

    book, liquidity, due = Book(), LiquidityMap(), 0
    with gzip.open(Path(folder) / CAPTURE, "rt") as lines:
        for line in lines:
            if "depthUpdate" not in line and "lastUpdateId" not in line:
                continue
            stamp, _, text = line.partition(" ")
            told = json.loads(text)
            if "lastUpdateId" in told:
                bids, asks = levels(told["bids"]), levels(told["asks"])
                book.replace(bids, asks, sequence=told["lastUpdateId"])
            elif not book.is_empty:
                diff = told["data"]
                book.change(levels(diff["b"]), levels(diff["a"]), diff["u"])
                if int(stamp) >= due:
                    due = int(stamp) + SECOND
                    yield liquidity.sample(*book.levels(), int(stamp))


def test_in_a_real_book_walls_are_levels_that_rest_and_hardly_change() -> None:
    told = [depth for depth in captured() if depth.supports is not None]
    assert len(told) > 250
    for depth in told:
        assert depth.mid is not None
        supports, resistances = depth.supports or (), depth.resistances or ()
        assert all(price in depth.bids and price < depth.mid for price, _ in supports)
        assert all(price in depth.asks and price > depth.mid for price, _ in resistances)
        assert len(supports) + len(resistances) < 8
    nearest = [resistance(depth) for depth in told]
    changes = sum(one != other for one, other in pairwise(nearest))
    assert changes < 15  # in four minutes
    # A round price, where people leave their orders.
    assert sum(62_300.0 in dict(depth.resistances or ()) for depth in told) > 150
