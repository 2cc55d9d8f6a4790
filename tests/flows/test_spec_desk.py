"""Specs that people add, switch and remove, in both homes."""

from collections.abc import Collection
from pathlib import Path

import pytest

from filters.one_line import Wishes
from filters.spec_set_error import SpecSetError
from flows.spec_desk import SpecDesk
from flows.spec_homes import SpecHomes
from market.errors import ConfigError, SpecError
from sinks.secret import Secret
from sinks.stored_specs import StoredSpecs

LINE = "BTC-USDT close crosses_above 70000"
FILE = """\
version: 1
filters:
  - id: wide
    source: {stream: book, symbols: [BTC-USDT]}
    when: spread > 1
"""


def check(names: Collection[str]) -> None:
    if "nowhere" in names:
        raise ConfigError("unknown target 'nowhere'")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.yaml").write_text(FILE)
    return tmp_path


@pytest.fixture
def desk(folder: Path, database: str) -> SpecDesk:
    homes = SpecHomes(folder, StoredSpecs(Secret(database)))
    return SpecDesk(homes, check=check, symbols=lambda: ("BTC-USDT", "ETH-BTC"))


def test_a_line_goes_into_the_database_and_is_one_of_the_set(desk: SpecDesk) -> None:
    added = desk.add(LINE, Wishes(once=True), by="ann")
    assert added.place == "database:btc-usdt-close-crosses-above-70000"
    assert added.spec.is_once
    assert added.notes == ()
    assert [spec.id for spec in desk.read().specs] == ["wide", added.spec.id]
    again = desk.add(LINE, Wishes(), by="ann")
    assert again.spec.id == f"{added.spec.id}-2"


def test_a_symbol_that_is_not_followed_is_noted(desk: SpecDesk) -> None:
    added = desk.add("ETH-USDT close > 5", Wishes(), by="ann")
    assert [note.partition(";")[0] for note in added.notes] == ["'ETH-USDT' is not followed"]


def test_a_line_goes_into_a_file_when_one_is_named(desk: SpecDesk, folder: Path) -> None:
    added = desk.add(LINE, Wishes(ident="mine"), by="ann", file="mine.yaml")
    assert added.place == str(folder / "mine.yaml")
    assert desk.read().places["mine"] == f"{folder}/mine.yaml:3"


@pytest.mark.parametrize("taken", ["wide", "stored"])
def test_an_id_of_either_home_is_refused(desk: SpecDesk, taken: str) -> None:
    desk.add(LINE, Wishes(ident="stored"), by="ann")
    with pytest.raises(ConfigError, match=f"id '{taken}' is taken already, in .*choose another"):
        desk.add(LINE, Wishes(ident=taken), by="ann")
    assert len(desk.read().specs) == 2


@pytest.mark.parametrize(
    ("line", "wishes", "said"),
    [
        ("BTC-USDT clos > 1", Wishes(), "spec:1:10: "),
        ("BTC-USDT rsi(14) > 100", Wishes(), "spec:1:"),
        (LINE, Wishes(cooldown="soon"), "cooldown: expected a time such as '15m'"),
        (LINE, Wishes(severity="high"), "severity"),
        (LINE, Wishes(ident="no way"), "id 'no way'"),
        (LINE, Wishes(to=("nowhere",)), "unknown target 'nowhere'"),
        (LINE, Wishes(hold="3 bars"), "for: a crossing is true at one moment only"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_kept(
    desk: SpecDesk, line: str, wishes: Wishes, said: str
) -> None:
    with pytest.raises((SpecError, SpecSetError, ConfigError)) as raised:
        desk.add(line, wishes, by="ann")
    assert said in str(raised.value)
    if said.startswith("spec:"):
        assert line in str(raised.value)
        assert str(raised.value).rstrip().endswith("^")
    assert [spec.id for spec in desk.read().specs] == ["wide"]


def test_a_line_uses_the_names_of_the_files(desk: SpecDesk, folder: Path) -> None:
    (folder / "b.yaml").write_text(
        "version: 1\ndefine: {dipped: rsi < 30, tight: spread < 1}\nfilters:\n"
    )
    (folder / "c.yaml").write_text("version: 1\nfilters: [{\n")  # a mistake, and no matter here
    assert desk.add("BTC-USDT dipped", Wishes(ident="one"), by="ann").spec.when == "rsi(14) < 30"
    assert desk.add("BTC-USDT tight", Wishes(), by="ann").spec.source.stream == "quote"
    with pytest.raises(SpecError, match=r"no field 'diped'; did you mean 'dipped'\?"):
        desk.add("BTC-USDT diped", Wishes(), by="ann")
    with pytest.raises(SpecError, match="'washed_out', and no file defines a condition of this"):
        desk.add("BTC-USDT washed_out", Wishes(), by="ann")
    added = desk.add("BTC-USDT dipped", Wishes(ident="two"), by="ann", file="b.yaml")
    assert added.spec.when == "rsi(14) < 30"
    with pytest.raises(SpecError, match=r"'washed_out', and a.yaml defines no condition of this"):
        desk.add("BTC-USDT washed_out", Wishes(), by="ann", file="a.yaml")


def test_a_symbol_that_nobody_follows_is_warned_of(desk: SpecDesk) -> None:
    [note] = desk.add("ETH-BTX > 1", Wishes(), by="ann").notes
    assert "ETH-BTX" in note
    assert "ETH-BTC" in note


def test_specs_of_both_homes_are_switched_and_removed(desk: SpecDesk, folder: Path) -> None:
    desk.add(LINE, Wishes(ident="stored"), by="ann")
    assert desk.switch("stored", is_enabled=False) == "database:stored"
    assert desk.switch("wide", is_enabled=False) == str(folder / "a.yaml")
    assert [spec.is_enabled for spec in desk.read().specs] == [False, False]
    assert desk.remove("stored") == "database:stored"
    assert desk.remove("wide") == str(folder / "a.yaml")
    assert desk.read().specs == ()
    with pytest.raises(ConfigError, match="no filter 'wide'"):
        desk.remove("wide")


def test_who_added_a_spec_may_forget_it_and_others_only_when_they_may_all(desk: SpecDesk) -> None:
    desk.add(LINE, Wishes(ident="stored"), by="ann")
    with pytest.raises(ConfigError, match="'stored' was added by ann"):
        desk.forget("stored", by="bob")
    with pytest.raises(ConfigError, match=r"'wide' is kept in a.yaml: delete it there"):
        desk.forget("wide", by=None)
    assert desk.forget("stored", by="ann") == "database:stored"
    desk.add(LINE, Wishes(ident="stored"), by="ann")
    assert desk.forget("stored", by=None) == "database:stored"


def test_without_a_database_the_files_alone_can_be_changed(folder: Path) -> None:
    desk = SpecDesk(SpecHomes(folder, None))
    with pytest.raises(ConfigError, match="there is no database to keep it in"):
        desk.add(LINE, Wishes(), by="ann")
    desk.add(LINE, Wishes(ident="mine"), by="ann", file="mine.yaml")
    assert [spec.id for spec in desk.read().specs] == ["wide", "mine"]
