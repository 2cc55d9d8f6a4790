"""Bars of a symbol over all its venues, in the first keyed step."""

from msgspec.structs import replace

from connectors.drain import FlowEvent
from flows.market_output import MarketOutput
from flows.settings import MarketSettings
from flows.symbol_market import SymbolMarket
from market.events import Bar, Unsubscribed
from tests.flows.market_events import BTC, OTHER, SECOND, START, beat, gap, make_market, trade

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
