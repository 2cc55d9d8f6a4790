"""Folders of spec files."""

from pathlib import Path

import pytest

import filters
from filters.load import load_files, load_specs, spec_files
from filters.spec_set_error import SpecSetError
from market.errors import ConfigError

SPEC = """version: 1
filters:
  - id: {id}
    source: {{stream: book, symbols: [BTC-USDT]}}
    when: spread > {number}
"""


def write(folder: Path, name: str, ident: str, number: str = "1") -> None:
    (folder / name).write_text(SPEC.format(id=ident, number=number), encoding="utf-8")


def test_the_shipped_specs_load() -> None:
    folder = Path(filters.__file__).parent / "specs"
    assert [spec.id for spec in load_specs(folder)] == ["dip"]


def test_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    write(tmp_path, "b.yaml", "second")
    write(tmp_path, "a.yml", "first")
    write(tmp_path, ".hidden.yaml", "hidden")
    write(tmp_path, "notes.txt", "text")
    (tmp_path / "folder.yaml").mkdir()
    assert [spec.id for spec in load_specs(tmp_path)] == ["first", "second"]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "version: 1\n", "version: 1\nfilters:\n"])
def test_nothing_in_a_folder_or_a_file_is_no_error(tmp_path: Path, text: str) -> None:
    assert load_specs(tmp_path) == ()
    (tmp_path / "empty.yaml").write_text(text, encoding="utf-8")
    assert load_specs(tmp_path) == ()


def test_everything_wrong_in_all_files_is_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "same")
    write(tmp_path, "b.yaml", "same", "wide")
    write(tmp_path, "c.yaml", "fine")
    (tmp_path / "d.yaml").write_bytes(b"version: 1\nfilters: \xff\n")
    with pytest.raises(SpecSetError) as caught:
        load_specs(tmp_path)
    told = [(Path(e.path).name, e.line, e.message) for e in caught.value.errors]
    assert told == [
        ("b.yaml", 3, f"id 'same' is taken already, in {tmp_path / 'a.yaml'}:3"),
        ("b.yaml", 5, "'book' has no field 'wide'; did you mean 'mid'?"),
        ("d.yaml", 2, "not UTF-8: save the file as UTF-8"),
    ]
    assert all(str(error) in str(caught.value) for error in caught.value.errors)


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_it(tmp_path: Path) -> None:
    text = SPEC.format(id="marked", number="1")
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8-sig")
    assert [spec.id for spec in load_specs(tmp_path)] == ["marked"]


def test_a_folder_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"filters\.folder"):
        spec_files(tmp_path / "nosuch")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecSetError, match="cannot be read"):
        load_files([tmp_path / "nosuch.yaml"])
