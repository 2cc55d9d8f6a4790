import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from cli.main import main
from flows.home import Home, Owner, OwnerLock, Process, Running
from flows.status import FlowStatus
from migrations.table_sizes import TableSize
from sinks.spool import Spool, SpoolState
from sinks.spool_lane import Entry


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWAX_CONFIG", "CANDLEWAX_HOME", "DATABASE_URL", "TELEGRAM_BOT_TOKEN"):
        monkeypatch.delenv(name, raising=False)


class Answering(http.server.BaseHTTPRequestHandler):
    date = "Thu, 01 Jan 2004 00:00:00 GMT"

    def do_GET(self) -> None:
        self.send_response_only(200)
        self.send_header("Date", self.date)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def venue() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def findings(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    lines = capsys.readouterr().out.splitlines()
    return {line[6:19].strip(): f"{line[:4].strip()} {line[21:]}" for line in lines}


def test_the_defaults_are_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    found = findings(capsys)
    assert found["configuration"] == "ok none: the embedded demo"
    assert found["lock"] == "ok free"
    assert found["binance"].startswith("ok simulated")
    assert found["database"].startswith("ok embedded PostgreSQL")
    assert found["filters"].startswith("ok 1 in")
    assert not [text for text in found.values() if text.startswith("bad")]


def test_what_will_not_work_is_told_and_the_rest_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hidden@127.0.0.1:1/x")
    Path("candlewax.toml").write_text(
        "[feeds.binance]\nsymbols = ['BTC-USDT']\nrest_url = 'http://127.0.0.1:1'\n"
        "[filters]\nfolder = 'nowhere'\n"
    )
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "hidden" not in shown
    lines = [line.split()[:2] for line in shown.splitlines()]
    assert ["bad", "database"] in lines
    assert ["bad", "binance"] in lines
    assert ["bad", "filters"] in lines
    assert ["ok", "disk"] in lines or ["note", "disk"] in lines


def test_a_wrong_configuration_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("candlewax.toml").write_text("[markt]\n")
    assert main(["doctor"]) == 1
    assert "unknown section 'markt'" in findings(capsys)["configuration"]


def test_a_clock_that_is_off_is_noted(venue: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("candlewax.toml").write_text(
        f"[feeds.binance]\nsymbols = ['BTC-USDT']\nrest_url = '{venue}'\n"
    )
    assert main(["doctor"]) == 0
    found = findings(capsys)
    assert found["binance"] == f"ok {venue} answers"
    assert found["clock"].startswith("note +")


def test_the_owner_of_the_state_folder_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Home(tmp_path / ".candlewax")
    home.make()
    lock = OwnerLock(home)
    assert lock.acquire("x", "candlewax run")
    assert main(["doctor"]) == 0
    assert "in use by `candlewax run`" in findings(capsys)["lock"]
    lock.release()


def test_the_database_tells_its_size_and_growth(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO instruments VALUES ('v', 'A-B', 'AB', 'A', 'B', 0, 0, 'spot');"
            "INSERT INTO trades SELECT 'v', 'A-B', now() - n * interval '1 minute', n::text, 1, 1,"
            " 'buy', now() FROM generate_series(0, 1440) AS n"
        )
    assert main(["doctor"]) == 0
    found = findings(capsys)
    assert found["trades"].startswith("ok 0.")
    assert found["trades"].endswith(" MB a day, kept 30 days")
    assert " MB in tables, " in found["growth"]
    assert found["growth"].endswith("how much room its disk has cannot be seen from here")


@pytest.mark.parametrize(
    ("left", "told"),
    [
        (None, "ok 0.3 MB in tables, 1.0 MB a day; what is kept fits on this disk"),
        (3, "note 0.3 MB in tables, 1.0 MB a day; the disk is full in 3 days"),
        (30, "ok 0.3 MB in tables, 1.0 MB a day; the disk is full in 30 days"),
    ],
)
def test_an_embedded_database_that_runs_tells_when_the_disk_is_full(
    left: int | None,
    told: str,
    plain_database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = Home(Path(".candlewax"))
    home.make()
    size = TableSize(table="bars", size=300_000, span_days=0.3, day_size=1e6, keep_days=0)
    monkeypatch.setattr("migrations.table_sizes.read_sizes", lambda *_: [size])
    monkeypatch.setattr("migrations.table_sizes.days_left", lambda *_: left)
    lock = OwnerLock(home)
    assert lock.acquire("", "candlewax run")
    home.tell(
        Running(
            owner=Owner(process=Process.current(), cluster="", command="candlewax run"),
            database_url=plain_database,
            websocket_url="",
            rest_url="",
            pids={},
        )
    )
    try:
        assert main(["doctor"]) == 0
    finally:
        lock.release()
    found = findings(capsys)
    assert found["growth"] == told
    assert found["database"].startswith("ok embedded PostgreSQL 18.")


def test_rows_that_a_running_flow_has_not_for_sure_on_the_disk_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = Home(Path(".candlewax"))
    home.make()
    state = FlowStatus(spools={"store-1": SpoolState({"trades": 5}, 100, 1, unsafe=2)})
    home.status.mkdir(exist_ok=True)
    (home.status / "flow-0.json").write_bytes(msgspec.json.encode(state))
    told = "note  spool store-1  2 rows may not be on the disk, which fails to sync: look at it\n"
    main(["doctor"])
    assert told not in capsys.readouterr().out  # nothing runs
    lock = OwnerLock(home)
    assert lock.acquire("", "candlewax run")
    owner = Owner(process=Process.current(), cluster="", command="candlewax run")
    home.tell(Running(owner=owner, database_url="", websocket_url="", rest_url="", pids={}))
    try:
        main(["doctor"])
    finally:
        lock.release()
    assert told in capsys.readouterr().out


def test_what_waits_for_the_database_is_told_by_partition(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["doctor"]) == 0
    assert findings(capsys)["spool"] == "ok empty, room for 1.0 GiB for each of 2 partitions"
    for number in (0, 5):
        spool = Spool(Path(f".candlewax/spool/store-{number}"), limit=1 << 20)
        spool.append(0, [Entry("trades", 7, 1_732_112_220_000_000_000, b"rows")])
        spool.set_aside("x", b"?")
        journal = Spool(Path(f".candlewax/spool/alerts-{number}"), limit=1 << 20)
        journal.append(0, [Entry("alerts", 1, 1_732_112_230_000_000_000, b"row")])
        for each in (spool, journal):
            each.close()
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    waits = "1 of alerts, 7 of trades wait, 0.0 MiB, the oldest since 2024-11-20 14:17:00 UTC"
    assert f"note  spool store-0  {waits}\n" in shown
    lowered = "store.partitions was lowered since: the next start drains it"
    assert f"note  spool store-5  {waits}; {lowered}\n" in shown
    assert "1 damaged or refused pieces in " in shown
    assert "empty" not in shown
