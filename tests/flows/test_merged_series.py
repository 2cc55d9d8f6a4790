"""Bars of a symbol over all its venues, in the first keyed step."""

import pytest
from msgspec.structs import replace

from connectors.drain import FlowEvent
from filters.alerts import Observation
from filters.specs import Source, Spec
from flows.market_output import MarketOutput
from flows.settings import MarketSettings
from flows.symbol_filters import SymbolFilters
from flows.symbol_market import SymbolMarket
from indicators.names import create_for_bars
from market.events import Bar, Demand, History, State, Trade, Unsubscribed
from tests.flows.market_events import (
    BTC,
    OTHER,
    SECOND,
    START,
    bar_spec,
    beat,
    gap,
    make_market,
    past,
    specs,
    trade,
)

MERGED = "merged:BTC-USDT"
SETTINGS = MarketSettings(
    bar_intervals=("1s",), merged_intervals=("1s",), features=("ema(2)", "book.spread_bps")
)


def both(at: float, price: float, other: float) -> list[FlowEvent]:
    """A trade at each of two venues."""
    return [trade(at, price), trade(at + 0.1, other, 2.0, instrument=OTHER)]


def beats(at: float) -> list[FlowEvent]:
    return [beat(at, heard=at), beat(at, heard=at, instrument=OTHER)]


def merged(out: MarketOutput) -> list[Bar]:
    return [bar for bar in out.bars if bar.instrument == MERGED]


def opened() -> SymbolMarket:
    market = make_market(SETTINGS)
    market.advance([gap(0, reason="connecting"), gap(0, reason="connecting", instrument=OTHER)])
    market.advance([*both(0.2, 100, 101), *both(1.2, 102, 103), *both(2.2, 104, 99)])
    return market


def test_a_bar_of_all_venues_has_all_their_trades() -> None:
    market = opened()
    out = market.advance([*both(3.2, 100, 100), *beats(5), *beats(6)])
    bars = {(bar.start - START) // SECOND: bar for bar in merged(out)}
    assert (bars[2].open, bars[2].close, bars[2].low, bars[2].high) == (104, 99, 99, 104)
    assert (bars[2].volume, bars[2].count) == (3.0, 2)
    told = [one for one in out.features if one.instrument == MERGED]
    assert {one.name for one in told} == {"ema(2)"}


def test_the_first_bar_is_partial_as_those_of_its_venues_are() -> None:
    market = make_market(SETTINGS)
    market.advance([gap(0, reason="connecting"), gap(0, reason="connecting", instrument=OTHER)])
    out = market.advance([*both(0.2, 100, 101), *both(1.2, 102, 103), *beats(5), *beats(6)])
    flags = {bar.instrument: (bar.partial, bar.gap) for bar in out.bars if bar.start == START}
    assert flags == {BTC: (True, False), OTHER: (True, False), MERGED: (True, False)}


def test_a_bar_waits_for_the_slower_venue() -> None:
    market = opened()
    out = market.advance([trade(3.2), trade(4.2), trade(5.2)])
    before = [(bar.start - START) // SECOND for bar in merged(out)]
    assert 2 not in before
    out = market.advance([trade(5.3, instrument=OTHER)])
    assert 2 in [(bar.start - START) // SECOND for bar in merged(out)]


def test_a_venue_without_a_connection_is_not_waited_for() -> None:
    market = opened()
    away = replace(beat(3, instrument=OTHER), heard=0)
    out = market.advance([away, trade(3.2), trade(4.2), trade(5.2), beat(8, heard=8)])
    assert 4 in [(bar.start - START) // SECOND for bar in merged(out)]


def test_a_venue_that_was_let_go_is_not_waited_for() -> None:
    market = opened()
    gone = Unsubscribed(instrument=OTHER, ts_recv=START + 3 * SECOND)
    out = market.advance([gone, trade(3.2), trade(4.2), trade(5.2)])
    assert 4 in [(bar.start - START) // SECOND for bar in merged(out)]


def test_a_late_trade_corrects_the_merged_bar() -> None:
    market = opened()
    market.advance([*both(3.2, 100, 100), *beats(5), *beats(6)])
    out = market.advance([trade(2.5, 300, lag=4 * SECOND)])
    (bar,) = merged(out)
    assert (bar.high, bar.revision, bar.count) == (300, 1, 3)


def test_a_gap_of_one_venue_marks_the_merged_bar() -> None:
    market = opened()
    out = market.advance(
        [*both(3.2, 100, 100), gap(3.5, "trade", instrument=OTHER), *both(4.2, 100, 100), *beats(8)]
    )
    marked = {(bar.start - START) // SECOND: bar.gap for bar in merged(out)}
    assert marked[3]


def test_a_restart_changes_nothing() -> None:
    market = opened()
    after = make_market(SETTINGS)
    after.restore(market.snapshot())
    following: list[FlowEvent] = [*both(3.2, 100, 100), *beats(5), *both(6.2, 101, 99), *beats(9)]
    assert merged(after.advance(following)) == merged(market.advance(following))


def test_without_the_setting_there_are_none() -> None:
    market = make_market(MarketSettings(bar_intervals=("1s",), features=()))
    out = market.advance([trade(0.2), trade(1.2), trade(2.2), trade(3.2, instrument=OTHER)])
    assert {bar.instrument for bar in out.bars} == {BTC}


# -- the past ----------------------------------------------------------------------------------


def pasts(at: float, *, count: int = 60) -> list[FlowEvent]:
    """The pasts of both venues; the second one's goes less far back."""
    return [past(at, count=count), past(at, count=count - 5, instrument=OTHER)]


def number(bar: Bar) -> int:
    return (bar.start - START) // SECOND


def begun() -> tuple[SymbolMarket, MarketOutput]:
    """Both venues' trades flow from 100.2 on."""
    market = make_market(SETTINGS)
    connecting = [gap(100, reason="connecting"), gap(100, reason="connecting", instrument=OTHER)]
    return market, market.advance([*connecting, *both(100.2, 100, 101)])


def test_the_past_is_asked_for_at_every_venue_and_taken_when_all_have_told_it() -> None:
    market, out = begun()
    wishes = {(wish.instrument, wish.until) for wish in out.wishes}
    assert wishes == {(BTC, START + 100 * SECOND), (OTHER, START + 100 * SECOND)}
    first, second = pasts(100)
    told = market.advance([first])
    assert not [one for one in told.features if one.instrument == MERGED]
    told = market.advance([second])
    (ema,) = [one for one in told.features if one.instrument == MERGED]
    assert ema.state is State.LIVE
    expected = create_for_bars("ema(2)")
    assert isinstance(first, History)
    for bar in first.bars[5:]:
        expected.update(bar)  # the other venue's prices are the same
    assert ema.value == expected.values[0]


def test_where_one_venue_has_no_past_the_bars_that_follow_warm_up() -> None:
    market, _ = begun()
    first, _ = pasts(100)
    nothing = History(instrument=OTHER, interval="1s", bars=(), until=START + 100 * SECOND)
    told = market.advance([first, nothing])
    assert not [one for one in told.features if one.instrument == MERGED]


def warm() -> SymbolMarket:
    """Both venues have told their pasts and the bar that was half seen."""
    market, _ = begun()
    market.advance(pasts(100))
    market.advance([*both(101.2, 102, 103), *both(102.2, 100, 101), *beats(104.5)])
    market.advance(pasts(101))
    return market


def test_a_bar_that_was_half_seen_is_put_right_once_both_venues_have_told_theirs() -> None:
    market, _ = begun()
    market.advance(pasts(100))
    before = market.advance([*both(101.2, 102, 103), *both(102.2, 100, 101), *beats(104.5)])
    marked = [bar.partial for bar in merged(before) if number(bar) == 100]
    assert all(marked)
    out = market.advance(pasts(101))
    right = merged(out)[-1]
    assert (number(right), right.partial, right.gap, right.volume) == (100, False, False, 4.0)
    told = [bar.revision for bar in (*merged(before), *merged(out)) if number(bar) == 100]
    assert told == list(range(len(told)))
    (ema,) = [one for one in out.features if one.instrument == MERGED]
    assert (ema.ts_event, ema.reason, ema.state) == (START + 101 * SECOND, "", State.LIVE)
    assert not [one for one in out.moments if isinstance(one, Observation)]


def test_a_gap_of_one_venue_that_is_healed_leaves_no_trace() -> None:
    broken, whole = warm(), warm()
    whole_trades = [*both(103.2, 104, 104), *both(104.2, 100, 104), *both(105.2, 101, 104)]
    after = [*both(106.2, 107, 104), *both(107.2, 103, 104), *beats(110)]
    out = whole.advance([*whole_trades, *after])
    expected = {number(bar): (bar.high, bar.low, bar.volume, bar.gap) for bar in merged(out)}
    (last,) = [one for one in out.features if one.instrument == MERGED][-1:]
    seen = [each for each in whole_trades if isinstance(each, Trade) and each.instrument == BTC]
    hole = [gap(103.05, "trade", instrument=OTHER), *seen, *after]
    first = merged(broken.advance(hole))
    assert {number(bar) for bar in first if bar.gap} >= {103, 104, 105}
    candles = [candle(at, 104.0, 2.0, OTHER) for at in range(60, 106)]
    others = [candle(at, price, 1.0, BTC) for at, price in zip(range(60, 106), PRICES, strict=True)]
    told = broken.advance([history(OTHER, candles, 107), history(BTC, others, 107)])
    said = {number(bar): bar for bar in (*first, *merged(told))}
    for at in (103, 104, 105):
        bar = said[at]
        assert (bar.high, bar.low, bar.volume, bar.gap) == expected[at]
        assert bar.revision > 0
    (again,) = [one for one in told.features if one.instrument == MERGED][-1:]
    assert (again.ts_event, again.state, again.reason) == (last.ts_event, State.LIVE, "")


PRICES = [*[100.0] * 43, 104.0, 100.0, 101.0]


def candle(at: int, price: float, size: float, instrument: str) -> Bar:
    """A second of one price."""
    return Bar(
        instrument=instrument,
        interval="1s",
        start=START + at * SECOND,
        end=START + (at + 1) * SECOND,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=size,
        buy_volume=size,
        notional=price * size,
        count=1,
    )


def history(instrument: str, bars: list[Bar], until: int) -> History:
    return History(
        instrument=instrument, interval="1s", bars=tuple(bars), until=START + until * SECOND
    )


def test_a_hole_of_all_venues_is_filled_and_told() -> None:
    market = warm()
    cut = [gap(103.1), gap(103.1, instrument=OTHER)]
    market.advance([*cut, *both(106.5, 100, 100), *both(107.2, 100, 100), *beats(110)])
    told = {number(bar): bar for bar in merged(market.advance(pasts(107)))}
    assert all(told[at].revision > 0 for at in (103, 104, 105, 106))
    assert [at for at, bar in told.items() if bar.gap] == []


def test_nothing_is_asked_for_while_a_venue_is_away_and_the_others_go_on_when_it_left() -> None:
    market = warm()
    out = market.advance(
        [gap(103.1, instrument=OTHER), trade(103.2), trade(104.2), trade(105.2), beat(108, heard=8)]
    )
    assert not [wish for wish in out.wishes if wish.until > START + 103 * SECOND]
    away = replace(beat(109, instrument=OTHER), heard=0)
    out = market.advance([away, trade(109.2), trade(110.2)])
    assert {wish.instrument for wish in out.wishes} == {BTC}


# -- what is asked for -------------------------------------------------------------------------


def asking() -> SymbolMarket:
    market = make_market(MarketSettings(bar_intervals=("1s",), features=("ema(4)",)))
    market.advance([gap(0, reason="connecting"), gap(0, reason="connecting", instrument=OTHER)])
    return market


def run(market: SymbolMarket, first: int, last: int) -> MarketOutput:
    events: list[FlowEvent] = []
    for at in range(first, last):
        events += [*both(at + 0.2, 100 + at % 3, 100), *beats(at + 0.9)]
    return market.advance(events)


def test_a_demand_of_merged_bars_builds_them_and_computes_what_it_names() -> None:
    market = asking()
    assert not merged(run(market, 0, 10))
    wanted = {"1s": ("rsi(2)",), "5s": ("sma(2)",), "10tick": ("sma(2)",), "soon": ()}
    market.advance([Demand(symbol="BTC-USDT", features={}, merged=wanted)])
    out = run(market, 10, 40)
    assert {bar.interval for bar in merged(out)} == {"1s", "5s"}
    told = {(one.interval, one.name) for one in out.features if one.instrument == MERGED}
    assert told == {("1s", "rsi(2)"), ("5s", "sma(2)")}
    of_venues = {(one.interval, one.name) for one in out.features if one.instrument == BTC}
    assert of_venues == {("1s", "ema(4)")}
    market.advance([Demand(symbol="BTC-USDT", features={})])
    assert not merged(run(market, 40, 50))


def test_a_demand_of_merged_bars_is_kept_over_a_restart() -> None:
    market = asking()
    market.advance([Demand(symbol="BTC-USDT", features={}, merged={"1s": ("sma(2)",)})])
    run(market, 0, 10)
    after = make_market(MarketSettings(bar_intervals=("1s",), features=("ema(4)",)))
    after.restore(market.snapshot())
    assert merged(run(after, 10, 20)) == merged(run(market, 10, 20)) != []


def spec(venues: tuple[str, ...], when: str = "sma(2) > 0 and volume > 2") -> Spec:
    source = Source(stream="bar", symbols=("*",), interval="1s", venues=venues)
    return Spec(id="over-all", source=source, when=when)


def test_a_spec_of_merged_bars_sees_each_of_them_once() -> None:
    market = asking()
    market.advance([specs(spec(("merged",)))])
    out = run(market, 0, 10)
    seen = [one for one in out.moments if isinstance(one, Observation)]
    assert {one.series for one in seen} == {MERGED}
    assert [one.moment for one in seen] == [bar.start for bar in merged(out) if not bar.revision]
    assert set(seen[-1].values) == {"sma(2)", "volume"}
    filters = SymbolFilters()
    alerts = filters.advance([MarketOutput(moments=[specs(spec(("merged",)))]), out]).alerts
    assert {alert.series for alert in alerts} == {MERGED}


@pytest.mark.parametrize("venues", [(), ("binance",), ("binance", "kraken")])
def test_a_spec_that_does_not_name_them_makes_no_merged_bars(venues: tuple[str, ...]) -> None:
    market = asking()
    market.advance([specs(spec(venues))])
    assert not merged(run(market, 0, 10))
    configured = make_market(SETTINGS)
    configured.advance([specs(bar_spec())])
    out = run(configured, 0, 10)
    assert merged(out)
    seen = {one.series for one in out.moments if isinstance(one, Observation)}
    assert seen == {BTC, OTHER}


def test_a_wait_over_merged_bars_ends_with_the_heartbeats() -> None:
    held = Spec(
        id="held",
        source=Source(stream="bar", symbols=("*",), interval="1s", venues=("merged",)),
        when="close > 0",
        hold=3 * SECOND,
    )
    market = asking()
    changed = specs(held)
    market.advance([changed])
    out = run(market, 0, 4)
    quiet = market.advance([each for at in range(6, 12) for each in beats(at)])
    filters = SymbolFilters()
    told = filters.advance([MarketOutput(moments=[changed]), out, quiet])
    assert [alert.series for alert in told.alerts] == [MERGED]
