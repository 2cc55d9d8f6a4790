import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from cli.main import main

NOW = datetime.now(UTC)
SEQUENCE = "sequence: expected U <= {}, got {}"
GAPS = [
    ("binance", "BTC-USDT", "book", 7200, 7198, SEQUENCE.format(8, 11)),
    ("binance", "ETH-USDT", "book", 600, 598.5, SEQUENCE.format(4711, 4900)),
    ("bybit", "BTC-USDT", "all", 60, None, "closed: [1006] by the venue"),
    ("", "", "store", 30, 20, "the database was away"),
]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWAX_CONFIG", "CANDLEWAX_HOME"):
        monkeypatch.delenv(name, raising=False)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@pytest.fixture
def ledger(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO instruments (venue, symbol, native, base, quote, tick, step, kind)"
            " VALUES ('binance', 'BTC-USDT', 'BTCUSDT', 'BTC', 'USDT', 0, 0, 'spot')"
        )
        for venue, symbol, channel, started, ended, reason in GAPS:
            connection.execute(
                "INSERT INTO gaps (venue, symbol, channel, started_at, ended_at, reason)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                (venue, symbol, channel, ago(started), ended and ago(ended), reason),
            )
    return database


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    assert main(["gaps", "--json", *arguments]) == 0
    told: dict[str, list[dict[str, object]]] = json.loads(capsys.readouterr().out)
    return told["gaps"]


def test_every_interval_is_told_with_its_cause(
    ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = asked(capsys)
    assert [(row["venue"], row["symbol"], row["channel"], row["reason"]) for row in found] == [
        (venue, symbol, channel, reason) for venue, symbol, channel, _, _, reason in GAPS
    ]
    assert found[0]["cause"] == "sequence: expected U <= N, got N"
    assert found[0]["seconds"] == 2.0
    assert found[2]["to"] is None
    assert 59 < float(str(found[2]["seconds"])) < 600
    assert datetime.fromisoformat(str(found[1]["from"])) - ago(600) < timedelta(milliseconds=1)


def test_totals_are_told_for_each_cause(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gaps", "--json", "--venue", "binance"]) == 0
    assert json.loads(capsys.readouterr().out)["totals"] == [
        {"cause": "sequence: expected U <= N, got N", "gaps": 2, "open": 0, "seconds": 3.5}
    ]


@pytest.mark.parametrize(
    ("arguments", "which"),
    [
        (["--symbol", "btcusdt"], [0, 2]),
        (["--symbol", "bybit:BTC-USDT"], [2]),
        (["--symbol", "ETH/USDT,btcusdt", "--venue", "Binance"], [0, 1]),
        (["--venue", "binance,bybit"], [0, 1, 2]),
        (["--since", "1h"], [1, 2, 3]),
        (["--since", "10s"], [2]),
        (["--since", ago(599).isoformat()], [1, 2, 3]),
        (["--since", ago(25).strftime("%Y-%m-%dT%H:%M:%S")], [2, 3]),
    ],
)
def test_what_is_asked_for_is_told(
    arguments: list[str], which: list[int], ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = asked(capsys, *arguments)
    assert [row["reason"] for row in found] == [GAPS[number][5] for number in which]


def test_people_read_a_table(ledger: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gaps"]) == 0
    lines = capsys.readouterr().out.splitlines()
    [open_one] = [line for line in lines if "[1006]" in line]
    assert ago(60).strftime("%Y-%m-%d %H:%M:%S") in open_one
    assert " open " in open_one
    [whole] = [line.split() for line in lines if line.split()[:1] == ["all"]]
    assert whole[1:3] == ["4", "1"]
    [total] = [line for line in lines if line.split()[:1] == ["sequence:"]]
    assert total.split()[-3:] == ["2", "0", "3.5"]


def test_few_rows_are_shown_and_all_are_counted(
    ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gaps", "--rows", "1"]) == 0
    out = capsys.readouterr().out
    assert "the newest 1 of 4; `--rows 0` shows all" in out
    assert "4711" not in out
    assert main(["gaps", "--rows", "0"]) == 0
    assert "4711" in capsys.readouterr().out


def test_no_gap_is_good_news(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    assert main(["gaps", "--since", "1h"]) == 0
    assert capsys.readouterr().out == "no gaps since 1h\n"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--since", "yesterday"], "--since yesterday: expected a date such as 2026-11-20"),
        (["--symbol", "btcusd"], "unknown symbol 'btcusd'; did you mean BTC-USDT"),
        (["--venue", "krakn"], "--venue krakn: nothing of it was stored; there is binance, bybit"),
        (["--rows", "-1"], "--rows -1: expected 0 or more"),
        (["--sybol", "x"], "Unknown option"),
    ],
)
def test_a_mistake_is_told_in_words(
    arguments: list[str], expected: str, ledger: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gaps", *arguments]) == 2
    assert expected in capsys.readouterr().err


def test_a_database_without_tables_is_told(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database)
    assert main(["gaps"]) == 2
    assert "no tables yet: `candlewax db upgrade` makes them" in capsys.readouterr().err


def test_the_command_runs_by_itself(ledger: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cli.main", "gaps", "--symbol", "eth-usdt"]
    root = Path(__file__).resolve().parent.parent.parent
    environ = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environ, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "got 4900" in done.stdout
    done = subprocess.run(
        [*command[:-1], "no-such"],
        capture_output=True, text=True, cwd=tmp_path, env=environ, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
