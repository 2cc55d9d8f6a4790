"""A value that the database never takes costs its row, is kept for people, and stops nothing."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from sinks.commit import Commit
from sinks.draining import REFUSED_TRIES, Refused, sift
from sinks.insertion import Written, insert_batches
from sinks.row_totals import TableTotals
from sinks.rows import Cell, RowBatch, pack, unpack
from sinks.settings import StoreSettings
from sinks.tables import TABLES
from sinks.writer import Writer
from tests.sinks.test_writer import START, alert, bar, count, trades, until

NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"
PATIENCE_S = 20.0
LONG = 2**63 + 5
"""A number that msgpack knows and no column of ours."""
MakeWriter = Callable[..., Writer]


def trade(trade_id: str) -> list[Cell]:
    return ["binance", "BTC-USDT", START, trade_id, 1.5, 2.0, "buy", START]


def top(number: int, sequence: int) -> list[Cell]:
    levels: list[Cell] = [[1.0], [2.0], [3.0], [4.0]]
    return ["binance", "BTC-USDT", START + number * 1000, START, sequence, *levels, 2.0, 0.1, "ok"]


def with_bad_one(table: str) -> RowBatch:
    """Return 41 rows, of which one will never be taken."""
    rows: list[list[Cell]]
    if table == "trades":
        rows = [trade(f"good {number}") for number in range(40)]
        rows.insert(17, trade("x\x00y"))
    elif table == "book_tops":
        rows = [top(number, number) for number in range(40)]
        rows.insert(17, top(100, LONG))
    else:
        (row,) = unpack(bar(0, 5.0))
        rows = [[*row[:3], START + number * 60_000_000_000, *row[4:]] for number in range(41)]
        rows[17][13] = LONG
    return pack(table, rows)


@pytest.fixture
def make_writer(tmp_path: Path) -> Iterator[MakeWriter]:
    made: list[Writer] = []

    def make(dsn: str, *, spool: bool = True, patient: bool = False) -> Writer:
        settings = StoreSettings(flush_interval_s=0.05, spool_free_bytes=0)
        folder = tmp_path if spool else None
        made.append(
            Writer(dsn, settings, name="store-6", notify=True, patient=patient, spool=folder)
        )
        return made[-1]

    yield make
    for writer in made:
        writer.close(0.3)


def set_aside(folder: Path) -> list[list[Cell]]:
    return [
        row
        for path in (folder / "store-6" / "set-aside").glob("*.json")
        for row in json.loads(path.read_text())["rows"]
    ]


@pytest.mark.parametrize("table", ["trades", "book_tops", "bars"])
def test_one_bad_row_on_the_live_path_is_set_aside_and_the_feeds_go_on(
    make_writer: MakeWriter, database: str, tmp_path: Path, table: str
) -> None:
    writer = make_writer(database)
    writer.put(with_bad_one(table))
    assert writer.barrier(PATIENCE_S)
    assert writer.totals[table] == TableTotals(handed=41, written=40, lost=1)
    (row,) = set_aside(tmp_path)
    assert "x\x00y" in row or LONG in row
    writer.put(trades(100, 7))
    assert writer.barrier(PATIENCE_S)
    assert count(database, table) == 40 + 7 * (table == "trades")
    until(lambda: count(database, "gaps") == 1)


@pytest.mark.parametrize("table", ["trades", "book_tops", "bars"])
def test_one_bad_row_from_the_spool_costs_no_other(
    make_writer: MakeWriter, database: str, tmp_path: Path, table: str
) -> None:
    writer = make_writer(NOWHERE)
    writer.put(with_bad_one(table))
    assert writer.barrier(0.0)
    writer.close(0.5)
    again = make_writer(database)
    until(lambda: again.totals[table] == TableTotals(found=41, written=40, lost=1))
    assert len(set_aside(tmp_path)) == 1


@pytest.mark.parametrize("patient", [False, True])
def test_without_a_disk_a_bad_row_is_counted_and_its_reason_logged(
    make_writer: MakeWriter, database: str, caplog: pytest.LogCaptureFixture, *, patient: bool
) -> None:
    writer = make_writer(database, spool=False, patient=patient)
    with caplog.at_level(logging.ERROR):
        writer.put(trades(100, 5))
        writer.put(with_bad_one("trades"))
        assert writer.barrier(PATIENCE_S)
    assert writer.totals["trades"] == TableTotals(handed=46, written=45, lost=1)
    assert any("0x00" in str(getattr(each, "reason", "")) for each in caplog.records)


def bad_alert(key: str) -> RowBatch:
    (row,) = unpack(alert(key))
    return pack("alerts", [[*row, False, "[]", "", json.dumps({"a": "\x00"})]])


def test_a_bad_alert_does_not_keep_the_others_back(
    make_writer: MakeWriter, database: str, tmp_path: Path
) -> None:
    writer = make_writer(database)
    writer.put(alert("a"))
    writer.put(bad_alert("b"))
    writer.put(alert("c"))
    assert writer.barrier(PATIENCE_S)
    assert writer.totals["alerts"] == TableTotals(handed=3, written=2, lost=1)
    assert (count(database, "alerts"), count(database, "outbox")) == (2, 4)
    assert [row[0] for row in set_aside(tmp_path)] == ["b"]


def test_a_bad_alert_in_the_journal_does_not_keep_the_others_back(
    make_writer: MakeWriter, database: str, tmp_path: Path
) -> None:
    writer = make_writer(NOWHERE)
    for each in (alert("a"), bad_alert("b"), alert("c")):
        writer.put(each)
    assert writer.barrier(0.0)
    writer.close(0.5)
    again = make_writer(database)
    until(lambda: again.totals["alerts"] == TableTotals(found=3, written=2, lost=1))
    assert (count(database, "alerts"), count(database, "outbox")) == (2, 4)
    assert [row[0] for row in set_aside(tmp_path)] == ["b"]
    again.close(0.5)
    assert make_writer(NOWHERE).totals["alerts"].found == 0


def sifted(dsn: str, batch: RowBatch) -> tuple[Written, list[Refused], int]:
    tries = 0
    with psycopg.connect(dsn, autocommit=True) as connection:

        def write(part: RowBatch) -> Written:
            nonlocal tries
            tries += 1
            return insert_batches(connection, TABLES[part.table], [part])

        return *sift(connection, Commit(), batch, write), tries


def test_a_bad_row_of_many_is_found_by_halving(database: str) -> None:
    rows = [trade(str(number)) for number in range(1000)]
    rows[613][3] = "x\x00y"
    written, refused, tries = sifted(database, pack("trades", rows))
    assert written == Written(999, 0, 0)
    assert [unpack(each.batch) for each in refused] == [[rows[613]]]
    assert tries <= 1 + 2 * 10


@pytest.mark.parametrize("bad", [0, 5])
def test_a_batch_of_which_a_part_is_written_is_in_doubt(database: str, bad: int) -> None:
    rows = [trade(str(number)) for number in range(6)]
    rows[bad][3] = "x\x00y"
    commit = Commit()
    with psycopg.connect(database, autocommit=True) as connection:

        def write(part: RowBatch) -> Written:
            if count(database, "trades"):
                raise psycopg.OperationalError("gone")
            return insert_batches(connection, TABLES[part.table], [part])

        with pytest.raises(psycopg.OperationalError):
            sift(connection, commit, pack("trades", rows), write)
    assert commit.is_in_doubt


def test_a_bad_row_that_a_slow_commit_and_the_disk_have_is_lost_once(
    make_writer: MakeWriter, database: str, tmp_path: Path
) -> None:
    writer = make_writer(database)
    writer.put(trades(100, 1))
    assert writer.barrier(PATIENCE_S)
    with psycopg.connect(database) as holder:
        holder.execute("LOCK TABLE trades IN SHARE MODE")
        writer.put(with_bad_one("trades"))
        assert writer.barrier(0.3)  # the commit waits for the lock: on the disk, to be safe
        assert writer.totals["trades"] == TableTotals(handed=42, written=1, spooled=41)
    until(lambda: writer.totals["trades"] == TableTotals(handed=42, written=41, lost=1))
    assert len(set_aside(tmp_path)) == 1
    assert count(database, "trades") == 41


def test_where_every_row_is_bad_not_every_one_is_tried(database: str) -> None:
    rows = [trade(f"\x00{number}") for number in range(2000)]
    written, (refused,), tries = sifted(database, pack("trades", rows))
    assert written == Written(0, 0, 0)
    assert sorted(unpack(refused.batch), key=str) == sorted(rows, key=str)
    assert refused.reason.count("0x00") == 1
    assert tries <= REFUSED_TRIES + 12
