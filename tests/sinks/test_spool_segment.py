"""A disk that cannot read costs the rows that it cannot read, and stops nothing."""

import errno
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from market.errors import ConfigError
from sinks.row_totals import TableTotals
from sinks.settings import StoreSettings
from sinks.spool import Spool
from sinks.spool_records import scan
from sinks.spool_segment import PAGE_BYTES, read
from sinks.writer import Writer
from tests.sinks.test_spool import ROOM, drain, entry, number_of
from tests.sinks.test_writer import count, trades, until

NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"
Fails = Callable[[int, int], int]
"""Says which error, if any, a read of so many bytes from a place on meets."""


def break_reads(patch: pytest.MonkeyPatch, fails: Fails) -> None:
    pread = os.pread

    def broken(handle: int, size: int, offset: int) -> bytes:
        if number := fails(offset, size):
            raise OSError(number, os.strerror(number))
        return pread(handle, size, offset)

    patch.setattr(os, "pread", broken)


def at(place: int, error: int = errno.EIO) -> Fails:
    return lambda offset, size: error if offset <= place < offset + size else 0


def spool_of(folder: Path) -> Spool:
    spool = Spool(folder, limit=ROOM)
    for number in range(10):
        spool.append(0, [entry(number, count=3, size=PAGE_BYTES * 3)])
    return spool


@pytest.mark.parametrize("restarts", [False, True])
def test_a_page_that_cannot_be_read_costs_its_record_to_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, restarts: bool
) -> None:
    spool = spool_of(tmp_path)
    (segment,) = tmp_path.glob("*.seg")
    fifth = list(scan(segment.read_bytes()))[4]
    break_reads(monkeypatch, at(fifth.start + PAGE_BYTES * 2))
    if restarts:
        spool.close()
        spool = Spool(tmp_path, limit=ROOM)
    numbers: list[int] = []
    lost = Counter[str]()
    while (chunk := spool.take(5)) is not None:
        numbers += [number_of(each) for each in chunk.entries]
        lost += chunk.lost
        spool.done(chunk)
    assert numbers == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert lost == {"trades": 3}
    assert spool.state().rows == {}
    spool.close()


def test_a_file_of_which_nothing_can_be_read_is_told_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = spool_of(tmp_path)
    break_reads(monkeypatch, lambda _, __: errno.EIO)
    chunk = spool.take(ROOM)
    assert chunk is not None
    assert (chunk.entries, chunk.lost) == ([], {"trades": 30})
    spool.done(chunk)
    assert spool.state().rows == {}
    spool.append(0, [entry(20)])
    monkeypatch.undo()
    assert drain(spool) == [20]
    spool.close()


def test_a_read_that_fails_once_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = spool_of(tmp_path)
    errors = [errno.EIO, errno.EIO]
    break_reads(monkeypatch, lambda _, __: errors.pop() if errors else 0)
    assert drain(spool) == list(range(10))
    spool.close()


def test_what_can_be_read_later_is_not_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    break_reads(monkeypatch, at(0, errno.ESTALE))
    with pytest.raises(OSError, match="Stale"):
        read(path, 0, 3)
    spool = spool_of(tmp_path / "spool")
    spool.close()
    with pytest.raises(ConfigError, match="cannot read the rows that wait there"):
        Spool(tmp_path / "spool", limit=ROOM)
    monkeypatch.undo()
    again = Spool(tmp_path / "spool", limit=ROOM)  # its lock was given back
    assert drain(again) == list(range(10))
    again.close()


@pytest.mark.parametrize(("error", "lost"), [(errno.EIO, 10), (errno.EMFILE, 0)])
def test_a_writer_goes_on_when_its_spool_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str, error: int, lost: int
) -> None:
    monkeypatch.setattr("sinks.overflow.UNREADABLE_S", 0.01)
    settings = StoreSettings(flush_interval_s=0.05, spool_free_bytes=0)
    writer = Writer(NOWHERE, settings, name="store-5", notify=True, spool=tmp_path)
    writer.put(trades(0, 10))
    assert writer.barrier(0.0)
    writer.close(0.5)
    failed: list[int] = []

    def fails(_: int, __: int) -> int:
        is_writer = threading.current_thread().name == "store-5"
        if not is_writer or (error == errno.EMFILE and len(failed) == 3):
            return 0
        failed.append(error)
        return error

    break_reads(monkeypatch, fails)
    again = Writer(database, settings, name="store-5", notify=True, spool=tmp_path)
    until(lambda: again.totals["trades"].settled == 10)
    assert failed
    again.put(trades(100, 5))
    assert again.barrier(20.0)
    assert again.totals["trades"] == TableTotals(handed=5, found=10, written=15 - lost, lost=lost)
    assert count(database, "trades") == 15 - lost
    again.close(1.0)
