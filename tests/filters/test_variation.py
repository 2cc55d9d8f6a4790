import pytest
from hypothesis import given

from filters.specs import Source, Spec
from filters.trees import Comparison, Tree, leaves, print_tree
from filters.variation import VariationError, vary
from tests.filters.conditions import TREES

BARS = Source(stream="bar", symbols=("BTC-USDT",), interval="1m")


def spec(when: str, until: str = "") -> Spec:
    return Spec(id="s", source=BARS, when=when, until=until)


@pytest.mark.parametrize(
    ("when", "change", "then"),
    [
        ("rsi(14) < 30", "rsi(14) < 28", "rsi(14) < 28"),
        ("rsi(14) < 30", "28 > rsi", "rsi(14) < 28"),
        ("volume > 5 and (rsi(14) < 30 or close > 1)", "rsi < 20.5",
         "volume > 5 and (rsi(14) < 20.5 or close > 1)"),
        ("not (close > 1)", "close > 2", "not (close > 2)"),
        ("close > ema(20)", "close > ema(50)", "close > ema(50)"),
        ("close crosses_above 10", "close crosses_above 12", "close crosses_above 12"),
        ("close changes_by_pct >= 1 within 5m", "close changes_by_pct >= 2 within 5m",
         "close changes_by_pct >= 2 within 5m"),
    ],
)  # fmt: skip
def test_one_part_takes_the_place_of_its_like(when: str, change: str, then: str) -> None:
    assert vary(spec(when), change).when == then


def test_the_part_may_be_in_until() -> None:
    varied = vary(spec("rsi(14) < 30", until="rsi(14) > 50"), "rsi(14) > 60")
    assert (varied.when, varied.until) == ("rsi(14) < 30", "rsi(14) > 60")


@pytest.mark.parametrize(
    ("when", "change", "words"),
    [
        ("rsi(14) < 30", "rsi(15) < 30", "did you mean 'rsi(14) < 30'?"),
        ("rsi(14) < 30", "rsi(14) > 30", "no part of this field and operator; did you mean"),
        ("rsi(14) < 30", "volume > 1", "there is rsi(14) < 30"),
        ("rsi(14) < 30", "rsi(14) <", "expected"),
        ("rsi(14) < 30", "rsi(14) < 30 and volume > 1", "expected one comparison"),
        ("rsi(14) < 30", "rso(14) < 30", "did you mean"),
        ("volume > 1 or (volume > 2 and count > 3)", "volume > 3",
         "several such parts: 'volume > 1' and 'volume > 2'"),
        ("close changes_by_pct >= 1 within 5m", "close changes_by_pct >= 1 within 6m",
         "did you mean 'close changes_by_pct >= 1 within 5m'"),
    ],
)  # fmt: skip
def test_a_change_without_a_place_says_what_there_is(when: str, change: str, words: str) -> None:
    with pytest.raises(VariationError) as error:
        vary(spec(when), change)
    assert words in str(error.value)


@given(TREES)
def test_a_part_in_its_own_place_changes_nothing(tree: Tree) -> None:
    found = leaves(tree)
    sorts = [(part.field, part.op) for part in found if isinstance(part, Comparison)]
    if len(sorts) != len(found) or len(set(sorts)) != len(sorts):
        return
    before = spec(print_tree(tree))
    for part in found:
        assert vary(before, print_tree(part)).when == before.when
