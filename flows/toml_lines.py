"""On which line of a TOML file a key stands, for messages; what it says is `tomllib`'s matter."""

import re
import tomllib
from collections.abc import Iterator

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_PATH = rf"({_PART}(?:\s*\.\s*{_PART})*)"
_HEADER = re.compile(rf"\s*\[\s*{_PATH}\s*\]\s*(?:#.*)?$")
_KEY = re.compile(rf"\s*{_PATH}\s*=")


def toml_lines(text: str) -> dict[str, int]:
    r"""Return the line, from 1, of each table and key of a valid file, by dotted name.

    Keys of an inline table have none of their own: see `line_of`.

    Example:
        >>> toml_lines("[market]\ndepth = 5\n")
        {'market': 1, 'market.depth': 2}
    """
    found: dict[str, int] = {}
    table: tuple[str, ...] = ()
    for number, line in _outside_of_texts(text):
        header = _HEADER.match(line)
        key = _KEY.match(line)
        if header is not None:
            table = _parts(header[1])
            found.setdefault(".".join(table), number)
        elif key is not None:
            found.setdefault(".".join((*table, *_parts(key[1]))), number)
    return found


def line_of(lines: dict[str, int], key: str) -> int | None:
    """Return the line of a key, else of the nearest that it is in; None where there is none."""
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return lines.get(key)


def _outside_of_texts(text: str) -> Iterator[tuple[int, str]]:
    """Return the lines, by number, that do not begin in a text of several lines."""
    closing = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if not closing:
            yield number, line
        for mark in ('"""', "'''"):
            if closing in ("", mark) and line.count(mark) % 2:
                closing = "" if closing else mark


def _parts(path: str) -> tuple[str, ...]:
    parts = []
    table = tomllib.loads(f"{path} = 0")
    while table:
        [(part, inner)] = table.items()
        parts.append(part)
        table = inner if isinstance(inner, dict) else {}
    return tuple(parts)
