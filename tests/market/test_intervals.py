"""Intervals: what they are called, how long they are, where they begin."""

from datetime import UTC, datetime, timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import given

from market.intervals import DAY, SECOND, WEEK, Interval

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAMES = ["1s", "5s", "90s", "1m", "5m", "15m", "1h", "4h", "24h", "1d", "86400s", "1440m", "1w"]


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
        ("1w", 604_800),
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
        "1W",
        "0w",
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
    with pytest.raises(ValueError, match="expected a count and one of s, m, h, d, w"):
        Interval.parse(name)


@pytest.mark.parametrize(
    "name", ["7m", "7s", "5h", "2d", "7d", "168h", "2w", "52w", "25h", "99999s", "86401s"]
)
def test_what_does_not_divide_a_day_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="it must divide a day"):
        Interval.parse(name)


@given(name=st.text(max_size=8))
def test_any_text_is_an_interval_or_a_value_error(name: str) -> None:
    said, length = "", WEEK
    try:
        length = Interval.parse(name).length
    except ValueError as error:
        said = str(error)
    assert said == "" or repr(name) in said
    assert DAY % length == 0 or length == WEEK


@given(name=st.sampled_from(NAMES), ts=st.integers(-(10**20), 10**20))
def test_every_time_is_in_exactly_one_interval(name: str, ts: int) -> None:
    interval = Interval.parse(name)
    start = interval.start_of(ts)
    assert start <= ts < start + interval.length
    assert interval.start_of(start) == start
    assert interval.start_of(start - 1) == start - interval.length


@given(name=st.sampled_from(NAMES[:-1]), day=st.integers(0, 40_000))
def test_every_day_begins_a_new_interval(name: str, day: int) -> None:
    assert Interval.parse(name).start_of(day * DAY) == day * DAY


@given(moment=st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - the zone is added
def test_a_week_begins_on_monday(moment: datetime) -> None:
    monday = (moment - timedelta(days=moment.weekday())).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    start = Interval.parse("1w").start_of(int((moment - EPOCH) / timedelta(microseconds=1)) * 1000)
    assert EPOCH + timedelta(microseconds=start // 1000) == monday


@given(larger=st.sampled_from(NAMES), smaller=st.sampled_from(NAMES), count=st.integers(-9, 9))
def test_what_is_made_of_smaller_ones_begins_where_one_of_them_begins(
    larger: str, smaller: str, count: int
) -> None:
    long, short = Interval.parse(larger), Interval.parse(smaller)
    start = long.start_of(count * long.length)
    edges = [start, start + long.length]
    if long.is_made_of(short):
        assert [short.start_of(edge) for edge in edges] == edges
    else:
        assert long.length % short.length or long.length <= short.length
