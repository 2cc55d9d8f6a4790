"""Intervals: what they are called, how long they are, where they begin."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from market.intervals import DAY, SECOND, Interval

NAMES = ["1s", "5s", "90s", "1m", "5m", "15m", "1h", "4h", "24h", "1d", "86400s", "1440m"]


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("1s", 1),
        ("90s", 90),
        ("1m", 60),
        ("5m", 300),
        ("1h", 3600),
        ("4h", 14_400),
        ("1d", 86_400),
        ("24h", 86_400),
        ("86400s", 86_400),
    ],
)
def test_a_name_is_a_count_and_a_unit(name: str, seconds: int) -> None:
    interval = Interval.parse(name)
    assert interval.name == name
    assert interval.length == seconds * SECOND


@pytest.mark.parametrize(
    "name",
    [
        "",
        "m",
        "5",
        "5M",
        "1w",
        "0s",
        "00m",
        "05m",
        "-1m",
        "+1m",
        "1.5m",
        " 5m",
        "5m ",
        "5 m",
        "1_0s",
        "٣m",
        "²m",
        "5m\n",
        "9" * 5000 + "s",
        "1ms",
    ],
    ids=repr,
)
def test_what_is_no_count_and_unit_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected a count and one of s, m, h, d"):
        Interval.parse(name)


@pytest.mark.parametrize("name", ["7m", "7s", "5h", "2d", "25h", "99999s", "86401s"])
def test_what_does_not_divide_a_day_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="it must divide a day"):
        Interval.parse(name)


@given(name=st.text(max_size=8))
def test_any_text_is_an_interval_or_a_value_error(name: str) -> None:
    said, length = "", DAY
    try:
        length = Interval.parse(name).length
    except ValueError as error:
        said = str(error)
    assert said == "" or repr(name) in said
    assert DAY % length == 0


@given(name=st.sampled_from(NAMES), ts=st.integers(-(10**20), 10**20))
def test_every_time_is_in_exactly_one_interval(name: str, ts: int) -> None:
    interval = Interval.parse(name)
    start = interval.start_of(ts)
    assert start <= ts < start + interval.length
    assert interval.start_of(start) == start
    assert interval.start_of(start - 1) == start - interval.length


@given(name=st.sampled_from(NAMES), day=st.integers(0, 40_000))
def test_every_day_begins_a_new_interval(name: str, day: int) -> None:
    assert Interval.parse(name).start_of(day * DAY) == day * DAY
