import copy

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.bar_series import BarSeries, HistoryWish
from indicators.contract import BarIndicator
from indicators.names import create_for_bars
from market.events import Bar, History, State
from market.intervals import Interval

MINUTE = Interval.parse("1m")
NAME = "binance:BTC-USDT"


def series(*names: str) -> BarSeries:
    made = BarSeries(NAME, MINUTE)
    made.want(names)
    return made


def bar(
    number: int,
    close: float = 100.0,
    *,
    revision: int = 0,
    gap: bool = False,
    partial: bool = False,
) -> Bar:
    start = number * MINUTE.length
    return Bar(
        instrument=NAME,
        interval="1m",
        start=start,
        end=start + MINUTE.length,
        open=close,
        high=close,
        low=close,
        close=close,
        volume=1.0,
        buy_volume=1.0,
        notional=close,
        count=1,
        revision=revision,
        gap=gap,
        partial=partial,
    )


def test_features_say_which_bar_they_are_of_and_whether_they_are_true() -> None:
    made = series("ema(2)")
    (warming,) = made.take(bar(1, 100))
    assert (warming.value, warming.state, warming.ts_event) == (None, State.WARMING, MINUTE.length)
    assert warming.reason == "warming(1 of 2)"
    (live,) = made.take(bar(2, 104))
    assert (live.value, live.state, live.name) == (102.0, State.LIVE, "ema(2)")
    settled = create_for_bars("ema(2)").settled or 0
    assert live.reason == f"settling(2 of {settled})"
    for number in range(3, settled + 1):
        (live,) = made.take(bar(number, 104))
    assert live.reason == ""


def test_a_correction_of_the_last_bar_is_as_if_it_had_come_so() -> None:
    straight, corrected = series("rsi(2)"), series("rsi(2)")
    for number, close in enumerate([100, 101, 99, 105]):
        straight.take(bar(number, close))
        corrected.take(bar(number, close + (number == 3)))
    assert corrected.values() != straight.values()
    assert corrected.take(bar(3, 105, revision=1))
    assert corrected.values() == straight.values()


def test_a_correction_of_an_older_bar_is_not_taken() -> None:
    made = series("rsi(2)")
    for number in range(5):
        made.take(bar(number, 100 + number % 2))
    before = made.values()
    assert not made.take(bar(2, 500, revision=1))
    assert made.values() == before


def test_a_marked_bar_begins_anew_and_is_left_out() -> None:
    made = series("ema(2)")
    for number in range(3):
        made.take(bar(number))
    assert made.take(bar(3, gap=True))
    assert made.values() == {"ema(2)": None}
    made.take(bar(4, 10))
    made.take(bar(5, 20))
    assert made.values() == {"ema(2)": 15.0}


def test_the_first_bar_after_an_interruption_begins_anew() -> None:
    made = series("ema(2)")
    for number in range(3):
        made.take(bar(number))
    made.interrupt()
    made.take(bar(9, 10))
    assert made.values() == {"ema(2)": None}
    made.take(bar(10, 20))
    assert made.values() == {"ema(2)": 15.0}


def test_a_correction_does_not_end_an_interruption() -> None:
    made = series("ema(2)")
    for number in range(3):
        made.take(bar(number))
    made.interrupt()
    assert made.take(bar(2, 120, revision=1))
    assert made.values()["ema(2)"] is not None
    made.take(bar(9))
    assert made.values() == {"ema(2)": None}


def test_a_forming_bar_computes_what_is_asked_alone_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ["rsi(2)", "ema(2)", "macd(2,3,2).line", "macd(2,3,2).hist"]
    forming, closed = series(*names), series(*names)
    for number in range(6):
        forming.take(bar(number, 100 + number % 3))
        closed.take(bar(number, 100 + number % 3))
    before = forming.values()
    closed.take(bar(6, 107))
    copied: list[str] = []
    deepcopy = copy.deepcopy

    def counting(indicator: BarIndicator) -> BarIndicator:
        copied.append(indicator.name)
        return deepcopy(indicator)

    monkeypatch.setattr("flows.bar_series.copy.deepcopy", counting)
    told = forming.provisional(bar(6, 107), ["rsi(2)", "macd(2,3,2).hist", "sma(9)"])
    assert told == {name: closed.values()[name] for name in ("rsi(2)", "macd(2,3,2).hist")}
    assert sorted(copied) == ["macd(2,3,2)", "rsi(2)"]
    assert forming.values() == before
    forming.take(bar(6, 107))
    assert forming.values() == closed.values()


def test_what_is_wanted_still_keeps_its_state() -> None:
    made = series("ema(2)", "rsi(2)")
    for number in range(3):
        made.take(bar(number, 100 + number))
    before = made.values()["ema(2)"]
    made.want(["ema(2)", "ema(5)", "ema(2)"])
    assert made.values() == {"ema(2)": before, "ema(5)": None}


@given(
    closes=st.lists(st.floats(1, 1000), min_size=1, max_size=30),
    at=st.integers(0, 30),
    breaks=st.integers(0, 30),
)
def test_a_snapshot_at_any_point_goes_on_as_if_nothing_was(
    closes: list[float], at: int, breaks: int
) -> None:
    whole, cut = series("rsi(3)", "ema(4)"), series("rsi(3)", "ema(4)")
    expected: list[dict[str, float | None]] = []
    found: list[dict[str, float | None]] = []
    for number, close in enumerate(closes):
        if number == breaks:
            whole.interrupt()
            cut.interrupt()
        if number == at:
            kept = cut.snapshot()
            cut.take(bar(number, 1.0))  # must not reach into the snapshot
            cut = series("rsi(3)", "ema(4)")
            cut.restore(msgspec.structs.replace(kept))
            cut.want(["rsi(3)", "ema(4)"])
        for made, values in ((whole, expected), (cut, found)):
            made.take(bar(number, close))
            values.append(made.values())
    assert found == expected


def past(first: int, last: int, *, closes: float = 50.0, tells_sides: bool = True) -> History:
    """The bars from `first` up to and with `last`, each a unit higher than the one before."""
    return History(
        instrument=NAME,
        interval="1m",
        bars=tuple(bar(number, closes + number) for number in range(first, last + 1)),
        until=(last + 1) * MINUTE.length,
        tells_sides=tells_sides,
    )


def fresh(bars: list[Bar], *names: str) -> dict[str, float | None]:
    """What indicators say that saw exactly these bars."""
    made = series(*names)
    for each in bars:
        made.take(each)
    return made.values()


def at(number: float) -> int:
    return int(number * MINUTE.length)


def test_the_past_is_asked_for_when_trades_begin_and_as_much_as_matters() -> None:
    made = series("ema(2)", "rsi(14)")
    assert made.wish is None
    made.resume(at(100.5))
    assert made.wish == HistoryWish(
        instrument=NAME, interval="1m", bars=create_for_bars("rsi(14)").settled or 0, until=at(100)
    )


def test_without_indicators_and_marked_bars_nothing_is_asked_for() -> None:
    made = series()
    made.resume(at(100))
    made.take(bar(100))
    assert made.wish is None


def test_with_the_past_values_are_there_before_the_first_bar_closes() -> None:
    made = series("ema(3)")
    made.resume(at(100.5))
    healed, (told,) = made.absorb(past(60, 99))
    assert healed == []
    assert (told.ts_event, told.state) == (at(99), State.LIVE)
    assert told.value == fresh([*past(60, 99).bars], "ema(3)")["ema(3)"]
    assert made.wish is not None
    assert made.wish.until == at(101), "the bar that began before its trades is asked for next"


def test_a_first_bar_that_was_half_seen_is_put_right_and_nothing_is_missing_after() -> None:
    made = series("ema(3)", "rsi(2)")
    made.resume(at(100.5))
    made.absorb(past(60, 99))
    assert all(one.value is None for one in made.take(bar(100, 7.0, partial=True)))
    made.take(bar(101, 151.5))
    healed, features = made.absorb(past(60, 100))
    (right,) = healed
    assert (right.start, right.close, right.revision, right.partial) == (at(100), 150.0, 1, False)
    bars = [*past(60, 100).bars, bar(101, 151.5)]
    assert {one.name: one.value for one in features} == fresh(bars, "ema(3)", "rsi(2)")
    assert made.wish is None or made.awaited_until == 0
    made.take(bar(102, 149.0))
    assert made.values() == fresh([*bars, bar(102, 149.0)], "ema(3)", "rsi(2)")


def test_what_is_told_again_counts_its_revisions() -> None:
    made = series("ema(2)")
    made.resume(at(100.5))
    made.take(bar(100, partial=True))
    (told,) = made.take(bar(101))
    (again,) = made.absorb(past(60, 100))[1]
    assert (told.revision, again.revision) == (0, 1)
    assert (told.state, again.state) == (State.WARMING, State.LIVE)
    (corrected,) = made.take(bar(101, 99.0, revision=1))
    assert corrected.revision == 2


def test_a_gap_that_is_healed_leaves_no_trace_in_the_indicators() -> None:
    made = series("rsi(3)", "ema(4)")
    bars = [bar(number, 100 + number % 3) for number in range(40)]
    for each in bars[:20]:
        made.take(each)
    made.interrupt()
    made.take(bar(20, 3.0, gap=True))  # what was seen of it
    made.resume(at(22.5))
    made.take(bar(22, 4.0, gap=True))
    made.take(bars[23])
    told = msgspec.structs.replace(past(0, 22), bars=tuple(bars[:23]))
    healed, _ = made.absorb(told)
    assert [(one.start, one.revision) for one in healed] == [(at(20), 1), (at(21), 1), (at(22), 1)]
    for each in bars[24:]:
        made.take(each)
    assert made.values() == fresh(bars, "rsi(3)", "ema(4)")


def test_the_past_that_does_not_reach_far_enough_is_not_taken() -> None:
    made = series("ema(2)")
    made.resume(at(100.5))
    made.take(bar(100, gap=True))
    assert made.absorb(past(60, 99)) == ([], [])
    assert made.awaited_until == at(101)


def test_the_past_that_nobody_waits_for_changes_nothing() -> None:
    made = series("ema(2)")
    made.resume(at(100))
    made.absorb(past(60, 99))
    made.take(bar(100, 100.0))
    before = made.values()
    assert made.absorb(past(60, 100)) == ([], [])
    assert made.values() == before


def test_an_interruption_while_the_past_is_awaited_asks_for_it_anew() -> None:
    made = series("ema(2)")
    made.resume(at(100.5))
    made.interrupt()
    assert made.absorb(past(60, 99)) == ([], [])
    made.resume(at(103.5))
    assert made.wish is not None
    assert made.wish.until == at(103)


def test_where_there_is_no_past_the_bars_that_follow_warm_up() -> None:
    made = series("ema(2)")
    made.resume(at(100.5))
    made.take(bar(100, partial=True))
    made.take(bar(101, 10.0))
    nothing = History(instrument=NAME, interval="1m", bars=(), until=at(101))
    assert made.absorb(nothing) == ([], [])
    assert made.awaited_until == 0
    made.take(bar(102, 20.0))
    assert made.values() == {"ema(2)": 15.0}


def test_who_has_warmed_up_meanwhile_waits_no_longer() -> None:
    made = series("ema(2)")
    made.resume(at(100.5))
    for number in range(101, 101 + (create_for_bars("ema(2)").settled or 0)):
        assert made.awaited_until
        made.take(bar(number))
    assert made.awaited_until == 0


def test_a_marked_bar_waits_for_the_past_whatever_has_warmed_up() -> None:
    made = series("sma(2)")
    made.resume(at(100.5))
    made.take(bar(100, gap=True))
    for number in range(101, 110):
        made.take(bar(number))
    (healed,) = made.absorb(past(60, 109))[0]
    assert healed.start == at(100)


def test_a_marked_bar_is_put_right_where_no_indicator_is_wanted() -> None:
    made = series()
    made.resume(at(100.5))
    made.take(bar(100, gap=True))
    assert made.wish is not None
    (healed,) = made.absorb(past(99, 100))[0]
    assert (healed.start, healed.gap) == (at(100), False)


def test_a_bar_before_the_resume_that_closes_after_it_does_not_hide_the_one_of_it() -> None:
    made = series("sma(5)")
    for number in range(90, 100):
        made.take(bar(number))
    made.interrupt()
    made.resume(at(100.5))
    made.take(bar(99 + 0, gap=True))  # a heartbeat closes it late
    assert made.wish is not None
    assert made.wish.until == at(101), "what was missed of bar 100 is asked for too"
    assert made.absorb(past(60, 99)) == ([], [])


def test_a_late_trade_of_a_bar_before_the_last_that_was_taken_revises_nothing() -> None:
    made = series("sma(2)")
    for number in range(98, 101):
        made.take(bar(number))
    made.interrupt()
    made.resume(at(102))
    made.absorb(past(60, 101))
    before = made.values()
    assert made.take(bar(100, 7.0, revision=1)) == []
    assert made.values() == before


def test_a_second_wish_for_more_is_not_answered_by_the_first_answer() -> None:
    made = series("sma(3)")
    made.resume(at(100))
    wishes = [made.wish]
    made.want(["sma(3)", "sma(30)"])
    made.ask(at(100))
    wishes.append(made.wish)
    fewer, more = (0 if wish is None else wish.bars for wish in wishes)
    assert more > fewer > 0
    told = msgspec.structs.replace(past(97, 99), asked=fewer)
    assert made.absorb(told) == ([], [])
    told = msgspec.structs.replace(past(60, 99), asked=more)
    assert {one.state for one in made.absorb(told)[1]} == {State.LIVE}


def test_the_past_ends_the_doubt_of_a_corrected_bar() -> None:
    made = series("ema(2)")
    for number in range(95, 100):
        made.take(bar(number))
    made.interrupt()
    made.resume(at(100))
    made.take(bar(100))
    made.take(bar(97, 3.0, revision=1))
    _, (told,) = made.absorb(past(60, 99))
    assert told.reason == ""


def test_a_total_does_not_depend_on_how_far_others_look_back() -> None:
    told = []
    for names in (["obv"], ["obv", "ema(300)"]):
        made = series(*names)
        made.resume(at(2000))
        assert made.wish is not None
        made.absorb(past(2000 - made.wish.bars, 1999))
        told.append(made.values()["obv"])
    assert told[0] == told[1]


@pytest.mark.parametrize("name", ["crosses(obv,sma(1000))", "divergence(obv,3,2000)"])
def test_what_looks_at_a_total_is_given_as_much_past_as_it_reaches_over(name: str) -> None:
    made = series(name)
    made.resume(at(3000))
    assert made.wish is not None
    _, told = made.absorb(past(3000 - made.wish.bars, 2999))
    assert {(each.state, each.reason) for each in told} == {(State.LIVE, "")}


def test_a_divergence_of_a_total_says_that_a_pivot_in_its_span_may_be_missing() -> None:
    made = series("divergence(obv,3,2000)")
    made.resume(at(3000))
    assert made.wish is not None
    answer = msgspec.structs.replace(past(2500, 2999), asked=made.wish.bars)
    _, told = made.absorb(answer)
    whole = made.wish.bars
    assert {each.reason for each in told} == {f"settling(500 of {whole})"}


def test_a_series_without_a_past_asks_for_none_and_keeps_nothing() -> None:
    made = BarSeries(NAME, MINUTE, has_past=False)
    made.want(["ema(200)"])
    for number in range(50):
        made.take(bar(number, gap=number == 5))
    assert made.wish is None
    assert made.snapshot().collected == []


def test_a_new_indicator_is_given_the_past_and_the_old_ones_keep_theirs() -> None:
    made = series("ema(2)")
    made.resume(at(100))
    made.absorb(past(60, 99))
    made.take(bar(100, 33.0))
    before = made.values()["ema(2)"]
    made.want(["ema(2)", "ema(4)"])
    assert made.wish is not None
    assert made.wish.until == at(101)
    made.take(bar(101, 34.0))
    after = made.values()["ema(2)"]
    other = [bar(number, 1.0) for number in range(60, 101)]
    told = msgspec.structs.replace(past(60, 100), bars=tuple(other))
    made.absorb(told)
    assert before != after
    assert made.values() == {
        "ema(2)": after,
        "ema(4)": fresh([*other, bar(101, 34.0)], "ema(4)")["ema(4)"],
    }


def test_a_late_trade_of_a_bar_that_was_put_right_changes_nothing() -> None:
    made = series("ema(2)")
    made.resume(at(100.5))
    made.take(bar(100, partial=True))
    made.absorb(past(60, 100))
    before = made.values()
    late = bar(100, 3.0, revision=1, partial=True)
    assert made.refuses(late)
    assert not made.refuses(bar(99, 3.0, revision=1))
    assert made.values() == before


def test_a_correction_of_an_older_bar_marks_what_follows_until_it_no_longer_matters() -> None:
    made = series("ema(2)")
    for number in range(5):
        made.take(bar(number))
    assert made.take(bar(2, 500, revision=1)) == []
    settled = create_for_bars("ema(2)").settled or 0
    told = [made.take(bar(number))[0] for number in range(5, 5 + settled + 2)]
    assert {one.reason for one in told[: settled - 1]} == {"revised input"}
    assert "revised input" not in {one.reason for one in told[settled - 1 :]}
    assert {one.state for one in told} == {State.LIVE}


@given(
    marked=st.sets(st.integers(0, 29), max_size=6),
    answers=st.sets(st.integers(0, 29), max_size=6),
    cut=st.integers(0, 30),
)
def test_values_are_those_of_all_bars_or_there_are_none(
    marked: set[int], answers: set[int], cut: int
) -> None:
    """Whatever is missing and whenever its past comes: no value from bars with a hole in them."""
    bars = [bar(number, 100 + number * number % 7) for number in range(30)]
    before = [bar(number, 90 + number % 5) for number in range(-40, 0)]
    made = series("ema(3)")
    made.resume(0)
    for number, right in enumerate(bars):
        if number == cut:
            kept = made.snapshot()
            made = series("ema(3)")
            made.restore(kept)
        seen = msgspec.structs.replace(right, close=1.0, gap=True) if number in marked else right
        made.take(seen)
        if number in answers and made.awaited_until:
            known = [*before, *(one for one in bars if one.end <= made.awaited_until)]
            told = History(
                instrument=NAME, interval="1m", bars=tuple(known), until=made.awaited_until
            )
            made.absorb(told)
        value = made.values()["ema(3)"]
        last_marked = max((one for one in marked if one <= number), default=-1)
        run = bars[last_marked + 1 : number + 1]
        right_ones = [
            fresh([*before, *bars[: number + 1]], "ema(3)")["ema(3)"],
            fresh(run, "ema(3)")["ema(3)"],
        ]
        assert value is None or value in right_ones


def test_a_total_keeps_its_level_over_a_gap_that_is_healed() -> None:
    """Also where the past comes in two parts: what was over at once, and the rest."""
    names = ("obv", "cvd", "ema(4)")
    made = series(*names)
    bars = [bar(number, 100 + number * number % 7) for number in range(1000, 1900)]
    for each in bars[:700]:
        made.take(each)
    made.interrupt()
    made.take(bar(1700, 3.0, gap=True))
    made.resume(at(1702.5))
    assert made.wish is not None
    first = made.wish.until // MINUTE.length - made.wish.bars - 1000
    told = msgspec.structs.replace(past(0, 0), until=at(1702), bars=tuple(bars[first:702]))
    made.absorb(told)
    made.take(bar(1702, 4.0, gap=True))
    assert made.wish.until == at(1703)
    made.take(bars[703])
    healed, _ = made.absorb(
        msgspec.structs.replace(told, until=at(1703), bars=tuple(bars[first:703]))
    )
    assert [one.start for one in healed] == [at(1700), at(1701), at(1702)]
    for each in bars[704:]:
        made.take(each)
    assert made.values() == fresh(bars, *names)


def test_a_total_begins_anew_where_the_bar_before_the_gap_was_corrected_meanwhile() -> None:
    made = series("obv")
    bars = [bar(number, 100 + number % 3) for number in range(30)]
    for each in bars[:20]:
        made.take(each)
    made.interrupt()
    made.resume(at(22))
    made.take(bar(19, 500, revision=1))
    bars[19] = bar(19, 500)
    made.absorb(msgspec.structs.replace(past(0, 21), bars=tuple(bars[:22])))
    assert made.values() == fresh(bars[:22], "obv")


def test_a_hole_without_any_bar_of_ours_is_told_when_the_past_fills_it() -> None:
    made = series()
    for number in range(20):
        made.take(bar(number))
    made.interrupt()
    made.resume(at(25))
    assert made.wish is not None
    assert (made.wish.until, made.wish.bars) == (at(25), 5)
    made.take(bar(25))
    healed, _ = made.absorb(past(10, 24))
    assert [(one.start, one.revision) for one in healed] == [
        (at(number), 1) for number in range(20, 25)
    ]
    assert all(made.refuses(bar(number, 3.0, revision=1)) for number in range(20, 25))


def test_the_past_before_the_first_bar_of_ours_is_not_told() -> None:
    made = series("ema(2)")
    made.interrupt()
    made.resume(at(100))
    assert made.absorb(past(60, 99))[0] == []


def test_a_bar_that_the_past_had_already_is_not_taken_twice() -> None:
    made = series("obv")
    made.resume(at(100))
    made.absorb(past(60, 99))
    before = made.values()
    assert made.take(bar(99, 500.0)) == []
    assert made.values() == before
