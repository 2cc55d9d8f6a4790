"""Where keys stand in TOML files."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.toml_lines import line_of, toml_lines

TEXT = '''\
# a file
top = 1
[market]            # [other]
depth = 5
  primary = [
    "a = 1",
    "b",
  ]
words = """
[no.table]
no_key = 1
"""
after.words = "x = 1"
[ feeds . "bi.nance" ]
"symbols" = []
inline = {a = 1, b = 2}
'''


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("top", 2),
        ("market", 3),
        ("market.depth", 4),
        ("market.primary", 5),
        ("market.words", 9),
        ("market.after.words", 13),
        ("feeds.bi.nance", 14),
        ("feeds.bi.nance.symbols", 15),
        ("feeds.bi.nance.inline.b", 16),
        ("market.unsaid", 3),
        ("no.table.no_key", None),
        ("nowhere", None),
    ],
)
def test_a_key_is_found_on_its_line(key: str, line: int | None) -> None:
    assert tomllib.loads(TEXT)["market"]["depth"] == 5
    assert line_of(toml_lines(TEXT), key) == line


NAMES = st.sampled_from(["a", "b-1", "C_2", '"d e"', "'f'"])


@given(
    st.dictionaries(
        NAMES,
        st.dictionaries(NAMES, st.sampled_from(["1", '"[x]"', "[\n 1,\n]", "'''\nq = 1\n'''"])),
    ),
    st.integers(0, 3),
)
def test_what_is_cut_off_before_a_line_lacks_the_key_and_with_it_has_it(
    tables: dict[str, dict[str, str]], blank: int
) -> None:
    text = "".join(
        f"[{table}]\n" + "\n" * blank + "".join(f"{key} = {value}\n" for key, value in keys.items())
        for table, keys in tables.items()
    )
    lines = text.split("\n")
    found = toml_lines(text)
    parsed = tomllib.loads(text)
    wanted = set(parsed) | {f"{table}.{key}" for table, keys in parsed.items() for key in keys}
    assert set(found) == wanted
    for name, line in found.items():
        table, _, key = name.partition(".")
        before = tomllib.loads("\n".join(lines[: line - 1]) + "\n")
        assert (key not in before.get(table, {})) if key else (table not in before)
