"""What every indicator of the catalogue promises, asked of each."""

import math
import pickle
import random
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.catalogue import KINDS, find_kind
from indicators.contract import LARGEST
from indicators.kinds import Output
from indicators.libraries import library_of
from indicators.names import create_for_bars, create_for_book, output_of, parse, usage
from market.events import Bar, Level
from tests.drawn_examples import examples

MINUTE = 60_000_000_000
MIDNIGHT = 20_000 * 86_400_000_000_000
"""Bars here begin with a day."""
SMALL = [
    "rsi(2)",
    "ema(3)",
    "sma(2)",
    "rma(2)",
    "macd(2,3,1)",
    "macd(3,7,4)",
    "stoch(1,1,1)",
    "stoch(5,1,3)",
    "stoch_fast(2,1)",
    "cci(2)",
    "ao(1,2)",
    "bollinger(2,0.5)",
    "bollinger(7,2.5)",
    "atr(1)",
    "roc(1)",
    "momentum(1)",
    "volume_ratio(1)",
    "trade_imbalance(1)",
    "realised_volatility(1)",
    "burst(10)",
    "crosses(close,open)",
    "crosses(rsi(2),50)",
    "zero_cross(close)",
    "zone(rsi(2),40,60)",
    "band_touch(ema(2),open,close,high)",
    "peak(zone(rsi(2),50,51).overbought,1)",
    "peak(close,2)",
    "divergence(volume,1,4)",
]
"""Kinds again, with parameters at their edge."""

LIBRARY = [
    "talib.adx(3)",
    "talib.bbands(5)",
    "talib.cdldoji",
    "talib.macd(3,5,2)",
    "talib.nvi",
    "talib.obv",
    "talib.sar",
    "talib.vwap",
]
"""One of each sort of what a library computes; see `test_talib.py` and
`test_pandas_ta.py` for the rest."""
LIBRARY_TOLERANCE = 1e-9
"""What pickling may change there, as a part of the largest value so far."""

OWN_NAMES = [usage(kind) for kind in KINDS.values() if kind.reads == "bar"] + SMALL
BAR_NAMES = [
    *OWN_NAMES,
    *LIBRARY,
    pytest.param("pta.rsi(2)", marks=pytest.mark.slow),  # a thousand times as long as the others
]
BOOK_NAMES = [usage(kind) for kind in KINDS.values() if kind.reads == "book"] + [
    "book.imbalance(1)",
    "book.count_imbalance(3)",
]
ODD = (64_000.0, 64_000.0, 0.0, 1.0, 1e-300, 1e299, -1e299, -0.5)
"""What a bar may hold at the worst; a price below zero is none of a market's, but is a number."""
BYTES = 13
"""So many drawn bytes are a bar: drawing every number by itself took most of the tests' time."""


def price_of(sort: int, number: int) -> float:
    """Near the others of its sort, anywhere, odd, or of any size at all."""
    match sort % 4:
        case 0:
            return 64_000.0 + number / 1000
        case 1:
            return math.pow(10.0, number / 65_536 * 18 - 9)
        case 2:
            return ODD[number % len(ODD)]
        case _:
            size = math.pow(10.0, number / 65_536 * 598 - 299)
            return size if sort & 4 else -size


def size_of(sort: int, number: int) -> float:
    match sort % 4:
        case 0:
            return 0.0
        case 1 | 2:
            return math.pow(10.0, number / 65_536 * 18 - 9)
        case _:
            return (1e-300, 1e299)[number % 2]


def make_bar(
    number: int,
    prices: tuple[float, float, float],
    volume: float = 1.0,
    bought: float = 0.5,
    revision: int = 0,
) -> Bar:
    """A bar of three prices, open, middle and close; `bought` is the buyers' share of `volume`."""
    notional = sum(price / 3 for price in prices) * volume
    return Bar(
        instrument="binance:BTC-USDT",
        interval="1m",
        start=MIDNIGHT + number * MINUTE,
        end=MIDNIGHT + (number + 1) * MINUTE,
        open=prices[0],
        high=max(prices),
        low=min(prices),
        close=prices[2],
        volume=volume,
        buy_volume=volume * bought,
        notional=notional if abs(notional) < 1e299 else 0.0,
        count=3 if volume else 0,
        revision=revision,
    )


def bar(close: float, number: int = 0, revision: int = 0) -> Bar:
    """A bar of one price."""
    return make_bar(number, (close, close, close), revision=revision)


def bars_of(drawn: bytes) -> list[Bar]:
    bars = []
    for number in range(len(drawn) // BYTES):
        one = drawn[number * BYTES : (number + 1) * BYTES]
        numbers = [one[at + 1] * 256 + one[at + 2] for at in (0, 3, 6, 9)]
        prices = (
            price_of(one[0], numbers[0]),
            price_of(one[3], numbers[1]),
            price_of(one[6], numbers[2]),
        )
        bars.append(make_bar(number, prices, size_of(one[9], numbers[3]), one[12] / 255))
    return bars


BARS = (
    st.integers(1, 60)
    .flatmap(lambda count: st.binary(min_size=count * BYTES, max_size=count * BYTES))
    .map(bars_of)
)


WRONGS = st.lists(st.tuples(st.integers(0, 59), st.floats(0.1, 1e6)), min_size=4, max_size=40)
"""Which bar, and a price that it was told with at first."""


def outputs_of(name: str) -> tuple[Output, ...]:
    kind = find_kind(parse(name).kind)
    assert kind is not None
    return kind.outputs


def fitting(name: str, bars: list[Bar]) -> list[Bar]:
    """The same bars; for a library, with prices and sizes as a market has them."""
    if not library_of(name):
        return bars

    def price(value: float) -> float:
        return 1.0 + abs(value) % 1000.0

    return [
        make_bar(
            number,
            (price(each.open), price(each.high), price(each.close)),
            round(min(each.volume, 1e6), 3),
        )
        for number, each in enumerate(bars)
    ]


def assert_same(
    name: str, told: list[tuple[float | None, ...]], right: list[tuple[float | None, ...]]
) -> None:
    if not library_of(name):
        assert told == right[-len(told) :]
        return
    largest = max((abs(each) for row in right for each in row if each is not None), default=1.0)
    for ours, theirs in zip(told, right[-len(told) :], strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert (a is None) == (b is None)
            if a is not None and b is not None:
                assert abs(a - b) <= LIBRARY_TOLERANCE * largest


def values(name: str, bars: list[Bar]) -> list[tuple[float | None, ...]]:
    indicator = create_for_bars(name)
    told = []
    for each in bars:
        indicator.update(each)
        told.append(indicator.values)
    return told


def assert_finite_and_in_range(name: str, rows: list[tuple[float | None, ...]]) -> None:
    outputs = outputs_of(name)
    for row in rows:
        for value, output in zip(row, outputs, strict=True):
            if value is not None:
                assert math.isfinite(value)
                assert output.least is None or value >= output.least
                assert output.most is None or value <= output.most


@cache
def walk(length: int, seed: int = 1) -> tuple[Bar, ...]:
    source = random.Random(seed)
    price = 64_000.0
    bars = []
    for number in range(length):
        prices = []
        for _ in range(3):
            price *= math.exp(source.gauss(0, 0.002))
            prices.append(price)
        volume = source.expovariate(1.0)
        bars.append(make_bar(number, (prices[0], prices[1], prices[2]), volume, source.random()))
    return tuple(bars)


@pytest.mark.parametrize("name", BAR_NAMES)
def test_the_first_value_comes_when_the_warm_up_says(name: str) -> None:
    indicator = create_for_bars(name)
    outputs = outputs_of(name)
    assert indicator.settled is None or indicator.settled >= indicator.warm_up
    for number, each in enumerate(walk(indicator.warm_up + 5), start=1):
        indicator.update(each)
        assert indicator.count == number
        for value, output in zip(indicator.values, outputs, strict=True):
            if number < indicator.warm_up:
                assert value is None
            else:
                assert value is not None or output.is_rare


@pytest.mark.parametrize("name", BAR_NAMES)
def test_it_says_its_own_name_and_one_value_an_output(name: str) -> None:
    indicator = create_for_bars(name)
    assert indicator.name == parse(name).indicator
    assert len(indicator.values) == len(outputs_of(name))


@pytest.mark.parametrize("name", BAR_NAMES)
@given(bars=BARS, cut=st.integers(0, 60))
@examples(15)
def test_values_are_finite_and_in_range_and_pickling_at_any_point_changes_none(
    name: str, bars: list[Bar], cut: int
) -> None:
    bars = fitting(name, bars)
    right = values(name, bars)
    assert_finite_and_in_range(name, right)
    indicator = create_for_bars(name)
    told = []
    for number, each in enumerate(bars):
        if number == cut:
            indicator = pickle.loads(pickle.dumps(indicator))  # noqa: S301
        indicator.update(each)
        told.append(indicator.values)
    assert_same(name, told, right)


@pytest.mark.parametrize("name", BAR_NAMES)
@given(bars=BARS, wrongs=WRONGS)
@examples(15)
def test_a_revision_gives_what_a_fresh_run_over_the_right_bars_gives(
    name: str, bars: list[Bar], wrongs: list[tuple[int, float]]
) -> None:
    bars = fitting(name, bars)
    indicator = create_for_bars(name)
    for number, each in enumerate(bars):
        for at, wrong in wrongs:
            if at % len(bars) != number:
                continue
            told = bar(wrong, number)
            (indicator.revise if indicator.count > number else indicator.update)(told)
        if indicator.count > number:
            indicator = pickle.loads(pickle.dumps(indicator))  # noqa: S301
            indicator.revise(each)
        else:
            indicator.update(each)
        assert indicator.count == number + 1
    right = values(name, bars)
    assert_finite_and_in_range(name, right)
    assert_same(name, [indicator.values], right)


@pytest.mark.parametrize("name", BAR_NAMES)
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, LARGEST])
def test_an_input_that_is_no_number_is_refused_and_changes_nothing(name: str, wrong: float) -> None:
    indicator = create_for_bars(name)
    bars = walk(30)
    for each in bars:
        indicator.update(each)
    before = pickle.dumps(indicator)
    broken = make_bar(30, (wrong, wrong, wrong), wrong)
    with pytest.raises(ValueError, match="finite"):
        indicator.update(broken)
    with pytest.raises(ValueError, match="finite"):
        indicator.revise(broken)
    assert pickle.dumps(indicator) == before


@pytest.mark.parametrize("name", BAR_NAMES)
def test_a_revision_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no bar to correct"):
        create_for_bars(name).revise(bar(1.0))


@pytest.mark.parametrize("name", BAR_NAMES)
def test_the_state_does_not_grow(name: str) -> None:
    indicator = create_for_bars(name)
    sizes = []
    for each in walk(3000):
        indicator.update(each)
        sizes.append(len(pickle.dumps(indicator)))
    assert max(sizes[1000:]) <= max(sizes[:1000]) + 16  # counters take a byte or two more


@pytest.mark.parametrize("name", BAR_NAMES)
@pytest.mark.parametrize(
    ("prices", "volumes"),
    [
        ([0.3] * 200, [1.0] * 200),
        ([64_000.0] * 200, [0.0] * 200),
        ([0.0] * 200, [0.0] * 200),
        ([1.0] * 100 + [1e12] * 100, [1.0] * 200),
        ([1e12] * 100 + [1.0] * 100, [1.0, 0.0] * 100),
    ],
    ids=["flat", "no volume", "nothing", "a jump up", "a fall down"],
)
def test_an_odd_market_has_a_value_all_the_same(
    name: str, prices: list[float], volumes: list[float]
) -> None:
    outputs = outputs_of(name)
    bars = [
        make_bar(number, (price, price, price), volume)
        for number, (price, volume) in enumerate(zip(prices, volumes, strict=True))
    ]
    for told in values(name, bars)[create_for_bars(name).warm_up - 1 :]:
        for value, output in zip(told, outputs, strict=True):
            assert output.is_rare or (value is not None and math.isfinite(value))


LEVELS = st.lists(
    st.tuples(st.floats(1e-9, 1e9), st.floats(1e-9, 1e9)), max_size=14, unique_by=lambda lv: lv[0]
)


@pytest.mark.parametrize("name", BOOK_NAMES)
@given(bids=LEVELS, asks=LEVELS)
@examples(15)
def test_a_book_indicator_is_finite_and_in_range_or_none(
    name: str, bids: list[Level], asks: list[Level]
) -> None:
    bids.sort(reverse=True)
    asks.sort()
    given_bids, given_asks = list(bids), list(asks)
    indicator = create_for_book(name)
    output = output_of(parse(name))
    value = pickle.loads(pickle.dumps(indicator)).measure(bids, asks)  # noqa: S301
    assert value == indicator.measure(bids, asks)
    assert (bids, asks) == (given_bids, given_asks)
    if not bids or not asks:
        assert value is None
    else:
        assert value is not None
        assert math.isfinite(value)
        assert output.least is None or value >= output.least
        assert output.most is None or value <= output.most


@pytest.mark.parametrize("name", BOOK_NAMES)
def test_a_book_indicator_says_its_own_name(name: str) -> None:
    assert create_for_book(name).name == name
