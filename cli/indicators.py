"""`candlewax indicators`: what there is to compute, and its values over a file of bars."""

import contextlib
import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

from cyclopts import App, Parameter

from market.errors import ConfigError

if TYPE_CHECKING:
    from cli.bars_file import BarFile
    from indicators.contract import BarIndicator
    from indicators.kinds import Kind
    from indicators.names import IndicatorName

app = App(name="indicators", help="List indicators; compute them over a file of bars.")

ASK_FOR = ("buy_volume", "count")
"""Values of a bar that a file may lack, and that nothing else tells."""


@app.command(name="list")
def list_(
    name: Annotated[
        str, Parameter(help="One of them, as in rsi or macd(12,26,9); talib or pta for a library.")
    ] = "",
    /,
) -> int:
    """Say what each indicator is, reads and gives, and how many bars it wants.

    `first` is the bar with the first value; `settled` is the bar from which on the value is within
    0.01 % of the one that an endless history gives.
    """
    from indicators.catalogue import KINDS
    from indicators.libraries import LIBRARIES
    from indicators.names import usage

    if name in LIBRARIES:
        _table(_library_rows(name))
    elif name:
        print("\n".join(_described(parsed(name))))
    else:
        rows = [("name", "reads", "first", "settled", "meaning")]
        for kind in KINDS.values():
            first, settled = _bars_wanted(usage(kind), kind)
            rows.append((usage(kind), kind.reads, first, settled, kind.meaning))
        _table(rows)
        print("\nfirst: the bar with the first value; settled: the bar from which on it is within")
        print("0.01 % of what an endless history gives; both for the numbers that are shown")
        words = ", ".join(
            f"`candlewax indicators list {word}` for {title}" for word, title in LIBRARIES.items()
        )
        print(f"\nand those of libraries: {words}")
    return 0


@app.command
def compute(
    names: Annotated[
        tuple[str, ...], Parameter(help="Indicators over bars, as in 'rsi(14)' 'macd.hist'.")
    ],
    /,
    *,
    bars: Annotated[
        Path, Parameter(help="CSV with columns time, open, high, low, close, volume; oldest first.")
    ],
    out: Annotated[Path | None, Parameter(help="File to write; else standard output.")] = None,
) -> int:
    """Compute indicators over the bars of a file, and print their values as CSV.

    The first column is `time` as it was given. A value that is not there yet is empty. The file may
    also have `buy_volume`, `notional` and `count`, which some indicators read.
    """
    from cli.bars_file import read_bars
    from indicators.names import every_output

    if not names:
        raise ConfigError("name an indicator, as in 'rsi(14)'")
    asked = [over_bars(each) for each in names]
    columns = list(dict.fromkeys(value for each in asked for value in every_output(each)))
    file = read_bars(bars)
    for each in columns:
        for field in ASK_FOR:
            if field in each.inputs and field not in file.columns:
                raise ConfigError(
                    f"{file.path}:1: {each.text!r} reads {field!r}: there is no such column"
                )
    with _opened(out) as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(["time", *(each.text for each in columns)])
        silent = set(columns)
        for time, values in compute_over(file, columns):
            told = ("" if value is None else repr(float(value)) for value in values)
            writer.writerow([time, *told])
            if silent:
                there = zip(columns, values, strict=True)
                silent -= {each for each, value in there if value is not None}
    for why in _silences([each for each in columns if each in silent], len(file.rows)):
        print(f"note: {why}", file=sys.stderr)
    if file.holes:
        print(
            f"note: {file.path}: {file.holes} times a bar does not begin where the one before it"
            " ends; indicators take the bars as they come",
            file=sys.stderr,
        )
    return 0


def compute_over(
    file: "BarFile", columns: "list[IndicatorName]"
) -> "Iterator[tuple[str, list[float | None]]]":
    """Return the time of each bar as it was given, and a value for each of the columns.

    Raises:
        ConfigError: a number that no indicator takes; the text names file and line.
    """
    from indicators.names import create_for_bars

    made: dict[str, BarIndicator] = {}
    for each in columns:
        if each.indicator not in made:
            made[each.indicator] = create_for_bars(each)
    for row in file.rows:
        for indicator in made.values():
            try:
                indicator.update(row.bar)
            except ValueError as error:
                raise ConfigError(f"{file.path}:{row.line}: {error}") from None
        yield row.time, [made[each.indicator].values[each.place] for each in columns]


def _silences(columns: "list[IndicatorName]", bars: int) -> Iterator[str]:
    """Say why columns have no value: once for each indicator where all of it waits."""
    from indicators.names import create_for_bars

    for indicator in dict.fromkeys(each.indicator for each in columns):
        its = [each for each in columns if each.indicator == indicator]
        first = create_for_bars(its[0]).warm_up
        if its[0].since_midnight:
            yield f"{indicator} has no value before the first bar at 00:00 UTC"
        elif bars < first:
            yield f"{indicator} has no value before bar {first}, and there are {bars}"
        else:
            yield f"{', '.join(each.text for each in its)}: nothing to tell in these {bars} bars"


def parsed(text: str) -> "IndicatorName":
    """Read a name as a person writes it.

    Raises:
        ConfigError: it names no indicator; the text shows where it goes wrong.
    """
    from indicators.names import IndicatorNameError, parse

    try:
        return parse(text)
    except IndicatorNameError as error:
        shown = f"\n    {text}\n    {' ' * error.offset}^" if error.offset else ""
        raise ConfigError(f"{error.message}{shown}") from None


def over_bars(text: str) -> "IndicatorName":
    """Read the name of an indicator that a file of bars is enough for.

    Raises:
        ConfigError: as `parsed`, or it wants the order book.
    """
    name = parsed(text)
    if name.reads != "bar":
        raise ConfigError(
            f"{name.text!r} is computed from the order book, which a file of bars has not"
        )
    return name


@contextlib.contextmanager
def _opened(out: Path | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    if out.is_file() and out.stat().st_size:
        raise ConfigError(f"--out {out}: holds something; remove it or choose another file")
    try:
        target = out.open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out {out}: {(error.strerror or 'not writable').lower()}") from None
    with target:
        yield target


def _bars_wanted(text: str, kind: "Kind") -> tuple[str, str]:
    from indicators.names import create_for_bars, parse

    if kind.reads != "bar":
        return "", ""
    if parse(text).since_midnight:
        return "00:00 UTC", "00:00 UTC"
    indicator = create_for_bars(text)
    settled = indicator.settled
    return str(indicator.warm_up), "never" if settled is None else str(settled)


def _library_rows(library: str) -> list[tuple[str, ...]]:
    from indicators.libraries import find, names
    from indicators.names import usage

    kinds = [kind for kind in map(find, names(library)) if kind is not None]
    rows: list[tuple[str, ...]] = [("name", "reads", "gives", "meaning")]
    rows += [
        (usage(kind), " ".join(kind.inputs), " ".join(kind.output_names), kind.meaning)
        for kind in kinds
    ]
    return rows


def _described(name: "IndicatorName") -> Iterator[str]:
    from indicators.catalogue import find_kind
    from indicators.kinds import SeriesParameter
    from indicators.names import usage
    from indicators.series import number_text

    kind = find_kind(name.kind)
    assert kind is not None  # noqa: S101 - its name was parsed
    yield f"{usage(kind)}: {kind.meaning}"
    if kind.aliases:
        yield f"also called {', '.join(kind.aliases)}"
    yield f"computed from {', '.join(kind.inputs)}"
    if kind.reads == "bar":
        first, settled = _bars_wanted(name.indicator, kind)
        at = first if ":" in first else f"bar {first}"
        yield f"{name.indicator}: first value at {at}, settled after {settled}"
    for parameter in kind.parameters:
        if isinstance(parameter, SeriesParameter):
            limits = "a series or a number" if parameter.may_be_number else "a series"
            default = parameter.default
        else:
            limits = f"{number_text(parameter.least)} to {number_text(parameter.most)}"
            default = number_text(parameter.default)
        yield f"  {parameter.name} = {default}: {limits}; {parameter.meaning}"
    for output in kind.outputs:
        shown = f".{output.name}" if output.name else "value"
        meaning = f"; {output.meaning}" if output.meaning else ""
        rare = "; not always there" if output.is_rare else ""
        yield f"  {shown}: {output.unit}{meaning}{rare}"
    if kind.notes:
        yield ""
        yield kind.notes


def _table(rows: Iterable[tuple[str, ...]]) -> None:
    listed = list(rows)
    wide = [max(len(row[column]) for row in listed) for column in range(len(listed[0]) - 1)]
    for row in listed:
        cells = (text.ljust(width) for text, width in zip(row, wide, strict=False))
        print("  ".join((*cells, row[-1])).rstrip())
