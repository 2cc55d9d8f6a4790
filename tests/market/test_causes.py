import pytest

from market.causes import LONGEST, cause_of


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("connecting", "connecting"),
        ("trade ids 5 to 9 are missing", "trade ids N to N are missing"),
        ("sequence: expected U <= 4711, got 4,712.5", "sequence: expected U <= N, got N"),
        ("nothing for 4 s, 0.9 a second before", "nothing for N s, N a second before"),
        ("closed: 1006.", "closed: N."),
        ("x1 y", "x1 y"),
        ("", "unknown"),
        ("a" * 500, "a" * LONGEST),
    ],
)  # fmt: skip
def test_numbers_are_particulars(reason: str, cause: str) -> None:
    assert cause_of(reason) == cause
