"""The spool gives each row once and in order, or says that it is lost; whatever comes between."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from market.errors import ConfigError
from sinks.set_aside import SET_ASIDE_BYTES
from sinks.spool import Appended, Spool, SpoolState, look
from sinks.spool_lane import Chunk, Entry
from sinks.spool_records import scan
from sinks.spool_segment import open_new
from tests.drawn_examples import examples

ROOM = 1 << 30
TABLES = ("trades", "bars", "gaps", "alerts")


def entry(number: int, *, table: str = "trades", count: int = 1, size: int = 4) -> Entry:
    return Entry(table, count, 1000 + number, number.to_bytes(4, "big").ljust(size, b"."))


def number_of(found: Entry) -> int:
    return int.from_bytes(found.payload[:4], "big")


def drain(spool: Spool, limit: int = ROOM) -> list[int]:
    numbers = []
    while (chunk := spool.take(limit)) is not None:
        numbers += [number_of(each) for each in chunk.entries]
        spool.done(chunk)
    return numbers


@pytest.fixture(autouse=True)
def _the_disk_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill of the process takes nothing from the system's memory: no test waits for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


class Model(RuleBasedStateMachine):
    """The spool against one queue a rank, under kills of the process at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-"))
        self.limit = 4000
        self.number = 0
        self.queues: list[deque[Entry]] = [deque() for _ in TABLES]
        self.taken: Chunk | None = None
        self.lost: Counter[str] = Counter()
        self.spool = self.opened()

    def opened(self) -> Spool:
        return Spool(self.folder, limit=self.limit)

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.folder)

    @rule(rank=st.integers(0, 3), counts=st.lists(st.integers(1, 9), min_size=1, max_size=4))
    def append(self, rank: int, counts: list[int]) -> None:
        entries = []
        for count in counts:
            self.number += 1
            entries.append(entry(self.number, table=TABLES[rank], count=count, size=80))
        appended = self.spool.append(rank, entries)
        self.forget(appended, rank)
        self.queues[rank] += entries[: appended.taken]
        if appended.taken < len(entries):
            # Nothing of this rank or a lesser one was left to give up for it.
            assert self.taken is not None or not any(self.queues[:rank])

    def forget(self, appended: Appended, rank: int) -> None:
        """Take from the front of the queues what had to go."""
        for gone in appended.gone:
            (table,) = gone.tables
            place = TABLES.index(table)
            assert place <= rank
            assert gone.since <= gone.until
            self.lost += gone.tables
            left = gone.tables[table]
            while left:
                left -= self.queues[place].popleft().count
            assert left == 0

    @precondition(lambda self: self.taken is None)
    @rule(limit=st.integers(1, 40))
    def take(self, limit: int) -> None:
        self.taken = self.spool.take(limit)
        if self.taken is None:
            assert not any(self.queues)
            return
        assert not self.taken.lost
        assert not self.taken.damaged
        queue = self.queues[self.taken.rank]
        assert not any(self.queues[self.taken.rank + 1 :])
        assert self.taken.entries == list(queue)[: len(self.taken.entries)]

    @precondition(lambda self: self.taken is not None)
    @rule()
    def done(self) -> None:
        assert self.taken is not None
        self.spool.done(self.taken)
        for _ in self.taken.entries:
            self.queues[self.taken.rank].popleft()
        self.taken = None

    @precondition(lambda self: self.taken is not None)
    @rule()
    def release(self) -> None:
        assert self.taken is not None
        self.spool.release(self.taken)
        self.taken = None

    @rule()
    def sync(self) -> None:
        self.spool.sync()

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.spool, self.taken = self.opened(), None

    @rule()
    def kill(self) -> None:
        """What a killed process leaves is what it wrote; its lock goes with it."""
        other = Path(tempfile.mkdtemp(prefix="spool-"))
        shutil.copytree(self.folder, other, dirs_exist_ok=True)
        self.spool.close()
        shutil.rmtree(self.folder)
        self.folder = other
        self.spool, self.taken = self.opened(), None

    @invariant()
    def it_holds_what_is_left(self) -> None:
        rows = Counter[str]()
        for table, queue in zip(TABLES, self.queues, strict=True):
            rows[table] = sum(each.count for each in queue)
        state = self.spool.state()
        assert state.rows == +rows
        assert state.bytes <= self.limit + 200
        assert (state.oldest is None) == (not state.rows)
        looked = look(self.folder)
        assert (looked.rows, looked.bytes) == (state.rows, state.bytes)


TestSpool = Model.TestCase
TestSpool.settings = settings(examples(10), stateful_step_count=30)


@given(
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=12),
    cut=st.floats(0, 1),
    limit=st.integers(1, 30),
)
@examples(15)
def test_a_file_cut_anywhere_gives_a_prefix(counts: list[int], cut: float, limit: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spool = Spool(folder, limit=ROOM)
        for number, count in enumerate(counts):
            spool.append(0, [entry(number, count=count)])
        spool.close()
        (folder / "position").unlink()  # as after a power failure: nobody knows what was promised
        (segment,) = folder.glob("*.seg")
        os.truncate(segment, int(segment.stat().st_size * cut))
        again = Spool(folder, limit=ROOM)
        again.append(0, [entry(100)])
        numbers = drain(again, limit)
        assert numbers == [*range(len(numbers) - 1), 100]
        assert again.state().rows == {}
        again.close()


@given(
    counts=st.lists(st.integers(1, 5), min_size=1, max_size=12),
    place=st.floats(0, 1, exclude_max=True),
    later=st.booleans(),
)
@examples(15)
def test_a_damaged_byte_costs_one_record_and_its_rows_are_told(
    counts: list[int], place: float, *, later: bool
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        spool = Spool(folder, limit=ROOM)
        for number, count in enumerate(counts):
            spool.append(0, [entry(number, count=count)])
        spool.close()
        (segment,) = folder.glob("*.seg")
        data = bytearray(segment.read_bytes())
        data[int(len(data) * place)] ^= 0x5A
        segment.write_bytes(data)
        again = Spool(folder, limit=ROOM)
        if later:
            again.append(0, [entry(100, count=7)])
        rows, lost = 0, Counter[str]()
        while (chunk := again.take(3)) is not None:
            rows += sum(each.count for each in chunk.entries)
            lost += chunk.lost
            again.done(chunk)
        assert lost.total() in counts
        assert rows + lost.total() == sum(counts) + 7 * later
        assert again.state() == SpoolState({}, 0, None, set_aside=1)
        again.close()


def test_a_file_that_is_gone_is_told_to_the_row(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit=16 * 100)
    for number in range(10):
        spool.append(0, [entry(number, count=3, size=60)])
    spool.close()
    files = sorted(tmp_path.glob("*.seg"))
    assert len(files) > 5
    files[3].unlink()
    files[-1].unlink()
    again = Spool(tmp_path, limit=ROOM)
    assert again.state().rows == {"trades": 30}
    rows, lost = 0, 0
    while (chunk := again.take(5)) is not None:
        rows += sum(each.count for each in chunk.entries)
        lost += chunk.lost.total()
        again.done(chunk)
    assert (rows, lost) == (24, 6)
    again.close()


def test_damage_is_set_aside_for_people(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit=ROOM)
    for number in range(3):
        spool.append(0, [entry(number, size=50)])
    (segment,) = tmp_path.glob("*.seg")
    data = segment.read_bytes()
    third = [found.start for found in scan(data)][1]
    segment.write_bytes(data[: third + 30] + b"?" + data[third + 31 :])
    assert drain(spool) == [0, 2]
    (kept,) = (tmp_path / "set-aside").iterdir()
    assert kept.name == f"0-0000000001-{third}.damaged"
    assert kept.read_bytes()[30:31] == b"?"
    spool.close()


def test_what_is_set_aside_is_bounded_and_the_first_of_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path, limit=32 * SET_ASIDE_BYTES)
    folder = tmp_path / "set-aside"
    for number in range(5):
        spool.set_aside(f"{number}.json", bytes(SET_ASIDE_BYTES * 3 // 5))
    assert {each.name for each in folder.iterdir()} == {"0.json", "1.json", "2.json"}
    assert caplog.text.count("cannot be set aside") == 2
    assert any("look at its files" in getattr(each, "reason", "") for each in caplog.records)
    for each in folder.iterdir():
        each.unlink()
    monkeypatch.setattr("sinks.set_aside.SET_ASIDE_FILES", 3)
    for number in range(5):
        spool.set_aside(f"{number}.json", b"{}")
    assert spool.state().set_aside == 3
    spool.close()


def test_a_nearly_full_disk_is_not_filled_with_what_is_set_aside(tmp_path: Path) -> None:
    free = [5_000]
    spool = Spool(tmp_path, limit=ROOM, keep_free=5_000, free=lambda _: free[0])
    spool.set_aside("0.json", b"{}")
    assert spool.state().set_aside == 0
    free[0] = 6_000
    spool.set_aside("0.json", b"{}")
    assert spool.state().set_aside == 1
    spool.close()


@pytest.mark.parametrize("position", [b"", b"{", b'{"0": {"segment": "x"}}'])
def test_a_damaged_position_means_reading_again(tmp_path: Path, position: bytes) -> None:
    spool = Spool(tmp_path, limit=ROOM)
    for number in range(5):
        spool.append(0, [entry(number)])
    chunk = spool.take(2)
    assert chunk is not None
    spool.done(chunk)
    spool.close()
    (tmp_path / "position").write_bytes(position)
    again = Spool(tmp_path, limit=ROOM)
    assert drain(again) == [0, 1, 2, 3, 4]
    again.close()


def test_the_limit_costs_the_oldest_trades_first(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit=20_000)
    for number in range(20):
        assert spool.append(1, [entry(number, table="bars", size=100)]).gone == []
    gone = Counter[str]()
    for number in range(300):
        appended = spool.append(0, [entry(number, count=2, size=100)])
        assert appended.taken == 1
        for each in appended.gone:
            gone += each.tables
    assert set(gone) == {"trades"}
    state = spool.state()
    assert state.rows == {"bars": 20, "trades": 600 - gone["trades"]}
    assert 15_000 < state.bytes <= 20_200
    for number in range(400):  # bars drive out trades, then each other
        for each in spool.append(1, [entry(number, table="bars", size=100)]).gone:
            gone += each.tables
    assert gone["trades"] == 600
    large = entry(1, size=6_000)  # no trades are left to give up for it
    assert spool.append(0, [large]).refusal == "the spool has reached its limit"
    numbers = drain(spool)
    assert numbers == list(range(400 - len(numbers), 400))
    spool.close()


def test_a_disk_that_fills_is_left_its_reserve(tmp_path: Path) -> None:
    free = [10_000]
    spool = Spool(tmp_path, limit=ROOM, keep_free=5_000, free=lambda _: free[0])
    assert spool.append(0, [entry(1)]).taken == 1
    free[0] = 5_000
    appended = spool.append(1, [entry(2, table="bars")])
    assert (appended.taken, appended.refusal) == (0, "the disk is nearly full")
    assert [each.tables for each in appended.gone] == [{"trades": 1}]
    free[0] = 10_000
    assert spool.append(1, [entry(3, table="bars")]).taken == 1
    assert drain(spool) == [3]
    spool.close()


class FullDisk:
    """Files on a disk that has room for some bytes, and takes a part of what does not fit."""

    def __init__(self, room: int) -> None:
        self.room = room

    def open(self, path: Path) -> IO[bytes]:
        return cast("IO[bytes]", FullFile(open_new(path), self))


class FullFile:
    def __init__(self, file: IO[bytes], disk: FullDisk) -> None:
        self._file = file
        self._disk = disk

    def write(self, data: bytes) -> int:
        if not self._disk.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._file.write(data[: self._disk.room])
        self._disk.room -= written
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@given(
    room=st.integers(0, 1500),
    sizes=st.lists(st.integers(4, 90), min_size=1, max_size=20),
)
@examples(15)
def test_a_full_disk_costs_what_is_told_and_nothing_else(room: int, sizes: list[int]) -> None:
    disk = FullDisk(room)
    with tempfile.TemporaryDirectory() as name:
        spool = Spool(Path(name), limit=800, open_file=disk.open)
        expected: list[int] = []
        for number, size in enumerate(sizes):
            appended = spool.append(0, [entry(number, size=size)])
            for gone in appended.gone:
                del expected[: gone.tables["trades"]]
            expected += [number] * appended.taken
            assert bool(appended.refusal) == (not appended.taken)
        spool.close()
        disk.room = ROOM
        again = Spool(Path(name), limit=ROOM)
        assert drain(again) == expected
        again.close()


def test_a_disk_that_fails_to_sync_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, limit=ROOM)
    spool.append(0, [entry(1)])
    synced: list[int] = []

    def fail(handle: int) -> None:
        synced.append(handle)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="Input/output"):
            spool.sync()
    assert synced
    spool.sync()  # it is tried again
    assert drain(spool) == [1]
    spool.close()


def test_what_is_synced_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    sync = os.fsync

    def note(handle: int) -> None:
        names.append(Path(f"/proc/self/fd/{handle}").resolve().name)
        sync(handle)

    monkeypatch.setattr(os, "fsync", note)
    spool = Spool(tmp_path, limit=16 * 100)
    for number in range(3):
        spool.append(0, [entry(number, size=80)])
    spool.sync()
    assert names == [f"0-{number:010}.seg" for number in (1, 2, 3)] + [tmp_path.name]
    spool.sync()
    assert len(names) == 4  # nothing new
    spool.close()


SECOND_PROCESS = """
import sys
from pathlib import Path
from market.errors import ConfigError
from sinks.spool import Spool
try:
    Spool(Path(sys.argv[1]), limit=1)
except ConfigError as error:
    print(error)
"""


def test_a_second_process_is_refused_with_a_message(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "store-0", limit=ROOM)
    root = Path(__file__).resolve().parents[2]

    def ask() -> str:
        command = [sys.executable, "-c", SECOND_PROCESS, str(tmp_path / "store-0")]
        return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout

    said = ask()
    assert f"in use by process {os.getpid()}" in said
    assert "CANDLEWAX_HOME" in said
    spool.close()
    assert ask() == ""


def test_a_folder_that_cannot_be_made_is_a_mistake_of_a_person(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot keep rows there"):
        Spool(tmp_path / "file" / "store-0", limit=ROOM)


def test_the_oldest_row_has_an_age(tmp_path: Path) -> None:
    spool = Spool(tmp_path, limit=ROOM)
    assert spool.state().oldest is None
    spool.append(0, [entry(number) for number in range(5)])
    spool.append(0, [entry(50)])
    assert spool.state().oldest == 1000
    chunk = spool.take(1)
    assert chunk is not None
    spool.done(chunk)
    assert spool.state().oldest == 1004  # never later than the true one
    assert look(tmp_path / "nowhere") == SpoolState({}, 0, None)
    spool.close()


def test_looking_while_it_is_drained_is_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, limit=ROOM)
    spool.append(0, [entry(1)])
    spool.close()
    glob: Callable[..., Any] = Path.glob
    seen: list[Path] = []

    def racing(folder: Path, pattern: str) -> list[Path]:
        found = list(glob(folder, pattern))
        if found and not seen:
            seen.extend(found)
            found[0].unlink()
        return found

    monkeypatch.setattr(Path, "glob", racing)
    looked = look(tmp_path)
    assert looked.bytes == 0
    assert seen
