"""YAML with places: what scalars mean, what is refused, and where it says it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.yaml_nodes import Document, Mapping, Scalar, Sequence, Value
from market.errors import SpecError


def scalar(text: str) -> Value:
    root = Document(f"k: {text}", "f.yaml").root
    assert isinstance(root, Mapping)
    node = root.items[0][1]
    assert isinstance(node, Scalar)
    return node.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("1:30", "1:30"),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("2026-11-20", "2026-11-20"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("-7", -7),
        ("+.5", 0.5),
        ("1e3", 1000.0),
        ("12e", "12e"),
        ("'30'", "30"),
        ('"true"', "true"),
        ("<<", "<<"),
        ("=", "="),
        ("9" * 41, "9" * 41),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: Value) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: 1\nb: 2\na: 3", (3, 1), "key 'a' is given twice (first in line 1)"),
        ("a: {b: 1, b: 2}", (1, 11), "key 'b' is given twice (first in line 1)"),
        ("a: &x 1\nb: *x", (2, 4), "an alias ('*name'): write it out"),
        ("a: !!str 1", (1, 4), "a tag (tag:yaml.org,2002:str): leave it out"),
        ("? [1]\n: 2", (1, 3), "a key must be one word"),
        ("a: .nan", (1, 4), ".nan is not a number we can use"),
        ("a: 1e9999", (1, 4), "1e9999 is too large"),
        ("a: [1, 2", (1, 9), "not YAML: a list's ',' or ']' is missing"),
        ("[" * 500, (1, 41), "nested deeper than 40"),
        ("a: b\n\tc: d", (2, 1), "not YAML: a tab: indent with spaces"),
        ("a: b\nc: \x07", (2, 4), "a character that YAML does not allow"),
    ],
)
def test_what_is_refused_is_told_with_its_place(
    text: str, place: tuple[int, int], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        Document(text, "f.yaml")
    error = caught.value
    assert ((error.line, error.column), error.message) == (place, message)


def test_a_bomb_of_aliases_is_refused_at_the_first() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for before, name in zip("abcdefghi", "bcdefghij", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]")
    with pytest.raises(SpecError, match="an alias") as caught:
        Document("\n".join(lines), "f.yaml")
    assert caught.value.line == 2


def test_a_file_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(SpecError, match="larger than"):
        Document("#" * 500_001, "f.yaml")


@pytest.mark.parametrize("text", ["", "# only a remark\n", "---\n"])
def test_a_file_without_content_has_no_root_or_a_null(text: str) -> None:
    root = Document(text, "f.yaml").root
    assert root is None or (isinstance(root, Scalar) and root.value is None)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("k: one two", (1, 8)),
        ("k: 'one two'", (1, 9)),
        ('k:   "one two"', (1, 11)),
        ("k:\n  one two", (2, 7)),
        ("k: |\n  zero\n  one two", (3, 7)),
        ("k: >-\n  one two", (2, 7)),
        ("k: one\n  two", (1, 4)),  # folded: its beginning
        ('k: "o\\x6ee two"', (1, 4)),  # escaped: its beginning
    ],
)
def test_a_place_inside_a_scalar_is_found(text: str, place: tuple[int, int]) -> None:
    document = Document(text, "f.yaml")
    assert isinstance(document.root, Mapping)
    node = document.root.items[0][1]
    assert isinstance(node, Scalar)
    error = document.error("here", node, offset=node.text.index("two"))
    assert (error.line, error.column) == place


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\x85", "\u2028", "\u2029"])
def test_every_line_break_of_yaml_is_counted(end: str) -> None:
    document = Document(f"a: 1{end}b: |{end}  zero{end}  one two{end}c: 3{end}", "f.yaml")
    assert isinstance(document.root, Mapping)
    (_, literal), (_, last) = document.root.items[1:]
    assert isinstance(literal, Scalar)
    error = document.error("here", literal, offset=literal.text.index("two"))
    assert (error.line, error.column, error.source) == (4, 7, "  one two")
    error = document.error("here", last)
    assert (error.line, error.column, error.source) == (5, 4, "c: 3")
    with pytest.raises(SpecError) as caught:
        Document(f"a: 1{end}b: 2{end} \x07", "f.yaml")
    assert (caught.value.line, caught.value.column) == (3, 2)


def test_a_line_too_long_to_show_is_not_shown() -> None:
    with pytest.raises(SpecError) as caught:
        Document("a: " + "x" * 300 + ": 1", "f.yaml")
    assert "\n" not in str(caught.value)


@given(text=st.text(max_size=80))
def test_any_text_is_a_tree_or_a_spec_error(text: str) -> None:
    try:
        root = Document(text, "f.yaml").root
    except SpecError:
        return
    assert root is None or isinstance(root, Scalar | Sequence | Mapping)


@given(text=st.text(alphabet="ab:-[]{}#'\"&*!|> \n\t,?%@0.", max_size=60))
def test_any_text_of_yaml_signs_is_a_tree_or_a_spec_error(text: str) -> None:
    try:
        Document(text, "f.yaml")
    except SpecError as error:
        assert error.line >= 0  # noqa: PT017 (it need not be raised)
