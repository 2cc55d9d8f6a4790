"""Bars in a CSV file, as charts and exchanges export them."""

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from math import isfinite
from pathlib import Path

import msgspec

from market.errors import ConfigError
from market.events import Bar
from market.intervals import SECOND

NEEDED = ("time", "open", "high", "low", "close", "volume")
OPTIONAL = ("buy_volume", "notional", "count")
SEPARATORS = (";", "\t", "|")
"""What stands between columns in files that are no CSV to us."""
_DATE = re.compile(r"(?:19|20)[0-9]{6}")
LATEST = 1e11
"""A number of seconds beyond this is one of milliseconds."""


class BarRow(msgspec.Struct, frozen=True):
    """One row: its time as it was written, the bar, and where it stands in the file."""

    time: str
    bar: Bar
    line: int


class BarFile(msgspec.Struct, frozen=True):
    """All rows of a file, and which optional columns it has."""

    path: Path
    rows: list[BarRow]
    columns: frozenset[str]

    @property
    def holes(self) -> int:
        """How often a bar does not begin where the one before it ends."""
        return sum(before.bar.end != after.bar.start for before, after in pairwise(self.rows))


def read_bars(path: Path) -> BarFile:
    """Read a CSV of bars, oldest first, with a header.

    Columns `time` (epoch seconds or ISO 8601, UTC where no offset is given), `open`, `high`, `low`,
    `close` and `volume` in any order; `buy_volume`, `notional` and `count` where there are; others
    are passed over. The length of a bar is the shortest distance of two times. A notional that is
    not there is the volume at `(high + low + close) / 3`.

    Raises:
        ConfigError: the file, or a row, is not as said; the text names file and line.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.reader(lines)
            places = _places(path, reader)
            rows = [
                (reader.line_num, _cells(path, reader.line_num, cells, places))
                for cells in reader
                if any(cell.strip() for cell in cells)
            ]
    except OSError as error:
        raise ConfigError(f"{path}: {(error.strerror or 'cannot be read').lower()}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: not a CSV file in UTF-8: {error}") from None
    starts = list(_starts(path, rows))
    lengths = [after - before for before, after in pairwise(starts)]
    length = min(lengths, default=60 * SECOND)
    return BarFile(
        path,
        [
            BarRow(cells["time"], _bar(path, line, cells, start, length), line)
            for (line, cells), start in zip(rows, starts, strict=True)
        ],
        frozenset(places),
    )


def _places(path: Path, reader: "Iterator[list[str]]") -> dict[str, int]:
    header = [cell.strip().lower() for cell in next(reader, [])]
    missing = [name for name in NEEDED if name not in header]
    if missing:
        between = next((each for each in SEPARATORS if each in "".join(header)), "")
        if not header:
            wrong = "nothing there"
        elif between and len(header) == 1:
            wrong = f"{between!r} stands between the columns, not a comma"
        else:
            wrong = f"no column {missing[0]!r}"
        raise ConfigError(f"{path}:1: {wrong}: the first line must name {', '.join(NEEDED)}")
    known = [name for name in (*NEEDED, *OPTIONAL) if name in header]
    twice = [name for name in known if header.count(name) > 1]
    if twice:
        raise ConfigError(f"{path}:1: two columns {twice[0]!r}: expected one")
    return {name: header.index(name) for name in known}


def _cells(path: Path, line: int, cells: Sequence[str], places: dict[str, int]) -> dict[str, str]:
    if len(cells) <= max(places.values()):
        raise ConfigError(f"{path}:{line}: {len(cells)} values: expected one for every column")
    return {name: cells[place].strip() for name, place in places.items()}


def _starts(path: Path, rows: list[tuple[int, dict[str, str]]]) -> Iterator[int]:
    before: tuple[int, str] | None = None
    for line, cells in rows:
        start = _moment(path, line, cells["time"])
        if before is not None and start <= before[0]:
            raise ConfigError(
                f"{path}:{line}: time {cells['time']!r} is not after {before[1]!r}:"
                " expected the oldest bar first"
            )
        before = start, cells["time"]
        yield start


def _moment(path: Path, line: int, text: str) -> int:
    """Return nanoseconds UTC."""
    if _DATE.fullmatch(text):
        raise ConfigError(
            f"{path}:{line}: time {text!r}: a date is written with hyphens, as in"
            f" {text[:4]}-{text[4:6]}-{text[6:]}"
        )
    try:
        return _seconds(path, line, text, float(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{path}:{line}: time {text!r}: expected epoch seconds or ISO 8601,"
            " as in 2026-11-20T08:00:00Z"
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1000


def _seconds(path: Path, line: int, text: str, seconds: float) -> int:
    if not 0.0 <= seconds < LATEST:
        raise ConfigError(
            f"{path}:{line}: time {text!r}: expected seconds since 1970, not milliseconds"
        )
    whole = int(seconds)
    return whole * SECOND + round((seconds - whole) * 1e6) * 1000


def _bar(path: Path, line: int, cells: dict[str, str], start: int, length: int) -> Bar:
    numbers = {
        name: _number(path, line, name, text) for name, text in cells.items() if name != "time"
    }
    high, low, close, volume = (numbers[name] for name in ("high", "low", "close", "volume"))
    if high < low:
        raise ConfigError(f"{path}:{line}: high {cells['high']} is below low {cells['low']}")
    for name in ("open", "close"):
        if not low <= numbers[name] <= high:
            raise ConfigError(
                f"{path}:{line}: {name} {cells[name]} lies outside"
                f" low {cells['low']} and high {cells['high']}"
            )
    if low <= 0:
        raise ConfigError(f"{path}:{line}: low {cells['low']}: expected a price above 0")
    for name in ("volume", *OPTIONAL):
        if numbers.get(name, 0.0) < 0:
            raise ConfigError(f"{path}:{line}: {name} {cells[name]}: expected 0 or more")
    return Bar(
        instrument=path.stem,
        interval=_interval(length),
        start=start,
        end=start + length,
        open=numbers["open"],
        high=high,
        low=low,
        close=close,
        volume=volume,
        buy_volume=numbers.get("buy_volume", volume / 2),
        notional=numbers.get("notional", volume * ((high + low + close) / 3)),
        count=int(numbers.get("count", 0)),
    )


def _number(path: Path, line: int, name: str, text: str) -> float:
    try:
        value = float("nan") if "_" in text else float(text)  # Python alone reads 1_000
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise ConfigError(f"{path}:{line}: {name} {text!r}: expected a number")
    return value


def _interval(length: int) -> str:
    """Return the length of a bar as we write it, `"1m"`."""
    seconds = max(length // SECOND, 1)
    for unit, size in (("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
