"""Bars stand by their time; a hole is a hole; times are those of the zone."""

from datetime import UTC
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from sinks.charts.times import LONGEST_HOLE, Times, local
from tests.sinks.charts.chart_bars import MINUTE, START, bar, walk

BERLIN = ZoneInfo("Europe/Berlin")


def test_a_hole_is_as_wide_as_the_bars_it_lacks() -> None:
    times = Times(walk(10, without={3, 4}))
    assert times.places == [0, 1, 2, 5, 6, 7, 8, 9]
    (hole,) = times.holes
    assert (hole.left, hole.right) == (2.5, 4.5)
    assert hole.length == 2 * MINUTE
    assert not hole.is_shortened


def test_a_long_hole_is_shortened_and_says_how_long_it_is() -> None:
    times = Times(walk(1010, without=range(5, 1005)))
    assert times.places == [*range(5), *(5 + LONGEST_HOLE + each for each in range(5))]
    assert times.holes[0].length == 1000 * MINUTE
    assert times.holes[0].is_shortened


def test_bars_of_no_fixed_length_stand_side_by_side() -> None:
    bars = [bar(number, 1.0, 2.0, interval="100t") for number in (0, 7, 500)]
    assert Times(bars).places == [0, 1, 2]
    assert not Times(bars).holes


def test_the_moment_of_a_bar_is_its_end() -> None:
    times = Times(walk(10))
    assert times.bar_at(START + 3 * MINUTE) == 2
    assert times.bar_at(START + 3 * MINUTE + 1) == 3
    assert times.bar_at(START) is None
    assert times.place(START + 10 * MINUTE + 7) == 10
    assert times.place(START - 1) < 0


@given(
    st.sets(st.integers(0, 3000), min_size=1, max_size=60),
    st.sampled_from([UTC, BERLIN, ZoneInfo("Asia/Kathmandu")]),
)
def test_ticks_stand_at_bars_and_tell_their_start(numbers: set[int], zone: ZoneInfo) -> None:
    bars = [bar(number, 1.0, 2.0) for number in sorted(numbers)]
    times = Times(bars)
    ticks = times.ticks(zone)
    assert 1 <= len(ticks) <= 5
    assert [place for place, _ in ticks] == sorted(place for place, _ in ticks)
    for place, text in ticks:
        at = local(bars[times.places.index(place)].start, zone)
        assert text in (f"{at:%H:%M}", f"{at:%H:%M:%S}", f"{at.day} {at:%b}")


def test_round_times_of_the_zone_are_chosen() -> None:
    assert [text for _, text in Times(walk(120)).ticks(BERLIN)] == [
        "16:30",
        "17:00",
        "17:30",
        "18:00",
    ]
