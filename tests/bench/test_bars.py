"""What the benchmark of bars compares is alike."""

import pytest

from bench.bars import (
    NAMES,
    activity,
    builders,
    floor,
    flow_of,
    rolled_up,
    sizes,
    summary,
    timed,
    trades,
    windows,
)


def test_every_row_takes_every_trade() -> None:
    given = trades(500)
    items = timed(given)
    volume = pytest.approx(sum(size for _, _, size, _ in given))
    assert floor(given) == volume
    assert builders(given, NAMES[:1]) == volume
    assert builders(given, NAMES) == volume
    assert rolled_up(given) == volume
    assert activity(given) == volume
    assert flow_of(items, sizes) == volume
    assert flow_of(items, windows) == volume


def test_ratios_are_taken_within_a_round() -> None:
    rounds = [
        {
            "floor": 1.0 * slowness,
            "builder 1": 2.0 * slowness,
            "builders 4": 8.0 * slowness,
            "rollup 4": 3.0 * slowness,
            "activity": 2.0 * slowness,
            "engine alone": 4.0 * slowness,
            "fold_window": 24.0 * slowness,
        }
        for slowness in (1.0, 9.0, 2.0)
    ]
    figures = summary(rounds)
    assert figures["ns_per_trade"]["builder 1"] == 4.0
    assert figures["ratios"] == {
        "builder 1 / floor": 2.0,
        "fold_window / builder 1": 10.0,
        "rollup 4 / builder 1": 1.5,
        "builders 4 / builder 1": 4.0,
        "activity / builder 1": 1.0,
    }
