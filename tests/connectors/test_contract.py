"""What the contract offers to every venue's file."""

import msgspec

from connectors.contract import Told, caught_up
from tests.flows.market_events import OTHER, delta, gap, snapshot, trade


def test_only_the_last_message_of_each_book_is_now() -> None:
    told: list[Told] = [
        snapshot(0, sequence=1),
        trade(1),
        snapshot(1, instrument=OTHER),
        gap(2, "trade"),
        delta(2, sequence=2),
        delta(3, sequence=3),
    ]
    marked = caught_up(told)
    past = [msgspec.structs.replace(one, catching_up=True) for one in (told[0], told[4])]
    assert marked == [past[0], told[1], told[2], told[3], past[1], told[5]]


def test_nothing_is_now_that_a_gap_followed() -> None:
    told: list[Told] = [snapshot(0), delta(1), gap(2, "book"), snapshot(3, instrument=OTHER)]
    marked = caught_up(told)
    past = [msgspec.structs.replace(one, catching_up=True) for one in told[:2]]
    assert marked == [*past, *told[2:]]
    assert caught_up([snapshot(0), gap(1)])[0] == past[0]
    anew: list[Told] = [gap(2), snapshot(3), delta(4)]
    assert caught_up(anew)[2] == anew[2]


def test_a_single_message_is_now() -> None:
    told: list[Told] = [snapshot(0)]
    assert caught_up(told) == told
    assert caught_up([]) == []
