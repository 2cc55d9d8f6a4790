"""For which database the rows in a spool are: they must not end in another one."""

import os
from pathlib import Path
from tempfile import mkstemp

from psycopg.conninfo import conninfo_to_dict

from market.errors import ConfigError
from sinks.spool import look

EMBEDDED = "the embedded PostgreSQL"
"""Its port is another one at every start."""


def name_of(dsn: str) -> str:
    """Return what tells a database from others, without user and password.

    Args:
        dsn: libpq address, well formed.

    Example:
        >>> name_of("postgresql://me:secret@db.example:5433/market")
        'db.example:5433/market'
    """
    parts = conninfo_to_dict(dsn)
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    return f"{host}:{parts.get('port') or 5432}/{parts.get('dbname') or parts.get('user') or ''}"


def bind(folder: Path, database: str) -> None:
    """Note whose rows the spools below `folder` hold from now on.

    Args:
        folder: of all partitions' spools; made if need be.
        database: name, as `name_of` gives it, or `EMBEDDED`.

    Raises:
        ConfigError: rows wait there for another database, or the folder cannot be used.
    """
    file = folder / "database"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = file.read_text(encoding="utf-8").strip() if file.exists() else database
        if before != database:
            waiting = sum(sum(look(each).rows.values()) for each in folder.glob("*-[0-9]*"))
            if waiting:
                raise ConfigError(
                    f"{folder}: {waiting} rows wait there for {before}, and the store is now"
                    f" {database}: start once with that database, or remove {file} to have them"
                    " written to this one, or remove the folder to give them up"
                )
        if before != database or not file.exists():
            # A file of our own: the processes of a flow start at the same time.
            number, part = mkstemp(prefix="database.", dir=folder)
            with os.fdopen(number, "w", encoding="utf-8") as words:
                words.write(f"{database}\n")
            Path(part).replace(file)
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot keep rows there while the database is away: {error.strerror};"
            " set CANDLEWAX_HOME to a folder that can be written to"
        ) from error
