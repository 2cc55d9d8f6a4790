"""The text of `docs/indicators.md`, from the catalogue."""

import re
import textwrap
from collections.abc import Iterable

from indicators.catalogue import KINDS
from indicators.kinds import BarKind, Kind, Output, Parameter, SeriesParameter
from indicators.names import create_for_bars, usage
from indicators.page_words import CONVENTIONS, INTRODUCTION, LIBRARIES
from indicators.series import number_text

WIDTH = 110
GLUE = "\0"


def indicator_page() -> str:
    """Return the page: a table of our own indicators, a section for each, conventions, libraries.

    Example:
        >>> indicator_page().splitlines()[0]
        '# Indicators'
    """
    blocks = [INTRODUCTION, _table(), *map(_section, KINDS.values()), CONVENTIONS, LIBRARIES]
    return "\n\n".join(block.strip() for block in blocks) + "\n"


def _table() -> str:
    rows = [
        "| name | parameters | computed from | gives | first value | settled after |",
        "|---|---|---|---|---|---|",
    ]
    rows += [_row(kind) for kind in KINDS.values()]
    return "\n".join(rows)


def _row(kind: Kind) -> str:
    first, settled = _bars_wanted(kind)
    cells = (
        f"`{usage(kind)}`",
        "; ".join(_limits(each) for each in kind.parameters),
        ", ".join(kind.inputs),
        "; ".join(_gives(each) for each in kind.outputs),
        first,
        settled,
    )
    return "|" + "|".join(f" {_cell(cell)} " if cell else " " for cell in cells) + "|"


def _section(kind: Kind) -> str:
    blocks = [f"## {kind.name}", _filled(_sentence(kind.meaning))]
    if kind.aliases:
        blocks.append(_filled("Also called " + _listed(kind.aliases) + "."))
    if kind.notes:
        blocks.append(_paragraphs(kind.notes))
    parameters = [
        f"* `{each.name}`: {each.meaning}; {_limits(each, named=False)}" for each in kind.parameters
    ]
    if parameters:
        blocks.append("\n".join(map(_item, parameters)))
    outputs = [
        f"* `.{each.name}`: {', '.join(filter(None, (each.meaning, each.unit)))}{_rare(each)}"
        for each in kind.outputs
        if each.name
    ]
    if outputs:
        blocks.append("Values:\n\n" + "\n".join(map(_item, outputs)))
    return "\n\n".join(blocks)


def _bars_wanted(kind: Kind) -> tuple[str, str]:
    if kind.reads == "book":
        return "with the first book", "at once"
    if kind.reads == "depth":
        return "when the book has been watched long enough", ""
    if isinstance(kind, BarKind) and kind.since_midnight:
        return "with the first bar at 00:00 UTC", "at once"
    indicator = create_for_bars(usage(kind))
    settled = indicator.settled
    bars = "never: it counts from its first bar" if settled is None else f"bar {settled}"
    return f"bar {indicator.warm_up}", bars


def _limits(parameter: Parameter | SeriesParameter, *, named: bool = True) -> str:
    name = f"{parameter.name} " if named else ""
    if isinstance(parameter, SeriesParameter):
        return f"{name}a series{' or a number' if parameter.may_be_number else ''}"
    return f"{name}{number_text(parameter.least)} to {number_text(parameter.most)}"


def _gives(output: Output) -> str:
    value = f"`.{output.name}` {output.unit}" if output.name else output.unit
    return value + _rare(output)


def _rare(output: Output) -> str:
    return " (not always there)" if output.is_rare else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _paragraphs(text: str) -> str:
    return "\n\n".join(_paragraph(block) for block in text.strip().split("\n\n"))


def _paragraph(text: str) -> str:
    """Return a paragraph filled; a list or a table stays as it is."""
    return text if text.startswith(("* ", "- ", "|")) else _filled(" ".join(text.split()))


def _filled(text: str, indent: str = "") -> str:
    # No line may end within code, or begin with what would make it an item of a list.
    glued = re.sub(r"`[^`]*`", lambda found: found[0].replace(" ", GLUE), text)
    glued = re.sub(r" ([-+*]) ", rf"{GLUE}\1{GLUE}", glued)
    filled = textwrap.fill(
        glued,
        width=WIDTH,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace(GLUE, " ")


def _item(text: str) -> str:
    return _filled(text, "  ")
