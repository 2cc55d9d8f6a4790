"""The page of the documentation is what the catalogue says."""

from pathlib import Path

import pytest

from indicators import page
from indicators.catalogue import KINDS
from indicators.kinds import BarKind, Output, Parameter, SeriesParameter
from indicators.names import usage
from indicators.rsi import RSI

PAGE = Path(__file__).parents[2] / "docs" / "indicators.md"


def test_the_page_is_the_one_that_the_catalogue_gives() -> None:
    assert PAGE.read_text(encoding="utf-8") == page.indicator_page(), "run `make docs`"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_has_a_row_and_a_section_of_its_own(name: str) -> None:
    text = page.indicator_page()
    assert text.count(f"\n| `{usage(KINDS[name])}` |") == 1
    assert text.count(f"\n## {name}\n") == 1


def test_every_row_has_six_cells_and_no_line_is_long() -> None:
    table = [line for line in page.indicator_page().splitlines() if line.startswith("| `")]
    rows = [line for line in table if "bar " in line or "book" in line]
    assert len(rows) >= len(KINDS)
    assert all(line.replace("\\|", "").count("|") == 7 for line in rows[: len(KINDS)])


def test_a_kind_with_all_there_is_to_say_is_told_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = BarKind(
        name="odd",
        meaning="a - b, which is | here",
        parameters=(
            SeriesParameter("series", "close", "what is looked at", may_be_number=True),
            Parameter("share", 0.5, 0.0, 1.0, "how much", whole=False),
        ),
        inputs=("close",),
        outputs=(Output("up", "0 to 1", 0.0, 1.0, "how far"), Output("seen", "bars", is_rare=True)),
        aliases=("strange",),
        make=lambda *_: RSI(14),
        notes="One.\n\nTwo `a + b`.\n\n* three\n* four",
    )
    monkeypatch.setitem(KINDS, "odd", kind)
    text = page.indicator_page()
    assert (
        "| `odd(close,0.5)` | series a series or a number; share 0 to 1 | close |"
        " `.up` 0 to 1; `.seen` bars (not always there) | bar 15 | bar 202 |"
    ) in text
    section = text[text.index("\n## odd\n") : text.index("\n## Where others differ")]
    assert section.split("\n\n") == [
        "\n## odd",
        "A - b, which is | here.",
        "Also called `strange`.",
        "One.",
        "Two `a + b`.",
        "* three\n* four",
        "* `series`: what is looked at; a series or a number\n* `share`: how much; 0 to 1",
        "Values:",
        "* `.up`: how far, 0 to 1\n* `.seen`: bars (not always there)\n",
    ]
