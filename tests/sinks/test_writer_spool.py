"""A writer with a disk: alerts are safe at once, everything before an epoch ends."""

import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from prometheus_client import REGISTRY

from market.errors import SinkError
from sinks.alert_journal import open_journals
from sinks.row_totals import TableTotals
from sinks.rows import pack
from sinks.settings import StoreSettings
from sinks.writer import Writer
from tests.servers.own_server import OwnServer, prepared
from tests.sinks.test_writer import alert, bar, count, trades, until

NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"
MakeWriter = Callable[..., Writer]


@pytest.fixture
def make_writer(tmp_path: Path) -> Iterator[MakeWriter]:
    made: list[Writer] = []

    def make(dsn: str, *, patient: bool = False, spool_bytes: int = 1 << 30) -> Writer:
        settings = StoreSettings(flush_interval_s=0.05, spool_free_bytes=0, spool_bytes=spool_bytes)
        made.append(
            Writer(dsn, settings, name="store-7", notify=True, patient=patient, spool=tmp_path)
        )
        return made[-1]

    yield make
    for writer in made:
        writer.close(0.3)


def metric(name: str) -> float:
    return REGISTRY.get_sample_value(f"candlewax_store_{name}", {"partition": "store-7"}) or 0.0


def rows(writer: Writer) -> dict[str, int]:
    state = writer.spool_state()
    assert state is not None
    return state.rows


def test_an_alert_goes_to_the_journal_at_once_and_to_the_outbox_later(
    own_server: OwnServer, make_writer: MakeWriter, tmp_path: Path
) -> None:
    dsn = prepared(own_server)
    writer = make_writer(dsn)
    writer.put(trades(0, 10))
    assert writer.barrier(20.0)
    own_server.stop()
    writer.put(alert("a"))
    until(lambda: rows(writer).get("alerts") == 1)
    writer.put(alert("b"))  # known to be away by now: it is on the disk when `put` returns
    assert rows(writer)["alerts"] == 2
    assert [journal.alerts for journal in open_journals()] == [2]
    assert list((tmp_path / "alerts-7").glob("*.seg"))
    assert own_server.start() == dsn
    until(lambda: writer.totals["alerts"].settled == 2)
    assert (count(dsn, "alerts"), count(dsn, "outbox")) == (2, 4)
    until(lambda: not rows(writer))


def test_rows_are_on_the_disk_when_an_epoch_ends(
    make_writer: MakeWriter, caplog: pytest.LogCaptureFixture
) -> None:
    writer = make_writer(NOWHERE)
    spooled = metric("spooled_rows_total")
    writer.put(trades(0, 300))
    writer.put(bar(0, 5.0))
    with caplog.at_level(logging.WARNING):
        assert writer.barrier(1.0)
    assert writer.buffered_rows == 0
    assert rows(writer) == {"trades": 300, "bars": 1}
    assert metric("spool_rows") == 301
    assert metric("spool_bytes") > 300 * 20
    assert metric("spooled_rows_total") == spooled + 301
    assert "they wait on the disk" in caplog.text
    writer.close(2.0)
    assert metric("spool_oldest_seconds") > 0
    assert writer.totals["trades"] == TableTotals(handed=300, spooled=300)


def test_rows_that_wait_go_to_the_disk_without_an_epoch(make_writer: MakeWriter) -> None:
    writer = make_writer(NOWHERE)
    writer.put(trades(0, 300))
    until(lambda: rows(writer) == {"trades": 300})


def test_a_spool_of_no_bytes_is_none(make_writer: MakeWriter, tmp_path: Path) -> None:
    assert make_writer(NOWHERE, spool_bytes=0).spool_state() is None
    assert make_writer(NOWHERE, patient=True).spool_state() is None
    assert not list(tmp_path.iterdir())


def test_closing_without_a_database_keeps_everything_and_is_quick(
    make_writer: MakeWriter, database: str
) -> None:
    writer = make_writer(NOWHERE)
    writer.put(trades(0, 300))
    writer.put(alert("a"))
    until(lambda: not writer.is_connected and writer._outage.since is not None)
    began = time.monotonic()
    writer.close(2.0)
    assert time.monotonic() - began < 1.5
    assert writer.totals["trades"] == TableTotals(handed=300, spooled=300)
    again = make_writer(database)
    until(lambda: again.totals["trades"] == TableTotals(found=300, written=300))
    until(lambda: again.totals["alerts"].settled == 1)
    assert (count(database, "trades"), count(database, "outbox")) == (300, 2)


def test_a_value_that_the_database_refuses_is_set_aside(
    make_writer: MakeWriter, database: str, tmp_path: Path
) -> None:
    writer = make_writer(NOWHERE)
    bad = ("binance", "BTC-USDT", 1, "x\x00y", 1.5, 2.0, "buy", 1)  # no text of PostgreSQL's
    writer.put(trades(0, 50))
    writer.put(pack("trades", [bad]))
    writer.put(trades(50, 50))
    assert writer.barrier(0.0)
    writer.close(0.5)
    again = make_writer(database)
    until(lambda: again.totals["trades"] == TableTotals(found=101, written=100, lost=1))
    (kept,) = (tmp_path / "store-7" / "set-aside").iterdir()
    assert "x\\u0000y" in kept.read_text()
    until(lambda: count(database, "gaps") == 1)


def test_a_bug_keeps_the_rows_for_when_it_is_mended(
    make_writer: MakeWriter, fresh_database: str
) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("ALTER TABLE trades RENAME COLUMN side TO direction")
        writer = make_writer(fresh_database)
        writer.put(trades(0, 10))
        with pytest.raises(SinkError, match="UndefinedColumn"):
            writer.barrier(20.0)
        writer.close(1.0)
        assert writer.totals["trades"] == TableTotals(handed=10, spooled=10)
        connection.execute("ALTER TABLE trades RENAME COLUMN direction TO side")
    again = make_writer(fresh_database)
    until(lambda: again.totals["trades"].written == 10)


def test_rows_that_a_slow_commit_and_the_disk_have_count_once(
    make_writer: MakeWriter, database: str
) -> None:
    writer = make_writer(database)
    writer.put(trades(0, 50))
    writer.put(bar(0, 5.0))
    assert writer.barrier(20.0)
    with psycopg.connect(database) as holder:
        holder.execute("LOCK TABLE trades IN SHARE MODE")
        writer.put(trades(0, 350))
        writer.put(bar(0, 5.0))
        writer.put(bar(1, 6.0))
        assert writer.barrier(0.3)  # the commit waits for the lock: on the disk, to be safe
        assert rows(writer) == {"trades": 350, "bars": 2}
        assert writer.totals["trades"] == TableTotals(handed=400, written=50, spooled=350)
    until(lambda: not rows(writer))
    until(lambda: writer.totals["trades"] == TableTotals(handed=400, written=350, known=50))
    until(lambda: writer.totals["bars"] == TableTotals(handed=3, written=1, updated=1, known=1))
    assert count(database, "trades") == 350


def test_a_newer_revision_that_overtakes_the_spool_stays(
    own_server: OwnServer, make_writer: MakeWriter
) -> None:
    dsn = prepared(own_server)
    writer = make_writer(NOWHERE)
    writer.put(bar(0, 5.0))
    assert writer.barrier(0.0)
    writer.close(0.5)
    with psycopg.connect(dsn, autocommit=True) as holder:
        holder.execute("BEGIN; LOCK TABLE bars IN ACCESS EXCLUSIVE MODE")
        again = make_writer(dsn)
        again.put(bar(1, 6.0))
        holder.execute("COMMIT")
    until(lambda: not rows(again) and again.barrier(1.0))
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT revision, close FROM bars").fetchall()
    assert found == [(1, 6.0)]


@pytest.mark.parametrize("what", ["rows", "alerts"])
def test_what_a_disk_that_fails_has_not_for_sure_is_told_each_epoch(
    what: str,
    own_server: OwnServer,
    make_writer: MakeWriter,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    dsn = prepared(own_server)
    writer = make_writer(dsn)
    own_server.stop()
    is_broken = threading.Event()
    is_broken.set()
    fsync = os.fsync

    def failing(handle: int) -> None:
        if is_broken.is_set():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", failing)
    before = metric("unsafe_epochs_total")
    writer.put(trades(0, 30) if what == "rows" else alert("a"))
    handed = 30 if what == "rows" else 1
    for epoch in (1, 2):
        assert not writer.barrier(0.0)  # and the flow goes on
        assert metric("unsafe_epochs_total") == before + epoch
        assert metric("unsafe_rows") == handed
        state = writer.spool_state()
        assert state is not None
        assert state.unsafe == handed
    assert "the spool may not be on the disk" in caplog.text
    is_broken.clear()
    assert writer.barrier(0.0)
    assert (metric("unsafe_rows"), metric("unsafe_epochs_total")) == (0, before + 2)
    assert own_server.start() == dsn
    table = "trades" if what == "rows" else "alerts"
    until(lambda: writer.totals[table].settled == handed)
    assert count(dsn, table) == handed
    assert writer.totals[table].lost == 0


def test_an_epoch_that_ends_with_rows_in_memory_only_is_counted(
    make_writer: MakeWriter,
) -> None:
    writer = make_writer(NOWHERE, spool_bytes=0)
    before = metric("unsafe_epochs_total")
    writer.put(trades(0, 30))
    assert not writer.barrier(0.0)
    assert metric("unsafe_epochs_total") == before + 1
