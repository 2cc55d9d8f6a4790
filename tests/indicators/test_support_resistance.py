"""The walls by their rank, read from what a depth says."""

import pickle

import pytest

from indicators.catalogue import KINDS
from indicators.liquidity import RestingDepth
from indicators.names import IndicatorNameError, create_for_bars, create_for_depth, parse, usage

DEPTH_NAMES = [usage(kind) for kind in KINDS.values() if kind.reads == "depth"]
WALLED = RestingDepth(
    {99.0: 5.0, 98.0: 7.0},
    {101.0: 4.0},
    100.0,
    ((99.0, 5.0), (98.0, 7.0)),
    ((101.0, 4.0),),
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("support", 99.0),
        ("support(2)", 98.0),
        ("support(3)", None),
        ("resistance", 101.0),
        ("resistance(2)", None),
        ("support_distance_bps", 100.0),
        ("support_distance_bps(2)", 200.0),
        ("support_distance_bps(3)", None),
        ("resistance_distance_bps(1)", 100.0),
        ("resistance_distance_bps(5)", None),
    ],
)
def test_a_wall_is_told_by_its_rank(name: str, value: float | None) -> None:
    assert create_for_depth(name).measure(WALLED) == value


@pytest.mark.parametrize("name", DEPTH_NAMES)
def test_there_is_no_wall_while_warming_and_no_value_of_an_empty_book(name: str) -> None:
    indicator = create_for_depth(name)
    assert indicator.measure(RestingDepth({}, {}, None, None, None)) is None
    assert indicator.measure(RestingDepth({}, {}, None, (), ())) is None
    if KINDS[parse(name).kind].outputs[0].is_rare:
        warming = RestingDepth({99.0: 1.0}, {101.0: 1.0}, 100.0, None, None)
        assert indicator.measure(warming) is None


@pytest.mark.parametrize("name", DEPTH_NAMES)
def test_a_depth_indicator_says_its_own_name_and_keeps_nothing(name: str) -> None:
    indicator = create_for_depth(name)
    assert indicator.name == name
    assert pickle.loads(pickle.dumps(indicator)) == indicator  # noqa: S301
    assert indicator.measure(WALLED) == indicator.measure(WALLED)


def test_a_rank_beyond_five_is_refused_and_none_is_computed_from_bars() -> None:
    for written in ("support(0)", "support(6)", "resistance(1.5)"):
        with pytest.raises(IndicatorNameError, match="1 to 5"):
            parse(written)
    with pytest.raises(IndicatorNameError, match="not from bars"):
        create_for_bars("support(1)")
