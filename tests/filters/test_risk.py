import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.position import Plan, plan_entry, quote_of
from filters.risk import Risk, RiskError, Strategy, parse_rule


@pytest.mark.parametrize(
    ("text", "canonical", "price"),
    [
        ("2%", "2%", 98.0),
        ("0.5 %", "0.5%", 99.5),
        ("atr*2", "atr(14)*2", 94.0),
        ("atr(14) * 1.5", "atr(14)*1.5", 95.5),
        ("support", "support(1)", 97.0),
        ("support(1) - 1%", "support(1) - 1%", 97.0 * 0.99),
        ("support+1%", "support(1) + 1%", 97.0 * 1.01),
        ("bollinger(20,2).lower", "bollinger(20,2).lower", 96.0),
        ("low", "low", 95.0),
    ],
)
def test_a_stop_is_a_price_or_a_distance(text: str, canonical: str, price: float) -> None:
    rule = parse_rule(text, "bar")
    assert rule.text == canonical
    assert parse_rule(canonical, "bar") == rule
    values: dict[str, float | None] = {
        "atr(14)": 3.0,
        "support(1)": 97.0,
        "bollinger(20,2).lower": 96.0,
        "low": 95.0,
    }
    assert rule.price(100.0, -1.0, values) == pytest.approx(price)
    if rule.field:
        assert rule.price(100.0, -1.0, {}) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0%", "above 0%"),
        ("60%", "at most 50%"),
        ("atr*0", "above 0"),
        ("atr*1000", "at most 100 times"),
        ("rsi(14)", "'rsi(14)' is no price"),
        ("rsi(14)*2", "'rsi(14)' is no price"),
        ("atrr(14)", "did you mean"),
        ("volume", "is no price (its unit: base currency)"),
        ("close@BTC-USDT", "is of the filter's own bars: leave out"),
        ("100", "expected a price or a distance"),
        ("support - 99%", "at most 50%"),
        ("support * 2 * 3", "it does not calculate"),
        ("__import__('os')", "no field"),
    ],
)
def test_what_is_neither_is_told(text: str, words: str) -> None:
    with pytest.raises(RiskError) as error:
        parse_rule(text, "bar")
    assert words in str(error.value)


BAR: dict[str, float | None] = {"open": 100.0, "high": 101.0, "low": 99.0, "close": 100.0}


@given(st.floats(0.001, 50.0), st.floats(0.01, 100.0), st.floats(1.0, 1e9))
def test_the_budget_is_what_is_lost_at_the_stop(far: float, budget: float, equity: float) -> None:
    rule = parse_rule("2%", "bar")
    risk = Risk(stop=type(rule)(percent=far), budget=budget, equity=equity)
    plan = plan_entry(Strategy(risk=risk), quote_of("bar", "long", BAR), BAR)
    assert isinstance(plan, Plan)
    lost = plan.size * (plan.entry - plan.stop)
    assert lost <= equity * budget / 100 * (1 + 1e-9)
    assert plan.size * plan.entry <= equity * (1 + 1e-9)
    assert lost == pytest.approx(equity * budget / 100) or plan.size * plan.entry == pytest.approx(
        equity
    )


@given(st.floats(0.1, 20.0), st.floats(0.1, 20.0))
def test_a_position_is_smaller_where_prices_move_more(one: float, other: float) -> None:
    strategy = Strategy(risk=Risk(stop=parse_rule("atr*2", "bar"), budget=0.1))
    sizes = []
    for atr in sorted((one, other)):
        values = {**BAR, "atr(14)": atr}
        plan = plan_entry(strategy, quote_of("bar", "long", values), values)
        assert isinstance(plan, Plan)
        sizes.append(plan.size)
    assert sizes[0] >= sizes[1]


@pytest.mark.parametrize(
    ("stop", "target", "side", "words"),
    [
        ("support", None, "long", "the stop is not known: support(1)"),
        ("high", None, "long", "the stop (high: 101) is on the wrong side of 100"),
        ("low", None, "short", "wrong side"),
        ("low", "low", "long", "the target (low: 99) is on the wrong side of 100"),
        ("low", "resistance", "long", "the target is not known: resistance(1)"),
    ],
)
def test_what_cannot_be_entered_says_why(
    stop: str, target: str | None, side: str, words: str
) -> None:
    rule = None if target is None else parse_rule(target, "bar")
    strategy = Strategy(side=side, risk=Risk(stop=parse_rule(stop, "bar"), target=rule))  # type: ignore[arg-type]
    plan = plan_entry(strategy, quote_of("bar", "long", BAR), BAR)
    assert isinstance(plan, str)
    assert words in plan


def test_books_are_entered_at_the_far_side_and_left_at_the_near_one() -> None:
    values: dict[str, float | None] = {"best_bid": 99.0, "best_ask": 101.0}
    long, short = quote_of("book", "long", values), quote_of("quote", "short", values)
    assert long is not None
    assert short is not None
    assert (long.entry, long.last) == (101.0, 99.0)
    assert (short.entry, short.last) == (99.0, 101.0)
    assert quote_of("book", "long", {"best_bid": 99.0}) is None
