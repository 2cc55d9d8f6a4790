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
from pathlib import Path

import msgspec
import psycopg

from market.errors import ConfigError
from migrations import dump
from migrations.storage import prepare
from migrations.upgrade import connect, current, downgrade, newest, revisions, upgrade

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

    The file is read to its end before anything is dropped.

    Args:
        dsn: libpq address of a database without rows in our tables.
        file: what `backup` wrote.
        replace: drop what rows there are.

    Raises:
        ConfigError: no database, no such file, a damaged one or one of a newer Candlewax, or rows
            in the way.
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
    if program is not None:
        _refuse_newer(file, dump.read_version(file, program))
        needs_timescaledb = dump.needs_timescaledb(dsn, file, program)
        _make_room(dsn, replace=replace)
        dump.restore(dsn, file, program, needs_timescaledb=needs_timescaledb)
        saved = Saved(version=current(dsn) or "", portable=False)
    else:
        _read_through(file, saved)
        _make_room(dsn, replace=replace)
        _load(dsn, file, saved)
    upgrade(dsn)
    return saved


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


def _load(dsn: str, file: Path, saved: Saved) -> None:
    upgrade(dsn, saved.version)
    prepare(dsn)  # before the rows: a hypertable need not be converted then
    with connect(dsn) as connection, connection.transaction(), zipfile.ZipFile(file) as archive:
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
                        "nothing was restored"
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


def _make_room(dsn: str, *, replace: bool) -> None:
    with connect(dsn) as connection:
        tables = _tables(connection)
        filled = [
            name
            for name in tables
            if connection.execute(f"SELECT 1 FROM {name} LIMIT 1".encode()).fetchone() is not None
        ]
    if filled and not replace:
        raise ConfigError(
            f"the database has rows in {', '.join(filled)}: restore into another one (`candlewax "
            "db init` makes it), or name --replace to drop them"
        )
    if current(dsn) is not None:
        downgrade(dsn, "base")
    with connect(dsn) as connection:
        connection.execute("DROP TABLE IF EXISTS alembic_version")
