import json
import re
import time
from pathlib import Path

import psycopg
import pytest

from cli.main import main
from sinks.insertion import insert_alerts
from tests.fakes.killed_flow import alert_cells

HOUR = 3_600_000_000_000


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWAX_CONFIG", "CANDLEWAX_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fired(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", database)
    with psycopg.connect(database, autocommit=True) as connection:
        now = time.time_ns()
        rows = [
            alert_cells(number, now=now - (3 - number) * HOUR, targets=["console", "telegram/main"])
            for number in range(3)
        ]
        insert_alerts(connection, rows, notify=True)
        connection.execute("UPDATE outbox SET state = 'sent' WHERE alert_key = 'burst/0'")
        connection.execute(
            "INSERT INTO alert_endings VALUES ('burst/1', to_timestamp(%s))",
            ((now - HOUR) / 10**9,),
        )
        connection.execute(
            "UPDATE outbox SET state = 'digested', carried_by = 1"
            " WHERE alert_key = 'burst/1' AND target = 'console'"
        )
        connection.execute(
            "UPDATE outbox SET state = 'failed', error = 'blocked'"
            " WHERE alert_key = 'burst/1' AND target <> 'console'"
        )
    return database


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["alerts", "--json", *arguments]) == 0
    told: dict[str, object] = json.loads(capsys.readouterr().out)
    return told


def test_the_sums_of_a_target_add_up(fired: str, capsys: pytest.CaptureFixture[str]) -> None:
    targets = asked(capsys)["targets"]
    assert isinstance(targets, dict)
    assert list(targets) == ["console", "telegram/main"]
    for sums in targets.values():
        assert sums.pop("fired") == sum(sums.values()) == 3
    assert {state: n for state, n in targets["console"].items() if n} == {
        "sent": 1, "digested": 1, "pending": 1,
    }  # fmt: skip


def test_the_newest_come_first_and_since_cuts(
    fired: str, capsys: pytest.CaptureFixture[str]
) -> None:
    alerts = asked(capsys)["alerts"]
    assert isinstance(alerts, list)
    assert [alert["text"] for alert in alerts[::2]] == ["alert 2.", "alert 1.", "alert 0."]
    ended = [alert["ended_at"] is not None for alert in alerts[::2]]
    assert ended == [False, True, False]
    late = asked(capsys, "--since", "90m")
    assert isinstance(late["alerts"], list)
    assert [alert["text"] for alert in late["alerts"]] == ["alert 2.", "alert 2."]
    assert isinstance(late["targets"], dict)
    assert late["targets"]["console"]["fired"] == 1
    assert len(str(asked(capsys, "--rows", "1")["alerts"])) < 500


def test_a_person_reads_what_became_of_each(fired: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["alerts"]) == 0
    told = capsys.readouterr().out
    assert "digested in 1" in told
    assert "alert 1. (blocked)" in told
    over = [line.split()[3] for line in told.splitlines() if "alert 1." in line]
    assert all(re.fullmatch(r"[0-9:]{8}", each) for each in over)
    assert "over" in told
    assert main(["alerts", "ack", "2"]) == 0
    assert capsys.readouterr().out == "acknowledged 1 of 1\n"
    assert main(["alerts", "ack", "1"]) == 0  # it carries another one
    assert capsys.readouterr().out == "acknowledged 1 of 2\n"
    assert main(["alerts", "ack", "1"]) == 0
    assert capsys.readouterr().out == "was acknowledged before\n"


def test_no_alerts_is_said(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    assert main(["alerts"]) == 0
    assert capsys.readouterr().out == "no alerts\n"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--since", "soon"], "--since soon: expected a date such as"),
        (["--rows", "-1"], "--rows -1: expected 0 or more"),
        (["ack", "77"], "77: no such alert"),
    ],
)
def test_a_mistake_is_told(
    fired: str, capsys: pytest.CaptureFixture[str], arguments: list[str], error: str
) -> None:
    assert main(["alerts", *arguments]) == 2
    assert error in capsys.readouterr().err


def test_a_database_without_tables_is_told(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database)
    assert main(["alerts"]) == 2
    assert "candlewax db upgrade" in capsys.readouterr().err
