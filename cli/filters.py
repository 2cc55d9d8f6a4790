"""`candlewax filters`: look at filter specs without running anything."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from cli import filter_homes
from cli.filter_positions import positions
from cli.filter_preview import preview
from cli.filter_why import why
from cli.options import Config

if TYPE_CHECKING:
    from filters.fields import Stream
    from filters.spec_reader import Reading
    from filters.spec_tests import Outcome

app = App(name="filters", help="Check, test, try, list, add and remove filter specs.")
for _command in (filter_homes.add, filter_homes.remove, filter_homes.enable, filter_homes.disable):
    app.command(_command)
app.command(why)
app.command(preview)
app.command(positions)

Folder = Annotated[
    Path | None, Parameter(help="Folder or file; else the configured folder of specs.")
]


@app.command
def check(folder: Folder = None, *, config: Config = None) -> int:
    """Read every spec and tell all mistakes, each with file, line and column."""
    place, reading, is_followed_known = _all(folder, config)
    count = len(reading.specs)
    off = sum(not spec.is_enabled for spec in reading.specs)
    switched = f" ({off} switched off)" if off else ""
    for warning in reading.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    warned = f", {len(reading.warnings)} to look at" if reading.warnings else ""
    print(f"{place}: {count} spec{'' if count == 1 else 's'}{switched}, no mistake{warned}")
    if not is_followed_known:
        print("whether their symbols are followed is not checked: only a flow's database says that")
    return 0


@app.command(name="list")
def list_(folder: Folder = None, *, config: Config = None) -> int:
    """Say what every spec looks at and when it fires, where it is kept, and what state it is in."""
    from filters.specs import describe
    from flows import configuration
    from flows.home import Home
    from flows.standings import read_standings
    from flows.why import standing_lines

    place, reading, _ = _all(folder, config)
    lines = dict.fromkeys(reading.places, "")
    primary: tuple[str, ...] = ()  # a folder of one's own needs no configuration
    if folder is None:
        lines = standing_lines(reading, read_standings(Home.of(os.environ).status))
        primary = configuration.load(config, os.environ).settings.primary
    for spec in reading.specs:
        print(describe(spec, primary))
        print(f"  kept in   {reading.places[spec.id]}")
        if lines[spec.id]:
            print(f"  state     {lines[spec.id]}")
    if not reading.specs:
        print(f"{place}: no spec; `candlewax init` writes one to begin with", file=sys.stderr)
    return 0


@app.command
def fields(stream: str | None = None) -> int:
    """Say what the specs of a stream may look at, with units and ranges.

    Args:
        stream: bar, book, trade or quote; all of them when left out.
    """
    from filters.fields import STREAMS
    from indicators.spelling import did_you_mean
    from market.errors import ConfigError

    chosen = [each for each in STREAMS if stream in (None, each)]
    if not chosen:
        hint = did_you_mean(stream or "", STREAMS)
        raise ConfigError(f"no stream {stream!r}{hint} (there are {', '.join(STREAMS)})")
    for each in chosen:
        _print_fields(each)
    return 0


@app.command(name="test")
def run(folder: Folder = None, *, config: Config = None) -> int:
    """Run the tests that specs bring along; exit code 1 when one of them fails."""
    from filters.spec_tests import run_tests

    place, reading, _ = _all(folder, config)
    passed, failed, without = 0, 0, []
    for spec in reading.specs:
        if not spec.tests:
            without.append(spec.id)
        for outcome in run_tests(spec):
            if outcome.is_right:
                passed += 1
            else:
                failed += 1
                _print_failure(outcome, reading.places[spec.id])
    tests = f"{passed + failed} test{'' if passed + failed == 1 else 's'}"
    print(f"{place}: {tests} of {len(reading.specs)} specs, {failed} failed")
    if without:
        print(f"without tests: {', '.join(without)}")
    return 1 if failed else 0


@app.command
def schema() -> int:
    """Print the JSON Schema of spec files, for editors.

    Name it at the top of a file: `# yaml-language-server: $schema=filters.schema.json`.
    """
    import json

    from filters import schema as spec_schema

    print(json.dumps(spec_schema.schema(), indent=2))
    return 0


def _all(folder: Path | None, config: Path | None) -> "tuple[Path, Reading, bool]":
    """Read what is meant: a folder or file, else the configured folder and the database.

    Also whether it is known which symbols are followed.
    """
    import time

    from connectors import VENUES
    from filters.judge import Known
    from filters.load import read_place
    from flows import configuration

    if folder is not None:
        known = Known(venues=frozenset(VENUES), now=time.time_ns())
        return folder, read_place(folder, known), False
    told = configuration.load(config, os.environ)
    return told.specs_folder, *filter_homes.read_both(told)


def _print_fields(stream: "Stream") -> None:
    from filters.fields import OWN, indicators, range_of
    from indicators.names import output_of, parse

    print(f"stream: {stream}")
    rows = [
        (name, field.unit, _range(*field.range), field.meaning)
        for name, field in OWN[stream].items()
    ]
    for name in indicators(stream):
        indicator = parse(name)
        output = output_of(indicator)
        rows.append(
            (name, output.unit, _range(*range_of(name)), _meaning(indicator.kind, output.meaning))
        )
    width = max(len(name) for name, *_ in rows)
    for name, unit, values, meaning in rows:
        print(f"  {name:{width}}  {values:14}  {unit:28}  {meaning}")
    if stream == "bar":
        print("  talib.NAME(…) and pta.NAME(…): `candlewax indicators list`")
        print("  FIELD@15m, FIELD@BTC-USDT, FIELD@BTC-USDT@15m: the same of other bars")


def _meaning(kind: str, meaning: str) -> str:
    from indicators.catalogue import KINDS

    return f"{KINDS[kind].meaning}{f': {meaning}' if meaning else ''}"


def _range(least: float | None, most: float | None) -> str:
    if least is None and most is None:
        return "any number"
    if most is None:
        return f"{least:g} or more"
    return f"{least:g} to {most:g}" if least is not None else f"up to {most:g}"


def _print_failure(outcome: "Outcome", place: str) -> None:
    if outcome.problem:
        print(f"{place}: {outcome.spec}, test {outcome.test}: cannot go on at {outcome.problem}")
        return
    expected = ", ".join(map(str, outcome.expected)) or "never"
    fired = ", ".join(map(str, outcome.fired)) or "never"
    print(f"{place}: {outcome.spec}, test {outcome.test}: fires at {fired}, expected {expected}")
    odd = sorted({*outcome.expected} ^ {*outcome.fired})
    for number in odd[:5]:
        told = ", ".join(
            f"{name} {'not known' if value is None else f'{value:.10g}'}"
            for name, value in outcome.values[number - 1].items()
        )
        print(f"  moment {number}: {told}")
