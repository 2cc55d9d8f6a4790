"""Rows of a CSV file, as `candlewax export` writes them, back into their table."""

import csv
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from market.errors import ConfigError
from sinks.rows import Cell
from sinks.selection import KINDS
from sinks.tables import TABLES, TIME, Table

BATCH = 5_000
MOST_CELL = 16 * 1024 * 1024
"""Characters of one cell: a whole book's prices."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NULLABLE = {
    "book_tops": {"spread", "imbalance"},
    "book_updates": {"prev_sequence"},
    "features": {"value"},
}


class CsvRows:
    """One file of rows.

    The header says which table they are of: it has the table's columns, in any order.

    Args:
        path: the file.

    Raises:
        ConfigError: it cannot be read, or its header is no table's.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                header = next(csv.reader(file), [])
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except (UnicodeDecodeError, csv.Error) as error:
            raise ConfigError(f"{path}: no CSV file in UTF-8: {error}") from error
        self._header = [name.strip() for name in header]
        self.table = self._table()

    def _table(self) -> Table:
        for name in KINDS.values():
            columns = [column for column, _ in TABLES[name].columns]
            if sorted(columns) == sorted(self._header):
                return TABLES[name]
        wanted = "\n".join(
            f"  {kind}: {','.join(name for name, _ in TABLES[table].columns)}"
            for kind, table in KINDS.items()
        )
        told = ",".join(self._header)[:200] or "nothing"
        raise ConfigError(
            f"{self.path}: its first line is that of no table: {told}\nexpected one of\n{wanted}"
        )

    def batches(self) -> Iterator[list[list[Cell]]]:
        """Give the rows, some thousands at a time, times in ns.

        Raises:
            ConfigError: a row that is none; the text says where. What came before is good.
        """
        readers = [
            (self._header.index(name), name, _reader(self.table, name, kind))
            for name, kind in self.table.columns
        ]
        before = csv.field_size_limit(MOST_CELL)
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as file:
                lines = csv.reader(file)
                next(lines)
                rows: list[list[Cell]] = []
                for cells in lines:
                    if len(cells) != len(self._header):
                        raise ConfigError(
                            f"{self.path}:{lines.line_num}: {len(cells)} cells, expected"
                            f" {len(self._header)}"
                        )
                    row: list[Cell] = []
                    for place, name, read in readers:
                        try:
                            row.append(read(cells[place]))
                        except (ValueError, OverflowError) as error:
                            raise ConfigError(
                                f"{self.path}:{lines.line_num}: {name}: {error}"
                            ) from None
                    rows.append(row)
                    if len(rows) == BATCH:
                        yield rows
                        rows = []
                if rows:
                    yield rows
        except (UnicodeDecodeError, csv.Error) as error:
            raise ConfigError(f"{self.path}: no CSV file in UTF-8: {error}") from error
        finally:
            csv.field_size_limit(before)


def _reader(table: Table, name: str, kind: str) -> Callable[[str], Cell]:
    read = _READERS[kind]
    if name not in _NULLABLE.get(table.name, ()):
        return read
    return lambda text: read(text) if text else None


def _text(text: str) -> str:
    if "\x00" in text:
        raise ValueError("holds a zero byte, which PostgreSQL's text cannot")
    return text


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is no finite number")
    return number


def _truth(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def _time(text: str) -> int:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return (at - _EPOCH) // _MICROSECOND * 1000


def _numbers(text: str) -> list[float]:
    try:
        return msgspec.json.decode(text, type=list[float])
    except msgspec.DecodeError as error:
        raise ValueError(f"no list of numbers: {error}") from error


_READERS: dict[str, Callable[[str], Cell]] = {
    "text": _text,
    "float8": _number,
    "int4": int,
    "int8": int,
    "bool": _truth,
    TIME: _time,
    "float8[]": _numbers,
}
