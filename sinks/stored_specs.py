"""Filter specs in the database, table `filter_specs`.

A change is told to whoever listens on `CHANNEL`, as soon as it is committed, whoever made it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from filters.spec_store import StoredSpec
from market.errors import ConfigError
from sinks.nanoseconds import ns_of
from sinks.secret import Secret
from sinks.store_connection import RETRIABLE, complete, connect

CHANNEL = "candlewax_filter_specs"
"""NOTIFY channel of the table's trigger."""


class StoredSpecs:
    """The specs of one database; satisfies `filters.spec_store.SpecStore`.

    Each call opens a connection of its own: calls are rare, and any thread may make them.

    Args:
        dsn: address of the database.
    """

    def __init__(self, dsn: Secret) -> None:
        self._dsn = dsn

    def list(self) -> list[StoredSpec]:
        """Return all of them, by id.

        Raises:
            ConfigError: the database is away, or has no such table.
        """
        with self._session() as connection:
            rows = connection.execute(
                f"SELECT id, text, enabled, {ns_of('created_at')}, created_by"
                ' FROM filter_specs ORDER BY id COLLATE "C"'
            ).fetchall()
        return [
            StoredSpec(id=ident, text=text, is_enabled=enabled, created_at=at, created_by=by)
            for ident, text, enabled, at, by in rows
        ]

    def add(self, spec: StoredSpec) -> None:
        """Keep a spec that has been checked; when it was added is the database's clock.

        Raises:
            ConfigError: its id is taken, or the database is away.
        """
        with self._session() as connection:
            done = connection.execute(
                "INSERT INTO filter_specs (id, text, enabled, created_by) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT (id) DO NOTHING",
                (spec.id, spec.text, spec.is_enabled, spec.created_by),
            )
        if not done.rowcount:
            raise ConfigError(
                f"{spec.place}: the id is taken already: choose another, or remove that one first"
            )

    def remove(self, ident: str) -> bool:
        """Forget a spec; return whether there was one of this id.

        Raises:
            ConfigError: the database is away.
        """
        with self._session() as connection:
            done = connection.execute("DELETE FROM filter_specs WHERE id = %s", (ident,))
        return bool(done.rowcount)

    def switch(self, ident: str, *, is_enabled: bool) -> bool:
        """Put a spec in force or out of it; return whether there is one of this id.

        Raises:
            ConfigError: the database is away.
        """
        with self._session() as connection:
            done = connection.execute(
                "UPDATE filter_specs SET enabled = %s, changed_at = now() WHERE id = %s",
                (is_enabled, ident),
            )
        return bool(done.rowcount)

    def generation(self, digest: str) -> int:
        """Return the number of a set of specs: the next one, unless it is the newest already.

        Raises:
            ConfigError: the database is away.
        """
        with self._session() as connection, connection.transaction():
            connection.execute("LOCK TABLE filter_generations IN SHARE ROW EXCLUSIVE MODE")
            newest = connection.execute(
                "SELECT generation, digest FROM filter_generations ORDER BY generation DESC LIMIT 1"
            ).fetchone()
            number, known = newest if newest is not None else (0, None)
            if known == digest:
                return int(number)
            connection.execute(
                "INSERT INTO filter_generations (generation, digest) VALUES (%s, %s)",
                (number + 1, digest),
            )
            return int(number) + 1

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection]:
        try:
            with connect(complete(self._dsn.reveal())) as connection:
                yield connection
        except psycopg.errors.UndefinedTable:
            raise ConfigError(
                "the database has no table of filter specs yet: `candlewax db upgrade` makes it"
            ) from None
        except RETRIABLE as error:
            raise ConfigError(
                f"the database does not answer for its filter specs: {str(error).strip()}; start"
                " it, or correct DATABASE_URL"
            ) from None


def followed_symbols(dsn: Secret) -> tuple[str, ...]:
    """Return the symbols of all instruments that were ever followed; none without a database."""
    try:
        with connect(complete(dsn.reveal())) as connection:
            rows = connection.execute("SELECT DISTINCT symbol FROM instruments ORDER BY 1")
            return tuple(str(row[0]) for row in rows)
    except (*RETRIABLE, psycopg.errors.UndefinedTable):
        return ()
