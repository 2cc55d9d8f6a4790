"""Specs of the database are read with those of files, as one set."""

from pathlib import Path

import msgspec
import pytest

from filters.load import read_place
from filters.spec_set_error import SpecSetError
from filters.spec_store import StoredSpec
from filters.specs import digest_of, in_force

ONE = """\
id: {id}
source: {{stream: book, symbols: [BTC-USDT]}}
when: spread > {number}
"""
FILE = """\
version: 1
filters:
  - id: wide
    source: {stream: book, symbols: [BTC-USDT]}
    when: spread > 1
"""


def stored(ident: str, number: str = "1", *, is_enabled: bool = True) -> StoredSpec:
    return StoredSpec(id=ident, text=ONE.format(id=ident, number=number), is_enabled=is_enabled)


def test_both_homes_are_one_set(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(FILE)
    reading = read_place(tmp_path, stored=[stored("tight"), stored("off", is_enabled=False)])
    assert [spec.id for spec in reading.specs] == ["wide", "tight", "off"]
    assert [spec.id for spec in in_force(reading.specs)] == ["wide", "tight"]
    assert reading.places == {
        "wide": f"{tmp_path}/a.yaml:3",
        "tight": "database:tight:1",
        "off": "database:off:1",
    }


def test_a_mistake_in_the_database_is_told_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(SpecSetError) as raised:
        read_place(tmp_path, stored=[stored("tight", "x")])
    [error] = raised.value.errors
    assert str(error).startswith("database:tight:3:16: ")
    assert "    when: spread > x\n" in str(error)


def test_an_id_of_both_homes_is_an_error_that_names_both(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(FILE)
    with pytest.raises(SpecSetError) as raised:
        read_place(tmp_path, stored=[stored("wide")])
    [error] = raised.value.errors
    assert f"database:wide:1:5: id 'wide' is taken already, in {tmp_path}/a.yaml:3" in str(error)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "database:x: empty: expected one filter"),
        ("- 1", "database:x:1:1"),
        (ONE.format(id="y", number=1), "database:x:1:1: id 'y': it is kept as 'x'"),
        ("version: 1\nfilters: []\n", "unknown key 'version'"),
        ("a: &b {c: *b}", "database:x:1:11: an alias"),
    ],
)
def test_a_row_that_is_not_one_spec_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SpecSetError, match="database:x") as raised:
        read_place(tmp_path, stored=[StoredSpec(id="x", text=text)])
    assert said in str(raised.value)


def test_the_digest_is_of_what_is_in_force_whatever_the_order(tmp_path: Path) -> None:
    both = read_place(tmp_path, stored=[stored("a"), stored("b")]).specs
    assert digest_of(both) == digest_of(reversed(both))
    other = [both[0], msgspec.structs.replace(both[1], cooldown=1)]
    off = [both[0], msgspec.structs.replace(both[1], is_enabled=False)]
    assert len({digest_of(each) for each in (both, other, off, [])}) == 4
    assert digest_of(off) == digest_of(both[:1])


NAMES = """\
version: 1
define:
  tight: spread < 1
  dipped: rsi < 30
"""
USES = """\
id: uses
source: {stream: bar, symbols: [BTC-USDT], interval: 1m}
when: dipped and close > 1
"""


def test_a_spec_of_the_database_uses_what_files_define(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(NAMES)
    strategy = (
        "id: paper\nsource: {stream: bar, symbols: [BTC-USDT], interval: 1m}\n"
        "strategy: {entry: dipped, exit: not dipped, risk: {stop: 2%}}\n"
    )
    given = [StoredSpec(id="uses", text=USES), StoredSpec(id="paper", text=strategy)]
    uses, paper = read_place(tmp_path, stored=given).specs
    assert uses.when == "rsi(14) < 30 and close > 1"
    assert (paper.when, paper.until) == ("rsi(14) < 30", "not (rsi(14) < 30)")


def test_a_name_that_is_gone_is_told_at_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(NAMES.replace("dipped:", "dipping:").replace("tight", "t"))
    with pytest.raises(SpecSetError) as raised:
        read_place(tmp_path, stored=[StoredSpec(id="uses", text=USES)])
    assert str(raised.value) == (
        "database:uses:3:7: 'bar' has no field 'dipped'; did you mean 'dipping'?\n"
        "    when: dipped and close > 1\n"
        "          ^"
    )
    (tmp_path / "a.yaml").unlink()
    with pytest.raises(SpecSetError) as raised:
        read_place(
            tmp_path, stored=[StoredSpec(id="uses", text=USES.replace("dipped", "washed_out"))]
        )
    assert (
        "database:uses:3:7: 'bar' has no field 'washed_out', and no file defines a condition of"
        " this name\n" in str(raised.value)
    )


def test_a_name_of_two_meanings_is_refused_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(NAMES)
    (tmp_path / "b.yaml").write_text("version: 1\ndefine:\n  dipped: rsi(14) < 30\n")
    stored = [StoredSpec(id="uses", text=USES)]
    assert len(read_place(tmp_path, stored=stored).specs) == 1  # the same, said differently
    (tmp_path / "c.yaml").write_text("version: 1\ndefine: {dipped: rsi(14) < 20}\n")
    with pytest.raises(SpecSetError) as raised:
        read_place(tmp_path, stored=stored)
    assert (
        f"database:uses:3:7: 'dipped' cannot be used with `stream: bar`: {tmp_path}/a.yaml:4 and"
        f" {tmp_path}/c.yaml:2 define it in two ways\n" in str(raised.value)
    )


def test_a_name_of_another_stream_is_told_as_it_is_in_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(NAMES)
    with pytest.raises(SpecSetError, match="'tight' cannot be used with `stream: bar`"):
        read_place(tmp_path, stored=[StoredSpec(id="uses", text=USES.replace("dipped", "tight"))])


def test_a_mistake_of_one_that_is_switched_off_is_a_warning(tmp_path: Path) -> None:
    reading = read_place(
        tmp_path, stored=[StoredSpec(id="uses", text=USES, is_enabled=False), stored("tight")]
    )
    assert [spec.id for spec in reading.specs] == ["tight"]
    [warning] = reading.warnings
    assert str(warning).startswith("database:uses:3:7: ")
