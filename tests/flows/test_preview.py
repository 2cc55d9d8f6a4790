"""A preview says what a live flow would have said of the same trades."""

from collections.abc import Iterable
from random import Random
from typing import TypeAlias

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.alerts import Alert
from filters.spec_reader import read_specs
from filters.specs import Source, Spec, SpecsChanged
from flows.market_output import MarketOutput
from flows.past_bars import ReadBars, roll_up
from flows.preview import compare, coverage, needs_recording, preview, variants
from flows.preview_tally import longest_burst
from flows.settings import MarketSettings
from flows.symbol_filters import SymbolFilters
from flows.symbol_market import SymbolMarket
from market.events import Bar, FeedGap, Heartbeat, Trade
from market.intervals import DAY, Interval
from tests.drawn_examples import examples
from tests.flows.market_events import BTC, LATENCY, SECOND, START, bar_spec, beat, gap, trade

Event: TypeAlias = Trade | Heartbeat | FeedGap
ETH = "binance:ETH-USDT"
LENGTHS = MarketSettings(bar_intervals=("1s", "5s"), features=(), stale_after_s=10)
ENDS = START + 100_000 * SECOND


class Live:
    """Both keyed steps over trades: the alerts of them, and the bars that a store would hold."""

    def __init__(
        self,
        *given: Spec,
        symbols: tuple[str, ...] = ("BTC-USDT",),
        primary: dict[str, str] | None = None,
    ) -> None:
        self._change = SpecsChanged(
            generation=1, specs=given, symbols=symbols, primary=primary or {}
        )
        self._markets = {symbol: SymbolMarket(LENGTHS) for symbol in symbols}
        self._filters = {symbol: SymbolFilters() for symbol in symbols}
        self.keys: list[str] = []
        self.alerts: list[Alert] = []
        self.now = START
        self.bars: dict[tuple[str, str], dict[int, Bar]] = {}
        for symbol in symbols:
            self._told(symbol, self._markets[symbol].advance([self._change]))

    def advance(self, events: Iterable[Event]) -> "Live":
        for event in events:
            symbol = event.instrument.partition(":")[2]
            self.now = event.ts_recv
            self._told(symbol, self._markets[symbol].advance([event]))
        return self

    def read(self, instrument: str, interval: str, start: int, end: int) -> list[Bar]:
        """Return stored bars, as a preview asks for them."""
        known = self.bars.get((instrument, interval), {})
        return [known[at] for at in sorted(known) if start <= at and known[at].end <= end]

    def _told(self, symbol: str, out: MarketOutput) -> None:
        for bar in out.bars:
            known = self.bars.setdefault((bar.instrument, bar.interval), {})
            if bar.start not in known or bar.revision > known[bar.start].revision:
                known[bar.start] = bar
        for asker, routed in out.for_filters(symbol):
            for alert in self._filters[asker].advance([routed]).alerts:
                self.keys.append(alert.key)
                self.alerts.append(alert)


def keys(
    given: Spec,
    live: Live,
    series: Iterable[str] = (BTC,),
    primary: dict[str, str] | None = None,
) -> list[str]:
    end = live.now - LATENCY + 1
    (found,) = preview(
        {"": given}, tuple(series), live.read, START, end, warms_up=False, primary=primary
    )
    assert found.fired == len(found.fires)
    return [fired.key for fired in found.fires]


def wandering(seed: int, seconds: int, *, is_dense: bool, instrument: str = BTC) -> list[Event]:
    """Trades of a price that wanders, and heartbeats; dense ones begin every second."""
    random = Random(seed)
    price = 100.0
    events: list[Event] = []
    at = 0
    while at < seconds:
        for number in range(random.randint(1, 3)):
            price = max(50.0, price + random.choice((-2, -1, -0.5, 0.5, 1, 2)))
            size = float(random.randint(1, 9))
            when = at + number * 0.2
            events.append(trade(when, price, size, instrument=instrument))
        events.append(beat(at + 0.6, heard=at + 0.6, instrument=instrument))
        at += 1 if is_dense else random.choice((1, 1, 1, 2, 4))
        if is_dense:
            events.append(beat(at, heard=at, instrument=instrument))
            # the trade of this second comes first: it is what closes the bar
            events[-1], closing = trade(at, price, 1.0, instrument=instrument), events[-1]
            events.append(closing)
    return events


CONDITIONS = st.sampled_from(
    [
        "close > 100",
        "rsi(3) < 40",
        "rsi(2) > 60 and volume > 8",
        "close crosses_above ema(4)",
        "close crosses_below 101",
        "macd(2,4,2).hist > 0 or change_bps < -50",
        "close changes_by_pct >= 1.5 within 4 bars",
        "not (close > ema(3)) and count >= 2",
    ]
)
OTHERS = st.sampled_from(
    ["close > close@5s", "rsi(2)@5s < 50 and close > 99", "ema(2) < ema(2)@5s"]
)


@st.composite
def bar_specs(draw: st.DrawFn, *, is_timed: bool) -> Spec:
    when = draw(CONDITIONS | OTHERS)
    remembers = "crosses" in when
    more: dict[str, object] = {
        "trigger": draw(st.sampled_from(["", "every"])),
        "until": draw(st.sampled_from(["", "close < 99"])),
        "is_once": draw(st.integers(0, 5)) == 0,
        "missing": draw(st.sampled_from(["keep", "reset", "fire"])),
        "hold_bars": 1 if remembers else draw(st.integers(1, 3)),
    }
    if is_timed:
        more["cooldown"] = draw(st.sampled_from([0, 3, 20])) * SECOND
        if not remembers and draw(st.booleans()):
            more |= {"hold_bars": 1, "hold": draw(st.integers(1, 12)) * SECOND}
    interval = draw(st.sampled_from(["1s", "5s"]))
    if "@5s" in when:
        interval = "1s"
    return msgspec.structs.replace(bar_spec(when, interval=interval), **more)


@examples(40)
@given(st.data(), st.integers(0, 1 << 32), st.integers(5, 120), st.booleans())
def test_a_preview_fires_what_the_flow_fires(
    data: st.DataObject, seed: int, seconds: int, is_dense: bool
) -> None:
    spec = data.draw(bar_specs(is_timed=is_dense))
    live = Live(spec).advance(wandering(seed, seconds, is_dense=is_dense))
    assert keys(spec, live) == live.keys


STRATEGIES = st.builds(
    (
        "{{side: {}, entry: {}, exit: {{any: [{}, {}]}},"
        " risk: {{stop: {}, target: {}, budget: 2%}}}}"
    ).format,
    st.sampled_from(["long", "short"]),
    st.sampled_from(
        ["close > 100", "rsi(3) < 40", "close crosses_above ema(4)", "close < close@5s"]
    ),
    st.sampled_from(["rsi(2) > 60", "close crosses_below 101"]),
    st.sampled_from(["rsi(9)@5s > 50", "close changes_by_pct <= -1 within 3 bars"]),
    st.sampled_from(["1%", "atr(3)*1.5", "ema(4)"]),
    st.sampled_from(["1%", "0.5%", "atr(3)*2"]),
)


@examples(20)
@given(STRATEGIES, st.integers(0, 1 << 32), st.integers(5, 120), st.sampled_from(["", "3s"]))
def test_a_preview_of_a_strategy_gives_the_signals_of_the_flow(
    strategy: str, seed: int, seconds: int, cooldown: str
) -> None:
    text = (
        "version: 1\nfilters:\n  - id: paper\n"
        "    source: {stream: bar, symbols: ['*'], interval: 1s}\n"
        f"    strategy: {strategy}\n" + (f"    cooldown: {cooldown}\n" if cooldown else "")
    )
    (spec,) = read_specs([("specs.yaml", text)])
    live = Live(spec).advance(wandering(seed, seconds, is_dense=True))
    end = live.now - LATENCY + 1
    (found,) = preview({"": spec}, (BTC,), live.read, START, end, warms_up=False)
    # The text tells price, size, stop, target and what the exit came to.
    assert [(each.key, each.signal, each.text) for each in found.fires] == [
        (each.key, each.signal, each.text) for each in live.alerts
    ]


@examples(15)
@given(st.data(), st.integers(0, 1 << 32), st.integers(4, 60), st.floats(0.2, 6.0))
def test_what_a_gap_leaves_out_is_left_out(
    data: st.DataObject, seed: int, break_at: int, away: float
) -> None:
    spec = data.draw(bar_specs(is_timed=False).filter(lambda each: "@" not in each.when))
    events = wandering(seed, break_at, is_dense=False)
    back = int(break_at + 4 + away)
    later = [
        msgspec.structs.replace(
            event,
            ts_recv=event.ts_recv + back * SECOND + SECOND // 3,
            **({} if not hasattr(event, "ts_event")
               else {"ts_event": event.ts_event + back * SECOND + SECOND // 3}),
        )
        for event in wandering(seed + 1, 40, is_dense=False)
    ]  # fmt: skip
    live = Live(spec).advance([*events, gap(break_at + 4, "trade"), *later])
    assert keys(spec, live) == live.keys


@examples(15)
@given(st.integers(0, 1 << 32), st.sampled_from(["1s", "5s"]))
def test_another_symbol_is_looked_at_as_in_the_flow(seed: int, interval: str) -> None:
    when = f"close > close@ETH-USDT or rsi(2)@ETH-USDT@{interval} < 30"
    source = Source(stream="bar", symbols=("BTC-USDT",), interval="1s")
    spec = Spec(id="two", source=source, when=when, trigger="every")
    one = wandering(seed, 40, is_dense=False)
    two = wandering(seed + 1, 40, is_dense=False, instrument=ETH)
    live = Live(spec, symbols=("BTC-USDT", "ETH-USDT"))
    live.advance(sorted([*one, *two], key=lambda event: event.ts_recv))
    end = live.now - LATENCY + 1
    # The flow is told of the other symbol's silence a few seconds late: its last moments wait.
    last = (live.now - START) / SECOND
    live.advance(
        beat(last + after, heard=last + after, instrument=instrument)
        for after in range(1, 16)
        for instrument in (BTC, ETH)
    )
    (found,) = preview({"": spec}, (BTC, ETH), live.read, START, end, warms_up=False)
    assert [fired.key for fired in found.fires] == [
        key for key in live.keys if int(key.rpartition("/")[2]) + SECOND <= end
    ]


def bars(closes: Iterable[float], *, interval: str = "1m", instrument: str = BTC) -> list[Bar]:
    length = Interval.parse(interval).length
    begin = Interval.parse(interval).start_of(START)
    return [
        Bar(
            instrument=instrument,
            interval=interval,
            start=begin + at * length,
            end=begin + (at + 1) * length,
            open=close,
            high=close,
            low=close,
            close=close,
            volume=1.0,
            buy_volume=0.5,
            notional=close,
            count=1,
        )
        for at, close in enumerate(closes)
    ]


def stored(*all_bars: Bar) -> ReadBars:
    def read(instrument: str, interval: str, start: int, end: int) -> list[Bar]:
        return [
            bar
            for bar in all_bars
            if (bar.instrument, bar.interval) == (instrument, interval)
            and bar.start >= start
            and bar.end <= end
        ]

    return read


MINUTE = 60 * SECOND


def test_what_the_cooldown_kept_quiet_and_what_came_after_is_told() -> None:
    spec = msgspec.structs.replace(bar_spec("close > 100", interval="1m"), cooldown=10 * MINUTE)
    closes = [99, 101, 99, 102, 99, 99, 110, 99, 99, 99, 99, 99, 120, 99]
    (found,) = preview(
        {"": spec}, [BTC], stored(*bars(closes)), START, ENDS, horizons=(MINUTE, 5 * MINUTE)
    )
    assert found.fired == 2
    assert found.suppressed == 2
    assert [fired.price for fired in found.fires] == [101, 120]
    one, five = found.returns
    assert (one.count, five.count) == (2, 1)
    assert one.mean == pytest.approx(((99 - 101) / 101 + (99 - 120) / 120) / 2 * 10_000)
    assert five.median == pytest.approx((110 - 101) / 101 * 10_000)
    assert (one.up, five.up) == (0.0, 1.0)


def test_a_changed_threshold_is_tried_on_the_same_bars() -> None:
    spec = bar_spec("close > 100", interval="1m")
    specs_ = variants(spec, ["close > 105", "close > 100", "close > 105.0"])
    assert list(specs_) == ["", "close > 105"]
    read = stored(*bars([99, 101, 99, 106, 99]))
    as_is, varied = preview(specs_, [BTC], read, START, ENDS)
    assert (as_is.fired, varied.fired) == (2, 1)
    assert (as_is.varied, varied.varied) == ("", "close > 105")


def test_indicators_know_the_bars_before_the_range() -> None:
    closes = [100.0 + at % 7 for at in range(600)]
    read = stored(*bars(closes))
    spec = bar_spec("ema(20) > 0", interval="1m")
    start = bars(closes)[500].start
    (found,) = preview({"": spec}, [BTC], read, start, ENDS)
    assert found.held == {}
    assert [fired.ts for fired in found.fires] == [start + MINUTE]
    (cold,) = preview({"": spec}, [BTC], read, start, ENDS, warms_up=False)
    assert cold.held == {"missing": 19}


def test_marked_bars_are_held_back_and_counted() -> None:
    made = bars([101, 101, 99, 101])
    made[0] = msgspec.structs.replace(made[0], partial=True)
    made[3] = msgspec.structs.replace(made[3], gap=True)
    (found,) = preview(
        {"": bar_spec("close > 100", interval="1m")}, [BTC], stored(*made), START, ENDS
    )
    assert found.held == {"suspect": 2}
    assert [fired.ts for fired in found.fires] == [made[1].end]


def test_a_corrected_bar_is_looked_at_as_it_is_stored() -> None:
    made = bars([99, 101])
    made[1] = msgspec.structs.replace(made[1], revision=3)
    (found,) = preview(
        {"": bar_spec("close > 100", interval="1m")}, [BTC], stored(*made), START, ENDS
    )
    assert found.fired == 1


@pytest.mark.parametrize("primary", [{}, {"BTC-USDT": "bybit"}, {"BTC-USDT": "binance"}])
def test_the_primary_venue_speaks_as_it_does_in_the_flow(primary: dict[str, str]) -> None:
    given = bar_spec(when="close > 100", interval="1s")
    bybit = "bybit:BTC-USDT"
    both = [
        *wandering(1, 60, is_dense=True),
        *wandering(2, 60, is_dense=True, instrument=bybit),
    ]
    both.sort(key=lambda event: event.ts_recv)
    live = Live(given, primary=primary).advance(both)
    venues = {key.split("/")[2].partition(":")[0] for key in live.keys}
    assert venues == (set(primary.values()) or {"binance", "bybit"})
    assert sorted(keys(given, live, (BTC, bybit), primary)) == sorted(live.keys)


def test_series_that_the_spec_does_not_mean_are_passed_over() -> None:
    source = Source(stream="bar", symbols=("ETH-*",), interval="1m")
    spec = Spec(id="eth", source=source, when="close > 100")
    read = stored(*bars([101, 99]), *bars([101, 99], instrument=ETH))
    (found,) = preview({"": spec}, [BTC, ETH], read, START, ENDS)
    assert list(found.by_series) == [ETH]
    assert found.fired == 1


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (bar_spec("close > 1"), ""),
        (bar_spec("rsi(14) < 30 and close > close@5m"), ""),
        (bar_spec("book.imbalance(10) > 0"), "of the book"),
        (bar_spec("support_distance_bps(1) < 5"), "of the book"),
        (msgspec.structs.replace(bar_spec("close > 1"), trigger="change"), "before they close"),
        (Spec(id="b", source=Source(stream="book", symbols=("*",)), when="best_bid > 1"), "change"),
        (Spec(id="t", source=Source(stream="trade", symbols=("*",)), when="size > 1"), "trade"),
        (Spec(id="q", source=Source(stream="quote", symbols=("*",)), when="spread > 1"), "best"),
    ],
)
def test_what_is_not_stored_needs_a_recording(spec: Spec, words: str) -> None:
    said = needs_recording(spec)
    assert words in said
    assert bool(said) is bool(words)


def test_an_edit_is_compared_over_the_last_day() -> None:
    closes = [99, 101, 99, 106, 99, 107, 99]
    read = stored(*bars(closes))
    end = bars(closes)[-1].end
    old, new = bar_spec("close > 100", interval="1m"), bar_spec("close > 105", interval="1m")
    told = compare(old, new, [BTC], read, end)
    assert (told.before, told.after, len(told.lost), len(told.gained)) == (3, 2, 1, 0)
    assert told.text == "bars: over the last 1d it fires 2 times, before 3 (0 new, 1 no more)"
    assert compare(None, new, [BTC], read, end).text.startswith("bars: new; it would have fired 2")
    assert compare(old, None, [BTC], read, end).text.startswith("bars: gone; it would have fired 3")
    book = bar_spec("book.imbalance(10) > 0", interval="1m")
    assert "needs a recording" in compare(old, book, [BTC], read, end).text
    with pytest.raises(ValueError, match="nothing to compare"):
        compare(None, None, [BTC], read, end)


def test_progress_ends_at_the_whole() -> None:
    told: list[tuple[str, int, int]] = []
    read = stored(*bars([99] * 50))
    preview({"": bar_spec("close > 100", interval="1m")}, [BTC], read, START, START + 60 * MINUTE,
            report=lambda *each: told.append(each))  # fmt: skip
    assert told[0] == ("BTC-USDT", 0, 60 * MINUTE)
    assert told[-1] == ("BTC-USDT", 60 * MINUTE, 60 * MINUTE)


def test_larger_bars_are_made_of_stored_ones_as_the_flow_makes_them() -> None:
    live = Live(bar_spec("close > 1")).advance(wandering(7, 60, is_dense=False))
    small = live.read(BTC, "1s", START, ENDS)
    large = live.read(BTC, "5s", START, ENDS)
    made = list(roll_up(small, BTC, Interval.parse("5s"), Interval.parse("1s")))
    assert len(large) >= 10
    for ours, theirs in zip(made, large, strict=False):
        assert msgspec.structs.replace(ours, notional=0) == msgspec.structs.replace(
            theirs, notional=0
        )
    assert abs(len(made) - len(large)) <= 1


def test_a_bar_that_lacks_trades_marks_the_larger_one() -> None:
    small = bars([1] * 15)
    small[7] = msgspec.structs.replace(small[7], gap=True)
    begin = small[0].start
    made = list(roll_up(small, BTC, Interval.parse("5m"), Interval.parse("1m")))
    assert [bar.gap for bar in made if begin <= bar.start][:3].count(True) == 1


def test_of_bursts_the_longest_is_told() -> None:
    assert longest_burst([]) is None
    burst = longest_burst([5, 1, 2, 50, 51, 52, 53, 90], pause=3)
    assert burst is not None
    assert (burst.count, burst.start, burst.end) == (4, 50, 53)


@pytest.mark.parametrize(
    ("missing", "days"),
    [
        ([], 7.0),
        ([(0, 5 * DAY)], 2.0),
        ([(3 * DAY, 3 * DAY + 120 * SECOND)], 7.0),
        ([(3 * DAY, 3 * DAY + DAY // 2)], 6.5),
        ([(7 * DAY - DAY // 96, 7 * DAY)], 7 - 1 / 96),
    ],
)
def test_minutes_without_trades_are_no_hole(missing: list[tuple[int, int]], days: float) -> None:
    found, whole = coverage(missing, "1m", 0, 7 * DAY)
    assert found == pytest.approx(days)
    assert whole == 7.0
