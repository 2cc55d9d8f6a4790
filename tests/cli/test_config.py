import json
from pathlib import Path

import pytest

from cli.main import main

TOKEN = "987654:AbCdEfGhIjKl"
PASSWORD = "hunter2hunter2"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWAX_CONFIG", "DATABASE_URL", "TELEGRAM_BOT_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_secrets_are_masked_and_their_source_is_told(
    form: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN)
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN_FILE", str(file))
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{PASSWORD}@h/d")
    assert main(["config", "show", *form]) == 0
    shown = capsys.readouterr().out
    assert TOKEN not in shown
    assert PASSWORD not in shown
    assert "***" in shown
    assert "TELEGRAM_BOT_TOKEN_FILE" in shown


def test_every_value_has_its_source(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("candlewax.toml").write_text(
        "[market]\ndepth = 7\n[feeds.binance]\nsymbols = ['BTC-USDT']\n"
    )
    monkeypatch.setenv("CANDLEWAX__LOG__LEVEL", "debug")
    assert main(["config", "show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["market.depth"]["value"] == "7"
    assert shown["market.depth"]["source"].endswith("candlewax.toml")
    assert shown["log.level"] == {"value": '"debug"', "source": "CANDLEWAX__LOG__LEVEL"}
    assert shown["market.features"]["source"] == "default"
    assert shown["DATABASE_URL"] == {"value": "not set", "source": ""}


@pytest.mark.parametrize("command", [["config", "show"], ["run"], ["filters", "list"]])
def test_a_wrong_primary_venue_ends_with_2_and_its_line(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("candlewax.toml").write_text(
        "[feeds.bybit]\nsymbols = ['BTC-USDT']\nsimulated = true\n[market]\nprimary = ['bybitt']\n"
    )
    assert main(command) == 2
    told = capsys.readouterr()
    assert (
        "candlewax.toml:5: market.primary: 'bybitt' is no venue of [feeds]; did you mean 'bybit'?"
        in told.err
    )
    assert "Traceback" not in told.err


def test_a_wrong_file_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("candlewax.toml").write_text("[market]\ndepht = 7\n")
    assert main(["config", "show"]) == 2
    assert "unknown key 'market.depht'; did you mean 'depth'?" in capsys.readouterr().err
