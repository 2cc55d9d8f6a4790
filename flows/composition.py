"""A whole run: embedded parts, recovery store and flow processes, in this order, and back again."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import msgspec

from flows.cluster import Cluster
from flows.configuration import FILE_VARIABLE, Configuration
from flows.embedded import Embedded
from flows.home import VARIABLE as HOME_VARIABLE
from flows.home import Home
from flows.recovery_store import prepare
from flows.supervisor import FlowProcesses, Recovery, Signals, Supervisor

FLOW = "flows.crypto"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What to run.

    Attributes:
        command: how to name it to people, `candlewax run`.
        flow: what Bytewax runs.
        processes: how many processes; at least 1.
        recover: keep state in the home's recovery store.
        environ: variables for the flow processes, besides ours.
        without: variables of ours that the flow processes do not get.
        restart: start again what dies.
    """

    command: str
    flow: str = FLOW
    processes: int = 1
    recover: bool = True
    environ: dict[str, str] = {}
    without: tuple[str, ...] = ()
    restart: bool = True

    def settled(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return `environ` as the flow processes see it."""
        kept = {name: value for name, value in environ.items() if name not in self.without}
        return {**kept, **self.environ}


def environ_of(
    configuration: Configuration, home: Home, settled: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment in which a flow process reads the same configuration as we did.

    Args:
        configuration: as we read it.
        home: the state folder of the flow process.
        settled: all other variables.
    """
    environ = {**settled, HOME_VARIABLE: str(home.path)}
    if configuration.file is not None:
        environ[FILE_VARIABLE] = str(configuration.file)
    return environ


def run(
    what: Run,
    configuration: Configuration,
    home: Home,
    *,
    started: Callable[[Embedded], None] = lambda _: None,
    turn: Callable[[Supervisor], bool] = lambda _: True,
    output: IO[bytes] | None = None,
) -> int:
    """Run a flow until a signal, until `turn` says so, or until it fails.

    Args:
        what: which flow, in how many processes.
        configuration: the settings; the flow processes read them again.
        home: the state folder, which this process owns meanwhile.
        started: called once when the embedded parts run.
        turn: called about ten times a second; False ends the run.
        output: where the flow processes' words go; ours when not given.

    Returns:
        The exit code, as `Supervisor.run` gives it.

    Raises:
        ConfigError: the state folder is in use, or a part cannot be started.
    """
    cluster = Cluster(name=f"{what.command} {os.getpid()}")
    with Signals() as signals:
        embedded = Embedded.enter(configuration, home, cluster, command=what.command)
        try:
            started(embedded)
            if signals.count:
                return 0
            clear_status(home)
            environ = environ_of(configuration, home, what.settled(os.environ))

            def start() -> FlowProcesses:
                recovery = _recovery(home) if what.recover else None
                return FlowProcesses(
                    what.flow,
                    count=what.processes,
                    environ=environ,
                    cluster=cluster.name,
                    recovery=recovery,
                    output=output,
                )

            supervisor = Supervisor(start, signals, fault=embedded.tend, restart=what.restart)
            return supervisor.run(lambda: turn(supervisor))
        finally:
            embedded.stop()


def clear_status(home: Home) -> None:
    """Remove what the flow processes of an earlier run have told."""
    for pattern in ("flow-*.json", "specs-*.json"):
        for file in home.status.glob(pattern):
            file.unlink(missing_ok=True)


def _recovery(home: Home) -> Recovery:
    prepare(home.recovery)
    return Recovery(folder=Path(home.recovery))
