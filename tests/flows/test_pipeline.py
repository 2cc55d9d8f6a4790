"""The graph in one process, with sources and sinks of the test's own."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from bytewax.dataflow import Dataflow
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from bytewax.testing import TestingSource, run_main

from connectors.drain import FlowEvent, MicroBatch
from filters.specs import Notify, Spec
from flows.emission import KINDS, LineSink, digest
from flows.output import lines_of
from flows.pipeline import build
from flows.status import Tally
from sinks.rows import Cell, RowBatch, unpack
from sinks.tables import TABLES
from tests.flows.market_events import (
    BTC,
    bar_spec,
    beat,
    book_spec,
    delta,
    gap,
    make_market,
    parts,
    random_stream,
    snapshot,
    specs,
    trade,
)

TARGETS = [name for name, _ in TABLES["alerts"].columns].index("targets")


class RowsInMemory(FixedPartitionedSink[RowBatch, None]):
    """Keeps rows by table."""

    def __init__(self) -> None:
        self.batches: list[RowBatch] = []

    def list_parts(self) -> list[str]:
        return ["memory-0", "memory-1"]

    def build_part(
        self, _step_id: str, _for_part: str, _resume_state: None
    ) -> StatefulSinkPartition[RowBatch, None]:
        return _Part(self.batches)

    def rows(self, table: str) -> list[list[Cell]]:
        return [row for batch in self.batches if batch.table == table for row in unpack(batch)]


class _Part(StatefulSinkPartition[RowBatch, None]):
    def __init__(self, batches: list[RowBatch]) -> None:
        self._batches = batches

    def write_batch(self, values: list[RowBatch]) -> None:
        self._batches += values

    def snapshot(self) -> None:
        return None


SPEC = bar_spec("close > 0")
SPECS = specs(SPEC)


def flow(
    events: Sequence[FlowEvent],
    sizes: Sequence[int] = (3,),
    *,
    store: RowsInMemory | None = None,
    lines: LineSink | None = None,
    kinds: frozenset[str] = frozenset(),
    told: list[tuple[str, str]] | None = None,
    tally: Tally | None = None,
    stores_alerts: bool = True,
) -> Dataflow:
    batches: list[MicroBatch] = [("BTC-USDT", list(part)) for part in parts(events, sizes)]
    wishes = [] if told is None else told
    return build(
        TestingSource(batches),
        new_market=make_market,
        resync=lambda *wish: wishes.append(wish),
        tally=tally or Tally(list),
        route=lambda target: ("console", "telegram/main") if target == "default" else (target,),
        store=store,
        lines=lines,
        kinds=kinds,
        stores_alerts=stores_alerts,
    )


def run(made: Dataflow) -> None:
    run_main(made)  # type: ignore[no-untyped-call]


EVENTS: list[FlowEvent] = [
    SPECS,
    gap(0),
    snapshot(0.1),
    *(trade(at, 100 + at) for at in range(5)),
    beat(5),
    gap(6),
    snapshot(6.5, sequence=9),
]


def test_everything_that_is_told_becomes_rows_of_its_table() -> None:
    store = RowsInMemory()
    run(flow(EVENTS, store=store))
    expected = make_market().advance(EVENTS)
    assert len(store.rows("trades")) == 5
    assert len(store.rows("bars")) == len(expected.bars) > 0
    assert len(store.rows("features")) == len(expected.features) > 0
    assert len(store.rows("gaps")) == 2
    assert [row[:2] for row in store.rows("trades")] == [["binance", "BTC-USDT"]] * 5
    assert len(store.rows("alerts")) == 1


def test_an_alert_goes_to_what_is_configured_and_its_book_is_stored() -> None:
    store = RowsInMemory()
    run(flow(EVENTS, store=store))
    (alert,) = store.rows("alerts")
    assert alert[TARGETS] == ["console", "telegram/main"]
    alone = RowsInMemory()
    run(flow([event for event in EVENTS if event is not SPECS], store=alone))
    assert len(store.rows("book_tops")) == len(alone.rows("book_tops")) + 1
    assert all(batch.urgent for batch in store.batches if batch.table == "alerts")


def test_the_end_of_an_alert_is_stored_unless_alerts_are_not() -> None:
    spec = bar_spec("close > 100")
    prices = [99, 101, 99, 99]
    events: list[FlowEvent] = [specs(spec), gap(0), snapshot(0.1)]
    events += [trade(second, price) for second, price in enumerate(prices)]
    store = RowsInMemory()
    run(flow(events, store=store))
    (alert,) = store.rows("alerts")
    (ending,) = store.rows("alert_endings")
    assert ending[0] == alert[0]
    assert isinstance(ending[1], int)
    assert isinstance(alert[7], int)
    assert ending[1] > alert[7]
    without = RowsInMemory()
    run(flow(events, store=without, stores_alerts=False))
    assert without.rows("alert_endings") == []
    assert without.rows("alerts") == []
    assert without.rows("bars") == store.rows("bars")


def test_a_target_that_two_names_mean_is_told_once() -> None:
    spec = Spec(
        id=SPEC.id,
        source=SPEC.source,
        when=SPEC.when,
        notify=(Notify(to="default"), Notify(to="console")),
    )
    store = RowsInMemory()
    run(flow([specs(spec), *EVENTS[1:]], store=store))
    (alert,) = store.rows("alerts")
    assert alert[TARGETS] == ["console", "telegram/main"]


@pytest.mark.parametrize("sizes", [(1,), (7,), (500,)])
def test_rows_do_not_depend_on_micro_batches(sizes: tuple[int, ...]) -> None:
    events: list[FlowEvent] = [specs(SPEC, book_spec()), *random_stream(11, 300)]
    whole, cut = RowsInMemory(), RowsInMemory()
    run(flow(events, (10_000,), store=whole))
    run(flow(events, sizes, store=cut))
    for table in ("trades", "bars", "features", "gaps", "alerts", "alert_endings", "book_tops"):
        assert sorted(map(repr, cut.rows(table))) == sorted(map(repr, whole.rows(table)))
        assert whole.rows(table)


def test_lines_are_written_with_rows_or_without(tmp_path: Path) -> None:
    digests = set()
    for number, store in enumerate((None, RowsInMemory())):
        path = tmp_path / f"{number}.jsonl"
        run(flow(EVENTS, store=store, lines=LineSink(path), kinds=frozenset(KINDS)))
        digests.add(digest(lines_of(path)))
    (told,) = digests
    assert "alerts=1" in told
    assert "events=10" in told


def test_a_flow_that_tells_nobody_still_counts() -> None:
    tally = Tally(list)
    run(flow(EVENTS, tally=tally))
    status = tally.status()
    assert status.bars > 0
    assert status.alerts == 1
    assert BTC in status.books


def test_a_crossed_book_is_fetched_again() -> None:
    told: list[tuple[str, str]] = []
    crossing: list[FlowEvent] = [
        snapshot(0),
        delta(0.1, [(101.5, 1.0)], sequence=2),
        delta(0.2, [(101.4, 1.0)], sequence=3),
    ]
    run(flow(crossing, told=told))
    assert told == [(BTC, "crossed book")]
