import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.drain import FlowEvent
from filters.alerts import Observation
from filters.specs import Source, Spec
from flows.market_output import MarketOutput
from flows.settings import MarketSettings
from flows.symbol_filters import SymbolFilters
from flows.symbol_market import SnapshotError, SymbolMarket
from market.empty_bars import EmptyBars
from market.events import (
    BookTop,
    Demand,
    FeedGap,
    Heartbeat,
    State,
    StateChange,
    Unsubscribed,
)
from tests.flows.market_events import (
    BTC,
    OTHER,
    SECOND,
    START,
    bar_spec,
    beat,
    book_spec,
    delta,
    gap,
    joined,
    make_market,
    parts,
    past,
    snapshot,
    specs,
    streams,
    trade,
)

SPECS = specs(
    bar_spec("rsi(3) < 45"),
    bar_spec("book.imbalance(5) > 0 or close > ema(4)", name="mixed", interval="5s"),
    book_spec(),
    Spec(
        id="merged",
        source=Source(stream="bar", symbols=("*",), interval="1s", venues=("merged",)),
        when="close > ema(2) or obv > 0",
    ),
)
CUTS = st.integers(0, 150)
SIZES = st.lists(st.integers(1, 20), min_size=1, max_size=5)


def told(output: MarketOutput) -> dict[str, list[object]]:
    """Everything but what is for the display alone."""
    return {
        "trades": list(output.trades),
        "tops": list(output.tops),
        "kept_tops": list(output.kept_tops),
        "bars": list(output.bars),
        "features": list(output.features),
        "states": list(output.states),
        "gaps": list(output.gaps),
        "events": list(output.events),
        "resyncs": list(output.resyncs),
    }


def said(filters: SymbolFilters, outputs: list[MarketOutput]) -> tuple[list[object], list[object]]:
    """The alerts of a flow's second step, and the books that are stored with them."""
    answers = [filters.advance([output]) for output in outputs]
    alerts = [alert for answer in answers for alert in answer.alerts]
    tops = [top for answer in answers for top in answer.tops]
    return list(alerts), list(tops)


@given(events=streams(), sizes=SIZES)
@settings(deadline=None)
def test_what_it_says_does_not_depend_on_how_events_are_batched(
    events: list[FlowEvent], sizes: list[int]
) -> None:
    stream = [SPECS, *events]
    market, filters = make_market(), SymbolFilters()
    whole = market.advance(stream)
    expected = said(filters, [whole])
    market, filters = make_market(), SymbolFilters()
    outputs = [market.advance(part) for part in parts(stream, sizes)]
    assert told(joined(outputs)) == told(whole)
    assert joined(outputs).moments == whole.moments
    assert said(filters, outputs) == expected


@given(events=streams(), sizes=SIZES, at=CUTS)
@settings(deadline=None)
def test_a_restart_with_books_changes_nothing(
    events: list[FlowEvent], sizes: list[int], at: int
) -> None:
    market, filters = make_market(), SymbolFilters()
    whole = market.advance([SPECS, *events])
    expected = said(filters, [whole])
    market, filters = make_market(), SymbolFilters()
    before = [market.advance(part) for part in parts([SPECS, *events[:at]], sizes)]
    alerts, tops = said(filters, before)
    kept, kept_filters = market.snapshot(), filters.snapshot()
    market.advance(events[at:])  # what comes later must not reach into a snapshot
    said(filters, [market.advance(events[at:])])
    market, filters = make_market(), SymbolFilters()
    market.restore(kept)
    filters.restore(kept_filters)
    after = [market.advance(part) for part in parts([SPECS, *events[at:]], sizes)]
    more_alerts, more_tops = said(filters, after)
    assert told(joined([*before, *after])) == told(whole)
    assert (alerts + more_alerts, tops + more_tops) == expected


@given(events=streams(), sizes=SIZES, at=CUTS)
@settings(deadline=None)
def test_a_restart_keeps_what_only_a_spec_asks_for(
    events: list[FlowEvent], sizes: list[int], at: int
) -> None:
    wanted = specs(bar_spec("rsi(2) < 45 or close > ema(3)", interval="2s"))
    settings = MarketSettings(bar_intervals=("1m",), features=())
    whole = make_market(settings).advance([wanted, *events])
    market = make_market(settings)
    before = [market.advance(part) for part in parts([wanted, *events[:at]], sizes)]
    kept = market.snapshot()
    market = make_market(settings)
    market.restore(kept)
    after = [market.advance(part) for part in parts([wanted, *events[at:]], sizes)]
    assert told(joined([*before, *after])) == told(whole)


@given(events=streams(), at=CUTS)
@settings(deadline=None)
def test_a_restart_without_books_is_like_a_gap(events: list[FlowEvent], at: int) -> None:
    """A live flow's snapshots carry no books: its opening gap would empty them anyway."""
    began = max((one.ts_recv for one in events[: at + 1] if hasattr(one, "ts_recv")), default=0)
    openings = [FeedGap(instrument=name, ts_recv=began, reason="opening") for name in (BTC, OTHER)]
    market, filters = make_market(keeps_books=False), SymbolFilters()
    before = market.advance([SPECS, *events[:at]])
    said(filters, [before])
    kept, kept_filters = market.snapshot(), filters.snapshot()
    expected = market.advance([*openings, *events[at:]])
    expected_alerts = said(filters, [expected])[0]
    market, filters = make_market(keeps_books=False), SymbolFilters()
    market.restore(kept)
    filters.restore(kept_filters)
    resumed = market.advance([SPECS, *openings, *events[at:]])
    assert told(resumed) == told(expected)
    assert said(filters, [resumed])[0] == expected_alerts


def test_a_snapshot_is_small_without_books() -> None:
    bids = [(float(price), 1.0) for price in range(1, 2000)]
    asks = [(float(price), 1.0) for price in range(3000, 5000)]
    with_books, without = make_market(), make_market(keeps_books=False)
    for market in (with_books, without):
        market.advance([gap(0), snapshot(0.1, bids, asks)])
    assert len(without.snapshot()) < len(with_books.snapshot()) / 10


def test_every_venue_of_a_symbol_has_its_own_book_and_bars() -> None:
    market = make_market()
    out = market.advance(
        [
            snapshot(0.1),
            snapshot(0.2, [(50.0, 1.0)], [(60.0, 1.0)], instrument=OTHER),
            trade(0.3, 100),
            trade(0.4, 55, instrument=OTHER),
            trade(1.3, 101),
            trade(1.4, 56, instrument=OTHER),
        ]
    )
    assert {top.instrument: top.bids[0][0] for top in out.tops} == {BTC: 99.0, OTHER: 50.0}
    assert [(bar.instrument, bar.close) for bar in out.bars] == [(BTC, 100), (OTHER, 55)]


def test_specs_reach_markets_that_come_later() -> None:
    market = make_market()
    market.advance([specs(book_spec())])
    out = market.advance([gap(0), snapshot(0.1)])
    assert [type(one) for one in out.moments] == [
        StateChange,
        StateChange,
        BookTop,
        type(out.moments[-1]),
    ]
    assert out.moments[-1].series == BTC  # type: ignore[union-attr]


def test_only_asked_for_lists_are_filled() -> None:
    market = SymbolMarket(MarketSettings())
    out = market.advance([gap(0), snapshot(0.1), delta(0.2, [(99.5, 1.0)]), trade(0.3), beat(1)])
    assert not out.tops
    assert not out.events
    assert [type(one) for one in out.moments] == [StateChange, StateChange, Heartbeat]
    assert len(out.kept_tops) == 1


def test_a_snapshot_of_another_schema_is_refused_and_leaves_nothing_behind() -> None:
    market = make_market()
    with pytest.raises(SnapshotError, match="schema 99"):
        market.restore(pickle.dumps((99, {})))
    assert market.advance([]) == MarketOutput()


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"not a pickle",
        pickle.dumps(None),
        pickle.dumps((1, {BTC: "what"})),
        pickle.dumps((1, {BTC: None, OTHER: 3})),
        b"cflows.symbol_market\nNoSuchClass\n.",
        b"cno.such.module\nNoSuchClass\n.",
    ],
    ids=["empty", "no pickle", "none", "text", "numbers", "lost class", "lost module"],
)
def test_a_snapshot_that_cannot_be_read_is_refused_and_leaves_nothing_behind(bad: bytes) -> None:
    market = make_market()
    with pytest.raises(SnapshotError):
        market.restore(bad)
    out = market.advance([gap(0), snapshot(0.1)])
    assert [change.state for change in out.states][-1] is State.LIVE


def test_indicators_that_are_configured_after_a_restart_begin_to_warm() -> None:
    before = make_market(MarketSettings(bar_intervals=("1s",), features=("rsi(3)",)))
    before.advance([gap(0), *(trade(at, 100 + at) for at in range(8))])
    after = make_market(MarketSettings(bar_intervals=("1s",), features=("rsi(3)", "ema(2)")))
    after.restore(before.snapshot())
    out = after.advance([trade(8, 108), trade(9, 109), trade(10, 110)])
    told = {
        name: [one.value for one in out.features if one.name == name]
        for name in ("rsi(3)", "ema(2)")
    }
    assert None not in told["rsi(3)"]
    assert told["ema(2)"][0] is None
    assert told["ema(2)"][1] is not None


def test_bars_that_nobody_wants_after_a_restart_end() -> None:
    before = make_market(MarketSettings(bar_intervals=("1s", "5s")))
    before.advance([gap(0), trade(0), trade(1)])
    after = make_market(MarketSettings(bar_intervals=("1s",)))
    after.restore(before.snapshot())
    out = after.advance([trade(20), trade(30)])
    assert {bar.interval for bar in out.bars} == {"1s"}


def test_exactly_what_is_asked_for_is_computed() -> None:
    market = make_market(MarketSettings(bar_intervals=("1s",), features=("rsi(3)",)))
    first: list[FlowEvent] = [gap(0), *(trade(at, 100 + at) for at in range(4))]
    assert {one.name for one in market.advance(first).features} == {"rsi(3)"}
    demand = Demand(symbol="BTC-USDT", features={"1s": ("ema(2)",), "5s": ("ema(3)",)})
    told = market.advance([demand, *(trade(at, 100 + at) for at in range(4, 22))])
    assert {(one.interval, one.name) for one in told.features} == {
        ("1s", "rsi(3)"),
        ("1s", "ema(2)"),
        ("5s", "ema(3)"),
    }
    assert {bar.interval for bar in told.bars} == {"1s", "5s"}
    nothing = Demand(symbol="BTC-USDT", features={})
    told = market.advance([nothing, *(trade(at, 100 + at) for at in range(22, 40))])
    assert {(one.interval, one.name) for one in told.features} == {("1s", "rsi(3)")}
    assert {bar.interval for bar in told.bars} == {"1s"}


WALL = [(100.0 - step / 10, 40.0 if step == 3 else 1.0) for step in range(20)]
OVER_IT = [(100.1 + step / 10, 1.0) for step in range(20)]


def test_values_of_the_whole_book_are_told_at_a_bars_close() -> None:
    wanted = ("support(1)", "book.bid_depth(40)", "book.spread_bps", "ema(2)")
    market = make_market(MarketSettings(bar_intervals=("1s",), features=wanted))
    book: list[FlowEvent] = [gap(0), snapshot(0.1, WALL, OVER_IT), trade(0.2)]
    early = market.advance([*book, *(beat(at) for at in range(1, 5)), trade(5), trade(6)])
    told = {one.name: one for one in early.features if one.ts_event == START + 5 * SECOND}
    assert set(told) == set(wanted)
    assert told["support(1)"].reason == "warming(3 of 60 s)"
    assert told["support(1)"].value is None
    assert told["book.spread_bps"].value == pytest.approx(10.0, rel=1e-3)
    late = market.advance([*(beat(at, heard=at) for at in range(6, 70)), trade(70), trade(71)])
    told = {one.name: one for one in late.features if one.ts_event == START + 70 * SECOND}
    assert (told["support(1)"].value, told["support(1)"].state) == (99.7, State.LIVE)
    assert told["book.bid_depth(40)"].value == 43.0
    lost = market.advance([gap(71.5), trade(72.1), trade(73.1)])
    told = {one.name: one for one in lost.features if one.ts_event == START + 72 * SECOND}
    assert {told[name].value for name in wanted} == {None}
    assert told["support(1)"].state is State.RESYNCING


def test_the_whole_book_is_looked_at_only_for_who_asks() -> None:
    market = make_market(MarketSettings(bar_intervals=("1s",), features=("ema(2)",)))
    market.advance([gap(0), snapshot(0.1, WALL, OVER_IT), beat(1)])
    (one,) = market._markets.values()
    looked_at = [one.liquidity]
    for asked in (specs(book_spec("support_distance_bps(1) < 40")), specs()):
        market.advance([asked])
        looked_at.append(one.liquidity)
    assert [looks is not None for looks in looked_at] == [False, True, False]


def test_a_filter_may_look_at_walls() -> None:
    market, filters = make_market(), SymbolFilters()
    spec = specs(book_spec("support_distance_bps(1) < 40"))
    opened = market.advance([spec, gap(0), snapshot(0.1, WALL, OVER_IT)])
    assert filters.advance([opened]).alerts == []
    waited = market.advance([beat(at, heard=at) for at in range(1, 70)])
    assert filters.advance([waited]).alerts == []
    moved = market.advance([delta(70.1, [(99.0, 2.0)], sequence=5)])
    (alert,) = filters.advance([moved]).alerts
    assert alert.values == {"support_distance_bps(1)": pytest.approx(34.98, abs=0.01)}


def test_what_no_one_understands_of_a_demand_is_left_out() -> None:
    market = make_market(MarketSettings(bar_intervals=("1s",), features=()))
    demand = Demand(symbol="BTC-USDT", features={"7s": ("ema(2)",), "1s": ("rsii", "ema(2)")})
    told = market.advance([trade(0), demand, *(trade(at) for at in range(1, 5))])
    assert {(one.interval, one.name) for one in told.features} == {("1s", "ema(2)")}


def test_the_past_of_an_instrument_that_was_let_go_brings_nothing_back() -> None:
    market = make_market()
    market.advance([gap(0), trade(0.5), Unsubscribed(instrument=BTC, ts_recv=START)])
    market.advance([past(0)])
    assert list(market.instruments) == []


def test_a_filter_sees_of_each_flat_bar_what_was_known_at_it() -> None:
    flat = MarketSettings(bar_intervals=("1s",), features=("sma(2)",), empty_bars=EmptyBars.FLAT)
    market = make_market(flat)
    market.advance([specs(bar_spec("sma(2) > 0")), gap(0, reason="connecting")])
    opened: list[FlowEvent] = [trade(at, 100.0) for at in (0, 1, 2)]
    out = market.advance([*opened, trade(6, 300.0), trade(7, 100.0)])
    told = {one.ts_event: one.value for one in out.features if one.interval == "1s"}
    seen = {
        moment.moment: moment.values["sma(2)"]
        for moment in out.moments
        if isinstance(moment, Observation)
    }
    assert len(seen) > 5
    assert seen == {start: told[start] for start in seen}


def test_a_demand_is_kept_over_a_restart() -> None:
    before = make_market(MarketSettings(bar_intervals=("1s",), features=()))
    before.advance([gap(0), trade(0), Demand(symbol="BTC-USDT", features={"1s": ("ema(2)",)})])
    after = make_market(MarketSettings(bar_intervals=("1s",), features=()))
    after.restore(before.snapshot())
    told = after.advance([trade(at) for at in range(1, 5)])
    assert {one.name for one in told.features} == {"ema(2)"}


def test_the_past_is_asked_for_and_makes_values_live_at_once() -> None:
    market = make_market(MarketSettings(bar_intervals=("1s",), features=("ema(4)",)))
    out = market.advance([gap(100), snapshot(100.5), trade(100.6), trade(100.7)])
    assert [(wish.interval, wish.until) for wish in out.wishes] == [("1s", START + 100 * SECOND)]
    told = market.advance([past(100)])
    assert [one.state for one in told.features] == [State.LIVE]
    assert not told.bars, "bars of the past are not told as ours"
    assert [wish.until for wish in told.wishes] == [START + 101 * SECOND]
    told = market.advance([trade(101.2), trade(102.2)])
    assert [bar.partial for bar in told.bars] == [True, False]
    told = market.advance([past(101)])
    (right,) = told.bars
    assert (right.start, right.partial, right.revision) == (START + 100 * SECOND, False, 1)
    assert [one.state for one in told.features] == [State.LIVE]
    assert not told.moments, "what is put right never fires"


def test_the_past_is_asked_for_by_the_venues_clock() -> None:
    ahead = 7 * SECOND
    market = make_market(MarketSettings(bar_intervals=("1s",), features=("ema(4)",)))
    early = [trade(100.05 + at / 10, lag=ahead) for at in range(9)]
    opened: list[FlowEvent] = [gap(99, reason="connecting"), *early]
    out = market.advance(opened)
    assert {wish.until for wish in out.wishes} == {START + 100 * SECOND}
    assert {wish.clock_offset for wish in out.wishes} <= {0, ahead}
    again = market.advance([trade(102.5, lag=ahead)])
    assert [(wish.until, wish.clock_offset) for wish in again.wishes] == [
        (START + 101 * SECOND, ahead)
    ]


def test_bars_of_a_hole_are_told_when_the_past_fills_it_and_never_fire() -> None:
    market = make_market(MarketSettings(bar_intervals=("1s",), features=("obv",)))
    market.advance([specs(bar_spec("close > 0")), gap(100), snapshot(100.5), trade(100.6)])
    market.advance([past(100), trade(101.2), trade(102.2)])
    market.advance([past(101)])
    before = market.advance([gap(102.5, "trade"), trade(106.5), trade(107.5)])
    assert [(bar.start - START) // SECOND for bar in before.bars] == [102, 106]
    wished = before.wishes[-1]
    assert wished.until == START + 107 * SECOND
    assert wished.bars >= 5
    told = market.advance([past(107)])
    assert [((bar.start - START) // SECOND, bar.revision, bar.gap) for bar in told.bars] == [
        (number, 1, False) for number in range(102, 107)
    ]
    assert not told.moments
    filters = SymbolFilters()
    filters.advance([MarketOutput(moments=[specs(bar_spec("close > 0"))])])
    assert not filters.advance([told]).alerts
