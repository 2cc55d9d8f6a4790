"""How the soak judges the gap ledger; the soak itself takes minutes."""

import pytest

from bench.soak import EARLIER_S, EVERY_S, FAULTS, LATER_S, LOSES, without_row
from simulator.dialects import DIALECTS

Rows = list[tuple[str, str, float]]
ENDED: Rows = [(venue, "book" if venue == "htx" else "all", 9.5) for venue in DIALECTS]


def test_what_loses_data_is_among_the_faults() -> None:
    assert set(LOSES) <= set(FAULTS)
    assert EARLIER_S + LATER_S <= EVERY_S, "the row of one fault would do for its neighbour"


def test_a_connection_that_ends_has_rows_at_every_venue() -> None:
    assert without_row(ENDED, 10, "all") == []
    assert without_row(ENDED[1:], 10, "all") == [ENDED[0][0]]


@pytest.mark.parametrize(
    ("start", "missing"), [(6.9, True), (7.0, False), (11.9, False), (12.0, True)]
)
def test_a_row_is_of_the_fault_at_its_time_only(start: float, missing: bool) -> None:
    assert bool(without_row([("bybit", "book", start)], 10, "book")) is missing


def test_a_row_of_another_channel_is_not_its_row() -> None:
    assert without_row([("binance", "trade", 9.5)], 10, "book") == ["any venue"]
