"""One line of a person becomes a spec that the reader of files takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.one_line import Wishes, spec_of_line
from filters.spec_reader import read
from filters.spec_set_error import SpecSetError
from filters.specs import Notify, Spec
from market.errors import SpecError

SYMBOLS = ("BTC-USDT", "ETH-BTC", "ETH-USDT")


def made(line: str, wishes: Wishes = Wishes()) -> Spec:  # noqa: B008 - it is frozen
    [spec] = read((), stored=[spec_of_line(line, wishes, symbols=SYMBOLS)]).specs
    return spec


@pytest.mark.parametrize(
    ("line", "source", "when"),
    [
        ("BTC-USDT close crosses_above 70000", "bar BTC-USDT 1m ", "close crosses_above 70000"),
        ("BTC-USDT > 70000", "trade BTC-USDT  ", "price > 70000"),
        ("btcusdt>7e4", "trade BTC-USDT  ", "price > 70000"),
        ("eth/btc crosses 0.05", "trade ETH-BTC  ", None),
        ("BTC-USDT@5m < 100", "bar BTC-USDT 5m ", "close < 100"),
        ("binance:BTC-USDT@5m: rsi < 30", "bar BTC-USDT 5m binance", "rsi(14) < 30"),
        ("*-USDT imbalance(5) > 0.5", "book *-USDT  ", None),
        ("BTC-USDT imbalance(5) > 0.5", "book BTC-USDT  ", "book.imbalance(5) > 0.5"),
        ("BTC-USDT size > 5 and side == buy", "trade BTC-USDT  ", "size > 5 and side == 1"),
        ("BTC-USDT spread > 5", "quote BTC-USDT  ", "spread > 5"),
        ("BTC-USDT changes_by_pct > 1 within 5m", "trade BTC-USDT  ", None),
        ("BTC-USDT rsi(14)@15m < 30", "bar BTC-USDT 1m ", "rsi(14)@15m < 30"),
    ],
)
def test_a_line_says_what_is_looked_at(line: str, source: str, when: str | None) -> None:
    spec = made(line)
    looks = spec.source
    told = f"{looks.stream} {looks.symbols[0]} {looks.interval} {','.join(looks.venues)}"
    assert told == source
    if when is not None:
        assert spec.when == when


def test_what_is_wished_beside_the_line_is_in_the_spec() -> None:
    wishes = Wishes(
        ident="mine",
        interval="15m",
        hold="3 bars",
        cooldown="90s",
        severity="critical",
        to=("console", "telegram/main"),
        once=True,
    )
    spec = made("BTC-USDT rsi(14) < 30", wishes)
    assert (spec.id, spec.source.interval, spec.hold_bars) == ("mine", "15m", 3)
    assert (spec.cooldown, spec.severity, spec.is_once) == (90 * 10**9, "critical", True)
    assert spec.notify == (Notify(to="console"), Notify(to="telegram/main"))


def test_ids_are_made_of_the_line_and_differ_from_those_there_are() -> None:
    line = "BTC-USDT close crosses_above 70000"
    first = spec_of_line(line, Wishes()).id
    assert first == "btc-usdt-close-crosses-above-70000"
    again = spec_of_line(line, Wishes(), taken=(first, f"{first}-2"))
    assert again.id == f"{first}-3"
    assert len(spec_of_line("BTC-USDT " + "close > 1 and " * 30 + "open > 1", Wishes()).id) <= 48


@pytest.mark.parametrize(
    ("line", "message", "column"),
    [
        ("BTC-USDT clos > 3", "did you mean 'close'", 10),
        ("BTC-USDT close >", "expected", 17),
        ("BTC-USDT", "what of BTC-USDT?", 9),
        ("", "expected a symbol and a condition", 1),
        ("> 3", "expected a symbol and a condition", 1),
        ("close > 3", "'close' is no symbol", 1),
        ("BTC-USDT@7q > 3", "7q", None),
        ("BTC-USDT rsi(14) > 100", "100", None),
        ("BTC-USDT __import__('os') > 1", "spec:1", None),
    ],
)
def test_a_mistake_is_told_with_its_place_in_the_line(
    line: str, message: str, column: int | None
) -> None:
    with pytest.raises((SpecError, SpecSetError), match=message) as raised:
        made(line)
    if column is not None:
        assert str(raised.value).startswith(f"spec:1:{column}: ")
        if line:
            assert str(raised.value).splitlines()[1:] == [f"    {line}", " " * (column + 3) + "^"]


def test_letters_that_may_be_two_symbols_are_asked_about() -> None:
    with pytest.raises(SpecError, match="may be A-BC or AB-C: say which"):
        spec_of_line("abc > 1", Wishes(), symbols=("A-BC", "AB-C"))


@given(st.text(max_size=60), st.text(max_size=10))
def test_any_text_gives_a_spec_or_an_error_for_people(line: str, word: str) -> None:
    wishes = Wishes(ident=word, interval=word, hold=word, cooldown=word, severity=word, to=(word,))
    for wished in (Wishes(), wishes):
        try:
            made(line, wished)
            made(f"BTC-USDT close > 1 {line}", wished)
        except (SpecError, SpecSetError):
            pass


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_wish_can_add_a_key_of_its_own(word: str, other: str) -> None:
    stored = spec_of_line("BTC-USDT > 1", Wishes(severity=word + "\nonce: true", cooldown=other))
    assert stored.text.count("\nonce: true") == 0
