"""A whole flow killed while its spool drains, again and again: the database has every row, once.

The flow is a replay on the store of a live one (`tests.fakes.spooling_replay`), so the rows that
have to be there in the end are known: those of an undisturbed replay. CANDLEWAX_AWAY_S sets how
long the killed database stays away.
"""

import os
import time
from pathlib import Path

import msgspec
import psycopg
import pytest

from filters.load import load_specs
from sinks.spool import look
from sinks.spool_lane import Position
from tests.end_to_end.flow_runs import (
    ROOT,
    FlowRun,
    content,
    counts,
    digest_at,
    poll,
    recovery_flags,
    replay_run,
)
from tests.end_to_end.wire_recording import WireRun, record_wire
from tests.fixtures_database import EMBEDDED, Servers
from tests.servers.own_server import OwnServer, kill, prepared
from tests.servers.schema import server_name

SECONDS = 60
AWAY_S = float(os.environ.get("CANDLEWAX_AWAY_S", "1"))
SPEED = SECONDS / (AWAY_S + 6)
KILLS = 2 if AWAY_S < 10 else 5
SPOOLED = 200
"""So many rows wait at least when the database comes back."""
SLOW = """
CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$;
CREATE TRIGGER slow AFTER INSERT ON trades EXECUTE FUNCTION be_slow();
CREATE TRIGGER slow AFTER INSERT ON bars EXECUTE FUNCTION be_slow();
"""
"""A database that takes its time, so that draining can be seen."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> WireRun:
    """A minute with two dips that alert, and a lost connection."""
    folder = tmp_path_factory.mktemp("recorded")
    specs = load_specs(ROOT / "filters" / "specs")
    return record_wire(folder / "wire.jsonl.gz", seconds=SECONDS, specs=specs, faults="cut")


def spools(home: Path) -> list[Path]:
    return sorted((home / "spool").glob("*-[0-9]*"))


def waiting(home: Path) -> int:
    """Count what waits on the disk, by a look at it."""
    return sum(sum(look(folder).rows.values()) for folder in spools(home))


def drained(home: Path) -> int:
    """Count what has left the disk, as far as the spools have noted it."""
    done = 0
    for folder in spools(home):
        if (folder / "position").exists():
            data = (folder / "position").read_bytes()
            for position in msgspec.json.decode(data, type=dict[str, Position]).values():
                done += sum(position.done.values())
    return done


def kill_while_it_drains(run: FlowRun, *, since: int) -> tuple[int, int]:
    """End a flow without a word once some rows, and not all, have left its disk; tell how many."""

    def is_draining() -> bool:
        assert run.is_alive()
        return drained(run.home) > since and waiting(run.home) > 0

    poll(is_draining, within_s=30, said="the disk is being emptied")
    run.kill(0)
    return drained(run.home) - since, waiting(run.home)


def test_a_flow_killed_while_it_drains_loses_and_doubles_nothing(
    recorded: WireRun,
    tmp_path: Path,
    servers: Servers,
    own_server: OwnServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    dsn = prepared(own_server)
    undisturbed = servers.make_whole(EMBEDDED)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SLOW)
    home = tmp_path / "killed"
    recovery = recovery_flags(tmp_path / "recovery")

    def flow(speed: float) -> FlowRun:
        return replay_run(
            home,
            [recorded.path],
            flow="tests.fakes.spooling_replay",
            speed=speed,
            batch=50,
            store=dsn,
            arguments=recovery,
        )

    seen: list[tuple[int, int]] = []
    with (
        replay_run(tmp_path / "whole", [recorded.path], store=undisturbed) as whole,
        flow(SPEED) as first,
    ):
        poll(lambda: counts(dsn)["trades"] > 0, within_s=30, said="rows are written")
        kill(own_server)
        back = time.monotonic() + AWAY_S
        poll(
            lambda: time.monotonic() > back and waiting(home) > SPOOLED,
            within_s=AWAY_S + 30,
            said="rows on the disk",
        )
        assert first.is_alive()
        since = drained(home)
        assert own_server.start() == dsn
        seen.append(kill_while_it_drains(first, since=since))
        assert whole.wait() == [0]
    while len(seen) < KILLS:
        since = drained(home)
        with flow(SPEED) as again:
            seen.append(kill_while_it_drains(again, since=since))
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP FUNCTION be_slow CASCADE")
    with flow(0.0) as last:
        assert last.wait() == [0]
    expected, found = counts(undisturbed), counts(dsn)
    with capsys.disabled():
        kills = ", ".join(f"{gone} rows drained and {left} waiting" for gone, left in seen)
        print(
            f"\n{server_name(dsn)} away {AWAY_S:.0f} s, the whole flow killed -9 while it drained,"
            f" with {kills}: rows in {sum(expected.values())}, out {sum(found.values())}, lost"
            f" {sum(last.statuses[0].rows_lost.values())}, on the disk {waiting(home)}"
        )
    assert all(gone > 0 and left > 0 for gone, left in seen)
    assert content(dsn) == content(undisturbed)
    assert waiting(home) == 0
    assert last.statuses[0].rows_lost == {}
    assert digest_at(home) == digest_at(tmp_path / "whole")
