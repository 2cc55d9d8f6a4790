"""`candlewax db`: the tables and the server they live in."""

import getpass
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import App, Parameter

from cli import options
from cli.options import Config
from market.errors import ConfigError

if TYPE_CHECKING:
    from flows.configuration import Configuration
    from flows.embedded import Embedded
    from migrations.storage import StorageReport
    from migrations.table_rows import RowCount
    from migrations.table_sizes import TableSize
    from sinks.secret import Secret

app = App(name="db", help="Look after the database.")

ADMIN = "DATABASE_ADMIN_URL"
PASSWORD = "DATABASE_PASSWORD"  # noqa: S105  the name of a variable

Replace = Annotated[
    bool, Parameter(name="--replace", help="Drop the rows that are there.", negative=())
]
Yes = Annotated[
    bool, Parameter(name="--yes", help="Drop tables and rows without asking.", negative=())
]
Json = Annotated[bool, Parameter(name="--json", help="One JSON object.", negative=())]


@app.command
def init(
    *,
    role: Annotated[str, Parameter(help="Who will own the database.")] = "candlewax",
    database: Annotated[str, Parameter(help="Name of the database.")] = "candlewax",
    config: Config = None,
) -> int:
    """Make a role, a database and the tables on a server; what is there stays.

    The address of an administrator comes from DATABASE_ADMIN_URL, the password of the new role from
    DATABASE_PASSWORD; each may be in the file that the variable with _FILE names. Without a
    password it is asked for.
    """
    from flows import configuration
    from flows.embedded import prepare_database
    from migrations.new_database import make
    from sinks.secret import read_secret

    told = configuration.load(config, os.environ)
    admin = read_secret(ADMIN, os.environ)
    if admin is None:
        raise ConfigError(
            f"no administrator's address: set {ADMIN}, or {ADMIN}_FILE to a file that holds it, to "
            "postgresql://postgres:password@host:port/postgres"
        )
    new = make(admin.reveal(), role=role, database=database, password=_new_password(role))
    for what in ("role", "database"):
        print(f"{what:9} {'made' if what in new.made else 'was there'}")
    report = prepare_database(new.dsn.reveal(), told.settings.store)
    print(f"server    {report.kind} {report.server_version}")
    _print_steps(report)
    print(f"\nset DATABASE_URL, or DATABASE_URL_FILE to a file that holds it, to\n{new.shape}")
    return 0


def _new_password(role: str) -> "Secret":
    from sinks.secret import Secret, read_secret

    found = read_secret(PASSWORD, os.environ)
    if found is None and sys.stdin.isatty():
        found = Secret(getpass.getpass(f"password of role {role}: "))
    if not found:
        raise ConfigError(
            f"no password for role {role}: set {PASSWORD}, or {PASSWORD}_FILE to a file that "
            "holds it, or run this on a terminal to be asked"
        )
    return found


@app.command
def upgrade(*, config: Config = None) -> int:
    """Bring the tables up to date and use what the server can do."""
    from migrations.schema_version import current
    from migrations.storage import fill

    with _attached(config, "upgrade", migrate=True) as (told, store):
        address = store.database_url.reveal()
        print(f"schema version {current(address)}")
        if store.report is not None:
            _print_steps(store.report)
            if any(not step.is_done for step in store.report.history):
                for filled in fill(address, told.settings.store.retention.days):
                    print(f"{filled.aggregate}: {filled.windows:,} days or parts of one put in")
    return 0


@app.command
def downgrade(revision: str, /, *, yes: Yes = False, config: Config = None) -> int:
    """Undo the versions after REVISION; `base` undoes all. Tables go with their rows.

    Parameters
    ----------
    revision
        Version to go back to, as `candlewax db status` shows it.
    """
    from migrations.upgrade import downgrade as undo

    if not yes and not (sys.stdin.isatty() and _agreed(f"drop what came after {revision}?")):
        raise ConfigError(
            f"going down to {revision} drops tables with their rows: `candlewax db backup` first, "
            "then say --yes"
        )
    with _attached(config, "downgrade") as (_, store):
        _refuse_while_in_use(store.database_url.reveal())
        done = undo(store.database_url.reveal(), revision)
    print(f"schema version {done.after or 'none'}, was {done.before or 'none'}")
    return 0


def _agreed(question: str) -> bool:
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


@app.command
def status(
    *,
    exact: Annotated[
        bool,
        Parameter(help="Count large tables row by row, which may take minutes.", negative=()),
    ] = False,
    config: Config = None,
    json: Json = False,
) -> int:
    """Say which server this is, what is on and off there, how many rows there are, and their size.

    The rows of tables over 64 MB are estimated and have a tilde. The embedded PostgreSQL is started
    for the question when nothing else runs it.
    """
    from migrations.schema_version import current, newest
    from migrations.storage import inspect

    with _attached(config, "status") as (told, store):
        keep = told.settings.store.retention.days
        address = store.database_url.reveal()
        report = inspect(address, keep_days=keep)
        version = current(address)
        sizes, rows = _measured(address, keep, exact=exact)
    facts: dict[str, object] = {
        "server": str(report.kind),
        "server_version": report.server_version,
        "timescaledb_version": report.timescaledb_version,
        "embedded": told.database_url is None,
        "schema_version": version,
        "schema_newest": newest(),
        "steps": report.steps,
        "rows": {name: count.rows for name, count in rows.items()},
        "estimated": [name for name, count in rows.items() if not count.is_exact],
        "bytes": {size.table: size.size for size in sizes},
    }
    if json:
        print(msgspec.json.encode(facts).decode())
        return 0
    kind = "embedded " if told.database_url is None else ""
    print(f"server          {kind}{report.kind} {report.server_version}")
    print(f"TimescaleDB     {report.timescaledb_version or 'not there: plain tables'}")
    behind = "" if version == newest() else f", newest {newest()}: `candlewax db upgrade`"
    print(f"schema version  {version or 'none'}{behind}")
    _print_steps(report)
    for size in sizes:
        print(f"{rows[size.table]!s:>13}  {size.table:19}{_size_text(size)}")
    return 0


def _size_text(size: "TableSize") -> str:
    growth = "" if size.day_size is None else f", {megabytes(size.day_size)} a day"
    return f"{megabytes(size.size)}{growth}"


def megabytes(size: float) -> str:
    """Return a size as people read it."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


@app.command
def check(
    *,
    bars: Annotated[
        bool, Parameter(help="Also hold the stored bars to the stored trades.", negative=())
    ] = False,
    since: Annotated[
        str, Parameter(help="With --bars: from when, as 2h, or 2026-11-20T08:00; all if not given.")
    ] = "",
    config: Config = None,
) -> int:
    """Compare the tables with what they should be; exit code 1 when something is wrong."""
    from cli.bar_check import check_bars
    from migrations.check import faults

    if since and not bars:
        raise ConfigError("--since is for --bars: the tables are compared as they are now")
    begin = options.moment("--since", since, time.time_ns()) if since else 0
    with _attached(config, "check") as (told, store):
        address = store.database_url.reveal()
        code = _tell_faults(faults(address))
        if bars and code:
            print("      the bars were not looked at")
        elif bars:
            code = check_bars(address, begin, told.settings.store.retention.days)
    return code


def _tell_faults(found: list[str]) -> int:
    for fault in found:
        print(f"bad   {fault}")
    if not found:
        print("ok    the tables, what is on them, the views and functions are as they should be")
    return 1 if found else 0


@app.command
def retain(*, config: Config = None) -> int:
    """Remove what is older than `store.retention` keeps; a running flow does it every hour."""
    from flows.home import Home
    from flows.kept_files import prune_home
    from sinks.retention import expire
    from sinks.store_connection import RETRIABLE, complete, connect

    with _attached(config, "retain") as (told, store):
        settings = told.settings.store.retention
        try:
            with connect(complete(store.database_url.reveal()), session=False) as connection:
                expired = expire(connection, settings.days)
        except RETRIABLE as error:
            raise ConfigError(f"the database does not do it: {str(error).strip()}") from None
    if expired is None:
        print("another process is removing old rows at this moment")
    for each in expired or ():
        what = {"drop_chunks": "chunks", "DELETE": "rows"}.get(each.how)
        done = f"{each.count:,} {what} removed" if what else "left to the server's own policy"
        print(f"{each.table:14} older than {each.days:g} days: {done}")
    for path in prune_home(Home.of(os.environ), settings):
        print(f"removed {path}")
    return 0


@app.command
def backup(
    file: Path,
    /,
    *,
    portable: Annotated[
        bool,
        Parameter(help="Only the rows, for any kind of server: to move to another.", negative=()),
    ] = False,
    config: Config = None,
) -> int:
    """Save the database into FILE, which must not exist.

    Parameters
    ----------
    file
        Written whole or not at all, readable by you only.
    """
    from migrations.backup import backup as save
    from migrations.dump import needs_superuser

    with _attached(config, "backup") as (_, store):
        address = store.database_url.reveal()
        saved = save(address, file, portable=portable)
        is_hard_to_restore = not saved.portable and needs_superuser(address)
    kind = "portable" if saved.portable else "pg_dump's format"
    print(f"{file}: schema version {saved.version}, {kind}, {megabytes(file.stat().st_size)}")
    for table in saved.tables:
        print(f"{table.rows:>13,}  {table.name}")
    if is_hard_to_restore:
        print("note  TimescaleDB: a superuser must restore this file, and --portable makes one")
        print("      that your role can restore, the rows of our tables alone")
    return 0


@app.command
def restore(file: Path, /, *, replace: Replace = False, config: Config = None) -> int:
    """Make the database again from FILE, and bring it up to date.

    Parameters
    ----------
    file
        What `candlewax db backup` wrote.
    """
    from flows.embedded import prepare_database
    from migrations.backup import restore as make

    with _attached(config, "restore") as (told, store):
        address = store.database_url.reveal()
        _refuse_while_in_use(address)
        saved = make(address, file, replace=replace)
        report = prepare_database(address, told.settings.store)
        _, rows = _measured(address, {})
    print(f"restored schema version {saved.version} into {report.kind} {report.server_version}")
    for table, count in rows.items():
        print(f"{count!s:>13}  {table}")
    return 0


def _refuse_while_in_use(address: str) -> None:
    """Keep a running flow from losing its tables.

    Raises:
        ConfigError: a flow is connected.
    """
    from migrations.session import connect
    from sinks.store_connection import DRIVER_SETTINGS

    with connect(address) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = %s",
            (DRIVER_SETTINGS["application_name"],),
        ).fetchone()
    if row is not None and row[0]:
        raise ConfigError(f"a flow uses this database ({row[0]} connections): stop it first")


@contextmanager
def _attached(
    config: Config, command: str, *, migrate: bool = False
) -> "Iterator[tuple[Configuration, Embedded]]":
    """Get at the database, which is started when it is the embedded one and does not run."""
    from flows import configuration
    from flows.embedded import Embedded
    from flows.home import Home

    told = configuration.load(config, os.environ)
    store = Embedded.attach(
        told, Home.of(os.environ), command=f"candlewax db {command}", migrate=migrate
    )
    try:
        yield told, store
    finally:
        store.stop()


def _print_steps(report: "StorageReport") -> None:
    for step in report.steps:
        print(f"{'on ' if step.is_done else 'off'}  {step.what}: {step.reason}")


def _measured(
    address: str, keep_days: "Mapping[str, float]", *, exact: bool = False
) -> "tuple[list[TableSize], dict[str, RowCount]]":
    from migrations.session import connect
    from migrations.table_rows import count_rows
    from migrations.table_sizes import read_sizes

    with connect(address) as connection:
        sizes = read_sizes(connection, keep_days)
        told = [(size.table, size.size) for size in sizes]
        return sizes, count_rows(connection, told, exact=exact)
