"""The database goes away in every way; rows in are rows out and rows told as lost, none twice.

Each test prints its figures: rows in, out and lost, and how long the owner of the writer, a flow
with its feeds, was ever held up. CANDLEWAX_AWAY_S sets how long the killed server stays away.
"""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from sinks.row_totals import TableTotals
from sinks.rows import RowBatch, pack
from sinks.settings import StoreSettings
from sinks.writer import Writer
from tests.fakes.proxy import CuttableProxy
from tests.servers.kept_connection import kept_connection
from tests.servers.own_server import OwnServer, kill, prepared
from tests.servers.schema import server_name

ROOT = Path(__file__).resolve().parents[2]
START = 1_732_112_220_000_000_000
PATIENCE_S = 40.0
AWAY_S = float(os.environ.get("CANDLEWAX_AWAY_S", "1"))
WAITING_COPIES = (
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'COPY%'"
    " AND wait_event_type = 'Lock' AND datname = current_database()"
)
HELD_UP_S = 5.0
"""Far above what is seen; a flow that waits for an absent database stands for longer."""


def trades(first: int, count: int) -> RowBatch:
    rows = [
        ("binance", "BTC-USDT", START + number * 1000, str(number), 1.5, 2.0, "buy", START)
        for number in range(first, first + count)
    ]
    return pack("trades", rows)


def bar(number: int) -> RowBatch:
    start = START + number * 60_000_000_000
    numbers = (1.0, 9.0, 0.5, 5.0, 4.0, 1.0, 6.0, 1.5, 3, 0, False, False)
    return pack("bars", [("binance", "BTC-USDT", "1m", start, start + 60_000_000_000, *numbers)])


def until(what: Callable[[], bool], *, within_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def query(dsn: str, text: str) -> list[tuple[Any, ...]]:
    with kept_connection(dsn) as connection:
        return connection.execute(text).fetchall()


def count(dsn: str, table: str) -> int:
    return int(query(dsn, f"SELECT count(*) FROM {table}")[0][0])


class Feed:
    """Hands rows over as a flow does, and notes how long it was held up."""

    def __init__(self, dsn: str, spool: Path, **settings: float) -> None:
        given: dict[str, Any] = {"spool_free_bytes": 0, **settings}
        self.dsn = dsn
        self.writer = Writer(dsn, StoreSettings(**given), name="store-0", notify=True, spool=spool)
        self.handed = 0
        self.held_up: dict[str, float] = {"put": 0.0, "barrier": 0.0}

    def put(self, batch: RowBatch) -> None:
        began = time.monotonic()
        self.writer.put(batch)
        self.held_up["put"] = max(self.held_up["put"], time.monotonic() - began)

    def trades(self, rows: int) -> None:
        for _ in range(0, rows, 100):
            self.put(trades(self.handed, 100))
            self.handed += 100

    def batch(self, rows: int) -> None:
        """Hand rows over at once, so that one commit has them."""
        self.put(trades(self.handed, rows))
        self.handed += rows

    def barrier(self) -> bool:
        began = time.monotonic()
        done = self.writer.barrier(1.0)
        self.held_up["barrier"] = max(self.held_up["barrier"], time.monotonic() - began)
        return done

    @property
    def spooled(self) -> int:
        state = self.writer.spool_state()
        assert state is not None
        return sum(state.rows.values())

    def emptied(self) -> None:
        until(lambda: self.barrier() and not self.spooled and not self.writer.buffered_rows)
        self.barrier()  # what emptied the disk has been counted when this returns

    def tell(self, dsn: str, name: str) -> TableTotals:
        """Print the figures and check them."""
        totals = self.writer.totals["trades"]
        out = count(dsn, "trades")
        print(
            f"\n{name}, {server_name(dsn)}: rows in {totals.handed}, out {out}, lost {totals.lost},"
            f" still on the disk {totals.spooled}; held up: put"
            f" {self.held_up['put'] * 1000:.1f} ms, barrier {self.held_up['barrier']:.3f} s"
        )
        assert totals.handed == self.handed
        assert totals.handed == out + totals.lost + totals.spooled
        assert totals.handed + totals.found == totals.settled + totals.spooled
        assert max(self.held_up.values()) < HELD_UP_S
        return totals


@contextmanager
def feeding(dsn: str, spool: Path, **settings: float) -> Iterator[Feed]:
    feed = Feed(dsn, spool, **settings)
    try:
        yield feed
    finally:
        feed.writer.close(2.0)


def test_a_server_killed_under_load_costs_nothing(own_server: OwnServer, tmp_path: Path) -> None:
    dsn = prepared(own_server)
    with feeding(dsn, tmp_path) as feed:
        feed.trades(20_000)
        until(lambda: feed.writer.totals["trades"].written > 0)
        kill(own_server)
        back = time.monotonic() + AWAY_S
        while time.monotonic() < back:
            feed.trades(1000)
            feed.put(bar(feed.handed))
            assert feed.barrier()
            time.sleep(0.01)
        assert feed.spooled > 0
        assert feed.writer.buffered_rows == 0
        assert own_server.start() == dsn
        for _ in range(20):  # the market goes on while the disk is emptied
            feed.trades(1000)
            time.sleep(0.005)
        feed.emptied()
        totals = feed.tell(dsn, f"server killed, away {AWAY_S:.0f} s")
        assert totals.lost == 0
        assert count(dsn, "bars") == feed.writer.totals["bars"].handed
        assert count(dsn, "gaps") == 0


@contextmanager
def proxied(dsn: str) -> Iterator[tuple[CuttableProxy, str]]:
    """Put a proxy before a server; yield it and the address through it."""
    with CuttableProxy(int(str(conninfo_to_dict(dsn)["port"]))) as proxy:
        yield proxy, make_conninfo(dsn, host="127.0.0.1", port=proxy.port, hostaddr="")


def test_a_connection_cut_while_a_copy_waits_for_a_lock_costs_nothing(
    database: str, tmp_path: Path
) -> None:
    with (
        proxied(database) as (proxy, through),
        feeding(through, tmp_path, flush_rows=5000) as feed,
    ):
        cuts = 0
        for _ in range(3):
            with psycopg.connect(database, autocommit=True) as holder:
                # The server asks for no row before it has the lock.
                holder.execute("BEGIN; LOCK TABLE trades IN SHARE MODE")
                feed.trades(10_000)
                until(lambda: query(database, WAITING_COPIES) == [(1,)])
                proxy.cut()
                cuts += 1
                feed.trades(5000)
                assert feed.barrier()
            proxy.mend()
            until(lambda: feed.writer.is_connected)
        feed.emptied()
        totals = feed.tell(database, f"connection cut before a COPY {cuts} times")
        assert totals.lost == 0
        assert totals.written + totals.known == 45_000


@pytest.mark.parametrize("sent", [1, 30_000, 300_000])
def test_a_connection_cut_in_the_middle_of_a_copy_costs_nothing(
    sent: int, database: str, tmp_path: Path
) -> None:
    with (
        proxied(database) as (proxy, through),
        feeding(through, tmp_path, flush_rows=5000) as feed,
    ):
        feed.trades(1000)
        feed.emptied()
        proxy.cut_in_copy(sent)
        feed.batch(5000)
        assert proxy.has_cut.wait(PATIENCE_S)
        feed.trades(5000)
        assert feed.barrier()
        assert count(database, "trades") == 1000
        assert feed.writer.buffered_rows == 0
        proxy.mend()
        feed.emptied()
        totals = feed.tell(database, f"connection cut after {sent:,} bytes of a COPY")
        assert (totals.lost, totals.known) == (0, 0)
        assert totals.written == 11_000


def test_a_commit_whose_answer_is_lost_is_found_to_be_known(database: str, tmp_path: Path) -> None:
    with (
        proxied(database) as (proxy, through),
        feeding(through, tmp_path, flush_rows=5000) as feed,
    ):
        feed.trades(1000)
        feed.emptied()
        proxy.cut_at_commit()
        feed.batch(5000)
        assert proxy.has_cut.wait(PATIENCE_S)
        assert count(database, "trades") == 6000
        feed.trades(5000)
        assert feed.barrier()
        proxy.mend()
        feed.emptied()
        totals = feed.tell(database, "connection cut between COMMIT and its answer")
        assert (totals.lost, totals.known) == (0, 5000)
        assert totals.written == 6000


def test_a_full_spool_loses_trades_and_tells_the_ledger(
    own_server: OwnServer, tmp_path: Path
) -> None:
    dsn = prepared(own_server)
    with feeding(dsn, tmp_path, spool_bytes=400_000, buffer_rows=1000) as feed:
        feed.trades(1000)
        feed.emptied()
        own_server.stop()
        for number in range(20):
            feed.trades(2000)
            feed.put(bar(number))
            assert feed.barrier()
        state = feed.writer.spool_state()
        assert state is not None
        assert state.bytes <= 400_000 + 1000
        assert state.rows["bars"] == 20
        assert own_server.start() == dsn
        feed.emptied()
        until(lambda: count(dsn, "gaps") > 0)
        totals = feed.tell(dsn, "spool at its limit")
        assert totals.lost > 10_000
        assert count(dsn, "bars") == 20
        assert told(dsn) == totals.lost
        ((first, last),) = query(
            dsn,
            "SELECT min(trade_id::int), max(trade_id::int) FROM trades WHERE trade_id::int > 999",
        )
        assert (first, last) == (1000 + totals.lost, feed.handed - 1)


def told(dsn: str) -> int:
    """Return how many trades the ledger says are lost."""
    found = query(
        dsn,
        "SELECT sum((regexp_match(reason, '(\\d+) rows of trades'))[1]::int) FROM gaps"
        " WHERE channel = 'store' AND ended_at >= started_at",
    )
    return int(found[0][0] or 0)


def test_a_disk_that_is_full_leaves_memory_and_tells_the_ledger(
    own_server: OwnServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = prepared(own_server)
    with feeding(dsn, tmp_path, buffer_rows=3000) as feed:
        feed.trades(1000)
        feed.emptied()
        own_server.stop()

        def full(_: object, data: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr("sinks.spool_lane.write_all", full)
            for _ in range(10):
                feed.trades(1000)
                feed.barrier()
            assert feed.writer.buffered_rows == 3000
            assert feed.spooled == 0
        assert own_server.start() == dsn
        feed.emptied()
        until(lambda: count(dsn, "gaps") > 0)
        totals = feed.tell(dsn, "disk full")
        assert totals.lost == 7000 == told(dsn)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_small_disk_that_fills_really(own_server: OwnServer, tmp_path: Path) -> None:
    dsn = prepared(own_server)
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this system does not let root mount a tmpfs")
    try:
        with feeding(dsn, disk, buffer_rows=1000, spool_free_bytes=0) as feed:
            own_server.stop()
            for _ in range(20):
                feed.trades(1000)
                feed.barrier()
            assert feed.spooled > 0
            assert own_server.start() == dsn
            feed.emptied()
            until(lambda: count(dsn, "gaps") > 0)
            totals = feed.tell(dsn, "a disk of 512 KiB")
            assert totals.lost == told(dsn) > 0
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_statement_timeout_is_waited_out(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = '100ms'"
    monkeypatch.setattr("sinks.commit.LIMITS", limits)
    with feeding(database, tmp_path) as feed:
        with psycopg.connect(database) as holder:
            holder.execute("LOCK TABLE trades IN ACCESS EXCLUSIVE MODE")
            feed.trades(5000)
            until(lambda: not feed.writer.is_connected)
            feed.trades(15_000)
            assert feed.barrier()
            assert feed.writer.buffered_rows == 0
        feed.emptied()
        assert feed.tell(database, "statement timeout").lost == 0


def test_a_server_that_hangs_does_not_hold_up_the_feeds(
    own_server: OwnServer, tmp_path: Path
) -> None:
    dsn = prepared(own_server)
    with feeding(dsn, tmp_path) as feed:
        feed.trades(1000)
        feed.emptied()
        ((backend,),) = query(
            dsn, "SELECT pid FROM pg_stat_activity WHERE application_name = 'candlewax store'"
        )
        os.kill(backend, signal.SIGSTOP)
        try:
            for _ in range(5):
                feed.trades(5000)
                assert feed.barrier()
            assert feed.writer.buffered_rows == 0
            assert feed.spooled > 20_000
        finally:
            os.kill(backend, signal.SIGCONT)
        feed.emptied()
        totals = feed.tell(dsn, "server hangs")
        assert (totals.lost, totals.known) == (0, 0)
        assert totals.written == totals.handed


def test_what_is_left_at_the_end_is_drained_by_the_next_start(
    own_server: OwnServer, tmp_path: Path
) -> None:
    dsn = prepared(own_server)
    with feeding(dsn, tmp_path) as feed:
        feed.trades(1000)
        feed.emptied()
        own_server.stop()
        feed.trades(3000)
        began = time.monotonic()
        feed.writer.close(2.0)
        assert time.monotonic() - began < HELD_UP_S
        totals = feed.writer.totals["trades"]
        assert (totals.lost, totals.spooled, totals.settled) == (0, 3000, 1000)
    assert own_server.start() == dsn
    with feeding(dsn, tmp_path) as again:
        assert again.writer.totals["trades"].found == 3000
        again.emptied()
        totals = again.writer.totals["trades"]
        assert (totals.written, totals.spooled) == (3000, 0)
    assert count(dsn, "trades") == 4000


def started(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.fakes.writing_process", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def has_moved(dsn: str, before: int, process: "subprocess.Popen[str]") -> bool:
    return count(dsn, "trades") > before or process.poll() is not None


def test_a_process_killed_while_it_drains_loses_and_doubles_nothing(
    own_server: OwnServer, tmp_path: Path
) -> None:
    dsn = prepared(own_server)
    rows = 150_000
    own_server.stop()
    with started(dsn, str(tmp_path), "0", str(rows)) as process:
        assert process.stdout is not None
        safe = 0
        while safe < rows:
            word, _, number = process.stdout.readline().partition(" ")
            safe = int(number) if word == "safe" else safe
        process.kill()
    assert own_server.start() == dsn
    kills = 0
    for _ in range(3):
        before = count(dsn, "trades")
        with started(dsn, str(tmp_path), "0", "0") as process:
            until(partial(has_moved, dsn, before, process))
            if process.poll() is not None:
                break
            process.kill()
            kills += 1
    left = count(dsn, "trades")
    with started(dsn, str(tmp_path), str(rows), "5000") as process:
        assert process.wait(PATIENCE_S) == 0
    out = count(dsn, "trades")
    told = f"killed {kills} times while it drained, {server_name(dsn)}"
    print(f"\n{told}: rows in {rows + 5000}, out {out}, lost 0")
    assert kills > 0
    assert left <= rows
    assert out == rows + 5000
    assert count(dsn, "gaps") == 0


def test_a_second_writer_on_the_same_spool_is_refused(database: str, tmp_path: Path) -> None:
    with feeding(database, tmp_path), started(database, str(tmp_path), "0", "100") as process:
        told, _ = process.communicate(timeout=PATIENCE_S)
        folder = tmp_path / "store-0"
        assert told.startswith(f"error: {folder}: in use by process {os.getpid()}, which ")
        assert process.returncode == 2


def test_a_deadlock_is_no_outage(
    database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with feeding(database, tmp_path) as feed:
        feed.trades(100)
        feed.emptied()
        raised = threading.Event()
        insert = feed.writer._insert_rows

        def once(*given: Any) -> Any:
            if not raised.is_set():
                raised.set()
                raise psycopg.errors.DeadlockDetected("deadlock detected")
            return insert(*given)

        feed.writer._insert_rows = once  # type: ignore[method-assign, assignment]
        feed.trades(100)
        until(lambda: count(database, "trades") == 200)
        assert raised.is_set()
        assert "does not take rows" not in caplog.text
        assert feed.tell(database, "deadlock").written == 200
