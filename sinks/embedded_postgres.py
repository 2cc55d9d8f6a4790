"""A PostgreSQL of our own: made at the first start, ends with us.

It is plain PostgreSQL, never TimescaleDB. The server listens on 127.0.0.1 only, on a free port,
and asks for a generated password (SCRAM). It is a direct child of this process with a parent-death
signal, so even `kill -9` of the owner shuts it down cleanly.

    FOLDER/
      lock        held while a server of this folder has an owner; names the owner's pid
      password    0600
      server.log  what the server says
      data/       the database itself

PostgreSQL refuses to run as root. Then the server runs as the owner of `data/`, at first `postgres`
or `nobody`. It reaches `data/` as `/proc/self/cwd`, so that no folder above must be opened to it:
nothing outside FOLDER changes its owner or mode, and no user is ever made.
"""

import contextlib
import fcntl
import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import psycopg

from market.errors import ConfigError
from sinks.postgres_binaries import Binaries, find
from sinks.server_account import Account, choose

USER = "candlewax"
DATABASE = "candlewax"
START_TIMEOUT_S = 60.0
"""How long a start may take; a crash recovery replays up to `max_wal_size` first."""
ORPHAN_WAIT_S = 5.0
"""How long a server whose owner has died may take to shut down."""
ATTEMPTS = 20
LOG_LIMIT = 10_000_000

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "60",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "checkpoint_timeout": "10min",
    "wal_compression": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "jit": "off",  # queries here are short, compiling them is not
}
"""Fit for a laptop. Durability stays as PostgreSQL has it: fsync and synchronous_commit are on."""
if sys.platform == "linux":
    SETTINGS["client_connection_check_interval"] = "1s"  # a dead client's statement ends

# Runs in the child before it becomes the server. Not a preexec_fn: that runs after a fork of a
# process with threads, where only exec is safe.
_BECOME_SERVER = """
import ctypes, os, signal, sys
parent, uid, gid, *command = sys.argv[1:]
if uid != "-":
    os.setgroups([])
    os.setgid(int(gid))
    os.setuid(int(uid))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGINT, 0, 0, 0)
if os.getppid() != int(parent):
    sys.exit("the parent is gone")
os.execv(command[0], command)
"""

_log = logging.getLogger(__name__)


class EmbeddedPostgres:
    """Supervisor of one PostgreSQL server and its folder.

    Args:
        folder: where everything is kept; made when it is not there.

    Example:
        `with EmbeddedPostgres(home / "pg") as dsn: ...`
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._data = self.folder / "data"
        self._port = 0
        self._server: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    def __enter__(self) -> str:
        """Start, and return the address."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the server while it runs."""
        return self._server.pid if self.is_running and self._server is not None else None

    @property
    def is_running(self) -> bool:
        """Whether the server's process is there."""
        return self._server is not None and self._server.poll() is None

    def start(self) -> str:
        """Make the data folder if there is none, start the server, return its address.

        A server that died is started again on the port it had, if that is still free.

        Returns:
            libpq URL with the password: not for logs.

        Raises:
            ConfigError: the folder is in use, cannot be used, or there is no PostgreSQL.
            RuntimeError: called off the main thread, whose end would end the server.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("start the embedded PostgreSQL on the main thread")
        if self.is_running:
            return self._dsn(DATABASE)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            self._wait_for_orphan()
            account = choose(self._data)
            binaries = find(account, major=self._made_by())
            if not self._data.exists():
                self._initialise(binaries, account)
            self._run(binaries, account)
            self._make_database()
        except BaseException:
            self.stop()
            raise
        _log.info(
            "embedded PostgreSQL is up",
            extra={"version": binaries.major, "port": self._port, "pid": self.pid},
        )
        return self._dsn(DATABASE)

    def stop(self) -> None:
        """Shut down: transactions in progress are rolled back, everything committed is kept."""
        server, self._server = self._server, None
        if server is not None and server.poll() is None:
            # SIGINT is PostgreSQL's fast shutdown; SIGQUIT leaves a recovery to the next start.
            for sign, patience in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0)):
                server.send_signal(sign)
                try:
                    server.wait(patience)
                    break
                except subprocess.TimeoutExpired:
                    _log.warning("embedded PostgreSQL does not stop", extra={"pid": server.pid})
            else:
                server.kill()
                server.wait()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # -- one owner a folder ------------------------------------------------------------------

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        try:
            lock = (self.folder / "lock").open("a+", encoding="ascii")
        except PermissionError:
            raise ConfigError(
                f"the embedded database's folder {self.folder} cannot be written by this user: "
                "run as its owner, or set CANDLEWAX_HOME to a folder of your own"
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "?"
            lock.close()
            raise ConfigError(
                f"the embedded database in {self.folder} is in use by process {owner}: "
                "stop that one first, or set CANDLEWAX_HOME to another folder"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        self._lock = lock

    def _wait_for_orphan(self) -> None:
        """Let a server end whose owner was killed; forget the pid file of a dead one."""
        pid_file = self._data / "postmaster.pid"
        deadline = time.monotonic() + ORPHAN_WAIT_S
        while True:
            try:
                pid = int(pid_file.read_text(encoding="ascii").split("\n", 1)[0])
            except (FileNotFoundError, ValueError):
                return
            if not self._is_our_server(pid):
                # PostgreSQL itself would refuse when another program has that pid by now.
                pid_file.unlink(missing_ok=True)
                return
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"a PostgreSQL server, process {pid}, already runs on {self._data} and does "
                    f"not end: stop it with `kill -INT {pid}`"
                )
            time.sleep(0.05)

    def _is_our_server(self, pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # somebody else's: whose, the next lines tell
        process = Path(f"/proc/{pid}")
        if not process.exists():
            return not Path("/proc/self").exists()  # no /proc here: believe the file
        try:
            state = (process / "stat").read_text(encoding="ascii", errors="replace")
            if state.rpartition(")")[2].split()[0] == "Z":
                return False
            return (process / "cwd").samefile(self._data)
        except FileNotFoundError:
            return False
        except PermissionError:
            return True

    # -- the server --------------------------------------------------------------------------

    def _made_by(self) -> int | None:
        try:
            return int((self._data / "PG_VERSION").read_text(encoding="ascii").split(".")[0])
        except FileNotFoundError:
            if self._data.exists() and any(self._data.iterdir()):
                raise ConfigError(
                    f"{self._data} is not a PostgreSQL data folder (it has no PG_VERSION): "
                    "move it away"
                ) from None
            return None

    def _initialise(self, binaries: Binaries, account: Account | None) -> None:
        """Make the data folder, whole or not at all."""
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password = self.folder / "password"
        password.unlink(missing_ok=True)
        password.touch(mode=0o600, exist_ok=False)
        password.write_text(secrets.token_urlsafe(24) + "\n", encoding="ascii")
        if account is not None:
            os.chown(fresh, account.uid, account.gid)
            os.chown(password, account.uid, account.gid)
        with password.open("rb") as file:
            # As an open file: its folder may be closed to the server's user.
            command = [
                *(binaries.initdb, "--pgdata", self._data_address(fresh, account)),
                *("--username", USER, "--auth", "scram-sha-256"),
                *("--pwfile", f"/dev/fd/{file.fileno()}"),
                *("--encoding", "UTF8", "--no-locale", "--no-instructions"),
            ]
            done = subprocess.run(
                command,
                cwd=fresh,
                env=_environment(),
                pass_fds=[file.fileno()],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                user=None if account is None else account.uid,
                group=None if account is None else account.gid,
                extra_groups=None if account is None else [],
            )
        if done.returncode:
            shutil.rmtree(fresh, ignore_errors=True)
            raise ConfigError(
                f"the embedded database cannot be made in {self.folder}: "
                f"{(done.stderr or done.stdout).strip()[-600:]}"
            )
        fresh.rename(self._data)

    def _run(self, binaries: Binaries, account: Account | None) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        said = ""
        for _ in range(ATTEMPTS):
            self._port = _free_port(self._port)
            said = self._run_once(binaries, account, deadline)
            if not said:
                return
            # Somebody took the port, or backends of a killed server are still on their way out.
            if "could not bind" not in said and "shared memory block" not in said:
                break
            if "could not bind" in said:
                self._port = 0
            time.sleep(0.25)
        raise ConfigError(
            f"the embedded PostgreSQL does not start; {self.folder / 'server.log'} ends with:\n"
            + said.strip()[-1500:]
        )

    def _run_once(self, binaries: Binaries, account: Account | None, deadline: float) -> str:
        """Start and wait until it answers; return what it said when it did not."""
        log_file = self.folder / "server.log"
        if log_file.exists() and log_file.stat().st_size > LOG_LIMIT:
            log_file.replace(log_file.with_suffix(".log.1"))
        options = [f"--{name.replace('_', '-')}={text}" for name, text in SETTINGS.items()]
        owner = ("-", "-") if account is None else (str(account.uid), str(account.gid))
        log_file.touch(mode=0o600)
        with log_file.open("ab") as log:
            before = log.tell()
            self._server = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-S", "-c", _BECOME_SERVER),
                    *(str(os.getpid()), *owner),
                    *(binaries.postgres, "-D", self._data_address(self._data, account)),
                    *(f"--port={self._port}", *options),
                ],
                cwd=self._data,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # CTRL-C on the terminal is for us, not for the server
            )
        while self._server.poll() is None:
            if self._answers():
                return ""
            if time.monotonic() > deadline:
                self._server.send_signal(signal.SIGINT)
                self._server.wait()
                return f"no answer within {START_TIMEOUT_S:.0f} s"
            time.sleep(0.02)
        with log_file.open("rb") as log:
            log.seek(before)
            return log.read().decode(errors="replace")

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._dsn("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise ConfigError(
                    f"the embedded database refuses the password in {self.folder / 'password'}: "
                    "restore that file, or move the folder away to begin anew"
                ) from None
            return False
        return True

    def _make_database(self) -> None:
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(query, (DATABASE,)).fetchone() is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def _dsn(self, database: str) -> str:
        try:
            password = (self.folder / "password").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            raise ConfigError(
                f"{self.folder / 'password'} is missing, so the embedded database cannot be "
                "entered: restore it, or move the folder away to begin anew"
            ) from None
        # token_urlsafe needs no quoting in a URL.
        return f"postgresql://{USER}:{password}@127.0.0.1:{self._port}/{database}"

    def _data_address(self, data: Path, account: Account | None) -> str:
        # The kernel resolves this without walking the folders above, which may be closed to the
        # server's user; PostgreSQL's processes all stay in their data folder.
        return str(data) if account is None else "/proc/self/cwd"


def _environment() -> dict[str, str]:
    # Nothing of ours: the environment may hold a bot token, and PG* variables steer PostgreSQL.
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise ConfigError("no free port on 127.0.0.1 for the embedded PostgreSQL")
