"""Values of other bars: TA-Lib's over these, as steps at the places of a picture's own bars."""

import msgspec
import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from filters.places import parse_place
from market.events import Bar
from sinks.charts.contents import chart_of
from sinks.charts.other_bars import by_place, stepped
from tests.sinks.charts.chart_bars import MINUTE, START, bar, walk

BARS = walk(300)
FIVE, ETH = parse_place("5m"), parse_place("ETH-USDT")


def longer(bars: list[Bar], count: int) -> list[Bar]:
    """Bars of so many minutes, made by hand."""
    made = []
    for at in range(0, len(bars) - count + 1, count):
        part = bars[at : at + count]
        made.append(
            bar(
                0, part[0].open, part[-1].close,
                start=part[0].start, end=part[-1].end, interval=f"{count}m",
                high=max(each.high for each in part), low=min(each.low for each in part),
            )
        )  # fmt: skip
    return made


FIVES = longer(BARS, 5)
OTHERS = [msgspec.structs.replace(each, close=each.close / 20) for each in BARS]


def test_an_indicator_of_longer_bars_is_a_step_line_in_a_pane_of_its_own() -> None:
    chart = chart_of(
        BARS,
        ["rsi(14)", "rsi(14)@5m"],
        symbol="BTC-USDT",
        venue="binance",
        since=BARS[-60].start,
        others={FIVE: FIVES},
    )
    own, other = chart.panes
    assert (own.title, other.title) == ("rsi(14)", "rsi(14)@5m")
    assert (own.lines[0].is_stepped, other.lines[0].is_stepped) == (False, True)
    assert other.guides == (30.0, 70.0)
    theirs = talib.RSI(np.array([each.close for each in FIVES]), 14)
    expected = [
        theirs[max(at for at, each in enumerate(FIVES) if each.end <= shown.end)]
        for shown in chart.bars
    ]
    assert list(other.lines[0].values) == pytest.approx(expected)
    assert len(set(other.lines[0].values)) <= 60 // 5 + 1


def test_prices_of_longer_bars_lie_on_the_price_and_those_of_another_symbol_do_not() -> None:
    chart = chart_of(
        BARS,
        ["ema(20)@5m", "close@5m", "close@ETH-USDT", "ema(20)@ETH-USDT"],
        symbol="BTC-USDT",
        venue="binance",
        others={FIVE: FIVES, ETH: OTHERS},
    )
    assert [layer.title for layer in chart.layers] == ["close@5m", "ema(20)@5m"]
    assert [pane.title for pane in chart.panes] == ["close@ETH-USDT", "ema(20)@ETH-USDT"]
    assert not chart.panes[0].lines[0].is_stepped
    assert list(chart.panes[0].lines[0].values) == [each.close for each in OTHERS]
    assert chart.left_out == ()


def test_what_has_no_bars_or_is_not_known_there_is_named() -> None:
    chart = chart_of(
        BARS,
        ["rsi(14)@15m", "close@XRP-USDT", "nonsense@5m", "rsi(14)@five"],
        symbol="BTC-USDT",
        venue="binance",
        others={FIVE: FIVES},
    )
    assert chart.panes == ()
    assert chart.left_out == (
        "no value: rsi(14)@15m, close@XRP-USDT",
        "not known here: rsi(14)@five, nonsense@5m",
    )


def test_names_are_told_apart_by_place() -> None:
    own, others = by_place(["close", "rsi(14)@5m", "close@5m", "close@ETH-USDT", "close@?"])
    assert own == ["close", "close@?"]
    assert others == {FIVE: ["rsi(14)", "close"], ETH: ["close"]}


@given(
    shown=st.lists(st.integers(0, 60), unique=True, max_size=30).map(sorted),
    others=st.lists(st.integers(0, 60), unique=True, max_size=30).map(sorted),
)
def test_each_bar_has_what_the_last_other_that_ended_no_later_said(
    shown: list[int], others: list[int]
) -> None:
    def at(end: int) -> Bar:
        return bar(0, 100, 100, start=START, end=START + end * MINUTE)

    told = stepped(
        [at(end) for end in shown], [at(end) for end in others], list(map(float, others))
    )
    for end, value in zip(shown, told, strict=True):
        before = [each for each in others if each <= end]
        assert value == (before[-1] if before else None)
