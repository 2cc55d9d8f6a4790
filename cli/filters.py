"""`candlewax filters`: look at filter specs without running anything."""

import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from cli.options import Config

app = App(name="filters", help="Check and list filter specs.")

Folder = Annotated[
    Path | None, Parameter(help="Folder or file; else the configured folder of specs.")
]


@app.command
def check(folder: Folder = None, *, config: Config = None) -> int:
    """Read every spec and tell all mistakes, each with file, line and column."""
    from filters.load import load_files, load_specs

    place = folder if folder is not None else _configured(config)
    specs = load_files([place]) if place.is_file() else load_specs(place)
    print(f"{place}: {len(specs)} spec{'' if len(specs) == 1 else 's'}, no mistake")
    return 0


@app.command(name="list")
def list_(folder: Folder = None, *, config: Config = None) -> int:
    """Say what every spec looks at, and when it fires."""
    from filters.load import load_files, load_specs
    from filters.specs import describe

    place = folder if folder is not None else _configured(config)
    specs = load_files([place]) if place.is_file() else load_specs(place)
    for spec in specs:
        print(describe(spec))
    if not specs:
        print(f"{place}: no spec; `candlewax init` writes one to begin with", file=sys.stderr)
    return 0


def _configured(config: Config) -> Path:
    from flows import configuration

    return configuration.load(config, os.environ).specs_folder
