from pathlib import Path

import pytest

from cli.main import main

BAD = """\
version: 1
filters:
  - id: dip
    source: {stream: bar, symbols: [BTC-USDT], interval: 1m}
    when: rsii(14) < 15
    notify: [{to: default}]
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CANDLEWAX_CONFIG", raising=False)


def test_the_shipped_specs_have_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["filters", "check"]) == 0
    assert "1 spec, no mistake" in capsys.readouterr().out


@pytest.mark.parametrize("place", ["specs", "specs/bad.yaml"])
def test_a_mistake_is_told_with_its_place(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("specs").mkdir()
    Path("specs/bad.yaml").write_text(BAD)
    assert main(["filters", "check", place]) == 2
    told = capsys.readouterr().err
    assert "bad.yaml:5:11" in told
    assert "rsi" in told
    assert "Traceback" not in told


def test_specs_are_listed_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["filters", "list"]) == 0
    shown = capsys.readouterr().out
    assert "dip" in shown
    assert "rsi(14) < 15" in shown


def test_an_empty_folder_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    Path("specs").mkdir()
    assert main(["filters", "list", "specs"]) == 0
    assert "no spec; `candlewax init`" in capsys.readouterr().err
