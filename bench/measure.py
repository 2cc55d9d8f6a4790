"""Measures one row of the benchmark in a process of its own: `python -m bench.measure ROW …`.

Prints one JSON object: CPU and wall time of the measured part only, in ns, and of the floor over
the same messages. The floor is measured in slices between ours: what else the machine does, and
that its clock goes up and down, then changes both alike.
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial

import msgspec
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.testing import cluster_main, run_main

from bench.mix import description, instruments, messages, opening
from bench.nowhere import RowsNowhere
from connectors import VENUES
from connectors.drain import Drain, FlowEvent, MicroBatch
from connectors.feed import Feed
from connectors.placement import owner_of
from connectors.recording import Record
from flows.market_output import MarketOutput
from flows.pipeline import MarketRows, build
from flows.settings import MarketSettings
from flows.status import Tally
from flows.symbol_market import SymbolMarket

SETTINGS = MarketSettings(
    bar_intervals=("1s",),
    features=(
        "rsi(14)",
        "macd(12,26,9)",
        "stoch(14,3,3)",
        "cci(20)",
        "ao(5,34)",
        "bollinger(20,2)",
    ),
)

SLICE = 1_000
"""Messages between two looks at the floor."""


class _Trade(msgspec.Struct, tag_field="e", tag="trade"):
    s: str
    t: int
    p: float
    q: float
    T: int
    m: bool


class _Depth(msgspec.Struct, tag_field="e", tag="depthUpdate"):
    E: int
    s: str
    U: int
    u: int
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]


class _Message(msgspec.Struct):
    stream: str
    data: _Trade | _Depth


def _prepared(
    symbols: Callable[[str], bool],
) -> tuple[Feed, list[MicroBatch], list[Record]]:
    """A feed with its first events, which make the books live, and the messages to measure."""
    subscribed = [one for one in instruments() if symbols(one.symbol)]
    feed = Feed("binance-0-0", VENUES["binance"], description(subscribed))
    drain = Drain()
    for record in opening(subscribed):
        if record.kind == "heartbeat":
            feed.outgoing()
        drain.add(record, feed.take(record))
        feed.outgoing()
    measured = [record for symbol, record in messages() if symbols(symbol)]
    return feed, drain.take(), measured


_read = msgspec.json.Decoder(_Message, strict=False).decode


class _Clock:
    """Counts the measured time, and apart from it the floor's.

    Args:
        records: all that is measured; the floor decodes the same, half way round ahead, so that
            neither finds its messages in the processor's cache because the other read them.
    """

    def __init__(self, records: list[Record]) -> None:
        count = len(records)
        bodies = [record.body for record in records]
        self._bodies = bodies[count // 2 :] + bodies[: count // 2]
        self._at = 0
        self.floor_cpu = self.floor_wall = 0
        self.wall = time.monotonic_ns()
        self.cpu = time.process_time_ns()

    def reached(self, count: int) -> None:
        """So many messages are done: let the floor follow, a slice at a time."""
        while count - self._at >= SLICE:
            self._floor(self._at + SLICE)

    def _floor(self, until: int) -> None:
        wall, cpu = time.monotonic_ns(), time.process_time_ns()
        read = _read
        for body in self._bodies[self._at : until]:
            read(body)
        self.floor_cpu += time.process_time_ns() - cpu
        self.floor_wall += time.monotonic_ns() - wall
        self._at = until

    def stop(self) -> dict[str, int]:
        """All is done."""
        self._floor(len(self._bodies))
        ended = time.monotonic_ns()
        return {
            "cpu": time.process_time_ns() - self.cpu - self.floor_cpu,
            "wall": ended - self.wall - self.floor_wall,
            "floor": self.floor_cpu,
            "messages": len(self._bodies),
        }


def decode() -> dict[str, int]:
    """The floor: msgspec makes Structs of the bytes, and nothing else happens."""
    records = [record for _, record in messages()]
    read = _read
    clock = _Clock(records)
    for at in range(0, len(records), SLICE):
        for record in records[at : at + SLICE]:
            read(record.body)
        clock.reached(at + SLICE)
    return clock.stop()


def loop(batch: int) -> dict[str, int]:
    """Everything that the flow does, without the engine."""
    feed, first, records = _prepared(lambda _: True)
    drain = Drain()
    markets: dict[str, SymbolMarket] = {}
    for symbol, events in first:
        markets[symbol] = SymbolMarket(SETTINGS)
        markets[symbol].advance(events)
    rows = MarketRows(RowsNowhere(1))
    clock = _Clock(records)
    for at in range(0, len(records), batch):
        drain.add_all([(record, feed.take(record)) for record in records[at : at + batch]])
        outputs = []
        for symbol, events in drain.take():
            out = MarketOutput()
            markets[symbol].advance(events, out)
            outputs.append((symbol, out))
        rows.batches(outputs)
        clock.reached(at + batch)
    return clock.stop()


class _MixSource(DynamicSource[MicroBatch]):
    """The prepared messages of the symbols that a worker owns."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.told: dict[str, int] = {}

    def build(self, _step_id: str, index: int, count: int) -> "_MixPartition":
        feed, first, records = _prepared(lambda symbol: owner_of(symbol, count) == index)
        return _MixPartition(feed, first, records, self)


class _MixPartition(StatelessSourcePartition[MicroBatch]):
    def __init__(
        self, feed: Feed, first: list[MicroBatch], records: list[Record], source: _MixSource
    ) -> None:
        self._feed = feed
        self._first: list[MicroBatch] | None = first
        self._records = records
        self._source = source
        self._at = 0
        self._drain = Drain()
        self._clock: _Clock | None = None

    def next_batch(self) -> Iterable[tuple[str, list[FlowEvent]]]:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        if self._clock is None:
            self._clock = _Clock(self._records)
        self._clock.reached(self._at)
        if self._at >= len(self._records):
            self._source.told = self._clock.stop()
            raise StopIteration
        batch = self._source.batch
        feed, drain = self._feed, self._drain
        taken = self._records[self._at : self._at + batch]
        drain.add_all([(record, feed.take(record)) for record in taken])
        self._at += batch
        return drain.take()


def flow(batch: int, processes: int, index: int, addresses: list[str]) -> dict[str, int]:
    """The shipped graph in the engine."""
    source = _MixSource(batch)
    graph = build(
        source,
        new_market=partial(SymbolMarket, SETTINGS),
        resync=lambda _instrument, _reason: None,
        tally=Tally(list),
        store=RowsNowhere(processes),
    )
    if processes == 1:
        run_main(graph, epoch_interval=timedelta(seconds=10))  # type: ignore[no-untyped-call]
    else:
        cluster_main(  # type: ignore[no-untyped-call]
            graph, addresses, index, epoch_interval=timedelta(seconds=10)
        )
    return source.told


def main() -> None:
    """Measure what the command line names."""
    row = sys.argv[1]
    gc.collect()
    if row == "decode":
        told = decode()
    elif row == "loop":
        told = loop(int(sys.argv[2]))
    else:
        batch, processes, index = map(int, sys.argv[2:5])
        told = flow(batch, processes, index, sys.argv[5:])
    print(json.dumps({**told, "pid": os.getpid()}))


if __name__ == "__main__":
    main()
