"""Recordings: what is written is read again, whatever was cut off or damaged."""

import base64
import gzip
import json
import re
import zlib
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import VENUES
from connectors.drain import Drain
from connectors.playback import Playback
from connectors.recording import Kind, Record, Recording, RecordingWriter, merged
from market.errors import RecordingError
from tests.drawn_examples import examples

SECOND = 1_000_000_000

records = st.builds(
    Record,
    ts=st.integers(0, 2**63 - 1),
    conn=st.sampled_from(["", "binance-0-0", "binance-0-0.1", "kraken-1-0.12"]),
    kind=st.sampled_from([kind for kind in get_args(Kind) if kind != "http"]),
    body=st.binary(max_size=40) | st.text(max_size=20).map(str.encode),
) | st.builds(
    Record,
    ts=st.integers(0, 2**63 - 1),
    conn=st.just("binance-0-0.1"),
    kind=st.just("http"),
    body=st.binary(max_size=40),
    url=st.text(min_size=1, max_size=20),
    status=st.sampled_from([0, 200, 429]),
)


def write(path: Path, written: list[Record]) -> Path:
    writer = RecordingWriter(path)
    for record in written:
        writer.write(record)
    writer.close()
    assert writer.records == len(written)
    return path


@examples(40)
@given(st.lists(records, max_size=8), st.sampled_from([".jsonl", ".jsonl.gz"]))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, written: list[Record], ending: str
) -> None:
    path = write(tmp_path_factory.mktemp("r") / f"one{ending}", written)
    recording = Recording(path)
    read = list(recording)
    if not written and ending == ".jsonl":
        assert recording.truncated, "not even a first record"
    else:
        assert not recording.truncated
    assert [_as_read(record) for record in written] == read
    assert list(recording) == read, "it can be read again"


def _as_read(record: Record) -> Record:
    """Text that is no UTF-8 comes back as binary: a protocol makes no difference."""
    try:
        record.body.decode()
    except UnicodeDecodeError:
        kind = record.kind if record.kind == "http" else "binary"
        return Record(record.ts, record.conn, kind, record.body, record.url, record.status)
    return record


def test_a_line_is_what_the_documentation_says(tmp_path: Path) -> None:
    path = write(
        tmp_path / "r.jsonl",
        [
            Record(1, "binance-0-0.1", "text", '{"é":1}'.encode()),
            Record(2, "binance-0-0.1", "binary", b"\x00\xff"),
            Record(3, "binance-0-0.1", "http", b"{}", "https://x/y", 418),
            Record(4, "binance-0-0.1", "http", b"{}", "https://x/y"),
            Record(5, "binance-0-0", "heartbeat"),
            Record(6, "", "control", b"{}"),
        ],
    )
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"ts": 1, "conn": "binance-0-0.1", "kind": "text", "data": '{"é":1}'},
        {"ts": 2, "conn": "binance-0-0.1", "kind": "binary", "data": "AP8="},
        {"ts": 3, "conn": "binance-0-0.1", "kind": "http", "data": "{}", "url": "https://x/y",
         "status": 418},
        {"ts": 4, "conn": "binance-0-0.1", "kind": "http", "data": "{}", "url": "https://x/y"},
        {"ts": 5, "conn": "binance-0-0", "kind": "heartbeat"},
        {"ts": 6, "conn": "", "kind": "control", "data": "{}"},
    ]  # fmt: skip


def test_a_connection_belongs_to_its_feed() -> None:
    assert Record(1, "binance-0-0.12", "text").feed == "binance-0-0"
    assert Record(1, "binance-0-0", "heartbeat").feed == "binance-0-0"


# -- cut off ---------------------------------------------------------------------------------------


def _written(count: int) -> list[Record]:
    return [
        Record(number, "binance-0-0.1", "text", f'{{"trade":{number}}}'.encode())
        for number in range(count)
    ]


def test_a_plain_file_cut_at_any_length_gives_its_whole_lines(tmp_path: Path) -> None:
    written = _written(6)
    whole = write(tmp_path / "r.jsonl", written).read_bytes()
    cut = tmp_path / "cut.jsonl"
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        recording = Recording(cut)
        lines = whole[:length].count(b"\n")
        assert list(recording) == written[:lines]
        assert recording.truncated == (length == 0 or not whole[:length].endswith(b"\n"))


def test_a_gzip_file_cut_at_any_length_gives_all_that_can_be_unpacked(tmp_path: Path) -> None:
    written = _written(40)
    path = tmp_path / "r.jsonl.gz"
    writer = RecordingWriter(path)
    flushed: list[tuple[int, int]] = []
    for number, record in enumerate(written, start=1):
        writer.write(record)
        if number % 10 == 0:
            writer.flush()
            flushed.append((path.stat().st_size, number))
    writer.close()
    whole = path.read_bytes()
    cut = tmp_path / "cut.jsonl.gz"
    for length in range(len(whole)):
        cut.write_bytes(whole[:length])
        recording = Recording(cut)
        read = list(recording)
        assert recording.truncated
        assert read == written[: len(read)]
        unpacked = zlib.decompressobj(31).decompress(whole[:length])
        assert len(read) == unpacked.count(b"\n")
        assert len(read) >= max((count for size, count in flushed if size <= length), default=0)


def test_a_killed_recorder_loses_nothing_that_was_flushed(tmp_path: Path) -> None:
    """Much more than fits in any buffer between the file and the reader."""
    path = tmp_path / "r.jsonl.gz"
    writer = RecordingWriter(path)
    written = [Record(n, "binance-0-0.1", "text", b"x" * 500) for n in range(8000)]
    for record in written:
        writer.write(record)
    writer.flush()
    recording = Recording(path)
    assert list(recording) == written
    assert recording.truncated, "there is no end"
    writer.close()


def test_several_gzip_parts_are_one_recording(tmp_path: Path) -> None:
    written = _written(9)
    for at in (0, 3, 6):
        write(tmp_path / "r.jsonl.gz", written[at : at + 3])
    recording = Recording(tmp_path / "r.jsonl.gz")
    assert list(recording) == written
    assert not recording.truncated


# -- damaged ---------------------------------------------------------------------------------------


def test_damaged_gzip_data_says_where(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl.gz", _written(2000))
    whole = path.read_bytes()
    broken = 0
    for at in range(12, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            read = list(Recording(path))
        except RecordingError as error:
            broken += 1
            assert str(error).startswith(f"{path}:{error.line}: ")  # noqa: PT017
        else:
            assert read == _written(2000)[: len(read)]
    assert broken > 50


def test_what_follows_the_gzip_data_is_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl.gz", _written(3))
    path.write_bytes(path.read_bytes() + b"and more")
    with pytest.raises(RecordingError, match=r"r\.jsonl\.gz:4: damaged gzip data"):
        list(Recording(path))


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"{}",
        b"[]",
        b"",
        b"\xff\xfe",
        b'{"ts":"1","conn":"","kind":"text"}',
        b'{"ts":1,"conn":"","kind":"nonsense"}',
        b'{"ts":1,"conn":"","kind":"binary","data":"no base64!"}',
        b'{"ts":1,"conn":"","kind":"text","data":{}}',
        b'{"more":' + b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_bad_line_says_which(tmp_path: Path, line: bytes, *, packed: bool) -> None:
    good = write(tmp_path / "r.jsonl", _written(2)).read_bytes()
    path = tmp_path / ("bad.jsonl.gz" if packed else "bad.jsonl")
    path.write_bytes(
        gzip.compress(good + line + b"\n" + good) if packed else good + line + b"\n" + good
    )
    read: list[Record] = []
    with pytest.raises(RecordingError, match=rf"{path.name}:3: not a record: ") as caught:
        read.extend(Recording(path))
    assert caught.value.line == 3
    assert read == _written(2)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(("name", "reason"), [("none.jsonl", "No such file"), (".", "directory")])
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(RecordingError, match=f"cannot read the recording: .*{reason}"):
        list(Recording(tmp_path / name))


def test_an_empty_file_is_a_recording_that_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl.gz"
    path.touch()
    recording = Recording(path)
    assert list(recording) == []
    assert recording.truncated


def test_a_new_field_of_a_later_version_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    body = base64.b64encode(b"\x01").decode()
    path.write_text(
        json.dumps({"ts": 1, "conn": "c", "kind": "binary", "data": body, "x": 1}) + "\n"
    )
    assert list(Recording(path)) == [Record(1, "c", "binary", b"\x01")]


# -- several ---------------------------------------------------------------------------------------


@examples(15)
@given(st.lists(st.lists(st.integers(0, 30), max_size=8), min_size=1, max_size=4))
def test_several_are_read_by_time_and_each_in_its_own_order(
    tmp_path_factory: pytest.TempPathFactory, times: list[list[int]]
) -> None:
    folder = tmp_path_factory.mktemp("m")
    recordings = [
        Recording(
            write(
                folder / f"{number}.jsonl",
                [Record(ts, f"f-{number}.{at}", "text") for at, ts in enumerate(sorted(each))],
            )
        )
        for number, each in enumerate(times)
    ]
    read = list(merged(recordings))
    assert [record.ts for record in read] == sorted(ts for each in times for ts in each)
    for number, each in enumerate(times):
        own = [record.conn for record in read if record.feed == f"f-{number}"]
        assert own == [f"f-{number}.{at}" for at in range(len(each))]


# -- the documentation -----------------------------------------------------------------------------


def test_the_documented_recording_is_one(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "recording.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "documented.jsonl"
    path.write_text(block, encoding="utf-8")
    playback = Playback(VENUES)
    drain = Drain()
    told = []
    for record in Recording(path):
        events = playback.take(record)
        drain.add(record, events)
        told += [type(event).__name__ for event in events]
    assert told == ["FeedGap", "BookSnapshot", "BookDelta", "Heartbeat", "FeedGap", "FeedGap"]
    assert write(tmp_path / "again.jsonl", list(Recording(path))).read_text() == block
    for kind in get_args(Kind):
        assert f"`{kind}`" in text
