"""The writer loses nothing silently, waits for nobody, and is loud about bugs."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from prometheus_client import REGISTRY

from market.errors import ConfigError, SinkError
from sinks.row_totals import TableTotals, rows_written, store_totals
from sinks.rows import Cell, RowBatch, pack
from sinks.settings import StoreSettings
from sinks.writer import Writer, live_writers
from tests.servers.kept_connection import kept_connection
from tests.servers.own_server import OwnServer, prepared

START = 1_732_112_220_000_000_000
PATIENCE_S = 20.0
MakeWriter = Callable[..., Writer]


def trades(first: int, count: int) -> RowBatch:
    return pack(
        "trades",
        [
            ("binance", "BTC-USDT", START + number * 1000, str(number), 1.5, 2.0, "buy", START)
            for number in range(first, first + count)
        ],
    )


def bar(revision: int, close: float) -> RowBatch:
    place: list[Cell] = ["binance", "BTC-USDT", "1m", START, START + 60_000_000_000]
    numbers: list[Cell] = [1.0, 9.0, 0.5, close, 4.0, 1.0, 6.0, 1.5, 3, revision, False, False]
    return pack("bars", [place + numbers])


def alert(key: str) -> RowBatch:
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
    return pack("alerts", [[*row, {"mid": 1.0}, ["console", "telegram/main"]]])


def count(dsn: str, table: str) -> int:
    with kept_connection(dsn) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert row is not None
        return int(row[0])


def until(what: Callable[[], bool], *, within_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def cut(dsn: str) -> set[int]:
    """End the writers' sessions, as a restarting server does; return which they were."""
    with kept_connection(dsn) as connection:
        ended = connection.execute(
            "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'candlewax store' AND datname = current_database()"
        ).fetchall()
    return {pid for pid, _ in ended}


@pytest.fixture
def make_writer() -> Iterator[MakeWriter]:
    made: list[Writer] = []

    def make(
        dsn: str,
        *,
        notify: bool = True,
        flush_rows: int = 2000,
        flush_interval_s: float = 0.05,
        buffer_rows: int = 200_000,
        patient: bool = False,
    ) -> Writer:
        settings = StoreSettings(
            flush_rows=flush_rows, flush_interval_s=flush_interval_s, buffer_rows=buffer_rows
        )
        name = f"test-{len(made)}"
        made.append(Writer(dsn, settings, name=name, notify=notify, patient=patient))
        return made[-1]

    yield make
    for writer in made:
        writer.close(0.5)


def test_rows_in_are_rows_out(database: str, make_writer: MakeWriter) -> None:
    writer = make_writer(database)
    before = store_totals()["trades"], rows_written()["trades"]
    for first in range(0, 20_000, 500):
        writer.put(trades(first, 500))
    assert writer.barrier(PATIENCE_S)
    assert writer.totals["trades"] == TableTotals(handed=20_000, written=20_000)
    assert count(database, "trades") == 20_000
    assert writer.buffered_rows == 0
    assert store_totals()["trades"].handed == before[0].handed + 20_000
    assert rows_written()["trades"] == before[1] + 20_000


def test_rows_handed_over_twice_are_there_once(database: str, make_writer: MakeWriter) -> None:
    first_run, second_run = make_writer(database), make_writer(database)
    for writer in (first_run, second_run):
        for first in range(0, 3000, 500):
            writer.put(trades(first, 500))
        writer.put(bar(0, 5.0))
        assert writer.barrier(PATIENCE_S)
    assert second_run.totals["trades"] == TableTotals(handed=3000, known=3000)
    assert second_run.totals["bars"] == TableTotals(handed=1, known=1)
    assert count(database, "trades") == 3000


def test_a_quiet_market_is_written_by_age(database: str, make_writer: MakeWriter) -> None:
    writer = make_writer(database)
    writer.put(trades(0, 1))
    until(lambda: writer.totals["trades"].written == 1)


def test_a_busy_market_is_written_by_size(database: str, make_writer: MakeWriter) -> None:
    writer = make_writer(database, flush_rows=1000, flush_interval_s=60.0)
    writer.put(trades(0, 999))
    assert writer.buffered_rows == 999
    writer.put(trades(999, 1))
    until(lambda: writer.totals["trades"].written == 1000)


def test_alerts_do_not_wait_with_the_rows(database: str, make_writer: MakeWriter) -> None:
    writer = make_writer(database, flush_interval_s=60.0)
    writer.put(trades(0, 10))
    writer.put(alert("a"))
    until(lambda: writer.totals["alerts"].written == 1)
    assert count(database, "outbox") == 2
    assert writer.totals["trades"].written == 0


def test_an_alert_is_in_the_outbox_in_half_a_second_under_load(
    database: str, make_writer: MakeWriter
) -> None:
    writer = make_writer(database)
    waits = []
    with psycopg.connect(database, autocommit=True) as listener:
        listener.execute("LISTEN candlewax_outbox")
        for number in range(40):
            for part in range(4):
                writer.put(trades(number * 2000 + part * 500, 500))
            began = time.monotonic()
            writer.put(alert(f"alert {number}"))
            notes = list(listener.notifies(timeout=PATIENCE_S, stop_after=1))
            waits.append(time.monotonic() - began)
            assert notes
    assert sorted(waits)[-2] < 0.5
    assert writer.barrier(PATIENCE_S)
    assert count(database, "outbox") == 80


def test_a_replay_stores_alerts_and_sends_none(database: str, make_writer: MakeWriter) -> None:
    writer = make_writer(database, notify=False)
    writer.put(alert("a"))
    assert writer.barrier(PATIENCE_S)
    assert (count(database, "alerts"), count(database, "outbox")) == (1, 0)


def test_a_newer_revision_counts_as_an_update(database: str, make_writer: MakeWriter) -> None:
    writer = make_writer(database)
    for revision in range(3):
        writer.put(bar(revision, float(revision)))
        assert writer.barrier(PATIENCE_S)
    assert writer.totals["bars"] == TableTotals(handed=3, written=1, updated=2)


def test_sessions_that_are_cut_lose_and_double_nothing(
    database: str, make_writer: MakeWriter
) -> None:
    writer = make_writer(database, flush_rows=500)
    ended: set[int] = set()

    def cut_another() -> bool:
        before = len(ended)
        ended.update(cut(database))
        return len(ended) > before

    for first in range(0, 20_000, 500):
        writer.put(trades(first, 500))
        if first % 4000 == 0:
            until(cut_another)
    until(lambda: writer.barrier(1.0))
    assert count(database, "trades") == 20_000
    totals = writer.totals["trades"]
    assert totals.written + totals.known == totals.handed == 20_000


def test_a_locked_table_holds_up_nobody_but_the_writer(
    database: str, make_writer: MakeWriter
) -> None:
    writer = make_writer(database)
    writer.put(trades(0, 10))
    assert writer.barrier(PATIENCE_S)
    with psycopg.connect(database) as holder:
        holder.execute("LOCK TABLE trades IN ACCESS EXCLUSIVE MODE")
        writer.put(trades(10, 10))
        assert not writer.barrier(0.1)
        began = time.monotonic()
        # Nothing has moved since the last barrier: this one does not hold up the flow again.
        assert not writer.barrier(PATIENCE_S)
        for first in range(20, 2020, 10):
            writer.put(trades(first, 10))
        assert time.monotonic() - began < 1.0
    until(lambda: writer.barrier(0.5))
    assert count(database, "trades") == 2020


def late_barriers(writer: Writer) -> float:
    name = "candlewax_store_late_barriers_total"
    return REGISTRY.get_sample_value(name, {"partition": writer.name}) or 0.0


def test_late_barriers_are_counted_and_an_outage_is_told_once(
    database: str, make_writer: MakeWriter, caplog: pytest.LogCaptureFixture
) -> None:
    writer = make_writer(database)
    before = late_barriers(writer)
    for outage in range(2):
        with psycopg.connect(database) as holder:
            holder.execute("LOCK TABLE trades IN ACCESS EXCLUSIVE MODE")
            writer.put(trades(outage * 10, 10))
            assert [writer.barrier(0.05) for _ in range(3)] == [False] * 3
        until(lambda: writer.buffered_rows == 0)
        assert writer.barrier(PATIENCE_S)
        assert late_barriers(writer) == before + 3 * (outage + 1)
        assert caplog.text.count("an epoch ended before its rows") == outage + 1


def test_a_patient_writer_loses_nothing_for_want_of_room(
    database: str, make_writer: MakeWriter
) -> None:
    # No flush is due by size or age: waiting for room must ask for it.
    writer = make_writer(
        database, flush_rows=5000, flush_interval_s=60, buffer_rows=1000, patient=True
    )
    writer.put(trades(0, 3000))  # larger than the whole buffer
    for first in range(3000, 20_000, 250):
        writer.put(trades(first, 250))
        assert writer.buffered_rows <= 1000
    assert writer.barrier(0.0)
    assert writer.totals["trades"] == TableTotals(handed=20_000, written=20_000)
    assert count(database, "trades") == 20_000


def test_a_patient_writer_waits_for_a_database_that_is_away(
    own_server: OwnServer, make_writer: MakeWriter
) -> None:
    dsn = prepared(own_server)
    writer = make_writer(dsn, buffer_rows=1000, patient=True)
    writer.put(trades(0, 10))
    assert writer.barrier(0.0)
    own_server.stop()

    def replay() -> None:
        for first in range(10, 3010, 100):
            writer.put(trades(first, 100))
        assert writer.barrier(0.0)
        ended.append(count(dsn, "trades"))

    ended: list[int] = []
    owner = threading.Thread(target=replay)
    owner.start()
    until(lambda: writer.buffered_rows == 1000 and not writer.is_connected)
    assert not ended
    assert own_server.start() == dsn
    owner.join(PATIENCE_S)
    assert ended == [3010]
    totals = writer.totals["trades"]
    assert (totals.lost, totals.written + totals.known) == (0, 3010)


def test_a_patient_barrier_ends_when_the_writer_is_closed(make_writer: MakeWriter) -> None:
    writer = make_writer("postgresql://nobody@127.0.0.1:1/nowhere", patient=True)
    writer.put(trades(0, 10))
    told: list[bool] = []
    owner = threading.Thread(target=lambda: told.append(writer.barrier(0.0)))
    owner.start()
    writer.close(0.3)
    owner.join(PATIENCE_S)
    assert told == [False]


@pytest.mark.parametrize("hold_up", ["barrier", "room"])
def test_a_bug_is_raised_to_a_patient_owner(
    fresh_database: str, make_writer: MakeWriter, hold_up: str
) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("ALTER TABLE trades DROP COLUMN side")
    writer = make_writer(fresh_database, flush_interval_s=60, buffer_rows=1000, patient=True)
    writer.put(trades(0, 900))
    waits: dict[str, Callable[[], object]] = {
        "barrier": lambda: writer.barrier(0.0),
        "room": lambda: writer.put(trades(900, 900)),
    }
    with pytest.raises(SinkError, match="UndefinedColumn"):
        waits[hold_up]()
    writer.close(1.0)


def test_a_bug_is_raised_to_the_owner(fresh_database: str, make_writer: MakeWriter) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("ALTER TABLE trades DROP COLUMN side")
    writer = make_writer(fresh_database)
    writer.put(trades(0, 10))
    with pytest.raises(SinkError, match="UndefinedColumn") as told:
        writer.barrier(PATIENCE_S)
    assert not told.value.retriable
    with pytest.raises(SinkError):
        writer.put(trades(10, 10))
    writer.close(1.0)
    assert writer.totals["trades"] == TableTotals(handed=10, lost=10)


def test_a_malformed_address_is_refused_without_quoting_it(make_writer: MakeWriter) -> None:
    with pytest.raises(ConfigError, match="malformed") as told:
        make_writer("me:s3cret@somewhere")
    assert "s3cret" not in str(told.value)


def test_there_is_no_such_table(database: str, make_writer: MakeWriter) -> None:
    with pytest.raises(ValueError, match="table 'ticks'"):
        make_writer(database).put(RowBatch("ticks", 1, b""))


def test_a_killed_server_costs_no_row(own_server: OwnServer, make_writer: MakeWriter) -> None:
    dsn = prepared(own_server)
    writer = make_writer(dsn, flush_rows=500)

    def has_noticed() -> bool:
        writer.put(trades(0, 250))  # known ones: a writer with nothing to write does not look
        return not writer.is_connected

    for first in range(0, 30_000, 250):
        writer.put(trades(first, 250))
        if first == 10_000:
            until(lambda: writer.totals["trades"].written > 0)
            assert own_server.pid is not None
            os.kill(own_server.pid, signal.SIGKILL)
        if first == 20_000:
            until(lambda: not own_server.is_running)
            until(has_noticed)
            assert not writer.barrier(PATIENCE_S)  # returns at once: the database is away
            assert own_server.start() == dsn
    until(lambda: writer.barrier(1.0))
    totals = writer.totals["trades"]
    assert totals.lost == 0
    assert totals.handed == totals.written + totals.known
    assert count(dsn, "trades") == 30_000


def test_a_full_buffer_loses_the_oldest_trades_and_says_so(
    own_server: OwnServer, make_writer: MakeWriter, caplog: pytest.LogCaptureFixture
) -> None:
    dsn = prepared(own_server)
    writer = make_writer(dsn, buffer_rows=1000)
    writer.put(trades(0, 100))
    assert writer.barrier(PATIENCE_S)
    own_server.stop()
    writer.put(alert("a"))
    writer.put(bar(0, 5.0))
    with caplog.at_level(logging.WARNING):
        for first in range(100, 5100, 100):
            writer.put(trades(first, 100))
            assert writer.buffered_rows <= 1000
        until(lambda: "the database does not take rows" in caplog.text)
    assert "the oldest of the least precious are lost" in caplog.text
    assert own_server.start() == dsn
    until(lambda: writer.barrier(1.0))
    totals = writer.totals["trades"]
    assert totals.lost == 4100
    assert totals.handed == totals.written + totals.known + totals.lost
    assert (count(dsn, "alerts"), count(dsn, "outbox"), count(dsn, "bars")) == (1, 2, 1)
    until(lambda: count(dsn, "gaps") == 1)
    with psycopg.connect(dsn) as connection:
        query = "SELECT venue, symbol, channel, started_at < ended_at, reason FROM gaps"
        assert connection.execute(query).fetchall() == [
            ("", "", "store", True, "store: 4100 rows of trades lost")
        ]
        query = "SELECT min(trade_id::int), max(trade_id::int) FROM trades WHERE trade_id::int > 99"
        assert connection.execute(query).fetchall() == [(4200, 5099)]
    assert count(dsn, "trades") == totals.handed - totals.lost


def test_closing_writes_what_is_left(database: str, make_writer: MakeWriter) -> None:
    writer = make_writer(database, flush_interval_s=60.0)
    writer.put(trades(0, 700))
    assert writer in live_writers()
    writer.close(PATIENCE_S)
    assert count(database, "trades") == 700
    assert writer not in live_writers()


def test_closing_without_a_database_ends_in_time_and_counts(
    make_writer: MakeWriter, caplog: pytest.LogCaptureFixture
) -> None:
    writer = make_writer("postgresql://nobody@127.0.0.1:1/nowhere")
    writer.put(trades(0, 300))
    writer.put(alert("a"))
    began = time.monotonic()
    writer.close(0.3)
    assert time.monotonic() - began < 1.5
    assert writer.totals["trades"] == TableTotals(handed=300, lost=300)
    assert writer.totals["alerts"].lost == 1
    assert "the last rows in time; they are lost" in caplog.text


def test_a_hanging_database_does_not_keep_the_process(
    database: str, make_writer: MakeWriter
) -> None:
    writer = make_writer(database)
    with psycopg.connect(database) as holder:
        holder.execute("LOCK TABLE trades IN ACCESS EXCLUSIVE MODE")
        writer.put(trades(0, 10))
        until(lambda: writer.is_connected)
        began = time.monotonic()
        writer.close(0.2)
        assert time.monotonic() - began < 1.5
    assert writer.totals["trades"] == TableTotals(handed=10, lost=10)
    # What is told as lost may still arrive; the thread ends in any case.
    until(lambda: not writer._thread.is_alive())
