"""The range of a window against the extremes of its bars."""

import pickle

from hypothesis import given
from hypothesis import strategies as st

from indicators.window_range import WindowRange

PRICES = st.one_of(st.integers(1, 9).map(float), st.floats(-1e299, 1e299))
BARS = st.tuples(PRICES, PRICES, PRICES).map(sorted)
LENGTHS = st.integers(1, 20)


@given(length=LENGTHS, bars=st.lists(BARS, min_size=1, max_size=80))
def test_it_says_where_the_close_lies_between_the_extremes(
    length: int, bars: list[list[float]]
) -> None:
    window = WindowRange(length)
    for count, (low, close, high) in enumerate(bars, start=1):
        told = window.add(high, low, close)
        inside = bars[max(0, count - length) : count]
        lowest, highest = min(bar[0] for bar in inside), max(bar[2] for bar in inside)
        moved = highest - lowest
        assert told == (100.0 * ((close - lowest) / moved) if moved > 0 else 50.0)
        assert 0.0 <= told <= 100.0


@given(
    length=LENGTHS,
    bars=st.lists(BARS, min_size=1, max_size=60),
    wrong=BARS,
    cut=st.integers(0, 60),
)
def test_a_bar_taken_back_leaves_no_trace(
    length: int, bars: list[list[float]], wrong: list[float], cut: int
) -> None:
    corrected, plain = WindowRange(length), WindowRange(length)
    for count, (low, close, high) in enumerate(bars, start=1):
        corrected.add(wrong[2], wrong[0], wrong[1])
        if count == cut:
            corrected = pickle.loads(pickle.dumps(corrected))  # noqa: S301
        corrected.take_back()
        assert corrected.add(high, low, close) == plain.add(high, low, close)
