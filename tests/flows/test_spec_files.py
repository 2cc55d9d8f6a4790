"""Small changes of files that people write keep everything else of them."""

from pathlib import Path

import pytest

from filters.load import read_place
from flows.spec_files import add_to_file, other_ids, remove_file_of, switch_in_file
from market.errors import ConfigError

BLOCK = """\
version: 1
filters:
  # the first
  - id: one   # its name
    source: {stream: book, symbols: [BTC-USDT]}
    when: >
      spread
      > 1
  - source: {stream: book, symbols: [BTC-USDT]}
    id: "two"
    enabled: false # off
    when: spread > 2
  - {id: three, source: {stream: book, symbols: [BTC-USDT]}, when: spread > 3}
"""
TEXT = "id: new\nsource: {stream: book, symbols: [BTC-USDT]}\nwhen: spread > 9\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.yaml"
    path.write_text(BLOCK)
    return path


def states(path: Path) -> dict[str, bool]:
    return {spec.id: spec.is_enabled for spec in read_place(path).specs}


@pytest.mark.parametrize("ident", ["one", "two", "three"])
def test_a_spec_is_switched_and_every_other_line_stays(file: Path, ident: str) -> None:
    before = states(file)
    switch_in_file(file, ident, is_enabled=not before[ident])
    assert states(file) == {**before, ident: not before[ident]}
    kept = [line for line in BLOCK.splitlines() if line not in file.read_text().splitlines()]
    assert len(kept) <= 1
    switch_in_file(file, ident, is_enabled=before[ident])
    assert states(file) == before
    assert [line for line in file.read_text().splitlines() if "#" in line] == [
        line for line in BLOCK.splitlines() if "#" in line
    ]


def test_a_first_key_whose_value_takes_lines_is_left_whole(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(
        "version: 1\nfilters:\n  - when: >\n      spread > 1\n    id: odd\n"
        "    source: {stream: book, symbols: [BTC-USDT]}\n"
    )
    switch_in_file(path, "odd", is_enabled=False)
    assert states(path) == {"odd": False}


def test_what_cannot_be_switched_safely_is_named_and_left(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    text = BLOCK.replace("enabled: false # off", 'enabled: "false"')
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"odd.yaml:9: write 'enabled: true' into 'two' by hand"):
        switch_in_file(path, "two", is_enabled=True)
    assert path.read_text() == text


def test_a_spec_is_added_to_a_new_file_and_to_the_end_of_one(file: Path) -> None:
    folder = file.parent
    assert add_to_file(folder, "mine.yaml", TEXT) == folder / "mine.yaml"
    assert states(folder / "mine.yaml") == {"new": True}
    add_to_file(folder, "some.yaml", TEXT)
    assert list(states(file)) == ["one", "two", "three", "new"]
    assert file.read_text().startswith(BLOCK)


@pytest.mark.parametrize("name", ["../out.yaml", "a/b.yaml", "x.txt", ".x.yaml", ""])
def test_a_file_of_another_place_or_kind_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="expected the name of a file in"):
        add_to_file(tmp_path, name, TEXT)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    ["version: 1\nfilters: []\n", "filters:\n  - {id: }\n", BLOCK + "define: {a: close > 1}\n"],
)
def test_a_file_that_does_not_end_with_its_list_is_left(tmp_path: Path, text: str) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        add_to_file(tmp_path, "odd.yaml", TEXT)
    assert path.read_text() == text


def test_a_file_is_removed_only_when_the_spec_stands_there_alone(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"some.yaml:9: 'two' stands in a file with others"):
        remove_file_of(file, "two")
    mine = add_to_file(file.parent, "mine.yaml", TEXT)
    remove_file_of(mine, "new")
    assert [path.name for path in file.parent.iterdir()] == ["some.yaml"]


def test_ids_of_a_file_with_mistakes_are_not_known(file: Path) -> None:
    (file.parent / "bad.yaml").write_text("version: 2\n")
    assert other_ids(file.parent) == {"one", "two", "three"}
