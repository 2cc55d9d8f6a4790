"""Crossings and moves against plain definitions over the whole past."""

from hypothesis import given
from hypothesis import strategies as st

from filters.memory import STEPS, fresh, step, steps_of
from filters.trees import Crossing, Move
from indicators.crosses import crossing

SECOND = 1_000_000_000
VALUES = st.lists(st.one_of(st.none(), st.integers(1, 12).map(float)), max_size=60)


def crosses(part: Crossing, values: list[float | None], level: list[float | None]) -> list[bool]:
    """The definition: it is on the other side than it was when it last was on a side."""
    told, side = [], 0
    for value, limit in zip(values, level, strict=True):
        if value is None or limit is None or value == limit:
            told.append(False)
            continue
        now = 1 if value > limit else -1
        wanted = 1 if part.direction == "crosses_above" else -1
        told.append(side == -now and now == wanted)
        side = now
    return told


@given(values=VALUES, above=st.booleans(), level=st.integers(1, 12).map(float))
def test_a_crossing_of_a_number_is_a_change_of_sides(
    values: list[float | None], above: bool, level: float
) -> None:
    part = Crossing("close", "crosses_above" if above else "crosses_below", level)
    memories = fresh([part])
    told = [
        bool(step(steps_of([part]), memories, {"close": value}, 0, at)[0])
        for at, value in enumerate(values)
    ]
    assert told == crosses(part, values, [level] * len(values))


@given(values=VALUES, data=st.data())
def test_a_crossing_of_a_field_is_a_change_of_sides(
    values: list[float | None], data: st.DataObject
) -> None:
    count = len(values)
    numbers = st.one_of(st.none(), st.integers(1, 12).map(float))
    other = data.draw(st.lists(numbers, min_size=count, max_size=count))
    part = Crossing("close", "crosses_above", "ema(20)")
    memories = fresh([part])
    told = []
    for value, level in zip(values, other, strict=True):
        (said,) = step(steps_of([part]), memories, {"close": value, "ema(20)": level}, 0, 0)
        assert (said is None) == (value is None or level is None)
        told.append(bool(said))
    assert told == crosses(part, values, other)


@given(
    moments=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30).map(float)), max_size=80),
    percent=st.sampled_from([10.0, 50.0, 200.0, -10.0, -50.0]),
    strict=st.booleans(),
    window=st.integers(1, 60),
)
def test_a_move_in_a_time_is_from_the_lowest_or_highest_value_of_it(
    moments: list[tuple[int, float]], percent: float, strict: bool, window: int
) -> None:
    part = Move("close", percent, strict, time=window * SECOND)
    memories = fresh([part])
    ts, past = 0, list[tuple[int, float]]()
    for pause, value in moments:
        ts += pause * SECOND
        (told,) = step(steps_of([part]), memories, {"close": value}, ts, 0)
        before = [each for at, each in past if at >= ts - window * SECOND and each > 0]
        edge = (min(before) if percent > 0 else max(before)) if before else None
        by = 0.0 if edge is None else (value - edge) / edge * 100
        if percent > 0:
            assert told == (by > percent if strict else by >= percent)
        else:
            assert told == (by < percent if strict else by <= percent)
        past.append((ts, value))


@given(values=st.lists(st.integers(1, 30).map(float), max_size=60), bars=st.integers(1, 5))
def test_a_move_in_bars_counts_them(values: list[float], bars: int) -> None:
    part = Move("close", 10.0, bars=bars)
    memories = fresh([part])
    for at, value in enumerate(values):
        (told,) = step(steps_of([part]), memories, {"close": value}, 0, at)
        before = values[max(0, at - bars) : at]
        assert told == (bool(before) and (value - min(before)) / min(before) * 100 >= 10)


def test_what_a_window_keeps_is_bounded() -> None:
    part = Move("close", 10.0, time=3600 * SECOND)
    memories = fresh([part])
    steps = steps_of([part])
    for at in range(50_000):
        step(steps, memories, {"close": 100.0 + at / 1000}, at * SECOND // 10, at)
    assert len(memories[0].at) <= STEPS + 1


@given(
    moments=st.lists(
        st.tuples(st.none() | st.sampled_from([1.0, 2.0, 3.0]), st.sampled_from([1.0, 2.0, 2.5])),
        max_size=40,
    )
)
def test_a_crossing_is_what_the_indicator_calls_one(
    moments: list[tuple[float | None, float]],
) -> None:
    both = [
        Crossing("close", "crosses_above", "ema(3)"),
        Crossing("close", "crosses_below", "ema(3)"),
    ]
    steps, memories = steps_of(both), fresh(both)
    side = 0
    for value, level in moments:
        event, side = crossing(side, value, level)
        above, below = step(steps, memories, {"close": value, "ema(3)": level}, 0, 0)
        if value is None:
            assert above is below is None
        else:
            assert (above, below) == (event == 1, event == -1)
        assert memories[0].side == memories[1].side == side
