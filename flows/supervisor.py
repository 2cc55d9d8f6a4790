"""The processes of a flow, started together, ended together, started again together.

A process cannot join a running Bytewax cluster again, so when one dies the others are ended and
all start anew, after a pause that doubles each time. Several quick deaths in a row end the run:
what fails at once will fail again. Exit code 2 of the first processes is a person's mistake and is
not tried again; later it is more likely a venue or a database that is away: a death like others.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import IO, Self

import msgspec

from flows import child_process
from flows.cluster import CLUSTER, free_addresses

PROGRAM = (sys.executable, "-m", "bytewax.run")
STOP_S = 4.0
"""Seconds that flow processes get to hand over what they hold, after a signal."""

QUICK_S = 10.0
"""A process that lived shorter than this died quickly."""

QUICK_DEATHS = 5
"""So many quick deaths in a row end the run."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0

SAME_SIGNAL_S = 1.0
USER_MISTAKE = 2

METRICS = "BYTEWAX_DATAFLOW_API_ENABLED"
METRICS_PORT = "BYTEWAX_DATAFLOW_API_PORT"
FIRST_METRICS_PORT = 3030
_TURN_S = 0.1
_TOGETHER_S = 5.0

_log = logging.getLogger(__name__)


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """Where Bytewax keeps state, and how often it does.

    Attributes:
        folder: a prepared store.
        snapshot_s: whole seconds between two snapshots; 0 for one at every turn.
        backup_s: whole seconds that superseded snapshots are kept.
    """

    folder: Path
    snapshot_s: int = 2
    backup_s: int = 0


class FlowProcesses:
    """One generation of processes: all of a cluster, from start to end.

    Args:
        flow: what Bytewax runs, `flows.crypto`.
        count: number of processes.
        environ: their environment.
        cluster: word that says they belong together.
        recovery: their store; None for none.
        workers: threads a process.
        output: where their words go; ours when not given.
        program: what runs a flow.
    """

    def __init__(
        self,
        flow: str,
        *,
        count: int = 1,
        environ: Mapping[str, str] | None = None,
        cluster: str = "",
        recovery: Recovery | None = None,
        workers: int = 1,
        output: IO[bytes] | None = None,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        options: list[str] = []
        if workers > 1:
            options += ["-w", str(workers)]
        if recovery is not None:
            options += ["-r", str(recovery.folder)]
            options += ["-s", str(recovery.snapshot_s), "-b", str(recovery.backup_s)]
        addresses = ";".join(free_addresses(count)) if count > 1 else ""
        environ = {**(os.environ if environ is None else environ), "PYTHONUNBUFFERED": "1"}
        if cluster:
            environ[CLUSTER] = cluster
        self.children: list[subprocess.Popen[bytes]] = []
        for number in range(count):
            if METRICS in environ:  # one port each, or the second process goes on without metrics
                port = int(environ.get(METRICS_PORT) or FIRST_METRICS_PORT)
                environ = {**environ, METRICS_PORT: str(port + (number > 0))}
            place = ["-i", str(number), "-a", addresses] if addresses else []
            self.children.append(
                child_process.start(
                    [*program, flow, *options, *place],
                    environ=environ,
                    stdout=output,
                    stderr=output if output is None else subprocess.STDOUT,
                )
            )

    @property
    def pids(self) -> list[int]:
        """Process ids, in the order of the cluster."""
        return [child.pid for child in self.children]

    def codes(self) -> list[int | None]:
        """Return the exit codes; None for a process that runs."""
        return [child.poll() for child in self.children]

    def signal(self) -> None:
        """Ask all to end."""
        for child in self.children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End all now."""
        for child in self.children:
            if child.poll() is None:
                child.kill()

    def wait(self, timeout_s: float) -> bool:
        """Wait for all to end; return whether they did."""
        deadline = time.monotonic() + timeout_s
        for child in self.children:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return False
        return True

    def stop(self, timeout_s: float = STOP_S) -> bool:
        """Ask all to end and kill those that do not.

        Returns:
            Whether all ended by themselves.
        """
        self.signal()
        clean = self.wait(timeout_s)
        if not clean:
            self.kill()
            self.wait(timeout_s)
        return clean


class Signals:
    """Whether a person or the system has asked for the end: SIGINT, SIGTERM or SIGHUP.

    The second signal means at once, unless it comes in the same second: a terminal and a parent
    process may both pass the first one on. Used as a context manager on the main thread; what was
    there before is put back.
    """

    KINDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.count = 0
        self.last = 0
        self._noted = 0.0
        self._before: list[tuple[int, object]] = []

    def __enter__(self) -> Self:
        self._before = [(kind, signal.signal(kind, self._note)) for kind in self.KINDS]
        return self

    def __exit__(self, *_: object) -> None:
        for kind, handler in self._before:
            signal.signal(kind, handler)  # type: ignore[arg-type]  # it came from the same call

    def _note(self, kind: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.count and now - self._noted < SAME_SIGNAL_S:
            return
        self._noted = now
        self.count += 1
        self.last = kind


class Supervisor:
    """Keeps the processes of a flow running.

    Args:
        start: starts a generation of processes.
        signals: says when to end.
        fault: called about ten times a second; says what is gone for good, empty when nothing is.
        restart: start again what died; otherwise the first end is the end.
    """

    def __init__(
        self,
        start: Callable[[], FlowProcesses],
        signals: Signals,
        *,
        fault: Callable[[], str] = str,
        restart: bool = True,
    ) -> None:
        self._start = start
        self._signals = signals
        self._fault = fault
        self._restart = restart
        self._gone = ""
        self.processes: FlowProcesses | None = None
        self.restarts = 0

    def run(self, turn: Callable[[], bool] = lambda: True) -> int:
        """Run until a signal, until `turn` says so, or until there is no sense in going on.

        Args:
            turn: called about ten times a second; False ends the run.

        Returns:
            Exit code: 0 for a clean end, 2 for a person's mistake that one of the first processes
            has told, 1 for an end that was not clean.
        """
        quick, pause_s, has_run = 0, FIRST_PAUSE_S, False
        while True:
            started = time.monotonic()
            self.processes = processes = self._start()
            _log.info("flow processes started", extra={"pids": processes.pids})
            if not self._watch(processes, turn):
                return self._end(processes)
            codes = self._gather(processes)
            if USER_MISTAKE in codes and not self.restarts:
                return USER_MISTAKE
            if all(code == 0 for code in codes):
                return 0
            if self._signals.count or self._gone or not self._restart:
                return 1
            lived = time.monotonic() - started
            if lived >= QUICK_S:
                quick, pause_s = 0, FIRST_PAUSE_S
                has_run = True
            elif not (has_run and USER_MISTAKE in codes):
                quick += 1  # else: what it needs was there and is away, and will come back
            if quick >= QUICK_DEATHS:
                _log.error(
                    "flow processes died quickly too often: giving up", extra={"deaths": quick}
                )
                return 1
            _log.error(
                "flow process died: starting all again",
                extra={"codes": codes, "lived_s": round(lived, 1), "pause_s": pause_s},
            )
            if not self._pause(pause_s, turn):
                return 0
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            self.restarts += 1

    def _watch(self, processes: FlowProcesses, turn: Callable[[], bool]) -> bool:
        """Wait for the first end of a process; False when the end has been asked for."""
        while True:
            if self._signals.count or not turn():
                return False
            if any(code is not None for code in processes.codes()):
                return True
            self._gone = self._fault()
            if self._gone:
                _log.error("cannot go on", extra={"reason": self._gone})
                return True
            time.sleep(_TURN_S)

    def _gather(self, processes: FlowProcesses) -> list[int]:
        """End the others after one has ended; return how all ended.

        Processes of a cluster that has come to its end stop a moment apart; those of a cluster
        that lost one are ended.
        """
        own = [code for code in processes.codes() if code is not None]
        if own and all(code == 0 for code in own):
            processes.wait(_TOGETHER_S)
        codes = processes.codes()
        processes.stop()
        # What we end ourselves is no fault of its own.
        return [code if code is not None else -signal.SIGTERM for code in codes]

    def _end(self, processes: FlowProcesses) -> int:
        processes.signal()
        deadline = time.monotonic() + STOP_S
        asked = self._signals.count
        while not processes.wait(_TURN_S):
            if time.monotonic() > deadline or self._signals.count > asked:
                _log.error("flow processes did not end in time: killed")
                processes.kill()
                processes.wait(STOP_S)
        return 0 if all(code == 0 for code in processes.codes()) else 1

    def _pause(self, seconds: float, turn: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._signals.count or not turn():
                return False
            time.sleep(min(_TURN_S, seconds))
        return True
