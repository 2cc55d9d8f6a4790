from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.quiet_hours import QuietHours, find_zone

BERLIN = ZoneInfo("Europe/Berlin")
SECOND = 1_000_000_000


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def end(hours: str, at: str, zone: ZoneInfo = BERLIN) -> str | None:
    until = QuietHours.parse(hours, zone).until(ns(at))
    return None if until is None else datetime.fromtimestamp(until / SECOND, UTC).isoformat()


@pytest.mark.parametrize(
    ("hours", "at", "until"),
    [
        ("22:00-07:00", "2026-01-10T20:59:59", None),
        ("22:00-07:00", "2026-01-10T21:00:00", "2026-01-11T06:00:00+00:00"),
        ("22:00-07:00", "2026-01-11T05:59:59", "2026-01-11T06:00:00+00:00"),
        ("22:00-07:00", "2026-01-11T06:00:00", None),
        ("12:30-13:00", "2026-07-10T10:45:00", "2026-07-10T11:00:00+00:00"),
        # The night in which the clock goes forward, and the one in which it goes back.
        ("22:00-07:00", "2026-03-28T22:00:00", "2026-03-29T05:00:00+00:00"),
        ("22:00-07:00", "2026-10-24T21:00:00", "2026-10-25T06:00:00+00:00"),
        # The end is in the hour that there is twice, or not at all.
        ("22:00-02:30", "2026-10-24T21:00:00", "2026-10-25T00:30:00+00:00"),
        ("22:00-02:30", "2026-03-28T22:00:00", "2026-03-29T01:30:00+00:00"),
    ],
)
def test_quiet_hours_end_when_the_clock_on_the_wall_says(
    hours: str, at: str, until: str | None
) -> None:
    assert end(hours, at) == until


@given(
    at=st.integers(ns("2026-01-01T00:00:00"), ns("2027-01-01T00:00:00")),
    start=st.integers(0, 1439),
    length=st.integers(1, 1439),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"]),
)
def test_an_end_is_ahead_within_a_day_and_not_quiet_any_more(
    at: int, start: int, length: int, zone: str
) -> None:
    stop = (start + length) % 1440
    text = f"{start // 60:02}:{start % 60:02}-{stop // 60:02}:{stop % 60:02}"
    quiet = QuietHours.parse(text, ZoneInfo(zone))
    until = quiet.until(at)
    if until is None:
        return
    # In the hour that the clock repeats, the end may just have been.
    assert at - 3600 * SECOND <= until <= at + 25 * 3600 * SECOND


@pytest.mark.parametrize("text", ["", "22-7", "24:00-07:00", "22:60-07:00", "07:00-07:00", "x"])
def test_what_is_no_pair_of_times_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected two times of the day|begins when it ends"):
        QuietHours.parse(text, BERLIN)


@pytest.mark.parametrize("name", ["Europe/Nowhere", "", "../etc/passwd", "/etc/localtime"])
def test_a_zone_that_there_is_not_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no time zone known here"):
        find_zone(name)
