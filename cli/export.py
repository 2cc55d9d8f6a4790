"""`candlewax export`: rows of the store into a file, or a pipe."""

import contextlib
import importlib.util
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Literal

import msgspec
from cyclopts import Parameter

from cli import options
from cli.options import Config
from market.errors import ConfigError

if TYPE_CHECKING:
    import psycopg

    from sinks.selection import Selection

Kind = Literal["trades", "bars", "features", "depth", "tops"]
Format = Literal["csv", "parquet", "arrow"]
Named = Annotated[
    tuple[str, ...],
    Parameter(converter=options.comma_separated, n_tokens=1, negative=()),
]
PIPE = Path("-")
REPORT_ROWS = 10_000


def export(
    what: Annotated[Kind, Parameter(help="depth: whole books and changes; tops: best levels.")],
    /,
    *,
    out: Annotated[
        Path, Parameter(help="The file; - for standard output.", allow_leading_hyphen=True)
    ],
    format_: Annotated[Format, Parameter(name="--format", help="Of the file.")] = "csv",
    venue: Annotated[Named, Parameter(help="Only these.")] = (),
    symbol: Annotated[Named, Parameter(help="Only these, in any spelling.")] = (),
    interval: Annotated[str, Parameter(help="Of bars and features; all without.")] = "",
    from_: Annotated[
        str,
        Parameter(name="--from", help="From when: 2026-11-20, 2026-11-20T08:00, or back as 2h."),
    ] = "",
    to: Annotated[str, Parameter(help="Up to when, itself left out, as --from.")] = "",
    force: Annotated[bool, Parameter(help="Replace the file if it is there.", negative=())] = False,
    config: Config = None,
) -> int:
    """Write rows of the store to a file.

    Rows are read and written page by page, however many there are. A file is there whole, under
    its own name, or not at all. Times are UTC; Parquet and Arrow need the extra
    candlewax[parquet].
    """
    from flows import configuration
    from flows.embedded import Embedded
    from flows.home import Home

    _check_format(format_, out)
    _check_interval(interval, what)
    now = time.time_ns()
    start = options.moment("--from", from_, now) if from_ else None
    end = options.moment("--to", to, now) if to else None
    if start is not None and end is not None and start >= end:
        raise ConfigError(f"--from {from_} is not before --to {to}")
    _check_out(out, force=force)
    told = configuration.load(config, os.environ)
    store = Embedded.attach(told, Home.of(os.environ), command="candlewax export", migrate=False)
    try:
        count = _export(
            store.database_url.reveal(),
            _Wish(
                what=what,
                venues=tuple(name.lower() for name in venue),
                symbols=symbol,
                interval=interval,
                start=start,
                end=end,
            ),
            format_,
            out,
        )
    finally:
        store.stop()
    where = "standard output" if out == PIPE else str(out)
    print(f"{count:,} rows of {what} to {where}", file=sys.stderr)
    return 0


class _Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for; which instruments that means, the store knows."""

    what: Kind
    venues: tuple[str, ...]
    symbols: tuple[str, ...]
    interval: str
    start: int | None
    end: int | None

    def selection(self, connection: "psycopg.Connection") -> "Selection":
        """Return the rows that are meant.

        Raises:
            ConfigError: nothing is stored of a venue or a symbol.
        """
        from market.errors import UnknownInstrumentError
        from sinks.selection import Selection, stored_instruments

        chosen = None
        if self.venues or self.symbols:
            known = stored_instruments(connection, self.what)
            there = sorted({one.venue for one in known})
            for name in self.venues:
                if name not in there:
                    listed = ", ".join(there) or "nothing"
                    raise ConfigError(
                        f"--venue {name}: no {self.what} of it are stored; there is {listed}"
                    )
            found = list(known)
            try:
                if self.symbols:
                    found = [one for name in self.symbols for one in known.resolve(name)]
            except UnknownInstrumentError as error:
                listed = ", ".join(sorted({one.symbol for one in known})[:20]) or "nothing"
                raise ConfigError(
                    f"{error}: no {self.what} of it are stored; there is {listed}"
                    if not error.near
                    else str(error)
                ) from None
            chosen = tuple(
                dict.fromkeys(
                    (one.venue, one.symbol)
                    for one in found
                    if not self.venues or one.venue in self.venues
                )
            )
            if not chosen:
                raise ConfigError(
                    f"no {self.what} of {', '.join(self.symbols)} at {', '.join(self.venues)}"
                    " are stored"
                )
        return Selection(
            kind=self.what,
            instruments=chosen,
            interval=self.interval,
            start=self.start,
            end=self.end,
        )


def _check_format(format_: Format, out: Path) -> None:
    if format_ == "csv":
        return
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError(
            f"--format {format_} needs pyarrow: pip install 'candlewax[parquet]'; or use csv"
        )
    if out == PIPE and sys.stdout.isatty():
        raise ConfigError(f"--out -: {format_} is nothing for a terminal; name a file")


def _check_interval(interval: str, what: Kind) -> None:
    from market.activity import parse_bar_length

    if not interval:
        return
    if what not in {"bars", "features"}:
        raise ConfigError(f"--interval {interval}: {what} have none; leave it out")
    try:
        parse_bar_length(interval)
    except ValueError as error:
        raise ConfigError(f"--interval {interval}: {error}") from None


def _check_out(out: Path, *, force: bool) -> None:
    if out == PIPE:
        return
    if out.is_dir():
        raise ConfigError(f"--out {out}: is a folder; name a file in it")
    if out.exists() and not force:
        raise ConfigError(f"--out {out}: is there already; --force replaces it")
    if not out.absolute().parent.is_dir():
        raise ConfigError(f"--out {out}: there is no folder {out.absolute().parent}")


def _export(address: str, wish: _Wish, format_: Format, out: Path) -> int:
    import psycopg

    from migrations.session import connect

    try:
        with connect(address) as connection:
            return _copied(connection, wish, format_, out)
    except psycopg.OperationalError as error:
        raise ConfigError(
            f"the database went away ({str(error).strip()}): nothing was written; run the same"
            " command again when it is back"
        ) from error


def _copied(connection: "psycopg.Connection", wish: _Wish, format_: Format, out: Path) -> int:
    from sinks.selection import KINDS, csv_rows, row_pages

    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (KINDS[wish.what],)).fetchone()
    if row is None or not row[0]:
        raise ConfigError("the database lacks tables: `candlewax db upgrade` makes them")
    selection = wish.selection(connection)
    with _opened(out) as file, _progress(f"{wish.what} to {out}") as report:
        if format_ == "csv":
            return _write_lines(csv_rows(connection, selection), file, report)
        from sinks.columns import write_arrow, write_parquet

        pages = row_pages(connection, selection)
        if format_ == "parquet":
            return write_parquet(selection.table, pages, file, report=report)
        return write_arrow(selection.table, pages, file, is_stream=out == PIPE, report=report)


def _write_lines(lines: Iterator[bytes], file: IO[bytes], report: Callable[[int], None]) -> int:
    count = -1  # the header is none
    for line in lines:
        file.write(line)
        count += 1
        if count % REPORT_ROWS == 0:
            report(count)
    report(count)
    return count


@contextlib.contextmanager
def _opened(out: Path) -> Iterator[IO[bytes]]:
    """Give a file that gets its name when it is whole."""
    if out == PIPE:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise ConfigError(f"--out {out}: cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _progress(what: str) -> Iterator[Callable[[int], None]]:
    """Show how many rows have been read, on a terminal's standard error."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn

    with Progress(
        SpinnerColumn(),
        "{task.description}",
        "{task.completed:,} rows",
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task(what, total=None)
        yield lambda count: progress.update(task, completed=count)
