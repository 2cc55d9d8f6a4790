"""Bytewax's recovery store: made when absent, moved away when it cannot be used.

A store that cannot be read would stop every start. Live data cannot be read again anyway, so the
flow then starts cold: books and indicators are built anew, and nothing already stored is touched.
"""

import logging
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from bytewax.recovery import init_db_dir

PARTITIONS = 2
_STRICT_TABLES = (3, 37)  # the release of SQLite that can read the store's tables

_log = logging.getLogger(__name__)


def prepare(folder: Path, *, partitions: int = PARTITIONS) -> Path | None:
    """Make sure that `folder` holds a store that Bytewax can use.

    Args:
        folder: where the store is, or will be.
        partitions: how many files a new store has.

    Returns:
        Where a store that could not be used was moved; None when there was none.
    """
    files = sorted(folder.glob("part-*.sqlite3")) if folder.is_dir() else []
    moved = None
    if files:
        fault = _fault(files)
        if not fault:
            return None
        moved = _free_name(folder)
        folder.rename(moved)
        _log.warning(
            "recovery store cannot be used: moved away, starting cold",
            extra={"fault": fault, "moved_to": str(moved)},
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    init_db_dir(folder, partitions)  # type: ignore[no-untyped-call]  # Bytewax gives no types
    return moved


def _free_name(folder: Path) -> Path:
    stem = f"{folder.name}.broken-{datetime.now(UTC):%Y%m%dT%H%M%S}"
    name, count = folder.with_name(stem), 1
    while name.exists():
        count += 1
        name = folder.with_name(f"{stem}-{count}")
    return name


def _fault(files: list[Path]) -> str:
    """Return what is wrong with the store, empty when nothing is."""
    if sqlite3.sqlite_version_info < _STRICT_TABLES:
        return ""
    found: set[int] = set()
    counts: set[int] = set()
    for file in files:
        try:
            with closing(sqlite3.connect(file, timeout=5)) as store:
                answer = store.execute("PRAGMA quick_check").fetchone()
                rows = store.execute("SELECT part_index, part_count FROM parts").fetchall()
        except sqlite3.DatabaseError as error:
            return f"{file.name}: {error}"
        if answer is None or answer[0] != "ok":
            return f"{file.name}: {answer[0] if answer else 'no answer to a check'}"
        if len(rows) != 1:
            return f"{file.name}: {len(rows)} rows in table parts, expected 1"
        found.add(rows[0][0])
        counts.add(rows[0][1])
    if len(counts) != 1 or found != set(range(next(iter(counts)))):
        return f"partitions {sorted(found)} of {sorted(counts)}"
    return ""
