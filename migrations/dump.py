"""A database saved and made again by PostgreSQL's own programs."""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from market.errors import ConfigError
from migrations.upgrade import connect
from sinks.postgres_binaries import candidates

PROGRAMS = ("pg_dump", "pg_restore")

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


def needs_timescaledb(dsn: str, file: Path, program: Path) -> bool:
    """Return whether a dump is of a database with TimescaleDB.

    Raises:
        ConfigError: it is, and this server does not have it.
    """
    if b"EXTENSION - timescaledb" not in _dumped(program, file, "--list"):
        return False
    with connect(dsn) as connection:
        there = connection.execute(
            "SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'"
        ).fetchone()
    if there is None:
        raise ConfigError(
            f"{file}: is of a database with TimescaleDB, which this server does not have: restore "
            "one of `candlewax db backup --portable` instead"
        )
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


def restore(dsn: str, file: Path, program: Path, *, needs_timescaledb: bool) -> None:
    """Make what is in a dump.

    Raises:
        ConfigError: the program failed.
    """
    options = ["--no-owner", "--no-privileges", "--exit-on-error"]
    database = str(conninfo_to_dict(dsn).get("dbname") or "")
    command = [str(program), *options, "--dbname", database, str(file)]
    with _restoring(dsn) if needs_timescaledb else contextlib.nullcontext():
        _run(command, dsn)


@contextlib.contextmanager
def _restoring(dsn: str) -> Iterator[None]:
    """Have TimescaleDB take the rows of its own tables as they are."""
    with connect(dsn) as connection:
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        except psycopg.Error as error:
            said = str(error).splitlines()[0]
            raise ConfigError(
                f"{said}; this file is of a database with TimescaleDB: restore one of "
                "`candlewax db backup --portable` instead"
            ) from None
        connection.execute("SELECT timescaledb_pre_restore()")
    try:
        yield
    finally:
        with connect(dsn) as connection:
            connection.execute("SELECT timescaledb_post_restore()")
