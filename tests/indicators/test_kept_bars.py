"""The last bars are kept, no fewer than asked for and no more than twice as many."""

import math
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indicators.kept_bars import KeptBars, finite_or_none, reader_of
from tests.indicators.library_bars import bars_of, walk_columns

ROWS = st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), min_size=1, max_size=80)


@given(rows=ROWS, limit=st.integers(1, 20), replaced=st.sets(st.integers(0, 79)))
def test_what_is_kept_is_the_end_of_what_came(
    rows: list[tuple[float, float]], limit: int, replaced: set[int]
) -> None:
    kept = KeptBars(limit, 2)
    for number, row in enumerate(rows):
        if number in replaced:
            kept.append((1.0, 2.0))
            kept.replace(row)
        else:
            kept.append(row)
        assert kept.last() == row
        assert min(limit, number + 1) <= len(kept) <= 2 * limit
    told = list(zip(*(column.tolist() for column in kept.arrays()), strict=True))
    assert told == rows[-len(kept) :]
    least = list(zip(*(column.tolist() for column in kept.arrays(limit)), strict=True))
    assert least == rows[-limit:]
    again = pickle.loads(pickle.dumps(kept))  # noqa: S301
    assert [column.tolist() for column in again.arrays()] == [
        column.tolist() for column in kept.arrays(limit)
    ]


def test_none_kept_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 1 or more"):
        KeptBars(0, 1)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, 1e60, -1e60])
def test_a_value_that_a_library_could_not_bear_is_refused(wrong: float) -> None:
    columns = walk_columns(1, 2)
    columns["close"][1] = wrong
    good, bad = bars_of(columns)
    assert reader_of(("close",))(good) == (good.close,)
    assert reader_of(("volume", "close"))(good) == (good.volume, good.close)
    with pytest.raises(ValueError, match="expected a finite number below 1e"):
        reader_of(("open", "close"))(bad)


def test_nan_and_infinity_become_none() -> None:
    assert [finite_or_none(each) for each in (1, math.nan, math.inf, -math.inf)] == [
        1.0,
        *[None] * 3,
    ]
