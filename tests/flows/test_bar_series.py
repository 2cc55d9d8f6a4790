import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.bar_series import BarSeries
from market.bars import BarBuilder
from market.events import Bar, State
from market.intervals import Interval

SECOND = 1_000_000_000
MINUTE = Interval.parse("1m")
NAME = "binance:BTC-USDT"


def series(*names: str) -> BarSeries:
    made = BarSeries(BarBuilder(NAME, MINUTE), MINUTE)
    made.want(names)
    return made


def bar(number: int, close: float = 100.0, *, revision: int = 0, gap: bool = False) -> Bar:
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
    )


def test_features_say_which_bar_they_are_of_and_whether_they_are_true() -> None:
    made = series("ema(2)")
    assert made.take(bar(1, 100))
    (warming,) = made.features(bar(1, 100))
    assert (warming.value, warming.state, warming.ts_event) == (None, State.WARMING, MINUTE.length)
    assert made.take(bar(2, 104))
    (live,) = made.features(bar(2, 104))
    assert (live.value, live.state, live.name) == (102.0, State.LIVE, "ema(2)")


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
            cut.restore(NAME, msgspec.structs.replace(kept))
            cut.want(["rsi(3)", "ema(4)"])
        for made, values in ((whole, expected), (cut, found)):
            made.take(bar(number, close))
            values.append(made.values())
    assert found == expected


def test_bars_of_the_builder_go_on_after_a_restart() -> None:
    before = series()
    before.builder.add(61 * SECOND, 100.0, 1.0, is_buy=True)
    after = series()
    after.restore(NAME, before.snapshot())
    (closed,) = after.builder.add(121 * SECOND, 101.0, 1.0, is_buy=True)
    assert closed.start == 60 * SECOND
    assert closed.close == pytest.approx(100.0)
