"""The server of the tests: real, on loopback only, and gone with its owner."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.servers import timescaledb_packages
from tests.servers.timescaledb_packages import ROOT
from tests.servers.timescaledb_server import TimescaleServer

OWNER = """
import time
from tests.servers.timescaledb_server import TimescaleServer
server = TimescaleServer()
with server as dsn:
    print(dsn, server.pid, flush=True)
    time.sleep(60)
"""
PATIENCE_S = 20.0

pytestmark = pytest.mark.timescaledb


@pytest.fixture(autouse=True)
def _there() -> None:
    if lack := timescaledb_packages.lack():
        pytest.skip(lack)


def scalar(dsn: str, query: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    return None if row is None else row[0]


def test_it_is_a_real_timescaledb_on_loopback_and_leaves_nothing() -> None:
    server = TimescaleServer()
    with server as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION timescaledb")
        assert scalar(dsn, "SHOW timescaledb.license") == "apache"
        assert scalar(dsn, "SHOW listen_addresses") == "127.0.0.1"
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        mine = list((ROOT / "tmp").glob(f"candlewax-{os.getpid()}-*"))
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(dsn.replace("postgres:", "postgres:x", 1))
    assert len(mine) >= 1
    assert not server._folder.exists()


def test_it_ends_with_an_owner_that_was_killed_and_the_next_one_cleans_up() -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    dsn, pid = owner.stdout.readline().split()
    assert scalar(dsn, "SELECT 1") == 1
    (left,) = (ROOT / "tmp").glob(f"candlewax-{owner.pid}-*")
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the server goes on without its owner"
    with TimescaleServer():
        assert not left.exists()
