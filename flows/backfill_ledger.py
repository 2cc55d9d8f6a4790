"""What of a venue's past has been asked for and stored whole, so that nobody asks for it again.

A file of JSON for each instrument and database, below the state folder; it is replaced, never
changed in place.
"""

import hashlib
import os
from pathlib import Path

import msgspec
import psycopg

Ranges = list[tuple[int, int]]


class BackfillLedger:
    """The ranges of one instrument's trades that are stored whole.

    Args:
        folder: of the ledgers; made when it is needed.
        database: what `identity` says.
        instrument: id.
    """

    def __init__(self, folder: Path, database: str, instrument: str) -> None:
        name = hashlib.sha256(f"{database}\n{instrument}".encode()).hexdigest()[:16]
        self._path = folder / f"{instrument.replace(':', '.')}.{name}.json"
        self._done = self._read()

    def missing(self, start: int, end: int) -> Ranges:
        """Return what of `[start, end)`, ns UTC, is not stored whole, oldest first."""
        missing: Ranges = []
        at = start
        for begins, ends in self._done:
            if ends <= at or begins >= end:
                continue
            if begins > at:
                missing.append((at, begins))
            at = ends
        if at < end:
            missing.append((at, end))
        return missing

    def add(self, start: int, end: int) -> None:
        """Note that `[start, end)`, ns UTC, is stored whole."""
        if start >= end:
            return
        joined: Ranges = []
        for begins, ends in sorted([*self._done, (start, end)]):
            if joined and begins <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], ends))
            else:
                joined.append((begins, ends))
        self._done = joined
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(f".{os.getpid()}.part")
        part.write_bytes(msgspec.json.encode(joined))
        part.replace(self._path)

    def _read(self) -> Ranges:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Ranges)
        except FileNotFoundError:
            return []
        except msgspec.DecodeError:
            return []  # what is not known is asked for again: nothing is stored twice


def identity(connection: psycopg.Connection) -> str:
    """Return what tells this database's trades from those of any other, also of its name."""
    row = connection.execute(
        "SELECT current_database(), 'trades'::regclass::oid::bigint, oid::bigint"
        " FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    try:
        system = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        system = connection.execute(
            "SELECT inet_server_addr()::text, inet_server_port()"
        ).fetchone()
    return f"{row}{system}"
