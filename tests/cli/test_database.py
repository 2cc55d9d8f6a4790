import json
import re
from pathlib import Path

import psycopg
import pytest

from cli.main import main
from migrations.schema_version import current, newest, revisions
from migrations.storage import ServerKind, StorageReport, StorageStep
from migrations.storage.server import Server
from migrations.upgrade import upgrade
from sinks.store_connection import complete, connect
from tests.fakes.community_catalogue import chunk_by_day, pretend
from tests.fixtures_database import Servers

PASSWORD = "hidden-hidden"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWAX_CONFIG", "CANDLEWAX_HOME", "DATABASE_ADMIN_URL", "DATABASE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


def test_the_tables_are_made_and_counted(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database)
    assert main(["db", "status"]) == 0
    assert (
        f"schema version  none, newest {newest()}: `candlewax db upgrade`"
        in capsys.readouterr().out
    )
    assert main(["db", "upgrade"]) == 0
    assert f"schema version {newest()}" in capsys.readouterr().out
    with psycopg.connect(empty_database) as connection:
        connection.execute(
            "INSERT INTO instruments (venue, symbol, native, base, quote, tick, step, kind)"
            " VALUES ('v', 'A-B', 'AB', 'A', 'B', 0, 0, 'spot')"
        )
    assert main(["db", "status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema_version"] == told["schema_newest"] == newest()
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


def test_an_upgrade_puts_history_into_the_aggregates(
    plain_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", plain_database)
    upgrade(plain_database)
    with psycopg.connect(plain_database, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        pretend(connection)
        connection.execute(OLD_TRADES)
        chunk_by_day(connection)
    step = StorageStep("history of trades_1m", is_done=False, reason="trades are not in it")
    report = StorageReport(Server(ServerKind.COMMUNITY, "17.1", "2.29.2"), (step,))
    monkeypatch.setattr("flows.embedded.prepare_database", lambda *_: report)
    assert main(["db", "upgrade"]) == 0
    shown = capsys.readouterr().out
    assert "off  history of trades_1m: trades are not in it" in shown
    # Of a hundred days those are left out that go after thirty, and those that the policies see.
    days = re.findall(r"^(trades_\w+): (\d+) days or parts of one put in$", shown, re.MULTILINE)
    assert [name for name, _ in days] == ["trades_1m", "trades_5m", "trades_1h"]
    assert [int(number) for _, number in days] == sorted((int(n) for _, n in days), reverse=True)
    assert 27 <= int(days[0][1]) <= 30
    assert count(plain_database, "trades_1m") in {27, 28, 29}
    assert main(["db", "upgrade"]) == 0
    assert "trades_1m: 0 days or parts of one put in" in capsys.readouterr().out


OLD_TRADES = (
    "INSERT INTO trades SELECT 'v', 'A-B', now() - n * interval '1 day', n::text, 1, 1, 'buy', "
    "now() FROM generate_series(0, 99) AS n"
)


@pytest.fixture
def fresh(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a database with the schema, which the command is told of."""
    monkeypatch.setenv("DATABASE_URL", fresh_database)
    return fresh_database


def count(dsn: str, table: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
    assert row is not None
    return int(row[0])


def test_the_status_names_the_server_and_what_is_on_and_off(
    fresh: str, server_kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["db", "status"]) == 0
    shown = capsys.readouterr().out
    if server_kind == "embedded":
        assert "server          PostgreSQL 1" in shown
        assert "TimescaleDB     not there: plain tables" in shown
        assert "on   index trades_time_brin: there" in shown
        assert "off  columnstore: plain PostgreSQL does not have it" in shown
        assert "on   retention trades: 30 days, by DELETE in batches" in shown
    if server_kind == "timescaledb":
        assert "server          TimescaleDB Apache 17." in shown
        assert "TimescaleDB     2.19." in shown
        assert "on   hypertable trades: there" in shown
        assert "off  columnstore: the Apache edition does not have it" in shown
        assert "off  continuous aggregates: the Apache edition does not have them" in shown
        assert "on   retention trades: 30 days, by drop_chunks" in shown
    assert "on   retention bars: rows stay for ever" in shown
    assert main(["db", "status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["bytes"]) == set(told["rows"])
    assert told["bytes"]["trades"] > 0
    assert told["estimated"] == []
    assert {step["what"]: step["is_done"] for step in told["steps"]}["columnstore"] is False


def test_the_rows_of_a_large_table_are_estimated_unless_they_shall_be_exact(
    fresh: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(fresh, autocommit=True) as connection:
        connection.execute(OLD_TRADES)
        connection.execute("ANALYZE trades")
    monkeypatch.setattr("migrations.table_rows.EXACT_BYTES", 0)
    assert main(["db", "status"]) == 0
    assert "         ~100  trades " in capsys.readouterr().out
    assert main(["db", "status", "--json"]) == 0
    assert "trades" in json.loads(capsys.readouterr().out)["estimated"]
    assert main(["db", "status", "--exact"]) == 0
    assert "          100  trades " in capsys.readouterr().out


def test_old_rows_go_by_hand_and_the_settings_say_how_old(
    fresh: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CANDLEWAX__STORE__RETENTION__TRADES_DAYS", "50")
    with psycopg.connect(fresh, autocommit=True) as connection:
        connection.execute(OLD_TRADES)
    assert main(["db", "retain"]) == 0
    assert "trades         older than 50 days:" in capsys.readouterr().out
    assert 50 <= count(fresh, "trades") <= 51
    monkeypatch.setenv("CANDLEWAX__STORE__RETENTION__TRADES_DAYS", "-1")
    assert main(["db", "retain"]) == 2
    assert "store.retention.trades_days" in capsys.readouterr().err


def test_the_check_tells_what_is_missing(fresh: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["db", "check"]) == 0
    assert capsys.readouterr().out.startswith("ok ")
    with psycopg.connect(fresh, autocommit=True) as connection:
        connection.execute("DROP INDEX alerts_fired_at")
    assert main(["db", "check"]) == 1
    assert "bad   index alerts_fired_at is missing" in capsys.readouterr().out


def test_going_down_asks_first(fresh: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["db", "downgrade", "base"]) == 2
    assert "drops tables with their rows" in capsys.readouterr().err
    assert current(fresh) == newest()
    assert main(["db", "downgrade", revisions()[0], "--yes"]) == 0
    assert current(fresh) == revisions()[0]
    assert main(["db", "downgrade", "nine", "--yes"]) == 2
    assert "no schema version 'nine'" in capsys.readouterr().err
    assert main(["db", "downgrade", "base", "--yes"]) == 0
    assert current(fresh) is None


def test_tables_are_not_taken_away_from_a_running_flow(
    fresh: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["db", "backup", "saved"]) == 0
    with connect(complete(fresh)):
        for command in (["downgrade", "base", "--yes"], ["restore", "saved", "--replace"]):
            assert main(["db", *command]) == 2
            assert "a flow uses this database (1 connections): stop it" in capsys.readouterr().err
    assert current(fresh) == newest()


def test_a_backup_comes_back(fresh: str, capsys: pytest.CaptureFixture[str]) -> None:
    with psycopg.connect(fresh, autocommit=True) as connection:
        connection.execute(OLD_TRADES)
    for options in ([], ["--portable"]):
        name = "-".join(["saved", *options])
        assert main(["db", "backup", name, *options]) == 0
        assert main(["db", "backup", name, *options]) == 2
        assert main(["db", "restore", name]) == 2
        assert "--replace" in capsys.readouterr().err
        with psycopg.connect(fresh, autocommit=True) as connection:
            connection.execute("TRUNCATE trades")
        assert main(["db", "restore", name]) == 0
        assert count(fresh, "trades") == 100


def test_a_database_is_made_from_nothing(
    servers: Servers,
    server_kind: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    admin = servers.address(server_kind)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    command = ["db", "init", "--role", "cli_role", "--database", "cli_database"]
    assert main(command) == 2
    assert "set DATABASE_ADMIN_URL" in capsys.readouterr().err
    monkeypatch.setenv("DATABASE_ADMIN_URL", admin)
    assert main(command) == 2
    assert "set DATABASE_PASSWORD" in capsys.readouterr().err
    Path("password").write_text(f"{PASSWORD}\n")
    monkeypatch.setenv("DATABASE_PASSWORD_FILE", "password")
    try:
        assert main(command) == 0
        shown = capsys.readouterr().out
        assert "database  made" in shown
        shape = shown.splitlines()[-1]
        assert shape.startswith("postgresql://cli_role:PASSWORD@127.0.0.1:")
        assert PASSWORD not in shown
        assert main(command) == 0
        assert "database  was there" in capsys.readouterr().out
        monkeypatch.setenv("DATABASE_URL", shape.replace("PASSWORD", PASSWORD))
        assert main(["db", "check"]) == 0
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS cli_database WITH (FORCE)")
            connection.execute("DROP ROLE IF EXISTS cli_role")
