import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli import options
from cli.options import seconds
from market.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 30), ("30", 30), ("1.5m", 90), ("2h", 7200), ("1d", 86_400), ("250ms", 0.25)],
)
def test_a_length_of_time_is_read(text: str, expected: float) -> None:
    assert seconds(text) == expected


@given(st.text(max_size=8))
def test_any_text_is_a_length_of_time_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert 0 <= seconds(text) < float("inf")


def test_a_moment_is_utc_where_it_says_nothing_else() -> None:
    moment = options.moment
    assert moment("--from", "2023-11-14T22:13:20", 0) == 1_700_000_000 * 10**9
    assert moment("--from", "2023-11-14T23:13:20+01:00", 0) == 1_700_000_000 * 10**9
    assert moment("--from", "1h", 3600 * 10**9 + 5) == 5
