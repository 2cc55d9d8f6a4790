"""The ring of last values against a list."""

from hypothesis import given
from hypothesis import strategies as st

from indicators.recent import Recent


@given(
    size=st.integers(1, 10),
    steps=st.lists(st.tuples(st.floats(allow_nan=False), st.booleans()), max_size=60),
)
def test_it_keeps_the_last_values_and_hands_out_the_one_that_leaves(
    size: int, steps: list[tuple[float, bool]]
) -> None:
    recent = Recent(size)
    kept: list[float] = []
    for value, is_correction in steps:
        if is_correction and kept:
            kept[-1] = value
            recent.replace(value)
        else:
            kept.append(value)
            assert recent.add(value) == (kept[-size - 1] if len(kept) > size else None)
        assert recent.oldest == kept[-size:][0]
