"""Real flow processes: started, watched and ended."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psycopg

from flows.output import digest_of
from flows.status import FlowStatus
from sinks.tables import TABLES

ROOT = Path(__file__).resolve().parents[2]
POLL_S = 0.05


def poll(what: Callable[[], bool], *, within_s: float, said: str) -> None:
    """Wait until something is so.

    Raises:
        AssertionError: it was not so in time.
    """
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline, f"{said}: not within {within_s:.0f} s"
        time.sleep(POLL_S)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    with ExitStack() as sockets:
        bound = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for one in bound:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in bound]


def is_running(pid: int) -> bool:
    """Tell whether a process is there and no zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def running_with(word: str) -> list[str]:
    """Return the command lines of running processes that name a word."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environ = (folder / "environ").read_bytes()
        except (OSError, UnicodeDecodeError):
            continue
        named = word in command or f"CANDLEWAX_HOME={word}".encode() in environ
        if named and is_running(int(folder.name)):
            found.append(command)
    return found


class FlowRun:
    """One flow, in one process or several, with a state folder of its own."""

    def __init__(
        self,
        flow: str,
        home: Path,
        *,
        environ: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        processes: int = 1,
        is_urgent: bool = True,
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.codes: list[int] = []
        self._log = home / "words.txt"
        given = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("CANDLEWAX") and name not in ("DATABASE_URL", "RUST_BACKTRACE")
        }
        given |= {"CANDLEWAX_HOME": str(home), "PYTHONPATH": str(ROOT), **(environ or {})}
        patience = () if is_urgent else ("nice", "-n", "10")
        command = [*patience, sys.executable, "-m", "bytewax.run", flow, *arguments]
        cluster = ";".join(f"127.0.0.1:{port}" for port in free_ports(processes))
        with self._log.open("wb") as words:
            self.processes = [
                subprocess.Popen(
                    [*command, *(("-i", str(index), "-a", cluster) if processes > 1 else ())],
                    cwd=home,
                    env=given,
                    stdout=words,
                    stderr=subprocess.STDOUT,
                )
                for index in range(processes)
            ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        if isinstance(error, AssertionError):
            error.add_note(f"the flow said:\n{self.words[-4000:]}")

    @property
    def words(self) -> str:
        """What the processes have printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def statuses(self) -> list[FlowStatus]:
        """What the processes have counted, as far as they have told."""
        files = sorted((self.home / "status").glob("flow-*.json"))
        return [msgspec.json.decode(file.read_bytes(), type=FlowStatus) for file in files]

    @property
    def recordings(self) -> list[Path]:
        """What the processes have recorded."""
        return sorted((self.home / "recordings").glob("*.jsonl.gz"))

    def wait(self, within_s: float = 60.0) -> list[int]:
        """Wait for the end; return the exit codes."""
        deadline = time.monotonic() + within_s
        for process in self.processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise AssertionError(f"the flow did not end within {within_s:.0f} s") from None
        self.codes = [process.returncode for process in self.processes]
        return self.codes

    def end(self, within_s: float = 10.0) -> float:
        """Ask for the end by SIGTERM; return how long it took, in seconds."""
        began = time.monotonic()
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        self.wait(within_s)
        return time.monotonic() - began

    def kill(self, index: int) -> None:
        """End one process without a word; the others cannot go on and end by themselves."""
        self.processes[index].kill()
        self.wait(10.0)

    def is_alive(self) -> bool:
        """Tell whether all processes run."""
        return all(process.poll() is None for process in self.processes)


def replay_run(
    home: Path,
    files: Sequence[Path],
    *,
    flow: str = "flows.replay",
    emit: Sequence[str] = (),
    batch: int = 500,
    speed: float = 0.0,
    store: str = "",
    arguments: Sequence[str] = (),
    processes: int = 1,
    environ: Mapping[str, str] | None = None,
) -> FlowRun:
    """Start a replay that writes `out.jsonl` into its home."""
    options = {
        "files": [str(file) for file in files],
        "batch": batch,
        "speed": speed,
        "store": store,
    }
    output = {"emit": list(emit), "digest": True, "out": str(home / "out.jsonl")}
    return FlowRun(
        flow,
        home,
        environ={
            "CANDLEWAX_REPLAY": msgspec.json.encode(options).decode(),
            "CANDLEWAX_OUTPUT": msgspec.json.encode(output).decode(),
            "CANDLEWAX__LOG__FORMAT": "json",
            **(environ or {}),
        },
        arguments=arguments,
        processes=processes,
        is_urgent=False,  # live flows that are being measured may run meanwhile
    )


def recovery_flags(folder: Path) -> Sequence[str]:
    """Make a recovery store; return the flags that use it."""
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "bytewax.recovery", str(folder), "1"], check=True)
    return ("-r", str(folder), "-s", "1", "-b", "0")


def digest_at(home: Path) -> str:
    """Return the digest of what a run has emitted."""
    return digest_of(home / "out.jsonl")


@contextmanager
def connected(dsn: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Open a connection for looking at rows."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def content(dsn: str) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of all tables, in the order of their keys."""
    with connected(dsn) as connection:
        return {
            name: connection.execute(
                f"SELECT {table.column_list} FROM {name} ORDER BY {table.key_list}"
            ).fetchall()
            for name, table in TABLES.items()
        }


def counts(dsn: str) -> dict[str, int]:
    """Return how many rows every table has."""
    with connected(dsn) as connection:
        return {
            name: int(
                str((connection.execute(f"SELECT count(*) FROM {name}").fetchone() or [0])[0])
            )
            for name in TABLES
        }
