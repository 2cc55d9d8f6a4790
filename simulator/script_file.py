"""Scripts as files: where they are, and how a list of entries in one is read.

One file may hold price moves, walls, faults, or several of them; who reads one list passes over
the others.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec

from market.errors import ConfigError, UnknownInstrumentError
from simulator.quantities import read_yaml

SHIPPED = Path(__file__).parent / "scripts"
SECTIONS = ("moves", "walls", "faults")
"""The lists that a script may hold."""
HELP = "see docs/simulator.md for what a script may say"

_Text = TypeVar("_Text")
_Read = TypeVar("_Read")


def find_script(name: str) -> Path:
    """Return the file of a shipped script (`demo`), or the path as it is.

    Raises:
        ConfigError: there is no such file.
    """
    shipped = SHIPPED / f"{name}.yaml"
    path = shipped if shipped.is_file() else Path(name)
    if not path.is_file():
        names = ", ".join(sorted(known.stem for known in SHIPPED.glob("*.yaml")))
        raise ConfigError(f"{name}: no such script; give a file, or one of {names}")
    return path


def load_text(name: str) -> tuple[str, str]:
    """Return the text of a script and what to call it in errors.

    Raises:
        ConfigError: no such file, or it cannot be read.
    """
    path = find_script(name)
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error}); give a text file") from error


def read_entries(
    text: str, path: str, section: str, kind: type[_Text], read: Callable[[_Text], _Read]
) -> tuple[_Read, ...]:
    """Read one of the lists of a script; it may be missing.

    Args:
        text: YAML.
        path: named in errors.
        section: name of the list, `"faults"`.
        kind: Struct that an entry must fit.
        read: makes of an entry what is wanted; raises `ValueError` for what is wrong in it.

    Raises:
        ConfigError: says where and what to do.
    """
    try:
        sections = msgspec.convert(read_yaml(text, path) or {}, dict[str, object])
        if foreign := sorted(set(sections) - set(SECTIONS)):
            known = ", ".join(SECTIONS)
            raise ConfigError(f"{path}: unknown section {foreign[0]!r}: it holds {known}; {HELP}")
        found = msgspec.convert({section: sections.get(section) or []}, dict[str, list[object]])
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}; {HELP}") from error
    return tuple(_entries(found[section], path, section, kind, read))


def _entries(
    found: list[object], path: str, section: str, kind: type[_Text], read: Callable[[_Text], _Read]
) -> Iterable[_Read]:
    for index, entry in enumerate(found):
        try:
            yield read(msgspec.convert(entry, kind))
        except msgspec.ValidationError as error:
            # What msgspec calls `$` is this entry.
            where = str(error).replace("`$", f"`$.{section}[{index}]")
            raise ConfigError(f"{path}: {where}; {HELP}") from error
        except (ValueError, UnknownInstrumentError) as error:
            raise ConfigError(f"{path}: {section}[{index}]: {error}; {HELP}") from error
