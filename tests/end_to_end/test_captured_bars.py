"""Bars of captured Binance trades, through the store, are what the database makes of them."""

from pathlib import Path

import pytest

from cli.main import main
from tests import captures as convert
from tests.end_to_end.flow_runs import ROOT
from tests.end_to_end.test_captures import HFTBACKTEST
from tests.fixtures_database import Servers


@pytest.fixture(autouse=True)
def _settings(
    servers: Servers, server_kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CANDLEWAX_CONFIG", raising=False)
    monkeypatch.setenv("CANDLEWAX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATABASE_URL", servers.make_whole(server_kind))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the flow processes
    monkeypatch.setenv("CANDLEWAX__STORE__RETENTION__TRADES_DAYS", "0")
    monkeypatch.setenv("CANDLEWAX__MARKET__BAR_INTERVALS", '["1s","10s","1m"]')


def test_bars_of_real_trades_are_right_though_many_come_in_one_moment(
    captures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = tmp_path / "trades.jsonl.gz"
    convert.write(convert.hftbacktest(captures / HFTBACKTEST), recording)
    assert main(["import", str(recording)]) == 0
    capsys.readouterr()
    assert main(["db", "check", "--bars"]) == 0
    # 964 of its moments have several trades. All are held but the first bar of a length.
    assert "ok    382 bars of 3 series are what" in capsys.readouterr().out
