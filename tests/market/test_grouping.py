"""Larger bars from smaller ones: exactly what the same trades would have made."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.bars import BarBuilder
from market.events import Bar
from market.grouping import group_bars
from market.intervals import DAY, SECOND, Interval

INSTRUMENT = "binance:BTC-USDT"
MONDAY = 1_699_833_600 * SECOND
"""2023-11-13T00:00:00Z, a Monday."""


def bar(start: int, interval: str = "1m", **changed: float) -> Bar:
    span = Interval.parse(interval)
    return Bar(
        instrument=INSTRUMENT,
        interval=interval,
        start=start,
        end=start + span.length,
        **{  # type: ignore[arg-type]
            "open": 10.0,
            "high": 12.0,
            "low": 9.0,
            "close": 11.0,
            "volume": 2.0,
            "buy_volume": 1.0,
            "notional": 21.0,
            "count": 3,
            **changed,
        },
    )


trades = st.lists(
    st.tuples(
        st.integers(0, 3 * 3600),  # seconds
        st.integers(1, 4000),  # prices and sizes in eighths: their sums are exact
        st.integers(1, 800),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)


def built(listed: list[tuple[int, int, int, bool]], interval: str) -> list[Bar]:
    builder = BarBuilder(INSTRUMENT, Interval.parse(interval))
    builder.resume(0)
    bars: list[Bar] = []
    for at, price, size, is_buy in sorted(listed, key=lambda one: one[0]):
        bars += builder.add(MONDAY + at * SECOND, price / 8, size / 8, is_buy=is_buy)
    return bars + builder.advance(MONDAY + DAY)


@given(trades, st.sampled_from([("1s", "1m"), ("1m", "5m"), ("5m", "1h"), ("1s", "2h")]))
def test_grouped_bars_are_those_of_the_same_trades(
    listed: list[tuple[int, int, int, bool]], intervals: tuple[str, str]
) -> None:
    smaller, larger = intervals
    assert group_bars(built(listed, smaller), larger) == built(listed, larger)


@given(trades)
def test_two_steps_are_as_good_as_one(listed: list[tuple[int, int, int, bool]]) -> None:
    seconds = built(listed, "1s")
    assert group_bars(group_bars(seconds, "1m"), "1h") == group_bars(seconds, "1h")


def test_a_week_starts_on_monday_at_midnight() -> None:
    days = [bar(MONDAY + number * DAY, "1d", volume=float(number)) for number in range(-1, 8)]
    weeks = group_bars(days, "1w")
    assert [week.start for week in weeks] == [MONDAY - 7 * DAY, MONDAY, MONDAY + 7 * DAY]
    assert [week.end - week.start for week in weeks] == [7 * DAY] * 3
    assert [week.volume for week in weeks] == [-1.0, 21.0, 7.0]
    assert {week.interval for week in weeks} == {"1w"}


def test_flags_and_untold_counts_are_kept() -> None:
    bars = [bar(MONDAY), bar(MONDAY + 60 * SECOND, count=0), bar(MONDAY + 120 * SECOND)]
    assert group_bars(bars, "5m")[0].count == 0
    marked = [
        bar(MONDAY, partial=True),
        bar(MONDAY + 60 * SECOND, gap=True),
        bar(MONDAY + 120 * SECOND, revision=2),
    ]
    whole = group_bars(marked, "5m")[0]
    assert (whole.partial, whole.gap, whole.revision) == (True, True, 2)


def test_a_flat_bar_adds_nothing_but_may_stand_alone() -> None:
    flat: dict[str, Any] = {"open": 50.0, "high": 50.0, "low": 50.0, "close": 50.0, "volume": 0.0}
    flat |= {"buy_volume": 0.0, "notional": 0.0, "count": 0}
    before, traded = bar(MONDAY, **flat), bar(MONDAY + 60 * SECOND)
    after = bar(MONDAY + 120 * SECOND, **flat)
    for bars in ([before, traded], [traded, after], [before, traded, after]):
        whole = group_bars(bars, "5m")[0]
        assert (whole.open, whole.high, whole.low, whole.close) == (10.0, 12.0, 9.0, 11.0)
        assert (whole.volume, whole.count, whole.start) == (2.0, 3, MONDAY)
    alone = group_bars([before, after], "5m")
    assert [(one.open, one.close, one.volume) for one in alone] == [(50.0, 50.0, 0.0)]


def test_what_does_not_fit_or_is_out_of_order_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="fit"):
        group_bars([bar(MONDAY + 240 * SECOND, "3m")], "5m")
    with pytest.raises(ValueError, match="in order"):
        group_bars([bar(MONDAY + 60 * SECOND), bar(MONDAY)], "5m")
    with pytest.raises(ValueError, match="in order"):
        group_bars([bar(MONDAY), bar(MONDAY)], "5m")
    with pytest.raises(ValueError, match="interval"):
        group_bars([bar(MONDAY)], "7h")
