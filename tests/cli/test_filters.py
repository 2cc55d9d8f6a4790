import json
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
    told = capsys.readouterr()
    assert "21 specs (20 switched off), no mistake" in told.out
    assert told.err == ""


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
    assert "at the primary venue of each symbol (binance)" in shown


def test_the_shipped_specs_do_what_their_tests_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["filters", "test"]) == 0
    told = capsys.readouterr().out
    assert "32 tests of 21 specs, 0 failed" in told
    assert "without tests" not in told


FAILS = """\
version: 1
filters:
  - id: low
    source: {stream: bar, symbols: [BTC-USDT], interval: 1m}
    when: rsi(14) < 30
    tests:
      - {name: falls, given: {rsi(14): [35, 29, 28]}, fires: [3]}
  - id: untested
    source: {stream: bar, symbols: [BTC-USDT], interval: 1m}
    when: close > 1
"""


def test_a_test_that_fails_says_what_it_saw(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.yaml").write_text(FAILS)
    assert main(["filters", "test", "bad.yaml"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "bad.yaml:3: low, test falls: fires at 2, expected 3",
        "  moment 2: rsi(14) 29",
        "  moment 3: rsi(14) 28",
        "bad.yaml: 1 test of 2 specs, 1 failed",
        "without tests: untested",
    ]


def test_a_test_that_cannot_go_on_has_failed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("filters.spec_test_reader.LARGEST", 1e308)
    text = FAILS.replace("rsi(14): [35, 29, 28]", "close: [1, 1e301]").replace("[3]", "[]")
    Path("bad.yaml").write_text(text)
    assert main(["filters", "test", "bad.yaml"]) == 1
    failed, summary, _ = capsys.readouterr().out.splitlines()
    assert failed.startswith("bad.yaml:3: low, test falls: cannot go on at moment 2: ")
    assert failed.endswith("an indicator got 1e+301: expected a finite number")
    assert summary == "bad.yaml: 1 test of 2 specs, 1 failed"


def test_a_warning_is_told_and_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    Path("odd.yaml").write_text(BAD.replace("rsii(14) < 15", "rsi < 30 and rsi > 70"))
    assert main(["filters", "check", "odd.yaml"]) == 0
    told = capsys.readouterr()
    assert "warning: odd.yaml:5:11: 'rsi(14)' cannot be < 30 and > 70 at once" in told.err
    assert "1 spec, no mistake, 1 to look at" in told.out


@pytest.mark.parametrize("stream", ["bar", "book", "trade", "quote"])
def test_the_fields_of_a_stream_are_told(stream: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["filters", "fields", stream]) == 0
    told = capsys.readouterr().out
    example = {"bar": "rsi(14)", "book": "book.imbalance(10)", "trade": "side", "quote": "bid_size"}
    assert f"stream: {stream}" in told
    assert example[stream] in told
    assert ("rsi(14)" in told) == (stream == "bar")


def test_an_unknown_stream_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["filters", "fields", "trades"]) == 2
    assert "did you mean 'trade'?" in capsys.readouterr().err


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["filters", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["version"] == {"const": 1}


def test_an_empty_folder_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    Path("specs").mkdir()
    assert main(["filters", "list", "specs"]) == 0
    assert "no spec; `candlewax init`" in capsys.readouterr().err
