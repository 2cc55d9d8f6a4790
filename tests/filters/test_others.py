"""Other series: the last bar that ended by a time, once they are past it."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from filters.alerts import Observation, Passed
from filters.engine import FilterEngine
from filters.needs import needs_of
from filters.others import KEPT, Others
from filters.spec_reader import read_specs
from filters.specs import SpecsChanged
from market.events import State

BTC = "binance:BTC-USDT"


def bar(end: int, close: float | None, *, state: State = State.LIVE) -> Observation:
    return Observation(
        series=BTC,
        stream="bar",
        interval="1m",
        ts_event=end,
        ts_recv=end,
        moment=end - 60,
        revision=0,
        values={"close": close},
        state=state,
    )


def passed(until: int, state: State = State.LIVE) -> Passed:
    return Passed(series=BTC, until=until, ts_recv=until, state=state)


def test_it_is_past_a_time_when_it_says_so() -> None:
    others = Others()
    others.take(bar(60, 1.0))
    assert not others.is_past(BTC, 60)
    others.pass_by(passed(60))
    assert others.is_past(BTC, 60)
    assert not others.is_past(BTC, 61)
    assert others.value(BTC, "1m", "close", 60) == 1.0
    assert others.value(BTC, "5m", "close", 60) is None
    assert others.value(BTC, "1m", "open", 60) is None


def test_what_was_not_live_since_the_bar_has_no_value() -> None:
    others = Others()
    others.take(bar(60, 1.0))
    others.pass_by(passed(60))
    others.pass_by(passed(70, State.SUSPECT))
    others.pass_by(passed(80))
    assert others.value(BTC, "1m", "close", 60) == 1.0
    assert others.value(BTC, "1m", "close", 65) is None
    assert others.value(BTC, "1m", "close", 80) is None
    others.take(bar(120, 2.0, state=State.SUSPECT))
    others.pass_by(passed(120))
    assert others.value(BTC, "1m", "close", 120) is None


@given(
    steps=st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.booleans()), max_size=30),
    data=st.data(),
)
def test_later_news_change_no_earlier_answer(
    steps: list[tuple[int, bool, bool]], data: st.DataObject
) -> None:
    others, now, answers = Others(), 0, dict[int, float | None]()
    for minutes, with_bar, live in steps:
        now += minutes * 60
        if with_bar:
            others.take(bar(now, float(now)))
        others.pass_by(passed(now, State.LIVE if live else State.SUSPECT))
        if data.draw(st.booleans()):
            others = Others(others.snapshot())
        answers[now] = others.value(BTC, "1m", "close", now)
        for ts, said in answers.items():
            assert others.value(BTC, "1m", "close", ts) == said


def test_what_is_kept_is_bounded() -> None:
    others = Others()
    for number in range(5 * KEPT):
        others.take(bar(number * 60, 1.0))
        others.pass_by(passed(number * 60))
    kept = others.snapshot()
    assert len(kept.bars[BTC]["1m"]) <= 2 * KEPT
    assert len(kept.passed[BTC]) <= 2 * KEPT
    assert others.value(BTC, "1m", "close", (5 * KEPT - KEPT) * 60) == 1.0


SPECS = """
version: 1
filters:
  - id: follows
    source: {stream: bar, interval: 1m, symbols: ["*-USDT"], venues: [binance]}
    when: close > 1 and rsi(14)@BTC-USDT@15m > 50 and ema(20)@5m > 1
  - id: elsewhere
    source: {stream: bar, interval: 1m, symbols: [ETH-USDT]}
    when: close > close@bybit:BTC-USDT
  - id: off
    enabled: false
    source: {stream: trade, symbols: ["*"]}
    when: size > 1
  - id: forming
    source: {stream: bar, interval: 1h, symbols: [BTC-USDT], venues: [htx]}
    when: close > 1
    trigger: change
  - id: quoted
    source: {stream: quote, symbols: [BTC-USDT], venues: [htx]}
    when: spread_bps > 1
"""


def test_a_series_is_asked_for_what_others_look_at() -> None:
    specs = read_specs([("x.yaml", SPECS)])
    followed = ("BTC-USDT", "ETH-USDT", "SOL-USDT")
    btc = needs_of(specs, "binance:BTC-USDT", followed)
    assert btc.bars == {"1m": ("close",), "15m": ("rsi(14)",), "5m": ("ema(20)",)}
    assert btc.asking == {"ETH-USDT": ("15m",), "SOL-USDT": ("15m",)}
    assert btc.passes
    assert btc.trade == ()
    eth = needs_of(specs, "binance:ETH-USDT", followed)
    assert eth.bars == {"1m": ("close",), "5m": ("ema(20)",)}
    assert eth.asking == {}
    bybit = needs_of(specs, "bybit:BTC-USDT", followed)
    assert bybit.bars == {"1m": ("close",)}
    assert bybit.asking == {"ETH-USDT": ("1m",)}
    htx = needs_of(specs, "htx:BTC-USDT", followed)
    assert (htx.bars, htx.forming) == ({"1h": ("close",)}, {"1h": ("close",)})
    assert (htx.quote, htx.passes) == (("book.spread_bps",), False)


def test_only_bars_that_are_looked_at_are_kept() -> None:
    specs = read_specs([("x.yaml", SPECS)])
    engine = FilterEngine()
    engine.specs_changed(SpecsChanged(generation=1, specs=specs))
    for series in (BTC, "binance:SOL-USDT", "htx:BTC-USDT"):
        for interval in ("1m", "5m", "15m", "1h"):
            seen = msgspec.structs.replace(bar(60, 1.0), series=series, interval=interval)
            engine.observe(seen)
    kept = engine.snapshot().others.bars
    assert {series: set(intervals) for series, intervals in kept.items()} == {
        BTC: {"5m", "15m"},
        "binance:SOL-USDT": {"5m"},
        "htx:BTC-USDT": {"15m"},
    }


def test_a_moment_that_waits_keeps_only_what_its_spec_looks_at() -> None:
    source = "{stream: bar, symbols: [ETH-USDT], interval: 1m}"
    when = "close > close@BTC-USDT and rsi > 1"
    text = f"version: 1\nfilters: [{{id: x, source: {source}, when: {when}}}]"
    engine = FilterEngine()
    engine.specs_changed(SpecsChanged(generation=1, specs=read_specs([("x.yaml", text)])))
    values: dict[str, float | None] = {"close": 5.0, "rsi(14)": None, "open": 1.0, "volume": 2.0}
    seen = msgspec.structs.replace(bar(60, None), series="binance:ETH-USDT", values=values)
    assert engine.observe(seen) == []
    [(waiting,)] = engine.snapshot().waiting.values()
    assert isinstance(waiting, Observation)
    assert waiting == msgspec.structs.replace(seen, values={"close": 5.0, "rsi(14)": None})
    assert seen.values == values
