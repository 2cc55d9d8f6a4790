"""The state folder: `$CANDLEWAX_HOME`, else `./.candlewax`.

    lock         held by the one process that owns the folder; who it is stands in it
    members      held, shared, by every process that uses what the owner started
    run.json     addresses and secrets of what the owner started, readable by its user only
    pg/          the embedded PostgreSQL
    recovery/    Bytewax's recovery store
    spool/       rows and alerts that wait for the database
    mutes.json   what was muted when the database last said it
    recordings/  recordings of feeds
    dead/        messages that could not be understood
    status/      one small file a flow process, for the display
    logs/        what the demo's processes say

A lock belongs to a living process, so a kill leaves none behind. `run.json` may stay behind; it
names its owner by process id and start, and without that process it counts as absent.
"""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from market.errors import ConfigError

VARIABLE = "CANDLEWAX_HOME"
DEFAULT = ".candlewax"


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a program: a process id alone is used again after a while.

    Attributes:
        pid: process id.
        started: when it started, in clock ticks since boot; 0 where that is not to be had.
    """

    pid: int
    started: int

    @classmethod
    def current(cls) -> "Process":
        """Return this process."""
        return cls(pid=os.getpid(), started=_started(os.getpid()))

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return _started(self.pid) == self.started


def _started(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    # The second field is the program's name in brackets and may hold anything.
    return int(text.rpartition(")")[2].split()[19])


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the lock.

    Attributes:
        process: the process.
        cluster: the flow processes that belong together share this word.
        command: what a person would call it, `candlewax demo`.
    """

    process: Process
    cluster: str
    command: str


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What `run.json` holds.

    Attributes:
        owner: who started it all.
        database_url: address with password of the embedded PostgreSQL; empty when it is not used.
        websocket_url: address of the simulator's streams; empty when it is not used.
        rest_url: address of the simulator's REST interface; empty when it is not used.
        pids: process ids of the parts, by name.
    """

    owner: Owner
    database_url: str = ""
    websocket_url: str = ""
    rest_url: str = ""
    pids: dict[str, int] = {}


class Home:
    """The folder and what lies where in it.

    Args:
        path: the folder; made when it is needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.pg = self.path / "pg"
        self.recovery = self.path / "recovery"
        self.spool = self.path / "spool"
        self.mutes = self.path / "mutes.json"
        self.recordings = self.path / "recordings"
        self.dead = self.path / "dead"
        self.status = self.path / "status"
        self.logs = self.path / "logs"
        self.run_file = self.path / "run.json"
        self.lock_file = self.path / "lock"
        self.members_file = self.path / "members"

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "Home":
        """Return the folder that the environment names."""
        return cls(Path(environ.get(VARIABLE) or DEFAULT))

    def make(self) -> None:
        """Make the folder, for its user only.

        Raises:
            ConfigError: it cannot be made or written to.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.recordings, self.dead, self.status, self.logs):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"{self.path}: cannot be used as the state folder: {error.strerror}; "
                f"set {VARIABLE} to a folder that can be written to"
            ) from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise ConfigError(
                f"{self.path}: the state folder cannot be written to; "
                f"set {VARIABLE} to another folder"
            )

    def running(self) -> Running | None:
        """Return what a living owner has started; None when there is none or it is not ready."""
        try:
            running = msgspec.json.decode(self.run_file.read_bytes(), type=Running)
        except (OSError, msgspec.DecodeError):
            return None
        return running if running.owner.process.is_alive else None

    def tell(self, running: Running) -> None:
        """Write `run.json`, whole or not at all, readable by its user only."""
        new = self.run_file.with_suffix(".new")
        new.unlink(missing_ok=True)
        handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(running)) + b"\n")
        new.replace(self.run_file)

    def owner(self) -> Owner | None:
        """Return the living process that holds the lock."""
        try:
            owner = msgspec.json.decode(self.lock_file.read_bytes(), type=Owner)
        except (OSError, msgspec.DecodeError):
            return None
        return owner if owner.process.is_alive else None


class OwnerLock:
    """The lock of a home: one process at a time owns it.

    Args:
        home: the folder, which exists.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._handle: int | None = None

    def acquire(self, cluster: str, command: str) -> bool:
        """Take the lock if it is free, and drop what a dead owner left.

        Args:
            cluster: the word shared by processes that belong together.
            command: how to name this process to people.
        """
        handle = os.open(self._home.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        self._home.run_file.unlink(missing_ok=True)
        owner = Owner(process=Process.current(), cluster=cluster, command=command)
        os.ftruncate(handle, 0)
        os.pwrite(handle, msgspec.json.encode(owner), 0)
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._handle is None:
            return
        self._home.run_file.unlink(missing_ok=True)
        os.ftruncate(self._handle, 0)
        os.close(self._handle)
        self._handle = None


class Membership:
    """Says that this process uses what the owner has started.

    Args:
        home: the folder, which exists.
    """

    def __init__(self, home: Home) -> None:
        self._handle = os.open(home.members_file, os.O_RDWR | os.O_CREAT, 0o600)

    def join(self) -> None:
        """Become a member, until `leave` or the end of the process."""
        fcntl.flock(self._handle, fcntl.LOCK_SH)

    def is_last(self) -> bool:
        """Whether no other process is a member now; asked by the owner before it stops parts."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(self._handle, fcntl.LOCK_UN)
        return True

    def leave(self) -> None:
        """Be no member any more."""
        os.close(self._handle)
