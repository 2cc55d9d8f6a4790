"""`candlewax filters positions`: the last signal of each strategy and series."""

import json

import psycopg
import pytest

from cli.main import main
from filters.alerts import Alert
from sinks.insertion import insert
from sinks.rows import alert_row, pack, unpack
from sinks.tables import TABLES
from tests.filters.test_strategy import LONG, bar, run, spec_of


@pytest.fixture
def configured(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.delenv("CANDLEWAX_CONFIG", raising=False)
    return database


def store(address: str, alerts: list[Alert]) -> None:
    with psycopg.connect(address) as connection:
        rows = unpack(pack("alerts", [alert_row(alert) for alert in alerts]))
        insert(connection, TABLES["alerts"], rows)


def test_what_is_held_and_what_it_came_to(
    configured: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["filters", "positions"]) == 0
    assert "no strategy has given a signal yet" in capsys.readouterr().err
    alerts = run(spec_of(LONG), bar(0, 100, 20), bar(1, 102, 75), bar(2, 100), bar(3, 101, 20))
    store(configured, alerts[:2])
    assert main(["filters", "positions"]) == 0
    told = capsys.readouterr().out
    assert told == "s  binance:BTC-USDT 1s: flat; 1 closed (1 won), +100.00\n"
    store(configured, alerts[2:])
    assert main(["filters", "positions", "--json"]) == 0
    (held,) = json.loads(capsys.readouterr().out)["positions"]
    assert (held["is_open"], held["side"], held["entry"], held["closed"]) == (True, "long", 101, 1)
    assert main(["filters", "positions"]) == 0
    assert ": long 49.505 at 101, now 101 (+0.00), stop 98.98" in capsys.readouterr().out
