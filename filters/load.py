"""Specs from a folder of YAML files: the only place of this package that reads files."""

from collections.abc import Sequence
from pathlib import Path

from filters.judge import Known
from filters.spec_reader import Reading, read
from filters.spec_set_error import SpecSetError
from filters.spec_store import StoredSpec
from filters.specs import Spec, in_force
from filters.yaml_nodes import LONGEST_TEXT
from market.errors import ConfigError, SpecError

_ENDINGS = (".yaml", ".yml")


def spec_files(folder: Path) -> list[Path]:
    """Return the spec files of a folder, by name; those that begin with a dot are left out.

    Raises:
        ConfigError: the folder cannot be read.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot read the folder of filter specs ({error.strerror}):"
            " make it, or set filters.folder to one there is"
        ) from error
    return [
        entry
        for entry in entries
        if entry.suffix in _ENDINGS and not entry.name.startswith(".") and entry.is_file()
    ]


def load_specs(folder: Path) -> tuple[Spec, ...]:
    """Read the specs of a folder that are to be in force; a folder without files gives none.

    Raises:
        SpecSetError: something in the files is wrong; it has all that was found.
        ConfigError: the folder cannot be read.
    """
    return in_force(read_place(folder).specs)


def load_files(paths: list[Path]) -> tuple[Spec, ...]:
    """Read the specs of some files that are to be in force.

    Raises:
        SpecSetError: something in them is wrong; it has all that was found.
    """
    return in_force(read_files(paths).specs)


def read_place(
    place: Path, known: Known | None = None, stored: Sequence[StoredSpec] = ()
) -> Reading:
    """Read everything in a folder or a file, with what may be wrong, tests, and what is off.

    Args:
        place: folder or file.
        known: what specs are judged by.
        stored: specs of the database, which belong to the same set.

    Raises:
        SpecSetError: something in the files is wrong; it has all that was found.
        ConfigError: the folder cannot be read.
    """
    return read_files([place] if place.is_file() else spec_files(place), known, stored)


def read_files(
    paths: list[Path], known: Known | None = None, stored: Sequence[StoredSpec] = ()
) -> Reading:
    """Read everything in some files, as `read_place` does.

    Raises:
        SpecSetError: something in them is wrong; it has all that was found.
    """
    texts: list[tuple[str, str]] = []
    errors: list[SpecError] = []
    for path in paths:
        try:
            texts.append((str(path), _text_of(path)))
        except SpecError as error:
            errors.append(error)
    try:
        found = read(texts, known, stored)
    except SpecSetError as error:
        raise SpecSetError([*errors, *error.errors]) from None
    if errors:
        raise SpecSetError(errors)
    return found


def _text_of(path: Path) -> str:
    try:
        content = path.read_bytes()
        if len(content) > LONGEST_TEXT * 4:
            raise SpecError(f"larger than {LONGEST_TEXT} characters", path=str(path))
        return content.decode("utf-8-sig")
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror}", path=str(path)) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SpecError("not UTF-8: save the file as UTF-8", path=str(path), line=line) from error
