import pytest

from flows.bar_series import BarSeries
from flows.observer import BarObserver, BookObserver
from market.events import Bar, BookTop, State
from market.intervals import SECOND, Interval

NAME = "binance:BTC-USDT"
INTERVAL = Interval.parse("1s")


def bar(*, gap: bool = False, revision: int = 0) -> Bar:
    return Bar(
        instrument=NAME,
        interval="1s",
        start=5 * SECOND,
        end=6 * SECOND,
        open=100.0,
        high=103.0,
        low=99.0,
        close=102.0,
        volume=4.0,
        buy_volume=1.0,
        notional=404.0,
        count=3,
        revision=revision,
        gap=gap,
    )


def top(state: State = State.LIVE) -> BookTop:
    return BookTop(
        instrument=NAME,
        ts_event=7,
        ts_recv=8,
        bids=[(99.0, 3.0)],
        asks=[(101.0, 1.0)],
        spread=2.0,
        imbalance=0.5,
        sequence=42,
        state=state,
    )


@pytest.fixture
def series() -> BarSeries:
    made = BarSeries(NAME, INTERVAL)
    made.want(["ema(2)"])
    return made


def test_exactly_the_fields_that_are_named_are_read(series: BarSeries) -> None:
    observer = BarObserver(["close", "change_bps", "ema(2)", "book.imbalance(3)"])
    assert observer.indicators == ["ema(2)"]
    series.take(bar())
    told = {each.name: each.value for each in series.take(bar())}
    seen = observer.observe(bar(), told, top(), None, ts_recv=9)
    assert seen.values == {
        "close": 102.0,
        "change_bps": pytest.approx(200.0),
        "ema(2)": 102.0,
        "book.imbalance(3)": 0.5,
    }
    assert (seen.stream, seen.interval, seen.series) == ("bar", "1s", NAME)
    assert (seen.ts_event, seen.ts_recv, seen.moment) == (6 * SECOND, 9, 5 * SECOND)
    assert (seen.state, seen.reason, seen.revision) == (State.LIVE, "", 0)


@pytest.mark.parametrize("book", [None, top(State.STALE), top(State.SUSPECT)])
def test_a_book_that_is_not_live_says_nothing(series: BarSeries, book: BookTop | None) -> None:
    seen = BarObserver(["book.imbalance(3)"]).observe(bar(), {}, book, None, ts_recv=9)
    assert seen.values == {"book.imbalance(3)": None}


def test_a_marked_bar_is_suspect_and_says_why(series: BarSeries) -> None:
    seen = BarObserver(["close"]).observe(bar(gap=True, revision=2), {}, None, None, ts_recv=9)
    assert (seen.state, seen.reason) == (State.SUSPECT, "trades may be missing")
    assert seen.revision == 2


def test_a_warming_indicator_is_none(series: BarSeries) -> None:
    told = {each.name: each.value for each in series.take(bar())}
    seen = BarObserver(["ema(2)"]).observe(bar(), told, None, None, ts_recv=9)
    assert seen.values == {"ema(2)": None}


def test_a_book_is_observed_as_it_is() -> None:
    observer = BookObserver(["spread", "best_bid", "book.imbalance(1)"])
    seen = observer.observe(top(State.SUSPECT), None, "crossed book")
    assert seen.values == {"spread": 2.0, "best_bid": 99.0, "book.imbalance(1)": 0.5}
    assert (seen.stream, seen.interval, seen.moment) == ("book", "", 42)
    assert (seen.state, seen.reason) == (State.SUSPECT, "crossed book")
    assert (seen.ts_event, seen.ts_recv) == (7, 8)
