"""`candlewax init`: files to begin with."""

from importlib.resources import files
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from market.errors import ConfigError

SPEC = "filters/specs/example.yaml"


def init(
    folder: Annotated[
        Path | None, Parameter(help="Where to write; else the current folder.")
    ] = None,
) -> int:
    """Write a commented candlewax.toml and an example filter spec. Nothing is overwritten."""
    place = Path() if folder is None else folder
    templates = files("cli") / "templates"
    wanted = {
        place / "candlewax.toml": templates / "candlewax.toml",
        place / SPEC: templates / "example.yaml",
    }
    there = [str(file) for file in wanted if file.exists()]
    if there:
        raise ConfigError(f"{', '.join(there)}: already there; nothing was written")
    try:
        for file, template in wanted.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8") as new:
                new.write(template.read_text(encoding="utf-8"))
            print(f"wrote {file}")
    except OSError as error:
        raise ConfigError(f"{place}: cannot be written to: {error.strerror}") from error
    print("next: `candlewax filters check`, `candlewax demo`, `candlewax run`")
    return 0
