"""Divergence in a simulated market, where the script says whether there is one."""

import pytest

from indicators.names import create_for_bars
from market.bars import BarBuilder
from market.events import Bar
from market.intervals import SECOND, Interval
from simulator.listings import choose
from simulator.market_model import MarketModel
from simulator.script import read_script
from simulator.true_book import Print

START = 1_700_000_000 * SECOND
NAME = "divergence(rsi(14),8,60)"
END = 76
"""Seconds; before the market is flat again for long, where noise makes pivots of its own."""

Move = tuple[str, int, str, int, int]
"""Kind, seconds at which it begins, depth, seconds out, seconds back."""


def script(*moves: Move) -> str:
    listed = [
        f"- {{symbol: BTC-USDT, kind: {kind}, at: {at}s, depth: {depth},"
        f" fall: {out}s, recover: {back}s}}\n"
        for kind, at, depth, out, back in moves
    ]
    return "moves:\n" + "".join(listed)


def one_second_bars(script: str, seed: int) -> list[Bar]:
    (listing,) = choose(["BTC-USDT"])
    model = MarketModel([listing], seed=seed, start=START, script=read_script(script, "moves.yaml"))
    builder = BarBuilder("simulator:BTC-USDT", Interval.parse("1s"))
    builder.resume(START)
    bars: list[Bar] = []
    for change in model.advance(START + END * SECOND):
        if isinstance(change, Print):
            price = float(listing.price_text(change.price))
            size = float(listing.size_text(change.size))
            bars += builder.add(change.ts, price, size, change.buyer_took)
    return bars


def signals(bars: list[Bar]) -> list[tuple[int, tuple[float | None, ...]]]:
    """Second of the market at which each signal was told, and all its values."""
    indicator = create_for_bars(NAME)
    found = []
    for bar in bars:
        indicator.update(bar)
        if indicator.values[0]:
            found.append(((bar.start - START) // SECOND, indicator.values))
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("kind", "sign"), [("dip", 1.0), ("rally", -1.0)])
def test_a_farther_move_on_fading_momentum_is_found_where_the_script_has_it(
    kind: str, sign: float, seed: int
) -> None:
    # 1 % in 5 s, back, and then 1.3 % in 20 s: farther, but four times slower.
    bars = one_second_bars(script((kind, 20, "1%", 5, 12), (kind, 38, "1.3%", 20, 10)), seed)
    ((second, values),) = signals(bars)
    signal, price_1, price_2, rsi_1, rsi_2, bars_1, bars_2 = values
    assert signal == sign
    assert price_1 == pytest.approx(64_000 * (1 - sign * 0.01), rel=0.001)
    assert price_2 == pytest.approx(64_000 * (1 - sign * 0.013), rel=0.001)
    assert bars_2 == 8
    assert second == pytest.approx(38 + 20 + 8, abs=1)
    assert bars_1 == pytest.approx(second - 25, abs=1)
    assert rsi_1 is not None
    assert rsi_2 is not None
    assert (rsi_2 - rsi_1) * sign > 5


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("kind", "opposite"), [("dip", "rally"), ("rally", "dip")])
def test_none_is_found_where_the_farther_move_is_the_stronger_one(
    kind: str, opposite: str, seed: int
) -> None:
    # The first one ends a move the other way and is small; the second one is farther and sudden.
    moves = ((opposite, 20, "1%", 6, 4), (kind, 30, "0.5%", 5, 8), (kind, 50, "1.3%", 5, 8))
    assert not signals(one_second_bars(script(*moves), seed))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", ["dip", "rally"])
def test_none_is_found_where_the_second_move_is_not_as_far(kind: str, seed: int) -> None:
    moves = ((kind, 20, "1.3%", 5, 12), (kind, 38, "1%", 20, 10))
    assert not signals(one_second_bars(script(*moves), seed))
