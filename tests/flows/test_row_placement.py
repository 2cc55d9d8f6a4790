"""Where rows go, against where Bytewax deals partitions out (`test_cluster` runs it for real)."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from connectors.placement import owner_of
from flows.row_placement import row_placement

SYMBOLS = [f"C{number}-USDT" for number in range(200)]


@given(symbol=st.text(), partitions=st.integers(1, 64), workers=st.integers(1, 64))
def test_a_symbol_has_one_partition_and_it_exists(
    symbol: str, partitions: int, workers: int
) -> None:
    place = row_placement(partitions, workers)
    assert 0 <= place(symbol) < partitions
    assert place(symbol) == row_placement(partitions, workers)(symbol)


@given(symbol=st.text(), partitions=st.integers(1, 64), workers=st.integers(1, 64))
def test_rows_stay_with_their_worker_when_it_has_a_partition(
    symbol: str, partitions: int, workers: int
) -> None:
    owner = owner_of(symbol, workers)
    if owner < partitions:
        assert row_placement(partitions, workers)(symbol) % workers == owner


@pytest.mark.parametrize(("partitions", "workers"), [(2, 1), (4, 2), (2, 3)])
def test_every_partition_is_used(partitions: int, workers: int) -> None:
    place = row_placement(partitions, workers)
    assert {place(symbol) for symbol in SYMBOLS} == set(range(partitions))
