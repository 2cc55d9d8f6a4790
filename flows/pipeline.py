"""The graph, which reads like the picture of it: no I/O, no decision.

source ─► market ─┬─► filters ─┬─► store ─► database
                  │            ├─► lines ─► file
                  └────────────┘
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeAlias

import bytewax.operators as op
import msgspec
from bytewax.dataflow import Dataflow
from bytewax.inputs import Source
from bytewax.outputs import DynamicSink, FixedPartitionedSink, StatelessSinkPartition

from connectors.drain import MicroBatch
from filters.alerts import Alert
from flows.bar_series import HistoryWish
from flows.emission import LineSink, alert_lines, market_lines
from flows.market_output import FilterOutput, MarketOutput
from flows.status import Tally
from flows.steps import filter_builder, market_builder
from flows.symbol_filters import SymbolFilters
from flows.symbol_market import SymbolMarket
from market.events import Trade
from sinks.rows import (
    Row,
    RowBatch,
    alert_row,
    bar_row,
    book_top_row,
    book_update_row,
    ending_row,
    feature_row,
    gap_row,
    pack,
    trade_rows,
)

Rows: TypeAlias = tuple[str, RowBatch]


def build(
    source: Source[MicroBatch],
    *,
    new_market: Callable[[], SymbolMarket],
    resync: Callable[[str, str], None],
    tally: Tally,
    history: Callable[[HistoryWish], None] = lambda _: None,
    noted: Callable[[SymbolFilters], None] = lambda _: None,
    route: Callable[[str], tuple[str, ...]] = lambda target: (target,),
    store: FixedPartitionedSink[RowBatch, None] | None = None,
    lines: LineSink | None = None,
    kinds: frozenset[str] = frozenset(),
    stores_alerts: bool = True,
) -> Dataflow:
    """Join a source, the two keyed steps and the sinks.

    Args:
        source: micro-batches of events, keyed by symbol.
        new_market: makes the state of a symbol's market.
        resync: told of books that must be fetched again.
        tally: counts what passes.
        history: told of bars of the past that are wished for; by default nobody is.
        noted: told of a symbol's filters after each batch; nothing comes back.
        route: the configured targets behind a target's name in a spec.
        store: where rows go; None to store nothing.
        lines: where emitted lines go; None to emit nothing.
        kinds: what is emitted.
        stores_alerts: alerts are rows too; without, a store gets what the market told.
    """
    flow = Dataflow("candlewax")
    events = op.input("feeds", flow, source)
    logic = market_builder(new_market, resync, history, tally.arrived)
    market = op.stateful_batch("market", events, logic)

    def moments_of(items: list[tuple[str, MarketOutput]]) -> Iterable[tuple[str, MarketOutput]]:
        """Count what passes, and leave out what tells the filters nothing: most of it."""
        tally.market([output for _, output in items])
        return [
            routed
            for symbol, output in items
            if output.moments or output.copies
            for routed in output.for_filters(symbol)
        ]

    moments = op.flat_map_batch("moments", market, moments_of)
    filtered = op.stateful_batch("filters", moments, filter_builder(noted))

    def count_alerts(items: list[tuple[str, FilterOutput]]) -> Iterable[tuple[str, FilterOutput]]:
        for _, output in items:
            tally.alerts(output.alerts)
        return items

    alerted = op.flat_map_batch("alert-tally", filtered, count_alerts)
    if store is not None:
        streams = [op.flat_map_batch("market-rows", market, MarketRows(store).batches)]
        if stores_alerts:
            streams.append(op.flat_map_batch("alert-rows", alerted, partial(alert_rows, route)))
        op.output("store", op.merge("rows", *streams), store)
    if lines is not None:

        def write_market(
            items: list[tuple[str, MarketOutput]],
        ) -> Iterable[tuple[str, list[bytes]]]:
            for symbol, output in items:
                written = list(market_lines(output, kinds))
                if written:
                    yield symbol, written

        def write_alerts(
            items: list[tuple[str, FilterOutput]],
        ) -> Iterable[tuple[str, list[bytes]]]:
            for symbol, output in items:
                yield symbol, list(alert_lines(output, kinds))

        written = op.merge(
            "lines",
            op.flat_map_batch("market-lines", market, write_market),
            op.flat_map_batch("alert-lines", alerted, write_alerts),
        )
        op.output("out", written, lines)
    if store is None and lines is None:
        op.output("nowhere", op.merge("ends", market, alerted), Nowhere())
    return flow


class MarketRows:
    """Turns what the market told into few batches of rows.

    The rows of all symbols that go to one partition of the store travel together: a batch for each
    partition and table, and not for each symbol. Each symbol's rows keep their order.

    Args:
        store: says which partition a symbol belongs to.
    """

    def __init__(self, store: FixedPartitionedSink[RowBatch, None]) -> None:
        self._store = store
        self._count = len(store.list_parts())
        self._partitions: dict[str, int] = {}

    def batches(self, items: list[tuple[str, MarketOutput]]) -> Iterable[Rows]:
        """Return one batch for each partition and table that has rows."""
        trades: dict[int, list[Trade]] = {}
        together: dict[tuple[int, str], list[Row]] = {}
        keys: dict[int, str] = {}
        for symbol, output in items:
            try:
                partition = self._partitions[symbol]
            except KeyError:
                partition = self._store.part_fn(symbol) % self._count
                self._partitions[symbol] = partition
            keys[partition] = symbol
            if output.trades:
                if partition in trades:
                    trades[partition] += output.trades
                else:
                    trades[partition] = list(output.trades)
            if output.kept_tops or output.bars or output.features or output.gaps:
                for table, rows in _rarer(output):
                    together.setdefault((partition, table), []).extend(rows)
            if output.book_updates:
                rows = [book_update_row(update) for update in output.book_updates]
                together.setdefault((partition, "book_updates"), []).extend(rows)
        batches = [
            (keys[partition], pack("trades", trade_rows(some)))
            for partition, some in trades.items()
        ]
        for (partition, table), rows in together.items():
            batches.append((keys[partition], pack(table, rows)))
        return batches


def _rarer(output: MarketOutput) -> Iterator[tuple[str, list[Row]]]:
    """Return the rows that come with bars, heartbeats and bars of the past."""
    if output.kept_tops:
        yield "book_tops", [book_top_row(top) for top in output.kept_tops]
    if output.bars:
        yield "bars", [bar_row(bar) for bar in output.bars]
    if output.features:
        yield "features", [feature_row(each) for each in output.features]
    if output.gaps:
        yield "gaps", [gap_row(gap) for gap in output.gaps]


def alert_rows(
    route: Callable[[str], tuple[str, ...]], items: list[tuple[str, FilterOutput]]
) -> Iterable[Rows]:
    """Turn alerts, the book as it was then, and the ends of alerts into rows."""
    for symbol, output in items:
        if output.alerts:
            rows = [alert_row(_routed(alert, route)) for alert in output.alerts]
            yield symbol, pack("alerts", rows)
        if output.ended:
            rows = [ending_row(each.key, each.ts_ended) for each in output.ended]
            yield symbol, pack("alert_endings", rows)
        if output.tops:
            yield symbol, pack("book_tops", [book_top_row(top) for top in output.tops])


def _routed(alert: Alert, route: Callable[[str], tuple[str, ...]]) -> Alert:
    targets = dict.fromkeys(target for name in alert.targets for target in route(name))
    return msgspec.structs.replace(alert, targets=tuple(targets))


class Nowhere(DynamicSink[object]):
    """Takes everything and does nothing with it: a flow needs an end."""

    def build(
        self, _step_id: str, _worker_index: int, _worker_count: int
    ) -> StatelessSinkPartition[object]:
        """Make one worker's end."""
        return _Nowhere()


class _Nowhere(StatelessSinkPartition[object]):
    def write_batch(self, items: list[object]) -> None:
        """Forget the items."""
