import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psycopg
import pytest

from flows.cluster import Cluster
from flows.configuration import Configuration, load
from flows.embedded import Embedded, needs_simulator, prepare_database
from flows.home import Home
from market.errors import ConfigError
from migrations.schema_version import current, newest
from migrations.session import LOCK
from sinks.settings import StoreSettings

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "state")


@pytest.fixture
def demo() -> Configuration:
    return load(None, {})


def runs(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def until(condition: object, within_s: float = 10.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_first_starts_the_parts_and_the_others_use_them(
    home: Home, demo: Configuration
) -> None:
    cluster = Cluster(name="one")
    owner = Embedded.enter(demo, home, cluster, command="candlewax test")
    try:
        assert owner.is_owner
        assert owner.report is not None
        assert str(owner.report.kind) == "PostgreSQL"
        assert stat.S_IMODE(home.run_file.stat().st_mode) == 0o600
        member = Embedded.enter(demo, home, cluster, command="candlewax test")
        assert not member.is_owner
        assert member.database_url == owner.database_url
        assert member.websocket_url("binance") == owner.websocket_url("binance")
        assert member.rest_url("binance").startswith("http://127.0.0.1:")
        with psycopg.connect(member.database_url.reveal()) as connection:
            assert connection.execute("SELECT count(*) FROM trades").fetchone() == (0,)
        with pytest.raises(ConfigError, match=r"in use by `candlewax test` \(process \d+\); stop"):
            Embedded.enter(demo, home, Cluster(name="two"), command="candlewax other")
        looking = Embedded.attach(demo, home, command="candlewax db status", migrate=False)
        assert looking.database_url == owner.database_url
        looking.stop()
        pids = dict(owner.running.pids)
        assert runs(pids["simulator"])
        assert runs(pids["postgres"])

        # What ends without being asked to is started again where it was.
        os.kill(pids["simulator"], signal.SIGKILL)
        os.kill(pids["postgres"], signal.SIGKILL)
        until(lambda: not runs(pids["simulator"]) and not runs(pids["postgres"]))
        assert owner.tend() == ""
        with psycopg.connect(member.database_url.reveal()) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        member.stop()
        assert not member.is_owner
    finally:
        owner.stop()
    assert not home.run_file.exists()
    assert home.owner() is None

    # The rows are still there, and looking at them starts the database alone.
    alone = Embedded.attach(demo, home, command="candlewax db status", migrate=False)
    try:
        assert alone.is_owner
        assert "simulator" not in alone.running.pids
    finally:
        alone.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="needs parent-death signals")
def test_nothing_outlives_a_killed_owner(home: Home) -> None:
    program = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from flows.cluster import Cluster
        from flows.configuration import load
        from flows.embedded import Embedded
        from flows.home import Home
        embedded = Embedded.enter(
            load(None, {{}}),
            Home(Path({str(home.path)!r})),
            Cluster(name="x"),
            command="x",
            store=False,  # its own test shows that PostgreSQL goes too; making one takes seconds
        )
        print(*embedded.running.pids.values(), flush=True)
        time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    with parent.stdout:
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
        parent.wait()
    assert len(pids) == 2
    until(lambda: not any(runs(pid) for pid in pids))
    assert home.run_file.exists()
    assert home.running() is None


def test_a_member_of_a_cluster_waits_and_then_gives_up(home: Home, demo: Configuration) -> None:
    waiting = Cluster(name="x", supervised=True)
    with pytest.raises(ConfigError, match=r"run.json: waited 0 s for the process that starts"):
        Embedded.enter(demo, home, waiting, command="x", wait_s=0.1)


def test_a_cluster_that_spans_hosts_gets_no_embedded_parts(home: Home, demo: Configuration) -> None:
    spread = Cluster(name="x", addresses=("127.0.0.1:2101", "192.0.2.7:2101"))
    with pytest.raises(ConfigError, match=r"192\.0\.2\.7:2101 is on another host"):
        Embedded.enter(demo, home, spread, command="x")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:hidden@127.0.0.1:1/x", "127.0.0.1:1/x"),
        ("http://u:hidden@127.0.0.1:1/x", "DATABASE_URL"),
    ],
)
def test_a_database_that_is_not_there_is_told_without_its_password(
    home: Home, url: str, expected: str
) -> None:
    told = load(None, {"DATABASE_URL": url})
    with pytest.raises(ConfigError) as caught:
        Embedded.enter(told, home, Cluster(name="x"), command="x")
    assert expected in str(caught.value)
    assert "hidden" not in str(caught.value)
    assert home.owner() is None


def test_a_simulator_that_refuses_a_symbol_ends_the_start(home: Home) -> None:
    feeds = '{"binance": {"symbols": ["NO-SUCH"], "simulated": true}}'
    told = load(None, {"CANDLEWAX__FEEDS": feeds})
    with pytest.raises(ConfigError, match="NO-SUCH"):
        Embedded.enter(told, home, Cluster(name="x"), command="x", store=False)
    assert home.owner() is None


def test_a_simulator_elsewhere_is_used_and_none_started() -> None:
    feeds = {
        "CANDLEWAX__FEEDS__BINANCE__WEBSOCKET_URL": "ws://127.0.0.1:9",
        "CANDLEWAX__FEEDS__BINANCE__REST_URL": "http://127.0.0.1:9",
    }
    assert not needs_simulator(load(None, feeds))
    assert needs_simulator(load(None, {}))


def test_a_start_on_a_schema_that_is_up_to_date_loads_nothing_that_changes_it(
    fresh_database: str,
) -> None:
    code = (
        "import sys, flows.crypto\n"
        "from flows.embedded import prepare_database\n"
        "from sinks.settings import StoreSettings\n"
        "prepare_database(sys.argv[1], StoreSettings())\n"
        "print(sorted({'alembic', 'sqlalchemy'} & set(sys.modules)))\n"
    )
    command = [sys.executable, "-c", code, fresh_database]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_a_start_brings_an_empty_database_up_to_date(empty_database: str) -> None:
    prepare_database(empty_database, StoreSettings())
    assert current(empty_database) == newest()


def test_a_start_on_the_schema_of_a_newer_program_is_refused(fresh_database: str) -> None:
    with psycopg.connect(fresh_database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match="has schema version 9999"):
        prepare_database(fresh_database, StoreSettings())


def test_a_start_waits_for_whoever_changes_the_schema(
    fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrations.session.LOCK_WAIT_S", 0.1)
    with psycopg.connect(fresh_database) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        holder.execute("DROP TABLE alembic_version")
        with pytest.raises(ConfigError, match="has been changing this database's schema"):
            prepare_database(fresh_database, StoreSettings())
