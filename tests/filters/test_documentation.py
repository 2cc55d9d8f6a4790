"""What the documentation shows works, and what works is in the documentation."""

import re
from pathlib import Path

import pytest

from filters.fields import BAR_FIELDS, BOOK_ALIASES, BOOK_FIELDS
from filters.spec_reader import read_specs
from filters.templates import FACTS
from indicators.catalogue import KINDS
from indicators.names import usage

DOCS = Path(__file__).parents[2] / "docs"
FILTERS = (DOCS / "filters.md").read_text(encoding="utf-8")
INDICATORS = (DOCS / "indicators.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", FILTERS, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_is_a_right_spec(text: str) -> None:
    assert read_specs([("docs/filters.md", text)])


def test_there_are_ten_examples() -> None:
    assert len(read_specs([("docs/filters.md", EXAMPLES[-1])])) == 10


@pytest.mark.parametrize(
    "name",
    sorted({*BAR_FIELDS, *BOOK_FIELDS, *BOOK_ALIASES, *FACTS}),
)
def test_every_field_is_described(name: str) -> None:
    assert f"`{name}`" in FILTERS


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_indicator_is_described(name: str) -> None:
    assert f"| `{usage(KINDS[name])}` |" in INDICATORS
    assert f"\n## {name}\n" in INDICATORS


def test_the_grammar_is_the_one_of_the_parser() -> None:
    source = (DOCS.parent / "filters" / "grammar.py").read_text(encoding="utf-8")

    def rules(text: str) -> list[str]:
        found = re.findall(r"^ *(\w+ *= .*;)$", text, re.MULTILINE)
        return [" ".join(rule.split()) for rule in found]

    assert rules(FILTERS) == rules(source.split('"""')[1])
    assert len(rules(FILTERS)) == 14
