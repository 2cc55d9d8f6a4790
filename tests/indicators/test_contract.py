"""What every indicator of the catalogue promises, asked of each."""

import math
import pickle
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indicators.catalogue import KINDS, create_for_bars, create_for_book, parse, usage
from indicators.contract import LARGEST
from market.events import Bar, Level

BAR_NAMES = [usage(kind) for kind in KINDS.values() if kind.reads == "bar"] + ["rsi(2)", "ema(3)"]
BOOK_NAMES = [usage(kind) for kind in KINDS.values() if kind.reads == "book"] + [
    "book.imbalance(1)",
    "book.count_imbalance(3)",
]
CLOSES = st.lists(
    st.one_of(
        st.floats(1e-9, 1e9),
        st.sampled_from([64000.0, 64000.0, 1e-300, 1e299]),
        st.floats(allow_nan=False, allow_infinity=False, min_value=-1e299, max_value=1e299),
    ),
    min_size=1,
    max_size=60,
)


def bar(close: float, number: int = 0, revision: int = 0) -> Bar:
    return Bar(
        instrument="binance:BTC-USDT",
        interval="1m",
        start=number,
        end=number + 1,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=1.0,
        buy_volume=0.5,
        notional=close,
        count=1,
        revision=revision,
    )


def values(name: str, closes: list[float]) -> list[tuple[float | None, ...]]:
    indicator = create_for_bars(name)
    told = []
    for close in closes:
        indicator.update(bar(close))
        told.append(indicator.values)
    return told


def walk(length: int, seed: int = 1) -> list[float]:
    source = random.Random(seed)
    price = 64_000.0
    closes = []
    for _ in range(length):
        price *= math.exp(source.gauss(0, 0.002))
        closes.append(price)
    return closes


@pytest.mark.parametrize("name", BAR_NAMES)
def test_the_first_value_comes_when_the_warm_up_says(name: str) -> None:
    indicator = create_for_bars(name)
    for number, close in enumerate(walk(indicator.warm_up + 5), start=1):
        indicator.update(bar(close))
        assert indicator.count == number
        for value in indicator.values:
            assert (value is not None) == (number >= indicator.warm_up)


@pytest.mark.parametrize("name", BAR_NAMES)
def test_it_says_its_own_name_and_one_value_an_output(name: str) -> None:
    indicator = create_for_bars(name)
    assert indicator.name == parse(name).indicator
    assert len(indicator.values) == max(1, len(KINDS[parse(name).kind].outputs))


@pytest.mark.parametrize("name", BAR_NAMES)
@given(closes=CLOSES, cut=st.integers(0, 60))
@settings(max_examples=40)
def test_pickling_at_any_point_changes_nothing(name: str, closes: list[float], cut: int) -> None:
    indicator = create_for_bars(name)
    told = []
    for number, close in enumerate(closes):
        if number == cut:
            indicator = pickle.loads(pickle.dumps(indicator))  # noqa: S301
        indicator.update(bar(close))
        told.append(indicator.values)
    assert told == values(name, closes)


@pytest.mark.parametrize("name", BAR_NAMES)
@given(closes=CLOSES, data=st.data())
@settings(max_examples=40)
def test_a_revision_gives_what_a_fresh_run_over_the_right_bars_gives(
    name: str, closes: list[float], data: st.DataObject
) -> None:
    indicator = create_for_bars(name)
    for number, close in enumerate(closes):
        for wrong in data.draw(st.lists(st.floats(0.1, 1e6), max_size=2)):
            (indicator.revise if indicator.count > number else indicator.update)(bar(wrong))
        if indicator.count > number:
            indicator = pickle.loads(pickle.dumps(indicator))  # noqa: S301
            indicator.revise(bar(close, revision=1))
        else:
            indicator.update(bar(close))
        assert indicator.count == number + 1
    assert indicator.values == values(name, closes)[-1]


@pytest.mark.parametrize("name", BAR_NAMES)
@given(closes=CLOSES)
@settings(max_examples=60)
def test_nan_and_infinity_never_come_out_and_the_range_holds(
    name: str, closes: list[float]
) -> None:
    least, most = KINDS[parse(name).kind].range
    for told in values(name, closes):
        for value in told:
            if value is not None:
                assert math.isfinite(value)
                assert least is None or value >= least
                assert most is None or value <= most


@pytest.mark.parametrize("name", BAR_NAMES)
@pytest.mark.parametrize("close", [math.nan, math.inf, -math.inf, LARGEST])
def test_an_input_that_is_no_number_is_refused_and_changes_nothing(name: str, close: float) -> None:
    indicator = create_for_bars(name)
    for price in walk(30):
        indicator.update(bar(price))
    before = pickle.dumps(indicator)
    with pytest.raises(ValueError, match="finite"):
        indicator.update(bar(close))
    with pytest.raises(ValueError, match="finite"):
        indicator.revise(bar(close))
    assert pickle.dumps(indicator) == before


@pytest.mark.parametrize("name", BAR_NAMES)
def test_a_revision_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no bar to correct"):
        create_for_bars(name).revise(bar(1.0))


@pytest.mark.parametrize("name", BAR_NAMES)
def test_the_state_does_not_grow(name: str) -> None:
    indicator = create_for_bars(name)
    closes = walk(3000)
    sizes = []
    for close in closes:
        indicator.update(bar(close))
        sizes.append(len(pickle.dumps(indicator)))
    assert max(sizes[1000:]) <= max(sizes[:1000]) + 8  # a counter takes a byte more


@pytest.mark.parametrize("name", BAR_NAMES)
def test_a_flat_market_and_a_single_price_are_defined(name: str) -> None:
    flat = {"rsi": 50.0, "ema": 0.3}[parse(name).kind]
    assert values(name, [0.3])[-1] == (None,)
    for told in values(name, [0.3] * 200)[create_for_bars(name).warm_up - 1 :]:
        assert list(told) == [pytest.approx(flat, rel=1e-12)]


LEVELS = st.lists(
    st.tuples(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9)), max_size=14, unique_by=lambda lv: lv[0]
)


@pytest.mark.parametrize("name", BOOK_NAMES)
@given(bids=LEVELS, asks=LEVELS)
@settings(max_examples=60)
def test_a_book_indicator_is_finite_and_in_range_or_none(
    name: str, bids: list[Level], asks: list[Level]
) -> None:
    bids.sort(reverse=True)
    asks.sort()
    given_bids, given_asks = list(bids), list(asks)
    indicator = create_for_book(name)
    least, most = KINDS[parse(name).kind].range
    value = pickle.loads(pickle.dumps(indicator)).measure(bids, asks)  # noqa: S301
    assert value == indicator.measure(bids, asks)
    assert (bids, asks) == (given_bids, given_asks)
    if not bids or not asks:
        assert value is None
    else:
        assert value is not None
        assert math.isfinite(value)
        assert least is None or value >= least
        assert most is None or value <= most


@pytest.mark.parametrize("name", BOOK_NAMES)
def test_a_book_indicator_says_its_own_name(name: str) -> None:
    assert create_for_book(name).name == name
