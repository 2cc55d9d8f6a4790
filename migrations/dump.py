"""A database saved and made again by PostgreSQL's own programs."""

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from market.errors import ConfigError
from migrations.session import connect
from sinks.postgres_binaries import candidates

PROGRAMS = ("pg_dump", "pg_restore")
KNOWS_TRANSACTION_TIMEOUT = 170000
"""Version of the first server that has the setting, which newer programs write down."""
RESTORING = "SET timescaledb.restoring = 'on'"
"""Has TimescaleDB take the rows of its own tables as they are; superusers may.

`timescaledb_pre_restore` would do it for all sessions, and a kill would leave it so.
"""
ROWS = 1000
"""How many go to the server at a time."""

_PLACE = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "options": "PGOPTIONS",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
}
"""How libpq's programs are told where to go: a command line can be read by everybody."""


def find_program(name: str, dsn: str) -> Path | None:
    """Return the oldest program that is not older than the server."""
    with connect(dsn) as connection:
        wanted = connection.info.server_version // 10000
    found = []
    for folder in candidates(PROGRAMS):
        program = folder / name
        try:
            done = subprocess.run(
                [str(program), "--version"], capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        told = re.search(r"\) (\d+)", done.stdout)
        if told is not None and int(told[1]) >= wanted:
            found.append((int(told[1]), program))
    return min(found)[1] if found else None


def save(dsn: str, file: Path, program: Path) -> None:
    """Write the whole database into a file.

    Raises:
        ConfigError: the program failed.
    """
    options = ["--format=custom", "--no-owner", "--no-privileges", "--file", str(file)]
    _run([str(program), *options], dsn)


def _run(command: list[str], dsn: str) -> None:
    place = conninfo_to_dict(dsn)
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PG")}
    for name, text in place.items():
        if name in _PLACE and text is not None:
            environment[_PLACE[name]] = str(text)
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-800:]
        raise ConfigError(
            f"{Path(command[0]).name} failed: {said}; --portable of `candlewax db backup` needs "
            "no such program"
        )


def read_version(file: Path, program: Path) -> str:
    """Read a dump to its end; return its version of the schema.

    Raises:
        ConfigError: it is damaged or not ours.
    """
    _dumped(program, file, "--file", os.devnull)
    rows = _dumped(program, file, "--file=-", "--data-only", "--table=alembic_version")
    found = re.search(rb"^COPY .*alembic_version .*\n(\S+)\n", rows, re.MULTILINE)
    if found is None or found[1] == rb"\.":
        raise ConfigError(f"{file}: is no dump of a database of Candlewax")
    return found[1].decode()


def needs_superuser(dsn: str) -> bool:
    """Return whether a dump of this database could not be restored by the role that makes it."""
    with connect(dsn) as connection:
        row = connection.execute(
            "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
        ).fetchone()
        return row is not None and connection.info.parameter_status("is_superuser") != "on"


def needs_timescaledb(dsn: str, file: Path, program: Path) -> bool:
    """Return whether a dump is of a database with TimescaleDB; this one has it then.

    Raises:
        ConfigError: it is, and this server does not have it, or our role may not restore it.
    """
    if b"EXTENSION - timescaledb" not in _dumped(program, file, "--list"):
        return False
    with connect(dsn) as connection:
        there = connection.execute(
            "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"
        ).fetchone()
        if there is None:
            raise ConfigError(
                f"{file}: is of a database with TimescaleDB, which this server does not have: "
                "restore one of `candlewax db backup --portable` instead"
            )
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            connection.execute(RESTORING)
        except psycopg.Error as error:
            said = str(error).splitlines()[0]
            raise ConfigError(
                f"{file}: is of a database with TimescaleDB, and {said}: restore it as a "
                "superuser, or one of `candlewax db backup --portable`; nothing was dropped"
            ) from None
    return True


def _dumped(program: Path, file: Path, *options: str) -> bytes:
    """Return what pg_restore says of a dump without a database."""
    done = subprocess.run(
        [str(program), *options, str(file)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-800:]
        raise ConfigError(f"{file}: is damaged; nothing was dropped: {said}")
    return done.stdout


def restore(
    connection: psycopg.Connection, file: Path, program: Path, *, needs_timescaledb: bool
) -> None:
    """Make what is in a dump, within the transaction that the connection is in.

    The program only writes the statements: it would commit what it does itself.

    Args:
        connection: to a database without what the dump has; its settings are the default ones
            afterwards.
        file: the dump.
        program: `pg_restore`.
        needs_timescaledb: as the function of that name says; the extension must be there.

    Raises:
        ConfigError: the program failed.
        psycopg.Error: what the database says to it.
    """
    if needs_timescaledb:
        connection.execute(RESTORING)
    for section in ("pre-data", "data", "post-data"):
        with _script(program, file, section) as lines:
            _play(connection, lines, holds_rows=section == "data")
    connection.execute("RESET ALL")
    if needs_timescaledb:
        # Refuses a dump of another version; the workers begin again when this has been committed.
        connection.execute("SELECT timescaledb_post_restore()")


@contextlib.contextmanager
def _script(program: Path, file: Path, section: str) -> Iterator[Iterator[bytes]]:
    """Have a section of a dump as lines of SQL.

    Raises:
        ConfigError: the program failed.
    """
    options = [f"--section={section}", "--no-owner", "--no-privileges", "--file=-"]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            [str(program), *options, str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
        ) as running,
    ):
        if running.stdout is None:
            raise RuntimeError("a pipe was asked for")
        try:
            yield iter(running.stdout)
        except BaseException:
            running.kill()
            raise
        if running.wait():
            said.seek(0)
            reason = said.read().decode(errors="replace").strip()[-800:]
            raise ConfigError(f"{program.name} failed: {reason}")


def _play(connection: psycopg.Connection, lines: Iterator[bytes], *, holds_rows: bool) -> None:
    """Run the lines of a section.

    Args:
        connection: in a transaction.
        lines: each with its end.
        holds_rows: whether rows are between them, and large objects in transactions of their own.
    """
    is_old = connection.info.server_version < KNOWS_TRANSACTION_TIMEOUT
    statements: list[bytes] = []
    for line in lines:
        if line.startswith((b"\\restrict ", b"\\unrestrict ")):
            continue  # for psql
        if is_old and line == b"SET transaction_timeout = 0;\n":
            continue
        if holds_rows and line in {b"BEGIN;\n", b"COMMIT;\n"}:
            continue
        if holds_rows and line.startswith(b"COPY ") and line.endswith(b" FROM stdin;\n"):
            connection.execute(b"".join(statements))
            statements = []
            with connection.cursor().copy(line) as rows:
                for row in _rows(lines):
                    rows.write(row)
        else:
            statements.append(line)
    connection.execute(b"".join(statements))


def _rows(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Return the rows up to the line that ends them, many at a time."""
    rows: list[bytes] = []
    for line in lines:
        if line == b"\\.\n":
            break
        rows.append(line)
        if len(rows) == ROWS:
            yield b"".join(rows)
            rows = []
    yield b"".join(rows)
