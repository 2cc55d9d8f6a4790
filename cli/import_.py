"""`candlewax import`: recordings and exported CSV files into the store."""

import contextlib
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from cli import options
from cli.options import Config, Processes
from market.errors import ConfigError

if TYPE_CHECKING:
    from rich.progress import Progress

    from flows.configuration import Configuration
    from flows.home import Home
    from flows.status import FlowStatus
    from sinks.csv_rows import CsvRows

END = 1 << 20
"""A recording is known again by its size, its first bytes and its last ones."""
LINE_EVERY_S = 2.0


def import_(
    files: Annotated[
        tuple[Path, ...], Parameter(help="Recordings, read as one by time; CSV files.")
    ],
    /,
    *,
    processes: Processes = 1,
    config: Config = None,
) -> int:
    """Store what recordings and exported CSV files hold; what is there already stays as it is.

    A recording goes through the flow that made it: trades, bars, features, best levels and gaps
    are stored, whole books as `store.depth` says. Alerts are neither stored nor sent. An import
    that is stopped goes on from there when the same command is given again.
    """
    from flows import configuration, logs
    from flows.home import Home
    from sinks.csv_rows import CsvRows
    from sinks.redaction import Redactor

    for file in files:
        if not file.is_file():
            raise ConfigError(f"{file}: no such file")
    options.check_processes(processes)
    tables = [CsvRows(file) for file in files if file.suffix.lower() == ".csv"]
    recordings = [file for file in files if file.suffix.lower() != ".csv"]
    told = configuration.load(config, os.environ)
    logs.configure(told.settings.log, Redactor(told.secrets), file=told.log_file)
    home = Home.of(os.environ)
    if recordings:
        code = _import_recordings(recordings, told, home, processes)
        if code:
            return code
    if tables:
        _import_tables(tables, told, home)
    return 0


def _import_recordings(
    files: Sequence[Path], told: "Configuration", home: "Home", processes: int
) -> int:
    from cli.replay import Work
    from flows.recorded_instruments import recorded_instruments

    instruments = recorded_instruments(files)
    place = home.path / "import" / _key(files, told, home)
    if place.is_dir():
        print("an import of this was stopped: it goes on from there", file=sys.stderr)
    wanted = {"files": [str(file.absolute()) for file in files], "alerts": False}
    with _shown("recordings") as shown:
        work = Work(
            processes=processes,
            workers=1,
            recovery=place,
            command="candlewax import",
            shown=shown,
            instruments=instruments,
        )
        code = work.run(told, home, wanted, {}, store=True)
    found = shown.last
    for problem in dict.fromkeys(found.problems if found else ()):
        print(f"note: {problem}", file=sys.stderr)
    if code:
        return code
    print(_words(found))
    if found is None or found.share_read < 1:
        print("stopped: the same command goes on from here", file=sys.stderr)
        return options.INTERRUPTED
    shutil.rmtree(place, ignore_errors=True)
    return 0


def _key(files: Sequence[Path], told: "Configuration", home: "Home") -> str:
    """Name what is imported, and whereto: any difference is another import."""
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        with file.open("rb") as content:
            digest.update(f"{size}:".encode() + content.read(END))
            content.seek(max(0, size - END))
            digest.update(content.read(END))
    address = told.database_url.reveal() if told.database_url is not None else str(home.path)
    settings = msgspec.json.encode((told.settings.store.depth, told.settings.market))
    digest.update(address.encode() + b"\n" + settings)
    return digest.hexdigest()[:16]


def _import_tables(tables: Sequence["CsvRows"], told: "Configuration", home: "Home") -> None:
    import psycopg

    from flows.embedded import Embedded
    from migrations.session import connect
    from sinks.insertion import insert

    store = Embedded.attach(told, home, command="candlewax import", migrate=True)
    try:
        with connect(store.database_url.reveal()) as connection:
            for rows in tables:
                new = updated = known = 0
                with _bar() as progress:
                    task = progress.add_task(str(rows.path), total=None)
                    for batch in rows.batches():
                        with connection.transaction():
                            done = insert(connection, rows.table, batch)
                        new += done.new
                        updated += done.updated
                        known += done.known
                        progress.update(task, completed=new + updated + known)
                print(
                    f"{rows.path}: {rows.table.name}: {new:,} new, {updated:,} replaced,"
                    f" {known:,} known"
                )
    except psycopg.OperationalError as error:
        raise ConfigError(
            f"the database went away ({str(error).strip()}): what was stored is there; run the"
            " same command again when it is back"
        ) from error
    finally:
        store.stop()


def _words(found: "FlowStatus | None") -> str:
    """Say what became of the rows, by table."""
    if found is None or not found.rows:
        return "nothing was stored"
    return "\n".join(
        f"{table}: {found.rows_written.get(table, 0):,} new,"
        f" {found.rows_replaced.get(table, 0):,} replaced, {found.rows_known.get(table, 0):,} known"
        for table in found.rows
    )


class Shown:
    """How far an import has come: a bar on a terminal, else a line every two seconds."""

    def __init__(self, progress: "Progress", what: str) -> None:
        self.last: FlowStatus | None = None
        self._progress = progress
        self._task = progress.add_task(what, total=1.0)
        self._next = 0.0

    def show(self, found: "FlowStatus") -> None:
        """Take what the flow has told."""
        self.last = found
        self._progress.update(self._task, completed=found.share_read)
        now = time.monotonic()
        if self._progress.disable and found.seconds and now >= self._next:
            self._next = now + LINE_EVERY_S
            rows = sum(found.rows.values())
            print(f"{found.share_read:.0%} read, {rows:,} rows", file=sys.stderr, flush=True)


@contextlib.contextmanager
def _shown(what: str) -> Iterator[Shown]:
    with _bar() as progress:
        yield Shown(progress, what)


def _bar() -> "Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    return Progress(
        "{task.description}",
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
