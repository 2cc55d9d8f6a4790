"""Strategies against a plain bar-by-bar account of what they should do."""

import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.alerts import Alert, Observation
from filters.engine import FilterEngine
from filters.explain import explanation_text
from filters.spec_reader import read_specs
from filters.spec_set_error import SpecSetError
from filters.spec_tests import run_tests
from filters.specs import Spec, SpecsChanged, describe, hash_of
from market.events import State

SECOND = 1_000_000_000
SERIES = "binance:BTC-USDT"


def spec_of(strategy: str, *, more: str = "", stream: str = "bar, interval: 1s") -> Spec:
    text = (
        "version: 1\nfilters:\n  - id: s\n"
        f"    source: {{stream: {stream}, symbols: [BTC-USDT]}}\n"
        f"    strategy: {strategy}\n{more}"
    )
    return read_specs([("specs.yaml", text)])[0]


LONG = "{entry: rsi(14) < 30, exit: rsi(14) > 70, risk: {stop: 2%, target: 3%}}"


def engine_of(spec: Spec) -> FilterEngine:
    engine = FilterEngine()
    engine.specs_changed(SpecsChanged(generation=1, specs=(spec,)))
    return engine


def bar(
    at: int,
    close: float,
    rsi: float | None = 50.0,
    *,
    opened: float | None = None,
    low: float | None = None,
    high: float | None = None,
    state: State = State.LIVE,
    revision: int = 0,
) -> Observation:
    first = close if opened is None else opened
    return Observation(
        series=SERIES,
        stream="bar",
        interval="1s",
        ts_event=(at + 1) * SECOND,
        ts_recv=(at + 1) * SECOND,
        moment=at * SECOND,
        revision=revision,
        state=state,
        values={
            "rsi(14)": rsi,
            "open": first,
            "close": close,
            "low": min(first, close) if low is None else low,
            "high": max(first, close) if high is None else high,
        },
    )


def run(spec: Spec, *moments: Observation) -> list[Alert]:
    engine = engine_of(spec)
    return [alert for moment in moments for alert in engine.observe(moment)]


def told(alerts: list[Alert]) -> list[tuple[str, float | None]]:
    return [(alert.signal, alert.values["position.price"]) for alert in alerts]


def test_it_enters_and_leaves_at_the_exit() -> None:
    entry, leave = run(
        spec_of(LONG), bar(0, 100), bar(1, 100, 20), bar(2, 101, 20), bar(3, 102, 75)
    )
    assert (entry.signal, leave.signal) == ("entry", "exit")
    assert entry.values["position.size"] == pytest.approx(50.0)
    assert entry.values["position.stop"] == 98.0
    assert entry.values["position.target"] == pytest.approx(103.0)
    assert leave.values["position.profit"] == pytest.approx(100.0)
    assert leave.values["position.open"] == 0.0
    assert entry.text == (
        "s: BTC-USDT 1s at binance: enter long 50 at 100, stop 98, target 103, at risk 100.00"
    )
    assert leave.text == (
        "s: BTC-USDT 1s at binance: leave long 50 at 102 (exit): +100.00; 1 position closed,"
        " +100.00 in all"
    )
    assert [(each.text, each.value) for each in leave.clauses] == [("rsi(14) > 70", 75.0)]
    assert entry.key != leave.key


@pytest.mark.parametrize(
    ("then", "signal", "price"),
    [
        ({"close": 99.0, "low": 98.0}, "stop", 98.0),
        ({"close": 97.0}, "stop", 97.0),  # it opened beyond the stop
        ({"close": 101.0, "low": 97.0, "high": 104.0, "opened": 100.0}, "stop", 98.0),
        ({"close": 101.0, "high": 103.5, "opened": 100.0}, "target", 103.0),
        ({"close": 105.0}, "target", 103.0),  # it opened beyond the target
        ({"close": 100.0, "rsi": 75.0}, "exit", 100.0),
        ({"close": 98.5, "low": 98.0, "rsi": 75.0}, "stop", 98.0),
    ],
)  # fmt: skip
def test_where_it_leaves(then: dict[str, float], signal: str, price: float) -> None:
    alerts = run(spec_of(LONG), bar(0, 100, 20), bar(1, **then))  # type: ignore[arg-type]
    left = alerts[-1]
    assert left.signal == signal
    assert left.values["position.price"] == pytest.approx(price)


def test_a_short_one_is_the_mirror() -> None:
    short = "{side: short, entry: rsi(14) > 70, risk: {stop: 2%, target: 3%}}"
    stopped = run(spec_of(short), bar(0, 100, 75), bar(1, 103))
    assert told(stopped) == [("entry", 100.0), ("stop", 103.0)]
    assert stopped[-1].values["position.profit"] == pytest.approx(-150.0)
    gained = run(spec_of(short), bar(0, 100, 75), bar(1, 96, opened=99))
    assert told(gained) == [("entry", 100.0), ("target", 97.0)]


def test_the_bar_of_the_entry_does_not_stop_it() -> None:
    assert told(run(spec_of(LONG), bar(0, 100, 20, low=90, high=120))) == [("entry", 100.0)]


def test_an_entry_that_holds_all_the_time_is_made_once() -> None:
    moments = [bar(0, 100, 20), bar(1, 90, 20), bar(2, 90, 20), bar(3, 90, 50), bar(4, 90, 20)]
    alerts = run(spec_of(LONG), *moments)
    assert told(alerts) == [("entry", 100.0), ("stop", 90.0), ("entry", 90.0)]


def test_what_is_not_live_enters_nothing_and_stops_only() -> None:
    spec = spec_of(LONG)
    doubt = State.SUSPECT
    assert run(spec, bar(0, 100, 20, state=doubt)) == []
    alerts = run(spec, bar(0, 100, 20), bar(1, 110, 99, state=doubt), bar(2, 101))
    assert told(alerts) == [("entry", 100.0)]
    alerts = run(spec, bar(0, 100, 20), bar(1, 99, 99, low=97.5, state=doubt))
    assert told(alerts) == [("entry", 100.0), ("stop", 98.0)]


def test_a_book_that_is_not_live_does_not_stop_it() -> None:
    spec = spec_of(
        "{entry: imbalance(10) > 0.5, exit: imbalance(10) < -0.5, risk: {stop: 2%}}", stream="book"
    )

    def book(at: int, bid: float, imbalance: float, state: State = State.LIVE) -> Observation:
        return Observation(
            series=SERIES, stream="book", interval="", ts_event=at, ts_recv=at, moment=at,
            revision=0, state=state, values={
                "best_bid": bid, "best_ask": bid + 1, "book.imbalance(10)": imbalance,
            },
        )  # fmt: skip

    alerts = run(spec, book(1, 99, 0.9), book(2, 50, 0.9, State.STALE), book(3, 97, 0.0))
    assert told(alerts) == [("entry", 100.0), ("stop", 97.0)]


def test_a_corrected_bar_says_nothing() -> None:
    alerts = run(spec_of(LONG), bar(0, 100, 20), bar(0, 50, 20, revision=1), bar(1, 100))
    assert told(alerts) == [("entry", 100.0)]


def test_an_entry_without_a_stop_is_not_made_and_says_why() -> None:
    spec = spec_of("{entry: rsi(14) < 30, exit: rsi(14) > 70, risk: {stop: ema(20)}}")
    engine = engine_of(spec)
    moment = bar(0, 100, 20)
    assert engine.observe(moment) == []
    (state,) = engine.snapshot().states.values()
    assert state.held == {"no_entry": 1}
    assert state.reason == "the stop is not known: ema(20)"
    later = msgspec.structs.replace(bar(1, 100, 20), values=moment.values | {"ema(20)": 99.0})
    assert told(engine.observe(later)) == [("entry", 100.0)]
    (told_why,) = engine.explain(SERIES)
    assert "it is long 100 since 100, stop 99" in explanation_text(told_why)


def test_an_entry_may_have_to_hold_for_a_time() -> None:
    spec = spec_of(LONG, more="    for: 3s\n")
    engine = engine_of(spec)
    assert engine.observe(bar(0, 100, 20)) == []
    assert engine.observe(bar(1, 101, 20)) == []
    (entry,) = engine.heartbeat(SERIES, 4 * SECOND)
    assert told([entry]) == [("entry", 101.0)]
    assert told(engine.observe(bar(4, 90))) == [("stop", 90.0)]


def test_once_enters_once_and_still_leaves() -> None:
    moments = [bar(0, 100, 20), bar(1, 90, 50), bar(2, 90, 20), bar(3, 90, 50)]
    alerts = run(spec_of(LONG, more="    once: true\n"), *moments)
    assert told(alerts) == [("entry", 100.0), ("stop", 90.0)]


def test_a_message_follows_the_signal() -> None:
    more = "    notify: [{to: default, message: 'RSI {rsi(14):.0f}'}]\n"
    (entry,) = run(spec_of(LONG, more=more), bar(0, 100, 20))
    assert entry.text.endswith("at risk 100.00\nRSI 20")


def test_it_is_described_and_part_of_what_the_spec_is() -> None:
    spec = spec_of(LONG)
    said = describe(spec)
    assert "enters    long when rsi(14) < 30" in said
    assert "leaves    when rsi(14) > 70" in said
    assert "risks     1% of 10,000" in said
    other = spec_of(LONG.replace("2%", "2.5%"))
    alert = msgspec.structs.replace(spec, strategy=None)
    assert len({hash_of(spec), hash_of(other), hash_of(alert)}) == 3
    assert msgspec.json.decode(msgspec.json.encode(spec), type=Spec) == spec


def test_a_spec_may_test_its_strategy() -> None:
    more = (
        "    tests:\n      - given: {rsi(14): [50, 20, 50, 50], close: [100, 100, 99, 97]}\n"
        "        fires: [2, 4]\n"
    )
    assert [outcome.is_right for outcome in run_tests(spec_of(LONG, more=more))] == [True]


@pytest.mark.parametrize(
    ("strategy", "more", "words"),
    [
        ("{exit: rsi > 70, risk: {stop: 2%}}", "", "key 'entry' is missing"),
        ("{entry: rsi < 30, exit: rsi > 70}", "", "key 'risk' is missing"),
        ("{entry: rsi < 30, risk: {stop: 2%}}", "", "never left with a gain"),
        ("{entry: rsi < 30, exit: rsi > 70, risk: {target: 2%}}", "", "key 'stop' is missing"),
        ("{entry: rsi < 30, exit: rsi > 70, risk: {stop: 100}}", "", "write a distance"),
        ("{entry: rsi < 30, exit: rsi > 70, risk: {stop: rsi}}", "", "is no price"),
        ("{entry: rsi < 30, exit: rsi > 70, risk: {stop: 2%, budget: 0}}", "", "budget: expected"),
        ("{entry: rsi < 30, exit: rsi > 70, risk: {stop: 2%, equity: -1}}", "", "equity: expected"),
        ("{side: up, entry: rsi < 30, risk: {stop: 2%, target: 2%}}", "", "side 'up'"),
        ("{entry: rsi < 300, risk: {stop: 2%, target: 2%}}", "", "rsi(14)"),
        (LONG, "    when: rsi < 30\n", "a strategy has an 'entry' in its place"),
        (LONG, "    until: rsi > 30\n", "a strategy has an 'exit' in its place"),
        (LONG, "    trigger: every\n", "trigger: a strategy takes bar_close only"),
        (LONG, "    missing: fire\n", "missing: a strategy takes keep or reset only"),
    ],
)
def test_a_wrong_strategy_is_told_with_its_place(strategy: str, more: str, words: str) -> None:
    with pytest.raises(SpecSetError) as error:
        spec_of(strategy, more=more)
    assert words in str(error.value)
    assert "specs.yaml:" in str(error.value)


BARS = st.lists(
    st.tuples(
        st.floats(80, 120), st.floats(80, 120), st.floats(0, 8), st.floats(0, 8),
        st.sampled_from([10.0, 20.0, 50.0, 80.0, 90.0]), st.integers(0, 9),
    ),
    max_size=40,
)  # fmt: skip


@given(BARS, st.sampled_from(["long", "short"]))
def test_it_does_what_a_plain_account_does(
    bars: list[tuple[float, float, float, float, float, int]], side: str
) -> None:
    spec = spec_of(LONG.replace("{entry", f"{{side: {side}, entry"))
    moments = [
        bar(at, close, rsi, opened=opened, low=min(opened, close) - below,
            high=max(opened, close) + above, state=State.SUSPECT if doubt == 0 else State.LIVE)
        for at, (opened, close, below, above, rsi, doubt) in enumerate(bars)
    ]  # fmt: skip
    sign = 1.0 if side == "long" else -1.0
    expected: list[tuple[str, float]] = []
    entry = 0.0
    may_enter = True
    for moment in moments:
        values = {name: float(value or 0.0) for name, value in moment.values.items()}
        is_live = moment.state is State.LIVE
        holds = values["rsi(14)"] < 30
        if entry:
            stop, target = entry * (1 - sign * 0.02), entry * (1 + sign * 0.03)
            worst, best = (values["low"], values["high"])[:: int(sign)]
            if sign * (worst - stop) <= 0:
                first = values["open"]
                expected.append(("stop", stop if sign * (first - stop) > 0 else first))
                entry = 0.0
            elif is_live and sign * (best - target) >= 0:
                expected.append(("target", target))
                entry = 0.0
            elif is_live and values["rsi(14)"] > 70:
                expected.append(("exit", values["close"]))
                entry = 0.0
        elif is_live and holds and may_enter:
            entry = values["close"]
            expected.append(("entry", entry))
            may_enter = False
        if is_live and not holds:
            may_enter = True
    found = told(run(spec, *moments))
    assert [signal for signal, _ in found] == [signal for signal, _ in expected]
    assert [price for _, price in found] == pytest.approx([price for _, price in expected])


@given(BARS, st.integers(0, 40))
def test_a_restart_changes_nothing(
    bars: list[tuple[float, float, float, float, float, int]], at: int
) -> None:
    spec = spec_of(LONG)
    moments = [bar(number, each[1], each[4], opened=each[0]) for number, each in enumerate(bars)]
    engine = engine_of(spec)
    alerts: list[Alert] = []
    for number, moment in enumerate(moments):
        if number == at:
            kept = pickle.dumps(engine.snapshot())
            engine = FilterEngine(state=pickle.loads(kept))  # noqa: S301 - our own
        alerts += engine.observe(moment)
    assert alerts == run(spec, *moments)


def test_a_way_out_is_open_though_another_is_not_known() -> None:
    ways = "{any: [support_distance_bps(1) > 5, rsi(14) > 70]}"
    spec = spec_of(f"{{entry: rsi(14) < 30, exit: {ways}, risk: {{stop: 2%}}}}")
    assert told(run(spec, bar(0, 100, 20), bar(1, 101, 75))) == [("entry", 100.0), ("exit", 101.0)]
    crossed = spec_of(
        "{entry: rsi(14) < 30, exit: {any: [support(1) crosses_above 5, rsi(14) crosses_above 70,"
        " close crosses_below 90]}, risk: {stop: 50%}}"
    )
    found = run(crossed, bar(0, 100, 20), bar(1, 100, 50), bar(2, 101, 75))
    assert told(found) == [("entry", 100.0), ("exit", 101.0)]


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        ("rsi(14) crosses_above 70", [("rsi(14) crosses_above 70", 75.0, 70.0, True)]),
        ("close changes_by_pct >= 1 within 1m",
         [("close changes_by_pct >= 1 within 1m", 102.0, 1.0, True)]),
        ("{any: [rsi(14) > 90, rsi(14) crosses_above 70]}",
         [("rsi(14) crosses_above 70", 75.0, 70.0, True)]),
        ("{any: [close crosses_below 90, rsi(14) crosses_above 70, close > 101]}",
         [("rsi(14) crosses_above 70", 75.0, 70.0, True), ("close > 101", 102.0, 101.0, True)]),
        ("{any: [{all: [rsi(14) crosses_above 70, {not: close crosses_below 90}]}, close < 1]}",
         [("rsi(14) crosses_above 70", 75.0, 70.0, True),
          ("close crosses_below 90", 102.0, 90.0, False)]),
        ("{any: [support(1) > 5, rsi(14) crosses_above 70]}",
         [("rsi(14) crosses_above 70", 75.0, 70.0, True)]),
    ],
)  # fmt: skip
def test_an_exit_tells_the_parts_that_opened_it(
    ways: str, expected: list[tuple[str, float, float, bool]]
) -> None:
    spec = spec_of(f"{{entry: rsi(14) < 30, exit: {ways}, risk: {{stop: 50%}}}}")
    left = run(spec, bar(0, 100, 20), bar(1, 100, 50), bar(2, 102, 75))[-1]
    assert left.signal == "exit"
    assert [(each.text, each.value, each.threshold, each.holds) for each in left.clauses] == (
        expected
    )


def test_a_stop_has_no_clauses_of_an_exit() -> None:
    spec = spec_of("{entry: rsi(14) < 30, exit: rsi(14) crosses_above 70, risk: {stop: 2%}}")
    left = run(spec, bar(0, 100, 20), bar(1, 100, 50), bar(2, 90, 75))[-1]
    assert (left.signal, left.clauses) == ("stop", ())


def test_why_says_what_would_end_a_position() -> None:
    ways = "{any: [rsi(14) > 70, close crosses_below 100, support(1) > 5]}"
    engine = engine_of(spec_of(f"{{entry: rsi(14) < 30, exit: {ways}, risk: {{stop: 50%}}}}"))
    for moment in (bar(0, 101, 50), bar(1, 101, 20)):
        engine.observe(moment)
    (told,) = engine.explain(SERIES)
    assert explanation_text(told).splitlines()[1:-1] == [
        "  yes  rsi(14) < 30  (rsi(14) is 20)",
        "  it ends when:",
        "  no   rsi(14) > 70  (rsi(14) is 20: 50 too low)",
        "  no   close crosses_below 100  (close is 101: 1 above, and did not cross)",
        "  ?    support(1) > 5  (support(1) is n/a)",
    ]
    engine = FilterEngine(state=pickle.loads(pickle.dumps(engine.snapshot())))  # noqa: S301 - our own
    assert engine.explain(SERIES) == [told]
    (left,) = engine.observe(bar(2, 99, 20))
    assert left.signal == "exit"
    (told,) = engine.explain(SERIES)
    assert told.ends == ()
