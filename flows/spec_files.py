"""Changes of spec files that people write: as little as possible, checked before it is kept."""

import os
from pathlib import Path

import msgspec

from filters.fields import Stream
from filters.grammar import Named
from filters.load import spec_files
from filters.shared_names import UNKNOWN
from filters.spec_reader import read, read_names
from filters.spec_set_error import SpecSetError
from filters.specs import Spec
from filters.yaml_nodes import Document, Mapping, Scalar, Sequence
from market.errors import ConfigError

HEAD = "version: 1\nfilters:\n"
_ENDINGS = (".yaml", ".yml")


def add_to_file(folder: Path, name: str, text: str) -> Path:
    """Add a spec to the end of a file of a folder, or make the file.

    Args:
        folder: of specs.
        name: of the file in it.
        text: YAML of the spec alone.

    Raises:
        ConfigError: no such name, or the file does not end with a list to add to.
    """
    path = folder / name
    if path.parent != folder or path.suffix not in _ENDINGS or name.startswith("."):
        raise ConfigError(
            f"--file {name}: expected the name of a file in {folder}, as in 'mine.yaml'"
        )
    before = path.read_text(encoding="utf-8-sig") if path.exists() else HEAD
    if before and not before.endswith("\n"):
        before += "\n"
    lines = text.splitlines()
    item = "\n".join([f"  - {lines[0]}", *(f"    {line}" for line in lines[1:])]) + "\n"
    wanted = _specs(path, before)
    try:
        found = _specs(path, before + item)
    except SpecSetError as error:
        raise ConfigError(
            f"{path}: a filter cannot be added at its end:\n{error}\nadd it by hand:\n{item}"
        ) from None
    if found[: len(wanted)] != wanted or len(found) != len(wanted) + 1:
        raise ConfigError(f"{path}: does not end with its 'filters': add it by hand:\n{item}")
    _replace(path, before + item)
    return path


def switch_in_file(path: Path, ident: str, *, is_enabled: bool) -> None:
    """Write `enabled:` into a spec of a file; everything else of the file stays as it is.

    Raises:
        ConfigError: the file is written in a way in which that is not safe.
    """
    text = path.read_text(encoding="utf-8-sig")
    item = _item(Document(text, str(path)), ident)
    word = "true" if is_enabled else "false"
    changed = None if item is None else _switched(text.split("\n"), item, word)
    wanted = [
        msgspec.structs.replace(spec, is_enabled=is_enabled) if spec.id == ident else spec
        for spec in _specs(path, text)
    ]
    if changed is None or _specs_or_none(path, changed) != wanted:
        line = 0 if item is None else item.place.line
        raise ConfigError(f"{path}:{line}: write 'enabled: {word}' into {ident!r} by hand")
    _replace(path, changed)


def remove_file_of(path: Path, ident: str) -> None:
    """Remove the file of a spec that stands there alone.

    Raises:
        ConfigError: other specs stand there, too.
    """
    text = path.read_text(encoding="utf-8-sig")
    specs = _specs(path, text)
    if [spec.id for spec in specs] != [ident]:
        item = _item(Document(text, str(path)), ident)
        line = 0 if item is None else item.place.line
        raise ConfigError(
            f"{path}:{line}: {ident!r} stands in a file with others: delete it there by hand, or"
            f" switch it off with `candlewax filters disable {ident}`"
        )
    path.unlink()


def other_ids(folder: Path) -> set[str]:
    """Return the ids in the files of a folder, those of files with mistakes left out."""
    found: set[str] = set()
    for path in spec_files(folder):
        specs = _specs_or_none(path, path.read_text(encoding="utf-8-sig", errors="replace"))
        found.update(spec.id for spec in specs or ())
    return found


def names_in(folder: Path, file: str = "") -> dict[Stream, Named]:
    """Return the named conditions that a new spec can use.

    Args:
        folder: of specs.
        file: that it goes into, and whose names it sees; empty for the database, which sees all.
    """
    return read_names(
        (
            (str(path), path.read_text(encoding="utf-8-sig", errors="replace"))
            for path in spec_files(folder)
            if file in ("", path.name)
        ),
        unknown=f", and {file} defines no condition of this name" if file else UNKNOWN,
    )


def _specs(path: Path, text: str) -> list[Spec]:
    return list(read([(str(path), text)]).specs)


def _specs_or_none(path: Path, text: str) -> list[Spec] | None:
    try:
        return _specs(path, text)
    except SpecSetError:
        return None


def _item(document: Document, ident: str) -> Mapping | None:
    """Return the mapping of a spec in a document."""
    root = document.root
    if not isinstance(root, Mapping):
        return None
    for key, filters in root.items:
        if key.text == "filters" and isinstance(filters, Sequence):
            for item in filters.items:
                if isinstance(item, Mapping) and _value(item, "id") == ident:
                    return item
    return None


def _value(item: Mapping, name: str) -> str | None:
    for key, value in item.items:
        if key.text == name and isinstance(value, Scalar):
            return value.text
    return None


def _switched(lines: list[str], item: Mapping, word: str) -> str | None:
    for key, value in item.items:
        if key.text == "enabled" and isinstance(value, Scalar) and not value.style:
            row, column = value.place.line - 1, value.place.column - 1
            line = lines[row]
            if line[column:].startswith(value.text):
                lines[row] = line[:column] + word + line[column + len(value.text) :]
                return "\n".join(lines)
            return None
    place = item.place
    is_flow = lines[place.line - 1][place.column - 1 :].startswith("{")
    first = item.items[0][0].place
    if is_flow:
        line = lines[place.line - 1]
        lines[place.line - 1] = (
            f"{line[: place.column]}enabled: {word}, {line[place.column :].lstrip()}"
        )
        return "\n".join(lines)
    # In a block every key has a line of its own, so the first one's value may take the next ones.
    indent = " " * (first.column - 1)
    second = item.items[1][0].place.line - 1 if len(item.items) > 1 else first.line
    lines.insert(second, f"{indent}enabled: {word}")
    return "\n".join(lines)


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.write_text(text, encoding="utf-8")
        if path.exists():
            new.chmod(path.stat().st_mode & 0o777)
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None
