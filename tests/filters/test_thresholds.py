"""Contradictions against trying every value that could make a difference."""

from hypothesis import given
from hypothesis import strategies as st

from filters.thresholds import contradictions
from filters.trees import Comparison, Operator, Tree, all_of
from tests.filters.conditions import truth

RELATIONS: list[Operator] = ["<", "<=", ">", ">=", "=="]
PARTS = st.builds(
    Comparison, st.just("change_bps"), st.sampled_from(RELATIONS), st.integers(0, 4).map(float)
)


@given(parts=st.lists(PARTS, min_size=2, max_size=4))
def test_it_is_told_exactly_when_no_value_will_do(parts: list[Comparison]) -> None:
    tree: Tree = all_of(parts)
    candidates = [number / 2 for number in range(-2, 12)]
    can_be = any(truth(tree, {"change_bps": value}) for value in candidates)
    assert bool(list(contradictions(tree))) == (not can_be)
