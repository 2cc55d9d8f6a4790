import json
from pathlib import Path

import psycopg
import pytest

from cli.main import main

PASSWORD = "hidden-hidden"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWAX_CONFIG", "CANDLEWAX_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_tables_are_made_and_counted(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database)
    assert main(["db", "status"]) == 0
    assert "schema version  none, newest 0004: `candlewax db upgrade`" in capsys.readouterr().out
    assert main(["db", "upgrade"]) == 0
    assert "schema version 0004" in capsys.readouterr().out
    with psycopg.connect(empty_database) as connection:
        connection.execute(
            "INSERT INTO instruments (venue, symbol, native, base, quote, tick, step, kind)"
            " VALUES ('v', 'A-B', 'AB', 'A', 'B', 0, 0, 'spot')"
        )
    assert main(["db", "status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema_version"] == told["schema_newest"] == "0004"
    assert told["rows"]["instruments"] == 1
    assert told["rows"]["trades"] == 0
    assert not told["embedded"]
    assert not Path(".candlewax").exists()


@pytest.mark.parametrize("command", ["status", "upgrade"])
def test_a_server_that_is_not_there_is_told_without_the_password(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{PASSWORD}@127.0.0.1:1/x")
    assert main(["db", command]) == 2
    told = capsys.readouterr()
    assert "127.0.0.1:1/x" in told.err
    assert PASSWORD not in told.out + told.err
