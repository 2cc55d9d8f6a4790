"""Messages: what they show, and that nothing but named values can be said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.templates import FACTS, TemplateError, parse_template, value_text

TEXTS = {name: name.upper() for name in FACTS}


def rendered(text: str, values: dict[str, float | None]) -> str:
    return parse_template(text, "bar").render(TEXTS, values)


def test_a_message_shows_facts_and_formatted_values() -> None:
    text = "{symbol} {interval}: RSI {rsi:.1f}, {book.imbalance(10):+.2f}, {close}"
    values = {"rsi(14)": 28.66, "book.imbalance(10)": 0.2, "close": 64000.5}
    assert rendered(text, dict(values)) == "SYMBOL INTERVAL: RSI 28.7, +0.20, 64000.5"


def test_a_value_that_is_not_known_is_said_so_whatever_its_format() -> None:
    assert rendered("{rsi:.1f} {close}", {"rsi(14)": None}) == "n/a n/a"


def test_a_message_shows_values_of_names_in_names() -> None:
    text = "{crosses(rsi, other=30):+.0f} {{{zone( ema(5) , 1, 2 ).oversold}}} {divergence.price_2}"
    values = {
        "crosses(rsi(14),30)": 1.0,
        "zone(ema(5),1,2).oversold": -1.0,
        "divergence(rsi(14),3,60).price_2": None,
    }
    assert parse_template(text, "bar").fields == tuple(values)
    assert rendered(text, dict(values)) == "+1 {-1} n/a"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{symbol}: {crosses(rsii(14),30):.0f}", "rsii"),
        ("{symbol}: { crosses( rsi(1),30) }", "1),"),
        ("{{}} {close} {crosses(rsi,zone)}", "zone"),
        ("{ nosuch}", "nosuch"),
    ],
)
def test_what_is_wrong_inside_a_name_is_told_with_its_place_in_the_message(
    text: str, place: str
) -> None:
    with pytest.raises(TemplateError) as caught:
        parse_template(text, "bar")
    assert caught.value.offset == text.index(place)


def test_double_braces_are_text() -> None:
    assert rendered("{{{symbol}}}", {}) == "{SYMBOL}"


def test_a_count_takes_a_number_format_though_it_is_whole() -> None:
    assert rendered("{count:.1f}", {"count": 3}) == "3.0"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (64000.12, "64000.12"),
        (0.00001234, "0.00001234"),
        (0.1 + 0.2, "0.3"),
        (-5.0, "-5"),
        (12345678901.5, "12345678901.5"),
        (None, "n/a"),
    ],
)
def test_a_plain_value_is_short(value: float | None, text: str) -> None:
    assert value_text(value) == text


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "{0}",
        "{close.real}",
        "{close.__class__.__mro__}",
        "{close[0]}",
        "{symbol.__class__}",
        "{close!r}",
        "{close:{volume}}",
        "{close:99999999}",
        "{close:.99f}",
        "{close:*>30}",
        "{close:d}",
        "{close:c}",
        "{close:n}",
        "{symbol:>30}",
        "{nosuch}",
        "{rsi(1)}",
        "{best_bid}",
        "{",
        "}",
        "{close",
        "x" * 1001,
    ],
)
def test_anything_else_in_braces_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        parse_template(text, "bar")


@given(
    form=st.text(alphabet="<>^+ -0123456789,.fge%dxcn#_", max_size=8),
    value=st.floats(allow_nan=False, allow_infinity=False),
)
def test_every_format_that_is_taken_can_be_shown_and_is_bounded(form: str, value: float) -> None:
    try:
        template = parse_template(f"{{close:{form}}}", "bar")
    except TemplateError:
        return
    assert len(template.render(TEXTS, {"close": value})) <= 450


@given(text=st.text(alphabet="{}:!.[]()abcrsi14 ", max_size=40))
def test_any_text_is_a_template_or_refused_with_a_place_in_it(text: str) -> None:
    try:
        parse_template(text, "bar").render(TEXTS, {})
    except TemplateError as error:
        assert 0 <= error.offset <= len(text)  # noqa: PT017 (it need not be raised)
