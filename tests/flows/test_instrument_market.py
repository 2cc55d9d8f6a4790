"""The truth of one instrument: states, gaps, bars and what follows from them."""

from collections.abc import Sequence

import msgspec
import pytest

from filters.alerts import Observation
from flows.market_output import MarketOutput
from flows.settings import MarketSettings
from flows.symbol_market import SymbolMarket
from market.events import Bar, Side, State
from tests.flows.market_events import (
    BTC,
    LATENCY,
    SECOND,
    START,
    bar_spec,
    beat,
    book_spec,
    delta,
    gap,
    joined,
    make_market,
    snapshot,
    specs,
    trade,
)

SETTINGS = MarketSettings(bar_intervals=("1s",), features=("rsi(3)",), stale_after_s=5)


@pytest.fixture
def market() -> SymbolMarket:
    return make_market(SETTINGS)


def states(output: MarketOutput) -> list[tuple[State, str]]:
    return [(change.state, change.reason) for change in output.states]


def starts(bars: Sequence[Bar]) -> list[float]:
    return [(bar.start - START) / SECOND for bar in bars]


def observations(output: MarketOutput) -> list[Observation]:
    return [moment for moment in output.moments if isinstance(moment, Observation)]


# -- the book ------------------------------------------------------------------------------------


def test_a_book_is_live_from_its_snapshot_on(market: SymbolMarket) -> None:
    out = market.advance([gap(0, reason="connecting")])
    assert states(out) == []  # that is what it was before
    assert not out.tops
    out = market.advance([snapshot(0.1)])
    assert states(out) == [(State.LIVE, "")]
    assert [top.state for top in out.tops] == [State.LIVE]


def test_changes_before_the_snapshot_say_nothing(market: SymbolMarket) -> None:
    out = market.advance([gap(0), delta(0.1, [(99.5, 1.0)])])
    assert out.tops == []
    assert states(out) == [(State.RESYNCING, "cut")]


def test_the_best_levels_their_spread_and_balance_are_told(market: SymbolMarket) -> None:
    out = market.advance([snapshot(0), delta(0.1, [(99.5, 3.0)], [(101.0, 0.0)], sequence=5)])
    top = out.tops[-1]
    assert top.bids == [(99.5, 3.0), (99.0, 1.0), (98.0, 2.0)]
    assert top.asks == [(102.0, 3.0)]
    assert top.spread == 2.5
    assert top.imbalance == pytest.approx((6 - 3) / (6 + 3))
    assert top.sequence == 5
    assert top.ts_event == START + SECOND // 10


def test_an_old_message_changes_nothing(market: SymbolMarket) -> None:
    out = market.advance([snapshot(0, sequence=7), delta(0.1, [(99.5, 1.0)], sequence=7)])
    assert len(out.tops) == 1


def test_one_side_may_be_empty(market: SymbolMarket) -> None:
    out = market.advance([snapshot(0, asks=[])])
    assert out.tops[0].spread is None
    assert out.tops[0].imbalance is None
    assert out.tops[0].state is State.LIVE


def test_what_a_book_was_once_is_not_live_and_no_news_to_specs(market: SymbolMarket) -> None:
    past = msgspec.structs.replace(snapshot(0, bids=[(103.0, 1.0)]), catching_up=True)
    out = market.advance([specs(book_spec("best_bid > 1")), past])
    assert not out.states, "neither live nor crossed"
    assert [top.state for top in out.tops] == [State.RESYNCING]
    assert not [one for one in out.moments if isinstance(one, Observation)]
    out = market.advance([delta(0.1, [(103.0, 0.0), (99.5, 1.0)])])
    assert states(out) == [(State.LIVE, "")]
    [seen] = [one for one in out.moments if isinstance(one, Observation)]
    assert seen.values == {"best_bid": 99.5}


def test_a_book_is_live_when_it_was_whole_not_when_its_last_change_came(
    market: SymbolMarket,
) -> None:
    """Changes that came before their snapshot are told after it."""
    market.advance([specs(book_spec("best_bid > 1")), snapshot(0), gap(2, "book"), beat(3)])
    kept = delta(2.1, [(99.5, 1.0)], sequence=10)
    past = msgspec.structs.replace(snapshot(3.5, sequence=9), catching_up=True)
    out = market.advance([past, kept])
    whole = START + round(3.5 * SECOND) + LATENCY
    assert [change.ts_recv for change in out.states] == [whole]
    assert [one.ended for one in out.gaps] == [whole]
    assert out.tops[-1].ts_recv == whole
    assert out.tops[-1].ts_event == kept.ts_event
    assert [one.ts_recv for one in out.moments if isinstance(one, Observation)] == [whole]


def test_a_clock_set_back_over_a_restart_is_followed(market: SymbolMarket) -> None:
    market.advance([snapshot(100, sequence=1)])
    out = market.advance([gap(1), snapshot(2, sequence=2)])
    assert out.tops[-1].ts_recv == START + 2 * SECOND + LATENCY


def test_a_crossed_book_is_suspect_and_fetched_again(market: SymbolMarket) -> None:
    out = market.advance([snapshot(0), delta(0.1, [(101.5, 1.0)], sequence=2)])
    assert states(out)[-1] == (State.SUSPECT, "crossed book")
    assert out.tops[-1].state is State.SUSPECT
    assert not out.resyncs  # the other side's change may be in the next message
    out = market.advance([delta(0.2, [(98.5, 1.0)], sequence=3)])
    assert out.resyncs == [(BTC, "crossed book")]
    out = market.advance([delta(0.3, [(98.4, 1.0)], sequence=4)])
    assert not out.resyncs
    out = market.advance([gap(0.4, "book", reason="crossed book")])
    assert states(out) == [(State.RESYNCING, "crossed book")]
    out = market.advance([snapshot(0.5, sequence=9)])
    assert states(out) == [(State.LIVE, "")]


def test_a_locked_book_is_crossed_too(market: SymbolMarket) -> None:
    out = market.advance([snapshot(0), delta(0.1, [(101.0, 1.0)])])
    assert out.tops[-1].state is State.SUSPECT


def test_a_book_that_uncrosses_by_itself_is_live_once_it_is_fetched_anew(
    market: SymbolMarket,
) -> None:
    out = market.advance(
        [
            snapshot(0),
            delta(0.1, [(101.5, 1.0)], sequence=2),
            delta(0.2, [(101.5, 0.0)], sequence=3),
            delta(0.3, [(99.5, 1.0)], sequence=4),
            beat(1),
        ]
    )
    assert [state for state, _ in states(out)] == [State.LIVE, State.SUSPECT]
    assert out.resyncs == [(BTC, "crossed book")]  # once
    out = market.advance([snapshot(1.2, sequence=5)])
    assert [state for state, _ in states(out)] == [State.LIVE]


def test_a_quiet_crossed_book_is_fetched_again_at_the_heartbeat(market: SymbolMarket) -> None:
    out = market.advance([snapshot(0), delta(0.1, [(101.5, 1.0)]), beat(1), beat(2)])
    assert out.resyncs == [(BTC, "crossed book")]


def test_a_silent_book_is_stale_and_live_again_with_the_next_message(market: SymbolMarket) -> None:
    out = market.advance([snapshot(0), *(beat(at) for at in range(1, 6))])
    assert states(out) == [(State.LIVE, "")]
    out = market.advance([beat(5.5), beat(6)])
    assert states(out) == [(State.STALE, "no message")]
    assert [top.state for top in out.kept_tops] == [State.STALE, State.STALE]
    out = market.advance([delta(7)])
    assert states(out) == [(State.LIVE, "")]


def test_a_quiet_book_stays_live_while_its_connection_speaks(market: SymbolMarket) -> None:
    out = market.advance([snapshot(0), *(beat(at, heard=at - 4) for at in range(1, 30))])
    assert states(out) == [(State.LIVE, "")]
    out = market.advance([beat(at, heard=25) for at in (30, 31)])
    assert states(out) == [(State.STALE, "no message")]
    out = market.advance([beat(32, heard=31.5)])
    assert states(out) == [(State.LIVE, "")]


def test_trades_do_not_keep_a_book_from_being_stale(market: SymbolMarket) -> None:
    out = market.advance([snapshot(0), *(trade(at) for at in range(1, 8)), beat(8)])
    assert states(out)[-1] == (State.STALE, "no message")


def test_the_best_levels_are_kept_once_a_second(market: SymbolMarket) -> None:
    out = market.advance(
        [snapshot(0), *(delta(at / 10, sequence=2 + at) for at in range(1, 30)), beat(1), beat(2)]
    )
    assert len(out.tops) == 30
    assert [top.ts_recv for top in out.kept_tops] == [beat(1).ts_recv, beat(2).ts_recv]
    assert [top.ts_event for top in out.kept_tops] == [START + SECOND, START + 2 * SECOND]
    assert list(out.latest) == [market.advance([beat(3)]).latest[0]] * 2, "with its own times"


def test_nothing_is_kept_of_a_book_that_is_being_fetched(market: SymbolMarket) -> None:
    out = market.advance([snapshot(0), gap(0.5), beat(1), beat(2)])
    assert not out.kept_tops
    assert not out.latest


# -- gaps ----------------------------------------------------------------------------------------


def test_the_first_connection_is_no_gap(market: SymbolMarket) -> None:
    out = market.advance([gap(0, reason="connecting"), snapshot(0.1), trade(0.2)])
    assert not out.gaps


def test_a_gap_is_told_when_it_opens_and_when_data_flows(market: SymbolMarket) -> None:
    market.advance([snapshot(0), trade(1)])
    (opened,) = market.advance([gap(3)]).gaps
    assert (opened.channel, opened.reason) == ("all", "cut")
    assert opened.started == START + SECOND + LATENCY  # the last thing we know
    assert opened.ended is None
    assert not market.advance([gap(4, reason="cut again"), trade(5)]).gaps
    (closed,) = market.advance([snapshot(6)]).gaps
    assert closed.started == opened.started
    assert closed.ended == START + 6 * SECOND + LATENCY


def test_a_gap_of_trades_leaves_the_book_alone(market: SymbolMarket) -> None:
    market.advance([snapshot(0), trade(1)])
    out = market.advance([gap(2, "trade", reason="id 5 is missing"), beat(2.5), trade(3)])
    assert states(out) == []
    assert [(one.channel, one.ended is None) for one in out.gaps] == [
        ("trade", True),
        ("trade", False),
    ]
    assert len(out.kept_tops) == 1


def test_a_gap_of_the_book_leaves_the_bars_alone(market: SymbolMarket) -> None:
    market.advance([snapshot(0), trade(0.5)])
    out = market.advance(
        [trade(1.5), gap(1.6, "book"), trade(1.7), snapshot(1.8, sequence=9), trade(2.5), trade(3)]
    )
    assert [bar.gap for bar in out.bars] == [False, False, False]
    assert [(one.channel, one.ended is None) for one in out.gaps] == [
        ("book", True),
        ("book", False),
    ]


# -- bars and what follows from them -----------------------------------------------------------


def test_the_first_bar_is_partial_and_the_next_is_not(market: SymbolMarket) -> None:
    out = market.advance([gap(0.3), trade(0.5), trade(1.1), trade(2.1)])
    assert [(bar.partial, bar.gap) for bar in out.bars] == [(True, False), (False, False)]


def test_heartbeats_close_the_bars_of_a_quiet_symbol(market: SymbolMarket) -> None:
    out = market.advance([trade(0.5), trade(0.6), trade(0.7), beat(1), beat(2), beat(2.9)])
    assert not out.bars
    out = market.advance([beat(3)])
    assert starts(out.bars) == [0.0]
    assert out.bars[0].count == 3


# -- trades and book on connections of their own ---------------------------------------------------


def test_only_the_connection_of_trades_closes_bars(market: SymbolMarket) -> None:
    late = [beat(at, channel="book") for at in range(1, 6)]
    out = market.advance([trade(0.5), trade(0.6), trade(0.7), *late, trade(0.9, lag=5 * SECOND)])
    assert not out.bars, "trades of the bar may still be on their way"
    out = market.advance([beat(6, channel="trade")])
    assert [(bar.count, bar.revision) for bar in out.bars] == [(4, 0)]


def test_only_the_connection_of_the_book_judges_and_keeps_it(market: SymbolMarket) -> None:
    heard = [beat(at, heard=at, channel="trade") for at in range(1, 9)]
    out = market.advance([snapshot(0), *heard])
    assert states(out) == [(State.LIVE, "")]
    assert not out.kept_tops
    out = market.advance([beat(9, channel="book"), beat(9.1, heard=9.1, channel="trade")])
    assert states(out) == [(State.STALE, "no message")]
    assert len(out.kept_tops) == 1
    out = market.advance([beat(9.5, channel="trade"), beat(10, heard=9.9, channel="book")])
    assert states(out) == [(State.LIVE, "")]


def test_a_book_does_not_say_that_trades_came_back(market: SymbolMarket) -> None:
    """Bars go on with the first trade: the book's own connection knows of none that is missing."""
    market.advance([gap(0, "trade"), gap(0, "book"), snapshot(0.1), trade(0.2), trade(1.1)])
    out = market.advance([gap(1.2, "trade"), gap(1.3, "book"), snapshot(1.4, sequence=9)])
    out = market.advance([trade(2.8), trade(3.2)], out)
    assert [(start, bar.gap) for start, bar in zip(starts(out.bars), out.bars, strict=True)] == [
        (1.0, True),
        (2.0, True),
    ]
    assert [(one.channel, one.ended is None) for one in out.gaps] == [
        ("trade", True),
        ("book", True),
        ("book", False),
        ("trade", False),
    ]


def test_what_waits_for_a_trade_is_kept_over_a_restart() -> None:
    market = make_market(SETTINGS)
    market.advance([snapshot(0), trade(0.2), trade(1.1), gap(1.2, "trade")])
    restored = make_market(SETTINGS)
    restored.restore(market.snapshot())
    for one in (market, restored):
        out = one.advance([snapshot(1.4, sequence=9), trade(2.8), trade(3.2)])
        assert [bar.gap for bar in out.bars][-1:] == [True]


@pytest.mark.parametrize("ahead", [-10 * SECOND, 0, 10 * SECOND])
def test_a_wrong_clock_of_ours_gives_the_same_bars(ahead: int) -> None:
    market = make_market(SETTINGS)
    lag = LATENCY + ahead
    events = [gap(0)]
    out = market.advance(events)
    for second in range(10):
        batch = [trade(second + part / 4, 100 + second, lag=lag) for part in range(4)]
        out = market.advance([*batch, beat(second + 0.9, lag=lag)], out)
    out = market.advance([beat(at, lag=lag) for at in (10.9, 11.9, 12.9)], out)
    assert starts(out.bars) == [float(at) for at in range(10)]
    assert [bar.count for bar in out.bars] == [4] * 10
    assert {bar.revision for bar in out.bars} == {0}


def test_a_bar_through_which_a_gap_went_is_marked(market: SymbolMarket) -> None:
    out = market.advance(
        [snapshot(0), trade(0.1), trade(1.1), gap(1.2), trade(1.8), snapshot(1.9), trade(2.1)]
    )
    assert [(start, bar.gap) for start, bar in zip(starts(out.bars), out.bars, strict=True)] == [
        (0.0, False),
        (1.0, True),
    ]
    out = market.advance([trade(3.1)])
    assert [bar.gap for bar in out.bars] == [False]


def test_indicators_warm_up_and_say_so(market: SymbolMarket) -> None:
    out = market.advance([trade(at, 100 + at % 2) for at in range(7)])
    assert [(one.value is None, one.state) for one in out.features] == [
        *[(True, State.WARMING)] * 3,
        *[(False, State.LIVE)] * 3,
    ]
    assert {one.name for one in out.features} == {"rsi(3)"}


def test_a_gap_begins_the_indicators_anew(market: SymbolMarket) -> None:
    market.advance([snapshot(0), *(trade(at, 100 + at % 2) for at in range(7))])
    out = market.advance(
        [gap(6.5), snapshot(6.6), *(trade(at, 100 + at % 2) for at in range(7, 13))]
    )
    assert [bar.gap for bar in out.bars] == [True, *[False] * 5]
    # the marked bar is left out; the first change is that of the second bar after it
    assert [one.state for one in out.features] == [*[State.WARMING] * 4, *[State.LIVE] * 2]


def test_a_gap_between_two_bars_begins_the_indicators_anew(market: SymbolMarket) -> None:
    """No bar is marked when whole bars are missing, and yet the next one does not follow."""
    market.advance(
        [snapshot(0), *(trade(at, 100 + at % 2) for at in range(7)), beat(7), beat(8), beat(9)]
    )
    out = market.advance([gap(9.5), snapshot(14.5, sequence=9), trade(15.2), trade(16.2)])
    assert [(bar.gap, start) for bar, start in zip(out.bars, starts(out.bars), strict=True)] == [
        (False, 15.0)
    ]
    assert [one.state for one in out.features] == [State.WARMING]


def test_a_late_trade_corrects_the_last_bar_and_its_features(market: SymbolMarket) -> None:
    market.advance([trade(at, 100 + at % 2) for at in range(7)])
    out = market.advance([trade(5.9, 90, 2.0, side=Side.SELL, lag=2 * SECOND)])
    (bar,) = out.bars
    assert (bar.close, bar.count, bar.revision) == (90, 2, 1)
    (feature,) = out.features
    assert feature.revision == 1
    assert feature.ts_event == bar.start
    straight = make_market(SETTINGS)
    straight.advance([trade(at, 100 + at % 2) for at in range(6)])
    expected = straight.advance([trade(5.9, 90, 2.0), trade(6, 100)]).features
    assert [one.value for one in expected] == [feature.value]


def test_a_correction_of_an_older_bar_is_a_bar_alone(market: SymbolMarket) -> None:
    market.advance([trade(at, 100 + at % 2) for at in range(7)])
    out = market.advance([trade(3.9, 90, lag=4 * SECOND)])
    assert [bar.revision for bar in out.bars] == [1]
    assert not out.features


def test_corrected_bars_are_no_news_to_specs(market: SymbolMarket) -> None:
    market.advance([specs(bar_spec("close > 0"))])
    market.advance([trade(at) for at in range(3)])
    out = market.advance([trade(1.9, 90, lag=2 * SECOND)])
    assert [bar.revision for bar in out.bars] == [1]
    assert observations(out) == []


def test_a_trade_of_the_future_closes_nothing(market: SymbolMarket) -> None:
    market.advance([trade(0.1), trade(0.2), trade(0.3)])
    out = market.advance([trade(60, lag=LATENCY - 59 * SECOND), trade(0.5), trade(1.1)])
    assert starts(out.bars) == [0.0]
    assert out.bars[0].count == 4


# -- what specs look at ------------------------------------------------------------------------


def test_a_bar_spec_sees_the_book_of_the_bars_close_or_none(market: SymbolMarket) -> None:
    market.advance([specs(bar_spec("book.imbalance(2) > 0 and close > 0"))])
    out = market.advance([snapshot(0), trade(0.5), trade(1.5)])
    out = market.advance([gap(1.6), trade(2.5), snapshot(2.6), trade(3.5)], out)
    assert [one.values["book.imbalance(2)"] for one in observations(out)] == [
        pytest.approx((3 - 4) / 7),
        None,
        pytest.approx((3 - 4) / 7),
    ]
    assert [one.state for one in observations(out)] == [State.LIVE, State.SUSPECT, State.SUSPECT]


def test_a_book_spec_sees_every_message_and_its_state(market: SymbolMarket) -> None:
    market.advance([specs(book_spec("spread > 0"))])
    out = market.advance([snapshot(0), delta(0.1, [(101.5, 1.0)], sequence=4)])
    assert [(one.moment, one.values["spread"], one.state) for one in observations(out)] == [
        (1, 2.0, State.LIVE),
        (4, -0.5, State.SUSPECT),
    ]
    assert observations(out)[1].reason == "crossed book"


def test_a_spec_may_ask_for_an_interval_of_its_own() -> None:
    market = make_market(SETTINGS)
    market.advance([trade(at / 2) for at in range(10)])
    out = market.advance([specs(bar_spec("close > 0", interval="2s"))])
    out = joined(market.advance([trade(at / 2)]) for at in range(10, 25))
    bars = [bar for bar in out.bars if bar.interval == "2s"]
    assert [(bar.partial, bar.gap) for bar in bars] == [(True, False), *[(False, False)] * 3]
    out = market.advance([specs(generation=2), *(trade(at / 2) for at in range(25, 40))])
    assert {bar.interval for bar in out.bars} == {"1s"}


def test_a_trade_of_the_future_does_not_say_when_trades_flow_again(market: SymbolMarket) -> None:
    market.advance([snapshot(0), *(trade(at / 2) for at in range(8)), gap(4.1)])
    hour = 3600 * SECOND
    wrong = msgspec.structs.replace(trade(5), ts_event=START + 5 * SECOND + hour)
    out = market.advance([wrong, snapshot(5.2, sequence=9), *(trade(6 + at) for at in range(6))])
    assert [bar.gap for bar in out.bars if bar.interval == "1s"][-3:] == [False] * 3
    assert market.advance([beat(14)]).trades_outside >= 1, "it is in no bar, and that is told"
