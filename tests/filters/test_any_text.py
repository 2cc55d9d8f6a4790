"""Whatever is written, it is read, or refused at a place in it."""

from hypothesis import given
from hypothesis import strategies as st

from filters.fields import STREAMS
from filters.grammar import parse
from filters.relations import GrammarError
from filters.trees import Tree, print_tree

WORDS = ["close", "rsi", "(", ")", "14", "<", "crosses_above", "between", "and", "or", "not", "in"]
MORE = [
    "changes_by_pct",
    ">=",
    "2",
    "within",
    "5m",
    "bars",
    "@",
    "BTC-USDT",
    ",",
    "3",
    "-",
    "price",
]
LISTS = st.lists(st.sampled_from([*WORDS, *MORE]), max_size=14)


def read_or_refused(text: str) -> None:
    for stream in STREAMS:
        tree: Tree | None = None
        offset = 0
        try:
            tree = parse(text, stream)
        except GrammarError as error:
            offset = error.offset
        assert 0 <= offset <= len(text)
        assert tree is None or parse(print_tree(tree), stream) == tree


@given(text=st.text(max_size=80))
def test_any_text(text: str) -> None:
    read_or_refused(text)


@given(words=LISTS, gap=st.sampled_from(["", " "]))
def test_any_words(words: list[str], gap: str) -> None:
    read_or_refused(gap.join(words))


@given(words=LISTS)
def test_any_words_behind_a_right_beginning(words: list[str]) -> None:
    read_or_refused("close crosses_above ema(20) and rsi " + " ".join(words))
