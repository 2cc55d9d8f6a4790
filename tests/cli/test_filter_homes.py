"""`candlewax filters add`, `remove`, `enable`, `disable`, `list` and `why` as people call them."""

from pathlib import Path

import psycopg
import pytest

from cli.main import main
from tests.flows.test_spec_files import TEXT

FILE = "version: 1\nfilters:\n  - id: mine\n    source: {stream: book, symbols: [BTC-USDT]}\n"
LINE = "BTC-USDT close crosses_above 70000"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWAX_CONFIG", "CANDLEWAX_HOME", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    specs = tmp_path / "specs"
    specs.mkdir()
    (specs / "a.yaml").write_text(FILE + "    when: spread > 1\n")
    monkeypatch.setenv("CANDLEWAX__FILTERS__FOLDER", str(specs))
    return specs


@pytest.fixture
def with_database(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)


@pytest.mark.usefixtures("with_database")
def test_a_line_is_printed_as_yaml_and_kept_in_the_database(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["filters", "add", LINE, "--once", "--cooldown", "15m", "--to", "console"]) == 0
    told = capsys.readouterr()
    assert told.out == (
        "id: btc-usdt-close-crosses-above-70000\n"
        "source: {stream: bar, symbols: [BTC-USDT], interval: 1m}\n"
        'when: "close crosses_above 70000"\n'
        "cooldown: 15m\n"
        "once: true\n"
        "notify: [{to: console}]\n"
    )
    assert "added to database:btc-usdt-close-crosses-above-70000\n" in told.err
    assert main(["filters", "list"]) == 0
    shown = capsys.readouterr().out
    assert "  kept in   database:btc-usdt-close-crosses-above-70000:1\n" in shown
    assert "a.yaml:3\n" in shown
    assert shown.count("  state     no flow runs here\n") == 2
    for word, said in (("disable", "is switched off"), ("enable", "is in force")):
        assert main(["filters", word, "btc-usdt-close-crosses-above-70000"]) == 0
        assert said in capsys.readouterr().out
    assert main(["filters", "remove", "btc-usdt-close-crosses-above-70000"]) == 0
    assert capsys.readouterr().out == "removed database:btc-usdt-close-crosses-above-70000\n"
    assert main(["filters", "remove", "btc-usdt-close-crosses-above-70000"]) == 2
    assert "no filter 'btc-usdt-close-crosses-above-70000'" in capsys.readouterr().err


UNCHECKED = "whether their symbols are followed is not checked"


def test_a_check_says_that_it_cannot_know_what_is_followed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["filters", "check"]) == 0
    assert UNCHECKED in capsys.readouterr().out


@pytest.mark.usefixtures("with_database")
def test_a_check_warns_of_symbols_that_no_flow_has_followed(
    folder: Path, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO instruments VALUES ('v', 'ETH-USDT', 'E', 'ETH', 'USDT', 0, 0, 'spot')"
        )
    assert main(["filters", "check"]) == 0
    told = capsys.readouterr()
    assert f"warning: {folder}/a.yaml:4:38: 'BTC-USDT' is not followed" in told.err
    assert UNCHECKED not in told.out
    assert main(["filters", "check", str(folder / "a.yaml")]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert UNCHECKED in told.out


def test_a_line_is_kept_in_a_file_without_any_database(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["filters", "add", "BTC-USDT@5m rsi < 30", "--id", "low", "--file", "b.yaml"]) == 0
    assert (folder / "b.yaml").read_text() == (
        "version: 1\nfilters:\n  - id: low\n"
        "    source: {stream: bar, symbols: [BTC-USDT], interval: 5m}\n"
        '    when: "rsi < 30"\n'
    )
    assert main(["filters", "check"]) == 0
    assert main(["filters", "disable", "mine"]) == 0
    assert "enabled: false" in (folder / "a.yaml").read_text()
    assert main(["filters", "remove", "low"]) == 0
    assert [path.name for path in folder.iterdir()] == ["a.yaml"]
    assert not Path(".candlewax").exists(), "nobody has asked for a database"
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["BTC-USDT clos > 1"], "spec:1:10: 'bar' has no field 'clos'; did you mean 'close'"),
        ([LINE, "--for", "3 bars"], "for: a crossing is true at one moment only"),
        ([LINE, "--id", "mine"], "id 'mine' is taken already, in"),
        ([LINE, "--to", "telegram/none"], "unknown target 'telegram/none'"),
        ([LINE, "--severity", "loud"], "severity"),
    ],
)
def test_a_mistake_is_told_in_words_and_ends_with_2(
    words: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["filters", "add", *words, "--file", "b.yaml"]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert [path.name for path in folder.iterdir()] == ["a.yaml"]


def test_why_says_that_no_flow_runs_and_names_near_ids(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "b.yaml").write_text(
        "version: 1\nfilters:\n"
        + "".join(f"    {line}\n" for line in TEXT.splitlines()).replace("    id", "  - id", 1)
    )
    assert main(["filters", "why", "new", "btc/usdt"]) == 0
    told = capsys.readouterr().out
    assert "new: no flow runs here, or it has told nothing yet: `candlewax run`" in told
    assert "new has not fired on BTC-USDT" in told
    assert main(["filters", "why", "knew", "BTC-USDT"]) == 2
    assert "did you mean 'new'" in capsys.readouterr().err
