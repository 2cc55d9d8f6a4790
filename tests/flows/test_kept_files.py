import os
from pathlib import Path

import pytest

from flows.home import Home
from flows.kept_files import IN_USE_S, prune, prune_home
from sinks.settings import RetentionSettings

NOW = 1_700_000_000.0


def write(folder: Path, name: str, size: int, *, age: float) -> Path:
    path = folder / name
    path.write_bytes(b"x" * size)
    os.utime(path, (NOW - age, NOW - age))
    return path


def test_the_oldest_go_until_the_rest_is_within_the_limit(tmp_path: Path) -> None:
    old = write(tmp_path, "b", 40, age=5 * IN_USE_S)
    older = write(tmp_path, "c", 40, age=6 * IN_USE_S)
    young = write(tmp_path, "a", 40, age=4 * IN_USE_S)
    assert prune(tmp_path, 80, now=NOW) == [older]
    assert prune(tmp_path, 80, now=NOW) == []
    assert prune(tmp_path, 79, now=NOW) == [old]
    assert young.exists()


def test_what_may_be_open_stays_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_file = write(tmp_path, "open", 100, age=IN_USE_S / 2)
    closed = write(tmp_path, "closed", 100, age=2 * IN_USE_S)
    assert prune(tmp_path, 10, now=NOW) == [closed]
    assert open_file.exists()
    assert "none of them can go" in caplog.text


def test_without_a_limit_or_a_folder_nothing_goes(tmp_path: Path) -> None:
    write(tmp_path, "a", 100, age=2 * IN_USE_S)
    assert prune(tmp_path, 0, now=NOW) == []
    assert prune(tmp_path / "nowhere", 1, now=NOW) == []


def test_a_link_is_no_file_of_ours(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    outside = write(tmp_path, "outside", 100, age=2 * IN_USE_S)
    (tmp_path / "inside" / "link").symlink_to(outside)
    assert prune(tmp_path / "inside", 1, now=NOW) == []
    assert outside.exists()


def test_recordings_and_dead_letters_have_limits_of_their_own(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    recording = write(home.recordings, "r.jsonl.gz", 2000, age=2 * IN_USE_S)
    letter = write(home.dead, "d.jsonl", 2000, age=2 * IN_USE_S)
    settings = RetentionSettings(recordings_gb=3e-6, dead_letters_gb=1e-6)
    assert prune_home(home, settings) == [letter]
    assert recording.exists()
    assert prune_home(home, RetentionSettings(recordings_gb=1e-6)) == [recording]
