"""The sink inside a real flow."""

import threading
import zlib
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
import psycopg
import pytest
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.testing import TestingSource, cluster_main, run_main

from market.errors import SinkError
from sinks.overflow import left_behind
from sinks.row_totals import store_totals
from sinks.rows import Cell, RowBatch, pack
from sinks.settings import StoreSettings
from sinks.spool_lock import SpoolLock
from sinks.timescale import BARRIER_S, TimescaleSink
from sinks.writer import Writer, live_writers
from tests.fakes.outbox_rows import until

START = 1_732_112_220_000_000_000
SYMBOLS = ("BTC-USDT", "ETH-USDT", "ETH-BTC")


def trades(symbol: str, first: int, count: int) -> tuple[str, RowBatch]:
    return symbol, pack(
        "trades",
        [
            ("binance", symbol, START + number * 1000, str(number), 1.5, 2.0, "sell", START)
            for number in range(first, first + count)
        ],
    )


def alert(key: str) -> tuple[str, RowBatch]:
    row: list[Cell] = [
        key,
        "dip",
        "abc",
        "binance",
        "BTC-USDT",
        "",
        START,
        START,
        "info",
        "it fell",
    ]
    return "BTC-USDT", pack("alerts", [[*row, {}, ["console"]]])


def flow_of(batches: list[tuple[str, RowBatch]], sink: TimescaleSink) -> Dataflow:
    flow = Dataflow("store")
    stream = op.input("in", flow, TestingSource(batches, batch_size=5))
    op.output("store", stream, sink)
    return flow


def rows_of(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query).fetchall()


def test_a_flow_ends_with_every_row_in_the_database(database: str) -> None:
    batches = [trades(symbol, first, 100) for first in range(0, 1000, 100) for symbol in SYMBOLS]
    sink = TimescaleSink(database, StoreSettings(flush_interval_s=60))
    run_main(flow_of(batches, sink))  # type: ignore[no-untyped-call]  # the engine's
    found = rows_of(database, "SELECT symbol, count(*) FROM trades GROUP BY 1 ORDER BY 1")
    assert found == [(symbol, 1000) for symbol in sorted(SYMBOLS)]
    assert live_writers() == []


def left(spool: Path, number: int) -> Writer:
    """Leave rows and an alert of a partition on the disk."""
    settings = StoreSettings(spool_free_bytes=0)
    nowhere = "postgresql://nobody@127.0.0.1:1/nowhere"
    writer = Writer(nowhere, settings, name=f"store-{number}", notify=True, spool=spool)
    writer.put(trades(f"S{number}-USDT", 0, 100)[1])
    writer.put(alert(f"of {number}")[1])
    assert writer.barrier(0.0)
    return writer


def test_what_partitions_that_are_no_more_have_left_is_drained(
    database: str, tmp_path: Path
) -> None:
    for number in (1, 2, 3):
        left(tmp_path, number).close(0.3)
    held = SpoolLock(tmp_path / "store-3")  # by a process that drains it, say
    settings = StoreSettings(partitions=2, spool_free_bytes=0)
    sink = TimescaleSink(database, settings, spool=tmp_path)
    flow = flow_of([trades("BTC-USDT", 0, 100)], sink)
    run_main(flow)  # type: ignore[no-untyped-call]  # the engine's
    found = rows_of(database, "SELECT symbol, count(*) FROM trades GROUP BY 1 ORDER BY 1")
    assert found == [("BTC-USDT", 100), ("S1-USDT", 100), ("S2-USDT", 100)]
    assert rows_of(database, "SELECT key FROM alerts ORDER BY 1") == [("of 1",), ("of 2",)]
    assert live_writers() == []
    assert left_behind(tmp_path, 2) == ["store-3"]
    held.release()
    again = TimescaleSink(database, settings, spool=tmp_path)
    run_main(flow_of([trades("BTC-USDT", 0, 100)], again))  # type: ignore[no-untyped-call]
    assert left_behind(tmp_path, 0) == []
    assert rows_of(database, "SELECT count(*) FROM trades") == [(400,)]


def test_a_writer_that_has_drained_what_was_left_ends_with_the_next_epoch(
    database: str, tmp_path: Path
) -> None:
    left(tmp_path, 7).close(0.3)
    sink = TimescaleSink(database, StoreSettings(partitions=1), spool=tmp_path)
    part = sink.build_part("store", "store-0", None)
    assert [writer.name for writer in live_writers()] == ["store-0", "store-7"]
    until(lambda: not left_behind(tmp_path, 0))
    until(lambda: part.snapshot() is None and len(live_writers()) == 1)
    part.close()
    assert live_writers() == []


def test_a_patient_flow_outruns_its_buffer_and_loses_nothing(database: str) -> None:
    batches = [trades(symbol, first, 500) for first in range(0, 5000, 500) for symbol in SYMBOLS]
    before = store_totals()["trades"].lost
    settings = StoreSettings(partitions=1, flush_interval_s=60, buffer_rows=1000)
    run_main(flow_of(batches, TimescaleSink(database, settings, patient=True)))  # type: ignore[no-untyped-call]  # the engine's
    assert rows_of(database, "SELECT count(*) FROM trades") == [(15_000,)]
    assert store_totals()["trades"].lost == before


class _SlowToWrite(DynamicSource[tuple[str, RowBatch]]):
    """Holds the table while an epoch ends, and asks what is stored when the epoch is over.

    Args:
        dsn: address of the database.
        held_s: how long the table is held at most; whoever asks lets go of it.
    """

    def __init__(self, dsn: str, held_s: float) -> None:
        self.dsn = dsn
        self.held_s = held_s
        self.stored: list[int] = []

    def build(
        self, step_id: str, worker_index: int, worker_count: int
    ) -> "StatelessSourcePartition[tuple[str, RowBatch]]":
        return _SlowToWritePartition(self)


class _SlowToWritePartition(StatelessSourcePartition[tuple[str, RowBatch]]):
    def __init__(self, source: _SlowToWrite) -> None:
        self._source = source
        self._turns = 0
        self._holder = psycopg.connect(source.dsn)
        self._release = threading.Timer(source.held_s, self._holder.close)

    def next_batch(self) -> list[tuple[str, RowBatch]]:
        self._turns += 1
        if self._turns == 1:
            self._holder.execute("LOCK TABLE trades IN SHARE MODE")
            self._release.start()
            return [trades("BTC-USDT", 0, 100)]
        # With an epoch for each turn, the first one is over when the second one has begun twice.
        if self._turns == 4:
            found = rows_of(self._source.dsn, "SELECT count(*)::int FROM trades")
            self._source.stored += [int(str(row[0])) for row in found]
            self._release.cancel()
            self._release.join()
            self._holder.close()
            raise StopIteration
        return []


@pytest.mark.parametrize("patient", [False, True])
def test_only_a_patient_sink_ends_no_epoch_before_its_rows_are_stored(
    database: str, *, patient: bool
) -> None:
    source = _SlowToWrite(database, BARRIER_S + 0.5 if patient else 60.0)
    flow = Dataflow("slow")
    stream = op.input("in", flow, source)
    op.output("store", stream, TimescaleSink(database, StoreSettings(), patient=patient))
    run_main(flow, epoch_interval=timedelta(0))  # type: ignore[no-untyped-call]  # the engine's
    assert source.stored == [100 if patient else 0]
    assert rows_of(database, "SELECT count(*) FROM trades") == [(100,)]


def test_two_workers_write_the_same_rows_as_one(database: str) -> None:
    batches = [trades(symbol, first, 100) for first in range(0, 1000, 100) for symbol in SYMBOLS]
    for _ in range(2):
        sink = TimescaleSink(database, StoreSettings(partitions=3))
        cluster_main(flow_of(batches, sink), [], 0, worker_count_per_proc=2)  # type: ignore[no-untyped-call]  # the engine's
    assert rows_of(database, "SELECT count(*) FROM trades") == [(3000,)]


def test_a_symbol_stays_with_its_partition() -> None:
    sink = TimescaleSink("", StoreSettings(partitions=4))
    assert sink.list_parts() == ["store-0", "store-1", "store-2", "store-3"]
    assert sink.part_fn("BTC-USDT") == 61_289_663 == zlib.crc32(b"BTC-USDT")


def test_a_bug_stops_the_flow(fresh_database: str) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("ALTER TABLE trades DROP COLUMN side")
    sink = TimescaleSink(fresh_database, StoreSettings())
    with pytest.raises(BaseException) as told:
        run_main(flow_of([trades("BTC-USDT", 0, 10)], sink))  # type: ignore[no-untyped-call]  # the engine's
    cause: BaseException | None = told.value
    while cause is not None and not isinstance(cause, SinkError):
        cause = cause.__cause__
    assert isinstance(cause, SinkError)


class _AlertThenWait(DynamicSource[tuple[str, RowBatch]]):
    """Hands over rows and an alert, then stays until the outbox has the alert."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.waits: list[float] = []

    def build(
        self, step_id: str, worker_index: int, worker_count: int
    ) -> "StatelessSourcePartition[tuple[str, RowBatch]]":
        return _AlertThenWaitPartition(self)


class _AlertThenWaitPartition(StatelessSourcePartition[tuple[str, RowBatch]]):
    def __init__(self, source: _AlertThenWait) -> None:
        self._source = source
        self._connection = psycopg.connect(source.dsn, autocommit=True)
        self._number = 0

    def next_batch(self) -> list[tuple[str, RowBatch]]:
        number = self._number
        if number:
            query = (
                "SELECT extract(epoch FROM created_at - fired_at)::float8 FROM outbox"
                " WHERE alert_key = %s"
            )
            found = self._connection.execute(query, (f"alert {number}",)).fetchone()
            if found is None:
                return []
            self._source.waits.append(found[0])
        if number == 20:
            raise StopIteration
        self._number += 1
        row = self._connection.execute("SELECT extract(epoch FROM clock_timestamp())").fetchone()
        assert row is not None
        fired = int(row[0] * 1_000_000_000)
        cells: list[Cell] = [f"alert {self._number}", "dip", "abc", "binance", "BTC-USDT", ""]
        cells += [fired, fired, "info", "it fell", {}, ["console"]]
        return [trades("BTC-USDT", number * 100, 100), ("BTC-USDT", pack("alerts", [cells]))]

    def close(self) -> None:
        self._connection.close()


def test_alerts_reach_the_outbox_long_before_the_epoch_ends(database: str) -> None:
    source = _AlertThenWait(database)
    flow = Dataflow("alerts")
    stream = op.input("in", flow, source)
    op.output("store", stream, TimescaleSink(database, StoreSettings()))
    run_main(flow, epoch_interval=timedelta(seconds=10))  # type: ignore[no-untyped-call]  # the engine's
    assert len(source.waits) == 20
    assert max(source.waits) < 0.5


def test_partitions_share_the_time_to_close() -> None:
    sink = TimescaleSink("", StoreSettings())
    first = sink.closing_time_left()
    assert 0.0 < sink.closing_time_left() <= first
