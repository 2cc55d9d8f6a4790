"""Where rows go, against where Bytewax deals partitions out."""

import threading
from collections.abc import Iterable

import bytewax.operators as op
import hypothesis.strategies as st
import pytest
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.testing import cluster_main
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


class _Symbols(DynamicSource[tuple[str, int]]):
    """Each worker's own symbols, with the thread that is the worker."""

    def build(self, _step_id: str, index: int, count: int) -> "_Own":
        return _Own([symbol for symbol in SYMBOLS if owner_of(symbol, count) == index])


class _Own(StatelessSourcePartition[tuple[str, int]]):
    def __init__(self, symbols: list[str]) -> None:
        self._symbols = symbols

    def next_batch(self) -> Iterable[tuple[str, int]]:
        if not self._symbols:
            raise StopIteration
        symbols, self._symbols = self._symbols, []
        return [(symbol, threading.get_ident()) for symbol in symbols]


class _Threads(FixedPartitionedSink[int, None]):
    """Notes for each row whether another worker made it."""

    def __init__(self, partitions: int, workers: int) -> None:
        self._partitions = partitions
        self._place = row_placement(partitions, workers)
        self.travelled: list[bool] = []

    def list_parts(self) -> list[str]:
        return [f"store-{number}" for number in range(self._partitions)]

    def part_fn(self, item_key: str) -> int:
        return self._place(item_key)

    def build_part(self, _step_id: str, _for_part: str, _resume_state: None) -> "_Thread":
        return _Thread(self.travelled)


class _Thread(StatefulSinkPartition[int, None]):
    def __init__(self, travelled: list[bool]) -> None:
        self._travelled = travelled

    def write_batch(self, values: list[int]) -> None:
        self._travelled += [value != threading.get_ident() for value in values]

    def snapshot(self) -> None:
        return None


@pytest.mark.parametrize(("partitions", "workers"), [(2, 2), (12, 3), (2, 3)])
def test_the_engine_keeps_rows_where_they_were_made(partitions: int, workers: int) -> None:
    """Twelve: the engine deals partitions out in the order of their names, `store-10` before 2."""
    sink = _Threads(partitions, workers)
    flow = Dataflow("placed")
    op.output("store", op.input("in", flow, _Symbols()), sink)
    cluster_main(flow, [], 0, worker_count_per_proc=workers)  # type: ignore[no-untyped-call]  # the engine's
    assert len(sink.travelled) == len(SYMBOLS)
    without = [symbol for symbol in SYMBOLS if owner_of(symbol, workers) >= partitions]
    assert sum(sink.travelled) == len(without)
