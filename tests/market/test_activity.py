"""Bar lengths that are no time: what they are called."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from market.activity import Activity, Measure, parse_bar_length
from market.intervals import Interval


@pytest.mark.parametrize(
    ("name", "measure", "amount"),
    [
        ("1tick", Measure.TICK, 1.0),
        ("100tick", Measure.TICK, 100.0),
        ("2.5volume", Measure.VOLUME, 2.5),
        ("10volume", Measure.VOLUME, 10.0),
        ("0.001volume", Measure.VOLUME, 0.001),
        ("1000000dollar", Measure.DOLLAR, 1_000_000.0),
        ("0.5dollar", Measure.DOLLAR, 0.5),
    ],
)
def test_a_name_is_an_amount_and_a_measure(name: str, measure: Measure, amount: float) -> None:
    activity = Activity.parse(name)
    assert (activity.name, activity.measure, activity.amount) == (name, measure, amount)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "tick",
        "0tick",
        "0volume",
        "0.0volume",
        "-1tick",
        "+1tick",
        "05tick",
        "1.volume",
        ".5volume",
        "2.50volume",
        "2,5volume",
        "1e6dollar",
        "1_000dollar",
        "infdollar",
        "nanvolume",
        "1 tick",
        "1tick ",
        "1tick\n",
        "1ticks",
        "1TICK",
        "٣tick",
        "5m",
        "9" * 5000 + "tick",
    ],
    ids=repr,
)
def test_what_is_no_amount_and_measure_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected an amount and one of tick, volume, dollar"):
        Activity.parse(name)


def test_ticks_are_whole() -> None:
    with pytest.raises(ValueError, match="ticks are counted"):
        Activity.parse("2.5tick")


@pytest.mark.parametrize("name", ["1s", "5m", "4h", "1d", "1w"])
def test_a_bar_length_may_be_a_time(name: str) -> None:
    assert parse_bar_length(name) == Interval.parse(name)


@pytest.mark.parametrize("name", ["100tick", "2.5volume", "1000000dollar"])
def test_a_bar_length_may_be_an_activity(name: str) -> None:
    assert parse_bar_length(name) == Activity.parse(name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("7m", "it must divide a day"),
        ("xm", "expected a count and one of s, m, h, d, w"),
        ("0tick", "expected an amount and one of"),
        ("5 minutes of it", "expected a time, as in '5m', or an amount, as in '100tick'"),
        ("", "expected a time, as in '5m', or an amount"),
        ("100", "expected a time, as in '5m', or an amount"),
    ],
)
def test_what_is_wrong_with_a_bar_length_is_said(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_bar_length(name)


@given(name=st.text(max_size=8) | st.from_regex(r"[0-9.]{1,5}(tick|volume|dollar)", fullmatch=True))
def test_any_text_is_a_bar_length_or_a_value_error(name: str) -> None:
    said, length = "", None
    try:
        length = parse_bar_length(name)
    except ValueError as error:
        said = str(error)
    if length is None:
        assert repr(name) in said
    else:
        assert length.name == name
        assert not isinstance(length, Activity) or length.amount > 0
