"""What became of the rows that were handed over: counted by writer, by process, and as metrics."""

import threading

import msgspec
from prometheus_client import Counter

from sinks.tables import TABLES

ROWS = Counter("candlewax_rows", "Rows newly put into the database", ["table"])
ROWS_HANDED = Counter("candlewax_rows_handed", "Rows handed over to the store", ["table"])
ROWS_LOST = Counter("candlewax_rows_lost", "Rows that could not be kept", ["table"])


class TableTotals(msgspec.Struct):
    """What became of the rows of one table.

    `handed` + `found` = `written` + `updated` + `known` + `lost` + `spooled` + those still in the
    buffer.

    Attributes:
        handed: rows given to the store.
        written: rows that are new in the database.
        updated: rows that replaced an older version of themselves.
        known: rows that were there already. A commit whose answer got lost counts here: its rows
            are written again, and found. Rows that an epoch put on the disk while their commit was
            under way do not: they count as what that commit did with them.
        lost: rows that could not be kept.
        found: rows that an earlier run has left in the spool.
        spooled: rows that wait in the spool now.
    """

    handed: int = 0
    written: int = 0
    updated: int = 0
    known: int = 0
    lost: int = 0
    found: int = 0
    spooled: int = 0

    @property
    def settled(self) -> int:
        """Rows that are in the database, or told as lost."""
        return self.written + self.updated + self.known + self.lost


class RowTotals:
    """The totals of one writer, by table; each count also goes to the process's."""

    def __init__(self) -> None:
        self._tables = {name: TableTotals() for name in TABLES}

    def __getitem__(self, table: str) -> TableTotals:
        """Return the totals of one table."""
        return self._tables[table]

    def unsettled(self) -> dict[str, int]:
        """Return the rows that are in memory only, by table, where there are."""
        left = {
            name: each.handed + each.found - each.settled - each.spooled
            for name, each in self._tables.items()
        }
        return {name: count for name, count in left.items() if count}

    def count(
        self,
        table: str,
        *,
        handed: int = 0,
        written: int = 0,
        updated: int = 0,
        known: int = 0,
        lost: int = 0,
        found: int = 0,
        spooled: int = 0,
    ) -> None:
        """Add to the totals of one table; `spooled` is less than 0 for rows that leave it."""
        with _lock:
            for totals in (self._tables[table], _process[table]):
                totals.handed += handed
                totals.written += written
                totals.updated += updated
                totals.known += known
                totals.lost += lost
                totals.found += found
                totals.spooled += spooled
        if handed:
            ROWS_HANDED.labels(table).inc(handed)
        if written:
            ROWS.labels(table).inc(written)
        if lost:
            ROWS_LOST.labels(table).inc(lost)


_process = {name: TableTotals() for name in TABLES}
_lock = threading.Lock()


def store_totals() -> dict[str, TableTotals]:
    """Return, by table, what all writers of this process did since it started."""
    with _lock:
        return {name: msgspec.structs.replace(totals) for name, totals in _process.items()}


def rows_written() -> dict[str, int]:
    """Return, by table, the rows that this process has newly put into the database."""
    return {name: totals.written for name, totals in store_totals().items()}
