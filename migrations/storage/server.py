"""Which of the three kinds of server a connection leads to."""

import enum

import msgspec
import psycopg


class ServerKind(enum.StrEnum):
    """What the database server is."""

    PLAIN = "PostgreSQL"
    APACHE = "TimescaleDB Apache"
    COMMUNITY = "TimescaleDB Community"


class Server(msgspec.Struct, frozen=True):
    """A server as it shows itself.

    Attributes:
        kind: which of the three.
        version: PostgreSQL's, `"18.4"`.
        timescaledb: version of the extension in this database; None without.
    """

    kind: ServerKind
    version: str
    timescaledb: str | None

    def is_older(self, version: tuple[int, int]) -> bool:
        """Tell whether the extension is older than `version`, or not there."""
        parts = (self.timescaledb or "").partition("-")[0].split(".")
        return tuple(int(part) for part in parts if part.isdigit()) < version


def read_server(connection: psycopg.Connection) -> Server:
    """Ask the server what it is."""
    timescaledb = scalar(
        connection, "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
    )
    kind = ServerKind.PLAIN
    if timescaledb is not None:
        licence = scalar(connection, "SELECT current_setting('timescaledb.license', true)")
        kind = ServerKind.COMMUNITY if licence == "timescale" else ServerKind.APACHE
    version = scalar(connection, "SHOW server_version") or "?"
    return Server(kind, version.split()[0], timescaledb)


def scalar(connection: psycopg.Connection, query: str) -> str | None:
    """Return the first cell of the answer as text, None when there is none or it is null.

    Args:
        connection: in autocommit mode.
        query: without parameters.
    """
    row = connection.execute(query.encode()).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def exists(connection: psycopg.Connection, name: str) -> bool:
    """Tell whether there is a table, index or view of that name."""
    return scalar(connection, f"SELECT to_regclass('{name}')::text") is not None
