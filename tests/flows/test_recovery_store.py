from pathlib import Path

import pytest

from flows.recovery_store import prepare


def test_a_store_is_made_once_and_then_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "recovery"
    assert prepare(folder, partitions=3) is None
    files = sorted(file.name for file in folder.iterdir())
    assert files == [f"part-{number}.sqlite3" for number in range(3)]
    inodes = [file.stat().st_ino for file in sorted(folder.iterdir())]
    assert prepare(folder) is None
    assert [file.stat().st_ino for file in sorted(folder.glob("*.sqlite3"))] == inodes


def broken_text(folder: Path) -> None:
    (folder / "part-0.sqlite3").write_bytes(b"this is no database at all" * 100)


def missing_part(folder: Path) -> None:
    (folder / "part-1.sqlite3").unlink()


def cut_part(folder: Path) -> None:
    whole = (folder / "part-0.sqlite3").read_bytes()
    (folder / "part-0.sqlite3").write_bytes(whole[: len(whole) // 2])


def empty_part(folder: Path) -> None:
    (folder / "part-0.sqlite3").write_bytes(b"")


@pytest.mark.parametrize("damage", [broken_text, missing_part, cut_part, empty_part])
def test_a_store_that_cannot_be_used_is_moved_away(
    tmp_path: Path, damage: object, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "recovery"
    prepare(folder, partitions=2)
    assert callable(damage)
    damage(folder)
    moved = prepare(folder, partitions=2)
    assert moved is not None
    assert moved.is_dir()
    assert "moved away" in caplog.text
    assert prepare(folder) is None


def test_two_stores_moved_in_the_same_second_are_both_kept(tmp_path: Path) -> None:
    folder = tmp_path / "recovery"
    moved = set()
    for _ in range(3):
        prepare(folder, partitions=2)
        missing_part(folder)
        moved.add(prepare(folder, partitions=2))
    assert len(moved) == 3
