"""What is written beside a scale is what stands there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.charts.scale import LARGEST, Scale, price_text, short_text

PRICES = st.floats(1e-12, 1e12)
VALUES = st.floats(-1e289, 1e289)


def number(text: str) -> float:
    return float(text.replace(",", ""))


@given(st.lists(VALUES, max_size=5), st.integers(1, 9))
def test_ticks_are_round_numbers_inside_and_say_where_they_stand(
    values: list[float], count: int
) -> None:
    scale = Scale.around(values, above=0.1, below=0.1)
    ticks = scale.ticks(count)
    assert len(ticks) <= count
    room = (scale.high - scale.low) * 1e-9
    for tick in ticks:
        assert scale.low - room <= tick.value <= scale.high + room
        assert 0 - 1e-6 <= scale.place(tick.value) <= 1 + 1e-6
    assert [tick.value for tick in ticks] == sorted({tick.value for tick in ticks})
    if len(ticks) > 1:
        step = ticks[1].value - ticks[0].value
        shown = [number(tick.text) for tick in ticks]
        size = max(abs(scale.low), abs(scale.high))
        if size < 1e12 and step > 1e-6 * size:
            assert shown == pytest.approx([tick.value for tick in ticks], abs=step / 10)


@given(st.lists(VALUES, min_size=1, max_size=8))
def test_every_value_has_its_place_in_order(values: list[float]) -> None:
    scale = Scale.around(values)
    places = [scale.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert places[0] >= -1e-9
    assert places[-1] <= 1 + 1e-9


@pytest.mark.parametrize("value", [0.0, 67_000.0, 1e-12, -5.0, 1e280])
def test_what_does_not_move_stands_in_the_middle(value: float) -> None:
    assert Scale.around([value, value]).place(value) == pytest.approx(0.5)


def test_what_cannot_be_drawn_shapes_no_scale() -> None:
    odd = [float("nan"), float("inf"), 2 * LARGEST]
    assert Scale.around([1.0, 2.0, *odd]) == Scale(1.0, 2.0)


@given(PRICES)
def test_a_price_is_written_with_its_own_digits(price: float) -> None:
    assert number(price_text(price)) == pytest.approx(price, rel=1e-5)
    assert number(price_text(float(f"{price:.6g}"))) == pytest.approx(
        float(f"{price:.6g}"), rel=1e-12
    )


@given(st.floats(-1e300, 1e300))
def test_a_short_text_is_short_and_near(value: float) -> None:
    text = short_text(value)
    assert len(text) <= 10
    units = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
    told = float(text[:-1]) * units[text[-1]] if text[-1] in units else float(text)
    assert told == pytest.approx(value, rel=6e-3)
