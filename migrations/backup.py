"""Save a database into a file and make it again from one.

Two kinds of file. `pg_dump`'s own format, where a `pg_dump` for this server is at hand: it holds
the whole database as it is, chunks included, and goes back into a server of the same kind. The
portable one holds the rows of our tables alone, and goes into any kind of server: it is how an
embedded database moves to TimescaleDB. `restore` tells them apart.
"""

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from market.errors import ConfigError
from migrations import dump
from migrations.schema_version import current, newest, revisions
from migrations.session import connect
from migrations.storage import chunks, extension, prepare
from migrations.storage.server import read_server
from migrations.storage.timed_tables import TIMED
from migrations.upgrade import WholeChange, whole_change

CUSTOM = b"PGDMP"
MANIFEST = "candlewax.json"
FORMAT = 1
BLOCK = 1 << 20


class SavedTable(msgspec.Struct, frozen=True):
    """A table in a portable file.

    Attributes:
        name: as in the schema.
        columns: in the order of the rows.
        rows: how many.
    """

    name: str
    columns: tuple[str, ...]
    rows: int


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What was saved or restored.

    Attributes:
        version: of the schema.
        portable: whether it is our own format.
        tables: of a portable file.
        format: of the manifest.
    """

    version: str
    portable: bool
    tables: tuple[SavedTable, ...] = ()
    format: int = FORMAT


def backup(dsn: str, file: Path, *, portable: bool = False) -> Saved:
    """Save a database; what is written meanwhile is not in it. The file is whole or not there.

    Args:
        dsn: libpq address.
        file: must not exist; readable by its user only.
        portable: our own format, though there is a `pg_dump`.

    Raises:
        ConfigError: no database, no schema, the file exists or cannot be written, `pg_dump` failed.
    """
    version = current(dsn)
    if version is None:
        raise ConfigError("the database has no tables of Candlewax: there is nothing to save")
    if file.exists():
        raise ConfigError(f"{file}: exists already; a backup overwrites nothing")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{file.name}.", dir=file.parent) as folder:
            fresh = Path(folder) / "backup"
            program = None if portable else dump.find_program("pg_dump", dsn)
            if program is None:
                saved = _save(dsn, fresh, version)
            else:
                dump.save(dsn, fresh, program)
                saved = Saved(version=version, portable=False)
            fresh.chmod(0o600)
            _sync(fresh)
            fresh.rename(file)
            _sync(file.parent)
    except OSError as error:
        raise ConfigError(f"{file}: cannot be written: {error.strerror}") from None
    return saved


def _sync(path: Path) -> None:
    """Have a file, or the names in a folder, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def restore(dsn: str, file: Path, *, replace: bool = False) -> Saved:
    """Make a database again from a file of `backup`, and bring it up to date.

    The file is read to its end before anything is dropped, and all is one transaction: whatever
    ends it half way leaves the database as it was. Until then the disk holds both.

    Args:
        dsn: libpq address of a database without rows in our tables.
        file: what `backup` wrote.
        replace: drop what rows there are.

    Raises:
        ConfigError: no database, no such file, a damaged one or one of a newer Candlewax, rows in
            the way, or the database did not take it.
    """
    try:
        with file.open("rb") as begun:
            is_custom = begun.read(len(CUSTOM)) == CUSTOM
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from None
    saved = Saved(version="", portable=False) if is_custom else _manifest(file)
    program = dump.find_program("pg_restore", dsn) if is_custom else None
    if is_custom and program is None:
        raise ConfigError(
            f"{file}: was written by pg_dump, and no pg_restore for this server is at hand: "
            "install PostgreSQL's programs, or restore a file of `candlewax db backup --portable`"
        )
    needs_timescaledb = False
    if program is not None:
        saved = Saved(version=dump.read_version(file, program), portable=False)
        _refuse_newer(file, saved.version)
        needs_timescaledb = dump.needs_timescaledb(dsn, file, program)
    else:
        _read_through(file, saved)
        with connect(dsn) as connection:
            extension.create(connection)
    filled = _filled(dsn, replace=replace)
    with _told(file, filled), whole_change(dsn) as change:
        change.clear()
        if program is not None:
            dump.restore(change.session, file, program, needs_timescaledb=needs_timescaledb)
        else:
            _load(change, dsn, file, saved)
        change.upgrade()
    if saved.portable:
        prepare(dsn)
    return saved


@contextmanager
def _told(file: Path, filled: list[str]) -> Iterator[None]:
    """Tell what ended a restore; the server has taken all of it back."""
    kept = "the old rows are still there" if filled else "the database is as it was"
    try:
        yield
    except (psycopg.Error, SQLAlchemyError) as error:
        reason = str(error.orig if isinstance(error, DBAPIError) else error).strip()
        raise ConfigError(f"{file}: was not restored; {kept}: {reason}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise ConfigError(f"{file}: cannot be read any more; {kept}: {error}") from None


# -- the portable format -------------------------------------------------------------------------


def _save(dsn: str, file: Path, version: str) -> Saved:
    tables: list[SavedTable] = []
    with connect(dsn) as connection, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        for name, columns in _tables(connection).items():
            listed = ", ".join(f'"{column}"' for column in columns)
            # Through a query: COPY of a hypertable by its name would miss its chunks.
            copy = f"COPY (SELECT {listed} FROM {name}) TO STDOUT"
            with (
                connection.cursor() as cursor,
                archive.open(f"{name}.copy", "w", force_zip64=True) as entry,
            ):
                with cursor.copy(copy.encode()) as rows:
                    for block in rows:
                        entry.write(block)
                tables.append(SavedTable(name, columns, cursor.rowcount))
        connection.execute("COMMIT")
        saved = Saved(version=version, portable=True, tables=tuple(tables))
        archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(saved)))
    return saved


def _tables(connection: psycopg.Connection) -> dict[str, tuple[str, ...]]:
    rows = connection.execute(
        "SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_class c "
        "JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind = 'r' "
        "AND c.relnamespace = current_schema()::regnamespace AND c.relname <> 'alembic_version' "
        "AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' GROUP BY 1 ORDER BY 1"
    )
    return {str(name): tuple(columns) for name, columns in rows}


def _manifest(file: Path) -> Saved:
    try:
        with zipfile.ZipFile(file) as archive:
            saved = msgspec.json.decode(archive.read(MANIFEST), type=Saved)
    except (zipfile.BadZipFile, KeyError, msgspec.DecodeError, json.JSONDecodeError):
        raise ConfigError(f"{file}: is no file of `candlewax db backup`") from None
    _refuse_newer(file, saved.version if saved.format == FORMAT else f"format {saved.format}")
    return saved


def _refuse_newer(file: Path, version: str) -> None:
    if version not in revisions():
        raise ConfigError(
            f"{file}: was saved at schema version {version}, and this program knows none newer "
            f"than {newest()}: install the Candlewax that made it, or a newer one"
        )


def _read_through(file: Path, saved: Saved) -> None:
    """Read a portable file to its end.

    Raises:
        ConfigError: it is damaged, or there are other rows than its manifest says.
    """
    with zipfile.ZipFile(file) as archive:
        for table in saved.tables:
            rows = 0
            try:
                with archive.open(f"{table.name}.copy") as entry:
                    while block := entry.read(BLOCK):
                        rows += block.count(b"\n")  # one within a text is written as two letters
            except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, OSError) as error:
                raise ConfigError(
                    f"{file}: {table.name} is damaged; nothing was dropped: {error}"
                ) from None
            if rows != table.rows:
                raise ConfigError(
                    f"{file}: {table.name} has {rows} rows, expected {table.rows}; "
                    "nothing was dropped"
                )


def _load(change: WholeChange, dsn: str, file: Path, saved: Saved) -> None:
    change.upgrade(saved.version)
    connection = change.session
    server = read_server(connection)
    for timed in TIMED:  # before the rows: a hypertable need not be converted then
        chunks.cut(connection, timed, server, dsn)
    with zipfile.ZipFile(file) as archive:
        known = _tables(connection)
        for table in saved.tables:
            if table.name not in known:
                continue  # somebody's own table, or one of an extension
            listed = ", ".join(f'"{column}"' for column in table.columns)
            copy = f"COPY {table.name} ({listed}) FROM STDIN"
            with (
                connection.cursor() as cursor,
                archive.open(f"{table.name}.copy") as entry,
            ):
                with cursor.copy(copy.encode()) as rows:
                    while block := entry.read(BLOCK):
                        rows.write(block)
                if cursor.rowcount != table.rows:
                    raise ConfigError(
                        f"{file}: {table.name} has {cursor.rowcount} rows, expected {table.rows}; "
                        "nothing was restored, nothing was dropped"
                    )
            _catch_up(connection, table)


def _catch_up(connection: psycopg.Connection, table: SavedTable) -> None:
    """Let numbers that the database gives go on after those that were restored."""
    for column in table.columns:
        row = connection.execute(
            "SELECT pg_get_serial_sequence(%s, %s)", (table.name, column)
        ).fetchone()
        if row is not None and row[0] is not None:
            highest = f'(SELECT max("{column}") FROM {table.name})'
            query = f"SELECT setval(%s, coalesce({highest}, 1), {highest} IS NOT NULL)"
            connection.execute(query.encode(), (row[0],))


# -- what is in the way --------------------------------------------------------------------------


def _filled(dsn: str, *, replace: bool) -> list[str]:
    """Name our tables that have rows.

    Raises:
        ConfigError: there are some, and they are not to be replaced.
    """
    with connect(dsn) as connection:
        filled = [
            name
            for name in _tables(connection)
            if connection.execute(f"SELECT 1 FROM {name} LIMIT 1".encode()).fetchone() is not None
        ]
    if filled and not replace:
        raise ConfigError(
            f"the database has rows in {', '.join(filled)}: restore into another one (`candlewax "
            "db init` makes it), or name --replace to drop them"
        )
    return filled
