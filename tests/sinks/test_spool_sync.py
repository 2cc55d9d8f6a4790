"""What a sync has promised is there after a power failure, whatever the disk refused before."""

import errno
import os
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.alert_journal import AlertJournal
from sinks.spool import Spool
from sinks.spool_lane import Entry
from tests.drawn_examples import examples
from tests.sinks.test_spool import ROOM, drain, entry

SMALL = 16 * 100
"""A limit that makes files of 100 bytes: one for each of our entries."""


class Disk:
    """What a power failure would leave, as Linux keeps it.

    An fsync that fails drops what it could not write, and the next one of the same file succeeds.
    A name is there for good once its folder is synced.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fails: Callable[[str], bool] = lambda _: False
        self.names: list[str] = []
        self._files: dict[int, bytes] = {}
        self._dropped: dict[int, int] = {}
        self._kept: dict[str, int] = {}
        self._held: list[int] = []

    def close(self) -> None:
        for handle in self._held:
            os.close(handle)

    def fsync(self, handle: int) -> None:
        name = Path(f"/proc/self/fd/{handle}").resolve().name
        inode = os.fstat(handle).st_ino
        self._held.append(os.dup(handle))  # no other file gets its number
        self.names.append(name)
        if self.fails(name):
            if name != self.folder.name:
                self._dropped[inode] = os.fstat(handle).st_size
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if name == self.folder.name:
            names = [*self.folder.glob("*.seg"), *self.folder.glob("position")]
            self._kept = {each.name: each.stat().st_ino for each in names}
            return
        data = Path(f"/proc/self/fd/{handle}").read_bytes()
        had = self._files.get(inode, b"")
        dropped = self._dropped.get(inode, 0)
        lost = bytes(max(dropped - len(had), 0))
        self._files[inode] = (had + lost + data[max(dropped, len(had)) :])[: len(data)]

    @contextmanager
    def after_a_power_failure(self) -> Iterator[Spool]:
        with tempfile.TemporaryDirectory() as name:
            for each, inode in self._kept.items():
                (Path(name) / each).write_bytes(self._files.get(inode, b""))
            spool = Spool(Path(name), limit=ROOM)
            yield spool
            spool.close()


@contextmanager
def on_disk(folder: Path) -> Iterator[Disk]:
    disk = Disk(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", disk.fsync)
        yield disk
    disk.close()


def left_on(disk: Disk) -> list[int]:
    with disk.after_a_power_failure() as spool:
        return drain(spool)


def test_a_position_that_cannot_be_kept_leaves_the_sync_undone(tmp_path: Path) -> None:
    with on_disk(tmp_path) as disk:
        spool = Spool(tmp_path, limit=ROOM)
        spool.append(0, [entry(1)])
        (tmp_path / "position.part").mkdir()  # whatever keeps it from being written
        for _ in range(2):
            with pytest.raises(OSError, match="directory"):
                spool.sync()
        (tmp_path / "position.part").rmdir()
        assert left_on(disk) == [1]  # the rows are safe all the same
        spool.append(0, [entry(2)])
        spool.sync()
        assert left_on(disk) == [1, 2]
        spool.close()


def test_all_ended_files_are_synced_after_one_has_failed(tmp_path: Path) -> None:
    with on_disk(tmp_path) as disk:
        spool = Spool(tmp_path, limit=SMALL)
        for number in range(3):
            spool.append(0, [entry(number, size=80)])
        assert len(list(tmp_path.glob("*.seg"))) == 3
        disk.fails = lambda _: True
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output"):
                spool.sync()
        disk.fails = lambda _: False
        spool.sync()
        assert left_on(disk) == [0, 1, 2]
        assert sorted(each.name for each in tmp_path.glob("0-*")) == [
            f"0-{number:010}.seg" for number in (1, 2, 3)
        ]
        spool.close()


def test_a_file_whose_fsync_fails_is_written_anew_at_once(tmp_path: Path) -> None:
    with on_disk(tmp_path) as disk:
        spool = Spool(tmp_path, limit=ROOM)
        spool.append(0, [entry(1), entry(2)])
        chunk = spool.take(1)
        assert chunk is not None
        disk.fails = lambda name: name.endswith(".seg")
        spool.sync()
        assert disk.names == ["0-0000000001.seg", "0-0000000001.part", tmp_path.name]
        disk.fails = lambda _: False
        spool.append(0, [entry(3)])  # not to the file that failed
        spool.sync()
        assert left_on(disk) == [1, 2, 3]
        spool.done(chunk)  # places in the file are what they were
        assert drain(spool) == [3]
        spool.close()


def lost_from(disk: Disk) -> Counter[str]:
    """Read all that a power failure would leave, and return what is missed then."""
    with disk.after_a_power_failure() as spool:
        lost: Counter[str] = Counter()
        while (chunk := spool.take(100)) is not None:
            lost += chunk.lost
            spool.done(chunk)
        return lost


def test_what_a_failed_disk_may_lose_is_counted_until_it_has_it(tmp_path: Path) -> None:
    with on_disk(tmp_path) as disk:
        spool = Spool(tmp_path, limit=ROOM)
        spool.append(0, [entry(1)])
        assert spool.state().unsafe == 0  # its epoch has not ended
        spool.sync()
        spool.append(0, [entry(2), entry(3)])
        disk.fails = lambda name: name.endswith((".seg", ".part"))
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output"):
                spool.sync()
            assert spool.state().unsafe == 2
        spool.append(0, [entry(4)])
        assert spool.state().unsafe == 3
        disk.fails = lambda _: False
        spool.sync()
        assert spool.state().unsafe == 0
        assert left_on(disk) == [1, 2, 3, 4]
        spool.close()


def test_rows_that_leave_an_unsafe_spool_are_not_unsafe_any_more(tmp_path: Path) -> None:
    with on_disk(tmp_path) as disk:
        spool = Spool(tmp_path, limit=ROOM)
        spool.append(0, [entry(1), entry(2)])
        disk.fails = lambda name: name.endswith((".seg", ".part"))
        with pytest.raises(OSError, match="Input/output"):
            spool.sync()
        assert spool.state().unsafe == 2
        assert drain(spool) == [1, 2]
        assert spool.state().unsafe == 0
        disk.fails = lambda _: False
        spool.close()


def test_what_was_lost_with_a_disk_that_failed_is_told_to_the_row(tmp_path: Path) -> None:
    with on_disk(tmp_path) as disk:
        spool = Spool(tmp_path, limit=ROOM)
        spool.append(0, [entry(1)])
        spool.sync()
        spool.append(0, [entry(2), entry(3)])
        disk.fails = lambda name: name.endswith((".seg", ".part"))
        with pytest.raises(OSError, match="Input/output"):
            spool.sync()
        assert lost_from(disk) == Counter({"trades": 2})
        disk.fails = lambda _: False
        spool.close()


def test_a_failed_file_that_is_read_meanwhile_need_not_be_synced(tmp_path: Path) -> None:
    with on_disk(tmp_path) as disk:
        spool = Spool(tmp_path, limit=ROOM)
        spool.append(0, [entry(1)])
        disk.fails = lambda _: True
        with pytest.raises(OSError, match="Input/output"):
            spool.sync()
        assert drain(spool) == [1]
        disk.fails = lambda _: False
        spool.sync()
        assert list(tmp_path.glob("0-*")) == []
        spool.close()


def test_a_file_that_is_read_while_it_is_synced_stays_away(tmp_path: Path) -> None:
    with on_disk(tmp_path) as disk:
        spool = Spool(tmp_path, limit=ROOM)
        spool.append(0, [entry(1)])

        def fails(name: str) -> bool:
            if name.endswith(".part"):
                assert drain(spool) == [1]
            return name.endswith(".seg")

        disk.fails = fails
        spool.sync()
        assert list(tmp_path.glob("0-*")) == []
        spool.close()


def test_who_syncs_second_waits_for_the_first(tmp_path: Path) -> None:
    with on_disk(tmp_path) as disk:
        spool = Spool(tmp_path, limit=ROOM)
        spool.append(0, [entry(1)])
        promised: list[list[int]] = []

        def ask() -> None:
            spool.sync()
            promised.append(left_on(disk))

        second = threading.Thread(target=ask)

        def fails(name: str) -> bool:
            if name == "0-0000000001.seg" and second.ident is None:
                second.start()
                second.join(0.2)  # time enough for one that does not wait
                assert promised == []
            return False

        disk.fails = fails
        spool.sync()
        second.join()
        assert promised == [[1]]
        spool.close()


def test_who_syncs_second_is_told_when_the_disk_fails(tmp_path: Path) -> None:
    with on_disk(tmp_path) as disk:
        spool = Spool(tmp_path, limit=ROOM)
        spool.append(0, [entry(1)])
        said: list[str] = []

        def ask() -> None:
            try:
                spool.sync()
            except OSError as error:
                said.append(str(error))

        second = threading.Thread(target=ask)

        def fails(_: str) -> bool:
            if second.ident is None:
                second.start()
            return True

        disk.fails = fails
        with pytest.raises(OSError, match="Input/output"):
            spool.sync()
        second.join()
        assert len(said) == 1
        disk.fails = lambda _: False
        spool.close()


@given(
    steps=st.lists(st.sampled_from(["append", "sync", "read"]), min_size=1, max_size=25),
    failures=st.lists(st.booleans(), max_size=30),
    limit=st.sampled_from([SMALL, ROOM]),
)
@examples(60)
def test_what_was_synced_is_there_after_a_power_failure(
    steps: list[str], failures: list[bool], limit: int
) -> None:
    left = list(failures)
    with tempfile.TemporaryDirectory() as name, on_disk(Path(name)) as disk:
        disk.fails = lambda _: bool(left) and left.pop()
        spool = Spool(Path(name), limit=limit)
        number = 0
        waiting: list[int] = []
        promised: list[int] = []
        for step in steps:
            if step == "append":
                for _ in range(2):
                    number += 1
                    gone = spool.append(0, [entry(number, size=40)]).gone
                    waiting.append(number)
                    del waiting[: sum(each.tables["trades"] for each in gone)]
            elif step == "read" and (chunk := spool.take(1)) is not None:
                spool.done(chunk)
                waiting.pop(0)
            elif step == "sync":
                try:
                    spool.sync()
                except OSError:
                    continue
                promised = list(waiting)
                assert set(promised) <= set(left_on(disk))
        spool.close()


def test_the_journal_promises_no_alert_that_a_failed_disk_dropped(tmp_path: Path) -> None:
    with on_disk(tmp_path) as disk:
        journal = AlertJournal(tmp_path)
        spool = journal.spool
        disk.fails = lambda _: True
        spool.append(0, [Entry("marks", 1, 1, b"")])
        with pytest.raises(OSError, match="Input/output"):
            spool.sync()
        disk.fails = lambda _: False
        spool.sync()
        with disk.after_a_power_failure() as again:
            assert again.state().rows == {"marks": 1}
        journal.close()
