"""The file of messages that no one understood."""

import json
import logging
from pathlib import Path

import pytest

from connectors import dead_letters
from connectors.contract import DeadLetter
from connectors.dead_letters import FRAME_BYTES, DeadLetterFile


def letter(
    frame: bytes = b'{"e":"news"}',
    reason: str = "unknown event news",
    ts: int = 1_700_000_000_000_000_000,
) -> DeadLetter:
    return DeadLetter("binance", reason, frame, ts)


def lines(folder: Path) -> list[dict[str, object]]:
    [path] = folder.iterdir()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_letters_are_kept_as_lines(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "for it"
    file = DeadLetterFile(folder, "worker-0")
    assert not folder.exists()
    file.write([letter(), letter(b"\xff\x00")])
    file.write([letter()])
    assert [path.name.startswith("worker-0-") for path in folder.iterdir()] == [True]
    assert lines(folder)[:2] == [
        {"ts": 1_700_000_000_000_000_000, "venue": "binance", "reason": "unknown event news",
         "frame": '{"e":"news"}'},
        {"ts": 1_700_000_000_000_000_000, "venue": "binance", "reason": "unknown event news",
         "frame": "\ufffd\x00"},
    ]  # fmt: skip
    assert len(lines(folder)) == 3


def test_a_long_frame_is_cut(tmp_path: Path) -> None:
    DeadLetterFile(tmp_path, "w").write([letter(b"x" * 10 * FRAME_BYTES)])
    [line] = lines(tmp_path)
    assert line["frame"] == "x" * FRAME_BYTES


def test_the_file_does_not_grow_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "MOST_BYTES", 1000)
    file = DeadLetterFile(tmp_path, "w")
    for _ in range(100):
        file.write([letter()])
    [path] = tmp_path.iterdir()
    size = path.stat().st_size
    assert 1000 <= size < 1200
    DeadLetterFile(tmp_path, "w").write([letter()])
    assert path.stat().st_size == size, "also after a restart"


def test_a_process_that_runs_for_days_has_a_file_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "MOST_BYTES", 1)
    file = DeadLetterFile(tmp_path, "w")
    for day in (0, 0, 1):
        file.write([letter(ts=1_700_000_000_000_000_000 + day * 86_400_000_000_000)])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["w-20231114.jsonl", "w-20231115.jsonl"]
    for name in names:
        assert (tmp_path / name).read_bytes().count(b"\n") == 1


def test_no_room_for_letters_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    file = DeadLetterFile(tmp_path / "file" / "inside", "w")
    with caplog.at_level(logging.WARNING, "connectors.dead_letters"):
        for _ in range(3):
            file.write([letter()])
    assert [record.message for record in caplog.records] == ["cannot keep dead letters"]
