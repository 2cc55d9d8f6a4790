"""When a filter fires: every, once, until, expires, missing; and why it does not."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.alerts import Alert, AlertEnded, Clause, Observation
from filters.engine import FilterEngine
from filters.explain import explanation_text
from filters.spec_reader import read_specs
from filters.specs import SpecsChanged
from filters.state import Phase
from market.events import State

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
BTC = "binance:BTC-USDT"
HEAD = """
version: 1
filters:
  - id: x
    source: {stream: bar, symbols: [BTC-USDT], interval: 1m}
"""


def engine(keys: str) -> FilterEngine:
    made = FilterEngine()
    lines = "".join(f"    {line}\n" for line in keys.strip().splitlines())
    specs = read_specs([("x.yaml", HEAD + lines)])
    made.specs_changed(SpecsChanged(generation=1, specs=specs))
    return made


def look(
    made: FilterEngine, number: int, *, state: State = State.LIVE, **values: float | None
) -> list[Alert]:
    end = (number + 1) * MINUTE
    return made.observe(
        Observation(
            series=BTC,
            stream="bar",
            interval="1m",
            ts_event=end,
            ts_recv=end + SECOND,
            moment=number * MINUTE,
            revision=0,
            values={name.replace("rsi", "rsi(14)"): value for name, value in values.items()},
            state=state,
            reason="" if state is State.LIVE else "cut",
        )
    )


def fired(keys: str, closes: list[float | None]) -> list[int]:
    made = engine(keys)
    return [at for at, close in enumerate(closes) if look(made, at, close=close)]


def test_every_fires_at_each_true_moment() -> None:
    assert fired("when: close > 5\ntrigger: every", [6, 7, 1, 8, 9]) == [0, 1, 3, 4]


def test_every_is_silent_while_it_cools() -> None:
    keys = "when: close > 5\ntrigger: every\ncooldown: 3m"
    assert fired(keys, [6, 7, 8, 9, 1, 7, 8, 8]) == [0, 3, 6]


@given(closes=st.lists(st.integers(0, 10).map(float), max_size=40), pause=st.integers(0, 5))
def test_every_fires_wherever_it_is_true_and_long_enough_ago(
    closes: list[float | None], pause: int
) -> None:
    expected: list[int] = []
    for at, close in enumerate(closes):
        if close is not None and close > 5 and (not expected or at - expected[-1] >= pause):
            expected.append(at)
    cooldown = f"\ncooldown: {pause}m" if pause else ""
    assert fired(f"when: close > 5\ntrigger: every{cooldown}", closes) == expected


def test_once_fires_one_time_for_each_series() -> None:
    made = engine("when: close > 5\nonce: true")
    found = [at for at in range(6) if look(made, at, close=6.0 if at % 2 else 1.0)]
    assert found == [1]
    assert made.explain(BTC)[0].because == "it has fired, and is to fire once only"
    restarted = FilterEngine(state=made.snapshot())
    assert look(restarted, 9, close=6.0) == []


def test_until_keeps_it_from_speaking_again() -> None:
    keys = "when: close < 3\nuntil: close > 7"
    assert fired(keys, [5, 2, 4, 2, 6, 2, 8, 2, 2]) == [1, 7]


@given(closes=st.lists(st.integers(0, 10).map(float), max_size=50))
def test_until_is_a_switch_with_two_levels(closes: list[float | None]) -> None:
    expected, armed = [], True
    for at, close in enumerate(closes):
        if armed and close is not None and close < 3:
            expected.append(at)
            armed = False
        elif not armed and close is not None and close > 7:
            armed = True
    assert fired("when: close < 3\nuntil: close > 7", closes) == expected


def test_until_may_be_a_crossing() -> None:
    keys = "when: close < 3\nuntil: close crosses_above 7"
    assert fired(keys, [2, 8, 2, 6, 2, 9, 2]) == [0, 2, 6]


def test_it_does_not_fire_after_it_has_expired() -> None:
    keys = "when: close > 5\ntrigger: every\nexpires: 1970-01-01T00:03Z"
    assert fired(keys, [6, 6, 6, 6]) == [0, 1]


@pytest.mark.parametrize(
    ("written", "ns"),
    [
        ("2026-12-31", 1_798_675_200 * SECOND),
        ("2026-12-31T18:00Z", 1_798_740_000 * SECOND),
        ("2026-12-31 18:00", 1_798_740_000 * SECOND),
        ("2026-12-31T18:00+02:00", 1_798_732_800 * SECOND),
    ],
)
def test_a_day_begins_in_utc(written: str, ns: int) -> None:
    (spec,) = engine(f"when: close > 5\nexpires: {written}").specs
    assert spec.expires == ns


def test_what_is_missing_is_kept_out_reset_or_fires() -> None:
    closes: list[float | None] = [6, None, 6, 1, None, None, 6]
    assert fired("when: close > 5", closes) == [0, 6]
    assert fired("when: close > 5\nmissing: reset", closes) == [0, 2, 6]
    assert fired("when: close > 5\nmissing: fire", closes) == [0, 4]


def test_reset_forgets_the_side_of_a_crossing_and_keep_does_not() -> None:
    closes: list[float | None] = [4, None, 6]
    assert fired("when: close crosses_above 5", closes) == [2]
    assert fired("when: close crosses_above 5\nmissing: reset", closes) == []


def test_a_crossing_over_a_gap_is_told_when_it_is_live_again() -> None:
    made = engine("when: close crosses_above 5")
    assert look(made, 0, close=4.0) == []
    assert look(made, 1, state=State.SUSPECT, close=6.0) == []
    assert len(look(made, 2, close=6.0)) == 1


def test_a_switched_off_filter_says_nothing() -> None:
    made = engine("when: close > 5\nenabled: no")
    assert look(made, 0, close=6.0) == []
    assert made.specs == ()
    assert made.explain(BTC) == []


def test_the_message_of_a_move_says_how_far_and_in_which_time() -> None:
    made = engine("when: close moves_by_pct >= 2 within 5m")
    look(made, 0, close=100.0)
    (alert,) = look(made, 1, close=103.0)
    assert alert.text == (
        "x: BTC-USDT 1m at binance: close 103 (changes_by_pct >= 2 within 5m),"
        " close 103 (not changes_by_pct <= -2 within 5m)"
    )


def test_a_picture_is_asked_for_where_a_target_wants_it() -> None:
    plain = engine("when: close > 5")
    assert not look(plain, 0, close=6.0)[0].chart
    assert b"chart" not in msgspec.json.encode(look(engine("when: close > 5"), 0, close=6.0)[0])
    with_one = engine("when: close > 5\nnotify: [{to: console}, {to: telegram/main, chart: yes}]")
    assert look(with_one, 0, close=6.0)[0].chart


def ends(made: FilterEngine) -> list[tuple[str, int]]:
    """Return the bars whose alerts have ended, and the minute after whose close they did."""
    return [
        (each.key.rpartition("/")[2], (each.ts_ended - SECOND) // MINUTE)
        for each in made.take_ended()
    ]


def test_what_an_alert_told_is_over_when_its_condition_is_false() -> None:
    made = engine("when: close > 5")
    (alert,) = look(made, 0, close=6.0)
    look(made, 1, close=7.0)
    assert made.take_ended() == []
    look(made, 2, close=4.0)
    (ended,) = made.take_ended()
    assert ended == AlertEnded(key=alert.key, spec="x", series=BTC, ts_ended=3 * MINUTE + SECOND)
    look(made, 3, close=4.0)
    assert made.take_ended() == []


def test_what_nobody_knows_ends_nothing() -> None:
    made = engine("when: close > 5")
    look(made, 0, close=6.0)
    look(made, 1, state=State.STALE, close=4.0)
    look(made, 2, close=None)
    made.heartbeat(BTC, 4 * MINUTE, state=State.STALE)
    assert made.take_ended() == []
    resets = engine("when: close > 5\nmissing: reset")
    look(resets, 0, close=6.0)
    look(resets, 1, close=None)
    assert ends(resets) == [("0", 2)]


def test_until_ends_an_alert_and_false_does_not() -> None:
    made = engine("when: close > 5\nuntil: close < 3")
    look(made, 0, close=6.0)
    look(made, 1, close=4.0)
    assert made.take_ended() == []
    look(made, 2, close=2.0)
    assert ends(made) == [("0", 3)]


def test_of_every_alert_the_next_one_ends_the_one_before() -> None:
    made = engine("when: close > 5\ntrigger: every")
    for number in range(3):
        look(made, number, close=6.0)
    look(made, 3, close=4.0)
    minute = [str(number * MINUTE) for number in range(3)]
    assert ends(made) == [(minute[0], 2), (minute[1], 3), (minute[2], 4)]


def test_the_end_of_what_fires_once_is_told_too() -> None:
    made = engine("when: close > 5\nonce: yes")
    assert look(made, 0, close=6.0)
    look(made, 1, close=6.0)
    assert made.take_ended() == []
    look(made, 2, close=4.0)
    assert ends(made) == [("0", 3)]
    assert look(made, 3, close=6.0) == []
    assert made.take_ended() == []


def test_what_the_cooldown_kept_back_has_no_end() -> None:
    made = engine("when: close > 5\ncooldown: 10m")
    for number, close in enumerate([6.0, 4.0, 6.0, 4.0]):
        look(made, number, close=close)
    assert ends(made) == [("0", 2)]


@given(closes=st.lists(st.sampled_from([4.0, 6.0, None]), max_size=30), cut=st.integers(0, 30))
def test_each_alert_ends_once_at_the_first_false_moment_also_after_a_restart(
    closes: list[float | None], cut: int
) -> None:
    made = engine("when: close > 5\ncooldown: 3m")
    fired, ended = [], []
    for number, close in enumerate(closes):
        if number == cut:
            made = FilterEngine(state=made.snapshot())
        fired += [number for _ in look(made, number, close=close)]
        ended += ends(made)
    expected = []
    for number in fired:
        falses = [at for at, close in enumerate(closes) if at > number and close == 4.0]
        expected += [(str(number * MINUTE), falses[0] + 1)] if falses else []
    assert ended == expected


def test_an_alert_tells_each_part_of_its_condition() -> None:
    made = engine("when: {any: [rsi(14) < 30, close crosses_above 5]}")
    look(made, 0, close=4.0, rsi=35.0)
    (alert,) = look(made, 1, close=6.0, rsi=35.0)
    assert alert.clauses == (
        Clause("rsi(14) < 30", 35.0, 30.0, holds=False),
        Clause("close crosses_above 5", 6.0, 5.0, holds=True),
    )
    blind = engine("when: {any: [rsi(14) < 30, close crosses_above 5]}\nmissing: fire")
    (alert,) = look(blind, 0, close=6.0, rsi=None)
    assert [each.holds for each in alert.clauses] == [None, None]
    assert [each.value for each in alert.clauses] == [None, 6.0]


WHEN = "when: [rsi(14) < 30, close crosses_above 5]"


def test_it_says_why_it_does_not_fire() -> None:
    made = engine(WHEN)
    (never,) = made.explain(BTC)
    assert never.because == "it has not seen a moment of this series yet"
    look(made, 0, close=4.0, rsi=35.0)
    look(made, 1, close=6.0, rsi=31.5)
    (told,) = made.explain(BTC)
    assert told.because == "its condition is false: rsi(14) < 30"
    assert [(each.text, each.value, each.limit, each.holds) for each in told.clauses] == [
        ("rsi(14) < 30", 31.5, 30.0, False),
        ("close crosses_above 5", 6.0, 5.0, True),
    ]
    assert (told.phase, told.holds, told.looked_at) == (Phase.INACTIVE, False, 121 * SECOND)
    assert explanation_text(told).splitlines() == [
        "x on binance:BTC-USDT: inactive: its condition is false: rsi(14) < 30",
        "  no   rsi(14) < 30  (rsi(14) is 31.5: 1.5 too high)",
        "  yes  close crosses_above 5  (close is 6)",
        "  fired 0, suppressed 0",
    ]


def test_it_says_what_held_it_back() -> None:
    made = engine(WHEN)
    look(made, 0, close=4.0, rsi=None)
    assert made.explain(BTC)[0].because == "it was held back: not known yet: rsi(14)"
    look(made, 1, state=State.SUSPECT, close=4.0, rsi=20.0)
    (told,) = made.explain(BTC)
    assert told.because == "it was held back: cut"
    assert told.held == {"missing": 1, "suspect": 1}
    assert "held back: missing 1, suspect 1" in explanation_text(told)


def test_it_says_how_long_it_waits_and_that_it_has_fired() -> None:
    made = engine("when: close > 5\nfor: 3 bars")
    look(made, 0, close=6.0)
    assert made.explain(BTC)[0].because == "its condition holds, and must for 3 bars (1 so far)"
    look(made, 1, close=6.0)
    look(made, 2, close=6.0)
    (told,) = made.explain(BTC)
    assert told.because == "it has fired, and is quiet while its condition stays true"
    assert (told.fired, told.fired_at, told.phase) == (1, 181 * SECOND, Phase.FIRING)


def test_it_says_whose_bars_it_waits_for() -> None:
    made = engine("when: close > close@ETH-USDT")
    look(made, 0, close=6.0)
    (told,) = made.explain(BTC)
    assert told.waits_for == ("binance:ETH-USDT",)
    assert told.because == "it waits for the bars of binance:ETH-USDT"


def test_an_edit_restarts_only_the_edited_filter() -> None:
    text = (
        HEAD
        + "    when: close > 5\n"
        + (HEAD + "    when: close > 4\n")
        .replace("\nversion: 1\nfilters:\n", "")
        .replace("id: x", "id: y")
    )
    made = FilterEngine()
    made.specs_changed(SpecsChanged(generation=1, specs=read_specs([("x.yaml", text)])))
    assert len(look(made, 0, close=6.0)) == 2
    edited = read_specs([("x.yaml", text.replace("close > 4", "close > 3"))])
    made.specs_changed(SpecsChanged(generation=2, specs=edited))
    assert [alert.spec for alert in look(made, 1, close=6.0)] == ["y"]


def test_why_says_what_would_let_it_fire_again() -> None:
    text = (
        "version: 1\nfilters:\n  - id: x\n"
        "    source: {stream: bar, symbols: [BTC-USDT], interval: 1m}\n"
        "    when: close > 100\n    until: close crosses_below 90\n"
    )
    engine = FilterEngine()
    engine.specs_changed(SpecsChanged(generation=1, specs=read_specs([("s.yaml", text)])))
    for number, close in enumerate((95.0, 101.0, 95.0)):
        engine.observe(
            Observation(
                series="binance:BTC-USDT", stream="bar", interval="1m", ts_event=number,
                ts_recv=number + 1, moment=number, revision=0, values={"close": close},
                state=State.LIVE,
            )
        )  # fmt: skip
    (told,) = engine.explain("binance:BTC-USDT")
    assert told.because == "it has fired, and is quiet until its 'until' holds"
    assert [(each.text, each.value, each.holds) for each in told.ends] == [
        ("close crosses_below 90", 95.0, False)
    ]
