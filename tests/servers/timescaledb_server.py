"""Run the unpacked TimescaleDB in a chroot, on loopback, with a fresh cluster."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from sinks.server_account import Account, choose
from tests.servers.timescaledb_packages import PROGRAMS, ROOT

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
ATTEMPTS = 10
_PREFIX = "candlewax-"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",
    "max_connections": "100",
    "max_locks_per_transaction": "256",
    "max_worker_processes": "32",
    "timescaledb.max_background_workers": "16",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "timezone": "UTC",
    "jit": "off",
    "fsync": "off",
    "client_connection_check_interval": "1s",
}

# The chroot hides Python itself, so all that is needed is loaded before. The signal at the
# parent's death is forgotten when the user changes, so it is set last.
_BECOME = """
import ctypes, os, signal, sys
parent, root, uid, gid, *command = sys.argv[1:]
prctl = ctypes.CDLL(None).prctl
os.chroot(root)
os.chdir("/")
os.setgroups([])
os.setgid(int(gid))
os.setuid(int(uid))
prctl(1, signal.SIGINT, 0, 0, 0)
if os.getppid() != int(parent):
    sys.exit("the parent is gone")
os.execve(command[0], command, {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin"})
"""


class TimescaleServer:
    """One server and its cluster; ends with its owner, and leaves nothing behind.

    Used as a context manager, which gives the address of a superuser, or by hand like the embedded
    PostgreSQL: stopped or killed, it starts again on its port with its rows, until `close`. Needs
    root.
    """

    def __init__(self) -> None:
        account = choose(ROOT)
        if account is None:
            raise RuntimeError("only root may enter a chroot")
        self._account: Account = account
        self._server: subprocess.Popen[bytes] | None = None
        self._password = secrets.token_urlsafe(16)
        self._port = 0
        self._folder = Path()

    def __enter__(self) -> str:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> str:
        """Start it, with a fresh cluster the first time; return its address."""
        if self.is_running:
            return self.dsn
        try:
            if not self._folder.name:
                self._prepare_root()
                prefix = f"{_PREFIX}{os.getpid()}-"
                self._folder = Path(tempfile.mkdtemp(prefix=prefix, dir=ROOT / "tmp"))
                os.chown(self._folder, self._account.uid, self._account.gid)
                self._initialise()
            self._start()
        except BaseException:
            self.close()
            raise
        return self.dsn

    @property
    def dsn(self) -> str:
        """Address, with the password of a superuser."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/postgres"

    @property
    def pid(self) -> int | None:
        """Process id of the server while it runs."""
        return self._server.pid if self.is_running and self._server is not None else None

    @property
    def is_running(self) -> bool:
        """Whether the server's process is there."""
        return self._server is not None and self._server.poll() is None

    def stop(self) -> None:
        """Shut it down and keep its rows."""
        server, self._server = self._server, None
        if server is not None and server.poll() is None:
            server.send_signal(signal.SIGINT)
            try:
                server.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()

    def close(self) -> None:
        """Shut it down and remove its cluster."""
        self.stop()
        if self._folder.name:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _prepare_root(self) -> None:
        """Give the chroot the user and the few devices that no package holds."""
        for left in (ROOT / "tmp").glob(f"{_PREFIX}*"):
            owner = left.name.removeprefix(_PREFIX).partition("-")[0]
            if not Path("/proc", owner).exists():  # it was killed
                shutil.rmtree(left, ignore_errors=True)
        account = self._account
        users = f"root:x:0:0::/:/bin/sh\npostgres:x:{account.uid}:{account.gid}::/:/bin/sh\n"
        (ROOT / "etc" / "passwd").write_text(users)
        (ROOT / "etc" / "group").write_text(f"root:x:0:\npostgres:x:{account.gid}:\n")
        (ROOT / "tmp").chmod(0o1777)
        shared = ROOT / "dev" / "shm"
        shared.mkdir(exist_ok=True)
        shared.chmod(0o1777)
        null = ROOT / "dev" / "null"
        if not null.exists():
            with contextlib.suppress(FileExistsError):
                try:
                    os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
                except PermissionError:
                    null.touch()  # a file that swallows a few words will do
            null.chmod(0o666)

    def _command(self, program: str, *options: str) -> list[str]:
        return [
            *(sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid()), str(ROOT)),
            *(str(self._account.uid), str(self._account.gid)),
            *(f"/{PROGRAMS / program}", "-D", f"{self._inside}/data", *options),
        ]

    @property
    def _inside(self) -> str:
        return f"/tmp/{self._folder.name}"

    def _initialise(self) -> None:
        words = self._folder / "password"
        words.write_text(self._password)
        os.chown(words, self._account.uid, self._account.gid)
        done = subprocess.run(
            self._command(
                "initdb",
                *("--username", "postgres", "--auth", "scram-sha-256"),
                *("--pwfile", f"{self._inside}/password", "--encoding", "UTF8", "--no-locale"),
                *("--no-sync", "--no-instructions"),
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {(done.stderr or done.stdout).strip()}")

    def _start(self) -> None:
        said = ""
        for _ in range(ATTEMPTS):
            self._port = self._port or _free_port()
            said = self._start_once()
            if "could not bind" in said:
                self._port = 0
            elif "shared memory block" in said:  # a killed server's backends are on their way out
                time.sleep(0.25)
            else:
                break
        if said:
            raise RuntimeError(f"TimescaleDB does not start: {said[-1500:]}")

    def _start_once(self) -> str:
        options = [f"--{name}={text}" for name, text in SETTINGS.items()]
        log_path = self._folder / "server.log"
        with log_path.open("wb") as log:
            self._server = subprocess.Popen(
                self._command("postgres", f"--port={self._port}", *options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._server.poll() is None and time.monotonic() < deadline:
            try:
                psycopg.connect(self.dsn, connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return ""
        return log_path.read_text(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
