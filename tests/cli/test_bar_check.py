"""`candlewax db check --bars` on what a flow has stored, from the wire on."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from cli.bar_check import SHOWN
from cli.main import main
from filters.load import load_specs
from tests.end_to_end.flow_runs import ROOT
from tests.end_to_end.wire_recording import WireRun, record_wire

WHOLE = "NOT partial AND NOT gap AND count > 1"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> WireRun:
    """Trades of a simulated venue, and a lost connection."""
    return record_wire(
        tmp_path_factory.mktemp("recorded") / "wire.jsonl.gz",
        seconds=45,
        symbols=("BTC-USDT",),
        specs=load_specs(ROOT / "filters" / "specs"),
        faults="cut",
    )


@pytest.fixture
def stored(
    recorded: WireRun,
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> str:
    """Address of the database that the recording was imported into by the real flow."""
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWAX_CONFIG", "DATABASE_URL_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CANDLEWAX_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the flow processes
    monkeypatch.setenv("CANDLEWAX__STORE__RETENTION__TRADES_DAYS", "0")
    assert main(["import", str(recorded.path)]) == 0
    capsys.readouterr()
    return database


def change(dsn: str, statement: str) -> tuple[object, ...]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return row


def test_what_a_flow_stored_is_right_and_one_wrong_close_is_told(
    stored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["db", "check", "--bars"]) == 0
    shown = capsys.readouterr().out
    held = re.search(r"ok    (\d+) bars of 2 series are what the stored trades make", shown)
    assert held is not None
    assert int(held[1]) > 40
    # The bar that the lost connection cut was put right from the venue's past.
    assert "1 bars differ, or there is none, where trades may not have been seen" in shown
    bar = f"(SELECT start FROM bars WHERE {WHOLE} ORDER BY start OFFSET 20 LIMIT 1)"
    start, close = change(
        stored,
        f"UPDATE bars SET close = high + 1 WHERE \"interval\" = '1s' AND start = {bar} "
        "RETURNING start AT TIME ZONE 'UTC', close",
    )
    assert isinstance(start, datetime)
    assert main(["db", "check", "--bars"]) == 1
    shown = capsys.readouterr().out
    bad = [line for line in shown.splitlines() if line.startswith("bad ")]
    assert bad[0].startswith(
        f"bad   binance BTC-USDT 1s {start.isoformat()}+00:00 close: {close} in"
    )
    assert bad[1:] == [f"bad   1 of {held[1]} bars are not what the stored trades make"]
    # What is not asked for is not looked at.
    later = (start + timedelta(seconds=1)).isoformat()
    assert main(["db", "check", "--bars", "--since", later]) == 0


def test_a_bar_that_is_gone_and_a_trade_that_is_gone_are_told(
    stored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bar = f"(SELECT start FROM bars WHERE {WHOLE} ORDER BY start OFFSET 20 LIMIT 1)"
    (count,) = change(
        stored, f"DELETE FROM bars WHERE \"interval\" = '1s' AND start = {bar} RETURNING count"
    )
    assert main(["db", "check", "--bars"]) == 1
    assert f": no bar, and {count} trades" in capsys.readouterr().out
    change(
        stored,
        "DELETE FROM trades WHERE trade_id = (SELECT trade_id FROM trades WHERE time >= "
        f"{bar} ORDER BY time LIMIT 1) RETURNING 1",
    )
    assert main(["db", "check", "--bars"]) == 1
    shown = capsys.readouterr().out
    assert re.search(r" count: (\d+) in the bar, \d+ by the trades", shown)
    assert "bad   2 of " in shown


def test_much_that_is_wrong_is_counted_and_not_all_told(
    stored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(stored, "UPDATE bars SET high = high + 1, low = low - 1 RETURNING 1")
    assert main(["db", "check", "--bars"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("bad   binance") for line in lines) == SHOWN
    assert f"      only the first {SHOWN} differences are told" in lines


def test_bars_are_not_looked_at_in_tables_that_are_wrong(
    stored: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(stored, autocommit=True) as connection:
        connection.execute("ALTER TABLE bars RENAME COLUMN high TO highest")
        try:
            assert main(["db", "check", "--bars"]) == 1
        finally:
            connection.execute("ALTER TABLE bars RENAME COLUMN highest TO high")
    shown = capsys.readouterr().out
    assert "column bars.high is missing" in shown
    assert "the bars were not looked at" in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--since", "2h"], "--since is for --bars"),
        (["--bars", "--since", "never"], "--since never: expected a date"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["db", "check", *words]) == 2
    assert said in capsys.readouterr().err
