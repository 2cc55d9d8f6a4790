"""Observations in, alerts out: matching, needs, messages, and going on after a restart."""

import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.alerts import Alert, Clause, Observation
from filters.engine import EngineState, FilterEngine
from filters.needs import Needs, needs_of
from filters.spec_reader import read_specs
from filters.specs import Spec, SpecsChanged, hash_of
from market.events import State
from tests.drawn_examples import examples

SECOND = 1_000_000_000
BTC = "binance:BTC-USDT"
SPECS = """
version: 1
filters:
  - id: oversold
    title: Oversold
    source: {stream: bar, symbols: ["*-USDT"], interval: 1m}
    when: [rsi < 30, close > ema(20)]
    cooldown: 4m
    severity: warning
    notify:
      - {to: console, message: "{symbol} {interval} RSI {rsi:.1f} volume {volume}"}
      - to: telegram/main
  - id: heavy
    source: {stream: book, symbols: [BTC-USDT], venues: [binance]}
    when: imbalance > 0.5
    for: 5s
  - id: elsewhere
    source: {stream: bar, symbols: [BTC-USDT], interval: 1m, venues: [kraken]}
    when: close > 1
"""


def specs(text: str = SPECS) -> tuple[Spec, ...]:
    return read_specs([("specs.yaml", text)])


def engine(text: str = SPECS, symbol: str = "") -> FilterEngine:
    made = FilterEngine(symbol)
    made.specs_changed(SpecsChanged(generation=1, specs=specs(text)))
    return made


def bar(
    minute: int,
    rsi: float | None,
    *,
    state: State = State.LIVE,
    series: str = BTC,
    revision: int = 0,
) -> Observation:
    start = minute * 60 * SECOND
    return Observation(
        series=series,
        stream="bar",
        interval="1m",
        ts_event=start + 60 * SECOND,
        ts_recv=start + 62 * SECOND,
        moment=start,
        revision=revision,
        values={"rsi(14)": rsi, "close": 101.5, "ema(20)": 100.0, "volume": 7.0},
        state=state,
        reason="" if state is State.LIVE else "silent for 30.0 s",
    )


def book(second: int, imbalance: float, *, state: State = State.LIVE) -> Observation:
    return Observation(
        series=BTC,
        stream="book",
        interval="",
        ts_event=second * SECOND - 5,
        ts_recv=second * SECOND,
        moment=1000 + second,
        revision=0,
        values={"book.imbalance(10)": imbalance},
        state=state,
    )


def test_an_alert_tells_what_fired_where_and_why() -> None:
    alerts = engine().observe(bar(0, 28.612))
    digest = hash_of(specs()[0])
    assert alerts == [
        Alert(
            key=f"oversold/{digest}/{BTC}/1m/0",
            spec="oversold",
            spec_hash=digest,
            series=BTC,
            interval="1m",
            ts_event=60 * SECOND,
            ts_fired=62 * SECOND,
            severity="warning",
            targets=("console", "telegram/main"),
            text="BTC-USDT 1m RSI 28.6 volume 7",
            values={"rsi(14)": 28.612, "close": 101.5, "ema(20)": 100.0},
            clauses=(
                Clause("rsi(14) < 30", 28.612, 30.0),
                Clause("close > ema(20)", 101.5, 100.0),
            ),
        )
    ]


def test_without_a_template_the_message_names_each_clause_with_value_and_threshold() -> None:
    text = SPECS.replace('message: "{symbol} {interval} RSI {rsi:.1f} volume {volume}"', "")
    text = text.replace("when: [rsi < 30, close > ema(20)]", "when: rsi < 30 or close > ema(20)")
    alerts = engine(text.replace("{to: console, }", "to: console")).observe(bar(0, 40.5))
    assert [alert.text for alert in alerts] == [
        "Oversold: BTC-USDT 1m at binance: rsi(14) 40.5 (not < 30), close 101.5 (> ema(20) 100)"
    ]


def test_it_fires_on_the_edge_and_not_while_it_stays_true() -> None:
    made = engine()
    rsi = [20.0, 20.0, 50.0, 20.0, 20.0, 20.0, 50.0, 20.0]
    fired = [len(made.observe(bar(minute, value))) for minute, value in enumerate(rsi)]
    assert fired == [1, 0, 0, 0, 0, 0, 0, 1]  # the second episode lies in the cooldown
    state = next(iter(made.snapshot().states.values()))
    assert (state.fired, state.suppressed) == (2, 1)


@pytest.mark.parametrize("state", [each for each in State if each is not State.LIVE])
def test_it_does_not_fire_on_what_is_not_live_and_counts_it(state: State) -> None:
    made = engine()
    assert made.observe(bar(0, 20.0, state=state)) == []
    held = next(iter(made.snapshot().states.values()))
    assert (held.held, held.reason) == ({state.value: 1}, "silent for 30.0 s")
    assert len(made.observe(bar(1, 20.0))) == 1


def test_it_does_not_fire_on_a_corrected_bar() -> None:
    made = engine()
    assert made.observe(bar(0, 20.0, revision=1)) == []
    assert made.observe(bar(0, 20.0)) != []


def test_a_missing_value_holds_it_back_and_says_which() -> None:
    made = engine()
    assert made.observe(bar(0, None)) == []
    held = next(iter(made.snapshot().states.values()))
    assert (held.held, held.reason) == ({"missing": 1}, "not known yet: rsi(14)")


def test_a_wait_in_time_ends_at_a_heartbeat_with_the_last_true_moment() -> None:
    made = engine()
    assert made.observe(book(10, 0.8)) == []
    assert made.observe(book(13, 0.9)) == []
    assert made.heartbeat(BTC, 14 * SECOND) == []
    alerts = made.heartbeat(BTC, 15 * SECOND)
    assert [(alert.spec, alert.values, alert.ts_fired) for alert in alerts] == [
        ("heavy", {"book.imbalance(10)": 0.9}, 15 * SECOND)
    ]
    assert alerts[0].key.endswith(f"/{BTC}//1013")
    assert alerts[0].text == "heavy: BTC-USDT book at binance: book.imbalance(10) 0.9 (> 0.5)"
    assert made.heartbeat(BTC, 16 * SECOND) == []


def test_a_wait_does_not_end_while_the_series_is_not_live() -> None:
    made = engine()
    made.observe(book(10, 0.8))
    assert made.heartbeat(BTC, 16 * SECOND, state=State.STALE, reason="silent") == []
    assert made.heartbeat(BTC, 17 * SECOND) == []
    made.observe(book(20, 0.8))
    assert len(made.heartbeat(BTC, 25 * SECOND)) == 1


def test_series_are_matched_by_symbol_glob_and_venue() -> None:
    made = engine()
    assert [a.spec for a in made.observe(bar(0, 20.0, series="kraken:BTC-USDT"))] == [
        "oversold",
        "elsewhere",
    ]
    assert [a.spec for a in made.observe(bar(0, 20.0, series="kraken:ETH-USDT"))] == ["oversold"]
    assert made.observe(bar(0, 20.0, series="binance:ETH-BTC")) == []


def test_needs_are_what_conditions_and_messages_name() -> None:
    assert engine().needs(BTC) == Needs(
        bars={"1m": ("rsi(14)", "close", "ema(20)", "volume")}, book=("book.imbalance(10)",)
    )
    assert needs_of(specs(), "kraken:BTC-USDT") == Needs(
        bars={"1m": ("rsi(14)", "close", "ema(20)", "volume")}
    )
    assert needs_of(specs(), "binance:ETH-BTC") == Needs()


def test_an_engine_of_one_symbol_keeps_the_specs_for_it() -> None:
    assert [spec.id for spec in engine(symbol="ETH-USDT").specs] == ["oversold"]
    assert [spec.id for spec in engine(symbol="ETH-BTC").specs] == []


def test_an_edited_spec_starts_afresh_and_the_others_keep_their_state() -> None:
    made = engine()
    made.observe(bar(0, 20.0))
    made.observe(book(10, 0.8))
    edited = SPECS.replace("rsi < 30", "rsi < 31")
    made.specs_changed(SpecsChanged(generation=2, specs=specs(edited)))
    assert made.generation == 2
    assert [alert.spec for alert in made.observe(bar(1, 20.0))] == ["oversold"]
    assert [alert.spec for alert in made.heartbeat(BTC, 15 * SECOND)] == ["heavy"]


def test_a_spec_written_differently_keeps_its_state() -> None:
    made = engine()
    made.observe(bar(0, 20.0))
    other = SPECS.replace("[rsi < 30, close > ema(20)]", "30 > rsi(14) and close > ema")
    made.specs_changed(SpecsChanged(generation=2, specs=specs(other)))
    assert made.observe(bar(1, 20.0)) == []


def test_a_removed_spec_is_forgotten() -> None:
    made = engine()
    made.observe(bar(0, 20.0))
    made.specs_changed(SpecsChanged(generation=2, specs=()))
    assert made.snapshot() == EngineState(generation=2)
    assert made.needs(BTC) == Needs()


MOMENTS = st.lists(
    st.tuples(
        st.sampled_from(["bar", "book", "beat", "stale"]),
        st.integers(0, 40),
        st.sampled_from([20.0, 20.0, 50.0, None]),
    ),
    max_size=40,
)


def play(made: FilterEngine, moments: list[tuple[str, int, float | None]], cut: int) -> list[Alert]:
    alerts: list[Alert] = []
    ts = 0
    for number, (kind, pause, value) in enumerate(moments):
        ts += pause
        if number == cut:
            made = FilterEngine(state=pickle.loads(pickle.dumps(made.snapshot())))  # noqa: S301
        state = State.STALE if kind == "stale" else State.LIVE
        if kind == "beat":
            alerts += made.heartbeat(BTC, ts * SECOND)
        elif kind == "book":
            alerts += made.observe(book(ts, 0.9 if value == 20.0 else 0.1))
        else:
            seen = bar(number, value, state=state)
            alerts += made.observe(msgspec.structs.replace(seen, ts_recv=ts * SECOND))
    return alerts


@given(moments=MOMENTS, cut=st.integers(0, 40))
@examples(40)
def test_going_on_from_a_snapshot_gives_the_same_alerts(
    moments: list[tuple[str, int, float | None]], cut: int
) -> None:
    whole = play(engine(), moments, -1)
    assert play(engine(), moments, cut) == whole
    assert len({alert.key for alert in whole}) == len(whole)


def test_a_snapshot_does_not_change_with_the_engine_and_is_plain_data() -> None:
    made = engine()
    made.observe(bar(0, 20.0))
    made.observe(book(10, 0.8))
    snapshot = made.snapshot()
    before = msgspec.json.encode(snapshot)
    made.observe(bar(1, 50.0, state=State.STALE))
    made.heartbeat(BTC, 99 * SECOND)
    assert msgspec.json.encode(snapshot) == before
    assert msgspec.json.decode(before, type=EngineState) == snapshot
