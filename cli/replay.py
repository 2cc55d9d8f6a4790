"""`candlewax replay`: recordings through the same flow."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from cli import options
from cli.emitted import Emitted
from cli.options import Config, Digest, Emit, Out, Processes
from market.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.import_ import Shown
    from flows.configuration import Configuration
    from flows.home import Home
    from flows.supervisor import FlowProcesses, Recovery, Signals
    from market.instruments import Instrument

MOST_WORKERS = 64


def replay(
    files: Annotated[tuple[Path, ...], Parameter(help="Recordings; several are read as one.")],
    /,
    *,
    store: Annotated[bool, Parameter(help="Write rows to the database.", negative=())] = False,
    notify: Annotated[bool, Parameter(help="Queue alerts for sending.", negative=())] = False,
    speed: Annotated[float, Parameter(help="Times real time; 0 is as fast as it goes.")] = 0.0,
    batch: Annotated[int, Parameter(help="Records taken together.")] = 500,
    processes: Processes = 1,
    workers: Annotated[int, Parameter(help="Threads a process; processes are faster.")] = 1,
    recovery: Annotated[
        Path | None, Parameter(help="Keep state in this folder and go on from it if it is there.")
    ] = None,
    specs: Annotated[
        Path | None, Parameter(help="Folder of filter specs in place of the recorded ones.")
    ] = None,
    own_market: Annotated[
        bool, Parameter(help="Use [market] as configured, not as recorded.", negative=())
    ] = False,
    config: Config = None,
    emit: Emit = (),
    out: Out = None,
    digest: Digest = False,
) -> int:
    """Play recordings again through the flow that made them; same input, same numbers.

    Nothing is stored and nothing is sent unless --store and --notify say so.
    """
    from flows import configuration, logs
    from flows.home import Home
    from sinks.redaction import Redactor

    _check_out(out, files)
    _check(files, speed=speed, batch=batch, workers=workers, store=store, notify=notify)
    options.check_processes(processes)
    told = configuration.load(config, os.environ)
    redactor = Redactor(told.secrets)
    logs.configure(told.settings.log, redactor, file=told.log_file)
    home = Home.of(os.environ)
    wanted = {
        "files": [str(file.absolute()) for file in files],
        "specs": str(specs.absolute()) if specs is not None else "",
        "notify": notify,
        "speed": speed,
        "batch": batch,
        "own_market": own_market,
    }
    with Emitted(emit, out, digest=digest, keep_in=recovery) as lines:
        work = Work(processes=processes, workers=workers, recovery=recovery)
        code = work.run(told, home, wanted, lines.environ, store=store)
        if not code:
            lines.tell()
    return code


def _check(
    files: tuple[Path, ...], *, speed: float, batch: int, workers: int, store: bool, notify: bool
) -> None:
    for file in files:
        if not file.is_file():
            raise ConfigError(f"{file}: no such recording; `candlewax record` makes one")
    if not 0 <= speed < float("inf"):
        raise ConfigError(f"--speed {speed}: expected 0 or more")
    if not 1 <= batch <= 100_000:
        raise ConfigError(f"--batch {batch}: expected 1 to 100000")
    if not 1 <= workers <= MOST_WORKERS:
        raise ConfigError(f"--workers {workers}: expected 1 to {MOST_WORKERS}")
    if notify and not store:
        raise ConfigError("--notify needs --store: alerts are queued in the database")


def _check_out(out: Path | None, files: tuple[Path, ...]) -> None:
    for file in files:
        if out is not None and out.exists() and file.exists() and out.samefile(file):
            raise ConfigError(f"--out {out}: is one of the recordings; choose another file")


class Work:
    """The processes of a replay, and what they need.

    Args:
        processes: of the flow.
        workers: threads of each.
        recovery: folder that state is kept in; None to keep none.
        command: how to name this to people.
        shown: told what the flow has counted, about ten times a second; by default lines say so.
        instruments: to be stored before anything of them.
    """

    def __init__(
        self,
        *,
        processes: int,
        workers: int,
        recovery: Path | None,
        command: str = "candlewax replay",
        shown: "Shown | None" = None,
        instruments: "Sequence[Instrument]" = (),
    ) -> None:
        self._processes = processes
        self._workers = workers
        self._recovery = recovery
        self._command = command
        self._shown = shown
        self._instruments = instruments

    def run(
        self,
        told: "Configuration",
        home: "Home",
        wanted: dict[str, object],
        environ: dict[str, str],
        *,
        store: bool,
    ) -> int:
        """Start, wait, end; return the exit code."""
        import shutil
        import tempfile

        from flows.embedded import Embedded
        from flows.home import VARIABLE, Home
        from flows.supervisor import Signals

        with Signals() as signals:
            database = (
                Embedded.attach(told, home, command=self._command, migrate=True) if store else None
            )
            # A folder of its own: a live run may be writing its status into the home's.
            place = Home(Path(tempfile.mkdtemp(prefix="candlewax-replay-")))
            try:
                place.make()
                if database is not None:
                    self._store_instruments(database.database_url.reveal())
                more = {
                    **environ,
                    VARIABLE: str(place.path),
                    "CANDLEWAX_REPLAY": msgspec.json.encode(
                        {
                            **wanted,
                            "store": database.database_url.reveal() if database else "",
                        }
                    ).decode(),
                }
                return self._wait(told, place, more, signals)
            finally:
                if database is not None:
                    database.stop()
                shutil.rmtree(place.path, ignore_errors=True)

    def _wait(
        self, told: "Configuration", place: "Home", more: dict[str, str], signals: "Signals"
    ) -> int:
        from cli import display, status
        from flows.composition import environ_of
        from flows.supervisor import FlowProcesses, Supervisor

        def start() -> "FlowProcesses":
            return FlowProcesses(
                "flows.replay",
                count=self._processes,
                workers=self._workers,
                environ=environ_of(told, place, {**os.environ, **more}),
                cluster=f"{self._command} {os.getpid()}",
                recovery=self._prepared(),
            )

        watcher = self._shown
        if watcher is not None:

            def look() -> bool:
                watcher.show(status.read(place.status))
                return True

            code = Supervisor(start, signals, restart=False).run(look)
            look()
            return code
        with display.for_stream(sys.stderr, plain=True) as shown:

            def turn() -> bool:
                found = status.read(place.status)
                if found.seconds:
                    shown.show(found, found.seconds)
                return True

            code = Supervisor(start, signals, restart=False).run(turn)
            found = status.read(place.status)
            for problem in dict.fromkeys(found.problems):
                shown.say(f"note: {problem}")
            shown.say(
                "  ".join(
                    f"{name.replace('_', ' ')} {value}"
                    for name, value in status.summary(found, found.seconds).items()
                    if isinstance(value, int | float)
                )
            )
        return code

    def _store_instruments(self, address: str) -> None:
        from migrations.session import connect
        from sinks.insertion import insert
        from sinks.rows import instrument_row, pack, unpack
        from sinks.tables import TABLES

        if not self._instruments:
            return
        rows = unpack(pack("instruments", [instrument_row(one) for one in self._instruments]))
        with connect(address) as connection, connection.transaction():
            insert(connection, TABLES["instruments"], rows)

    def _prepared(self) -> "Recovery | None":
        if self._recovery is None:
            return None
        from flows.recovery_store import prepare
        from flows.supervisor import Recovery

        prepare(self._recovery)
        return Recovery(folder=self._recovery, snapshot_s=1)
