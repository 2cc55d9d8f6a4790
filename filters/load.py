"""Specs from a folder of YAML files: the only place of this package that reads files."""

from pathlib import Path

from filters.spec_reader import read_specs
from filters.spec_set_error import SpecSetError
from filters.specs import Spec
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
    """Read every spec of a folder; a folder without files gives none.

    Raises:
        SpecSetError: something in the files is wrong; it has all that was found.
        ConfigError: the folder cannot be read.
    """
    return load_files(spec_files(folder))


def load_files(paths: list[Path]) -> tuple[Spec, ...]:
    """Read the specs of some files.

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
        specs = read_specs(texts)
    except SpecSetError as error:
        raise SpecSetError([*errors, *error.errors]) from None
    if errors:
        raise SpecSetError(errors)
    return specs


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
