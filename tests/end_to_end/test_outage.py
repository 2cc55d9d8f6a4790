"""A live flow whose database goes away, is stopped meanwhile, and starts again when it is back."""

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from cli.doctor import doctor
from flows.status import FlowStatus
from tests.end_to_end.flow_runs import FlowRun, counts, poll
from tests.fakes.proxy import CuttableProxy
from tests.servers.schema import server_name

STARTS_WITHIN_S = 60.0
AWAY_S = float(os.environ.get("CANDLEWAX_AWAY_S", "4"))
TABLES = ("trades", "book_tops", "alerts")


def status_of(run: FlowRun) -> FlowStatus:
    statuses = run.statuses
    return statuses[0] if statuses else FlowStatus()


def flow(home: Path, dsn: str) -> FlowRun:
    environ = {"DATABASE_URL": dsn, "CANDLEWAX__LOG__FORMAT": "json"}
    return FlowRun("flows.crypto", home, environ=environ)


def spooled(run: FlowRun) -> int:
    return sum(sum(spool.rows.values()) for spool in status_of(run).spools.values())


def test_a_flow_outlives_its_database_and_loses_no_row(
    make_whole_database: Callable[[], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dsn = make_whole_database()
    home = tmp_path / "home"
    with CuttableProxy(int(str(conninfo_to_dict(dsn)["port"]))) as proxy:
        through = make_conninfo(dsn, host="127.0.0.1", port=proxy.port)
        with flow(home, through) as first:
            poll(
                lambda: status_of(first).rows_written.get("trades", 0) > 100,
                within_s=STARTS_WITHIN_S,
                said="rows are written",
            )
            proxy.cut()
            began = time.monotonic()
            seen = [(began, status_of(first).book_updates)]
            while time.monotonic() < began + AWAY_S or not spooled(first):
                assert first.is_alive()
                assert time.monotonic() < began + AWAY_S + STARTS_WITHIN_S
                updates = status_of(first).book_updates
                if updates > seen[-1][1]:
                    seen.append((time.monotonic(), updates))
                time.sleep(0.02)
            gaps = [later - sooner for (sooner, _), (later, _) in itertools.pairwise(seen)]
            stopped = first.end()
            assert first.codes == [0]
            before = status_of(first)
        monkeypatch.setenv("CANDLEWAX_HOME", str(home))
        monkeypatch.chdir(tmp_path)
        doctor()
        assert "of trades wait" in capsys.readouterr().out
        (home / "status" / "flow-0.json").unlink()
        proxy.mend()
        with flow(home, through) as second:
            poll(
                lambda: (
                    status_of(second).rows_written.get("trades", 0) > 100 and not spooled(second)
                ),
                within_s=STARTS_WITHIN_S,
                said="the disk is emptied",
            )
            second.end()
            assert second.codes == [0]
            after = status_of(second)
    stored = counts(dsn)
    handed = {name: before.rows.get(name, 0) + after.rows.get(name, 0) for name in TABLES}
    with capsys.disabled():
        print(
            f"\na flow's {server_name(dsn)} away {AWAY_S:.0f} s: trades in {handed['trades']},"
            f" out {stored['trades']}; longest time without news of a feed {max(gaps):.2f} s"
            f" (told once a second); stopped in {stopped:.2f} s"
        )
    assert before.rows_lost == after.rows_lost == {}
    assert stored["trades"] == handed["trades"]
    assert stored["book_tops"] == handed["book_tops"]
    assert stored["alerts"] == handed["alerts"]
    assert max(gaps) < 10
    with psycopg.connect(dsn) as connection:
        told = connection.execute("SELECT count(*) FROM gaps WHERE channel = 'store'").fetchone()
    assert told == (0,)
