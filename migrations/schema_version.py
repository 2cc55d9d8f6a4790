"""Which version of the schema a database has, and which there are.

Alembic, which makes the versions, is not loaded for that: it would be a third of what a flow loads.
"""

from pathlib import Path

import psycopg

from market.errors import ConfigError
from migrations.session import connect

FOLDER = Path(__file__).parent / "versions"


def revisions() -> list[str]:
    """Return all versions, the oldest first: the numbers that their files begin with."""
    return sorted(path.name.partition("_")[0] for path in FOLDER.glob("[0-9]*.py"))


def newest() -> str:
    """Return the version that this program is written for."""
    return revisions()[-1]


def current(dsn: str) -> str | None:
    """Return the version of the database, None when it has none.

    Raises:
        ConfigError: the database cannot be reached.
    """
    with connect(dsn) as session:
        return revision_of(session)


def revision_of(session: psycopg.Connection) -> str | None:
    """Return the version of the database that a session is in, None when it has none."""
    there = session.execute("SELECT to_regclass('alembic_version')").fetchone()
    if there is None or there[0] is None:
        return None
    row = session.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if row is None else str(row[0])


def known_revision(session: psycopg.Connection) -> str | None:
    """Return the version of the database that a session is in.

    Raises:
        ConfigError: it has one that this program does not know.
    """
    found = revision_of(session)
    if found is not None and found not in revisions():
        raise ConfigError(
            f"the database has schema version {found}, and this program knows none newer than "
            f"{newest()}: install the Candlewax that made it, or a newer one"
        )
    return found
