"""Quotes as the book of an instrument that has no other, and bars that the venue made."""

import msgspec
import pytest

from filters.alerts import Observation
from flows.market_output import MarketOutput
from flows.settings import MarketSettings
from flows.symbol_market import SymbolMarket
from market.events import Aggregate, MarketEvent, Quote, Side, State
from sinks.rows import trade_rows
from tests.flows.market_events import (
    LATENCY,
    SECOND,
    START,
    beat,
    book_spec,
    gap,
    make_market,
    specs,
    trade,
)

BTC = "massive:BTC-USD"
SETTINGS = MarketSettings(bar_intervals=("1s",), features=(), stale_after_s=5)


@pytest.fixture
def market() -> SymbolMarket:
    return make_market(SETTINGS)


def quote(
    at: float,
    bid: float | None = 99.0,
    ask: float | None = 101.0,
    *,
    exchange: str = "1",
) -> Quote:
    """A quote `at` seconds after START by the venue's clock."""
    ts = START + round(at * SECOND)
    return Quote(
        instrument=BTC,
        ts_event=ts,
        ts_recv=ts + LATENCY,
        bid=bid,
        bid_size=0.0 if bid is None else 3.0,
        ask=ask,
        ask_size=0.0 if ask is None else 1.0,
        exchange=exchange,
    )


def aggregate(at: float, interval: str = "1m", **changed: float) -> Aggregate:
    length = (60 if interval == "1m" else 1) * SECOND
    start = START + round(at * SECOND)
    told = Aggregate(
        instrument=BTC, interval=interval, start=start, end=start + length,
        ts_recv=start + length + LATENCY, open=100.0, high=102.0, low=99.0, close=101.0,
        volume=10.0, vwap=100.5, mean_size=0.5,
    )  # fmt: skip
    return msgspec.structs.replace(told, **changed)


def states(output: MarketOutput) -> list[tuple[State, str]]:
    return [(change.state, change.reason) for change in output.states]


# -- the book --------------------------------------------------------------------------------------


def test_a_quote_is_a_live_book_of_one_level_a_side(market: SymbolMarket) -> None:
    out = market.advance([gap(0, reason="connecting", instrument=BTC), quote(0.1)])
    assert states(out) == [(State.LIVE, "")]
    [top] = out.tops
    assert (top.bids, top.asks) == ([(99.0, 3.0)], [(101.0, 1.0)])
    assert (top.spread, top.imbalance) == (2.0, 0.5)
    assert (top.state, top.sequence) == (State.LIVE, 0)


def test_every_quote_replaces_the_one_before(market: SymbolMarket) -> None:
    out = market.advance([quote(0), quote(0.1, 98.0, 100.0), quote(0.2, None, 100.0)])
    assert [(top.bids, top.asks) for top in out.tops[1:]] == [
        ([(98.0, 3.0)], [(100.0, 1.0)]),
        ([], [(100.0, 1.0)]),
    ]
    assert out.tops[-1].spread is None
    assert out.tops[-1].state is State.LIVE


def test_a_quote_is_kept_as_a_row_once_a_second(market: SymbolMarket) -> None:
    out = market.advance([quote(0), beat(1, instrument=BTC), beat(2, instrument=BTC)])
    assert [top.bids for top in out.kept_tops] == [[(99.0, 3.0)]] * 2


@pytest.mark.parametrize(("bid", "ask"), [(101.5, 101.0), (101.0, 101.0)])
def test_a_crossed_quote_is_suspect_until_the_next_and_not_asked_for_again(
    market: SymbolMarket, bid: float, ask: float
) -> None:
    market.advance([quote(0)])
    crossed = [quote(0.1 * n, bid, ask) for n in range(1, 5)]
    out = market.advance([*crossed, beat(1, instrument=BTC), beat(2, instrument=BTC)])
    assert states(out) == [(State.SUSPECT, "crossed book")]
    assert out.resyncs == ()
    assert out.kept_tops[-1].state is State.SUSPECT
    out = market.advance([quote(2.1)])
    assert states(out) == [(State.LIVE, "")]


def test_silence_makes_it_stale_and_a_quote_live_again(market: SymbolMarket) -> None:
    out = market.advance([quote(0), *[beat(n, instrument=BTC) for n in range(1, 8)]])
    assert states(out)[-1][0] is State.STALE
    out = market.advance([quote(8)])
    assert states(out) == [(State.LIVE, "")]


@pytest.mark.parametrize("channel", ["all", "book"])
def test_a_gap_empties_it_and_a_quote_ends_the_gap(market: SymbolMarket, channel: str) -> None:
    out = market.advance([quote(0), gap(1, channel, instrument=BTC), beat(2, instrument=BTC)])
    assert states(out)[-1] == (State.RESYNCING, "cut")
    assert out.kept_tops == ()
    [opened] = out.gaps
    assert (opened.channel, opened.ended) == (channel, None)
    out = market.advance([quote(3)])
    assert states(out) == [(State.LIVE, "")]
    assert [one.ended for one in out.gaps] == [START + 3 * SECOND + LATENCY]


def test_a_gap_of_trades_leaves_it_alone(market: SymbolMarket) -> None:
    out = market.advance([quote(0), gap(1, "trade", instrument=BTC)])
    assert states(out) == [(State.LIVE, "")]


def test_two_exchanges_are_never_taken_for_one_book(market: SymbolMarket) -> None:
    out = market.advance(
        [
            quote(0),
            quote(0.1, 101.5, 103.0, exchange="2"),
            quote(0.2, 99.5),
            quote(0.3, exchange=""),
        ]
    )
    assert [top.bids[0][0] for top in out.tops] == [99.0, 99.5]
    assert states(out) == [(State.LIVE, "")]


def test_another_exchange_is_shown_when_the_first_is_silent(market: SymbolMarket) -> None:
    out = market.advance([quote(0), quote(5.0, 98.0, exchange="2"), quote(5.1, 97.0, exchange="2")])
    assert [top.bids[0][0] for top in out.tops] == [99.0, 97.0]
    out = market.advance([quote(5.2), quote(5.3, 96.0, exchange="2")])
    assert [top.bids[0][0] for top in out.tops] == [96.0]


def test_book_specs_look_at_quotes(market: SymbolMarket) -> None:
    out = market.advance([specs(book_spec("best_bid > 1")), quote(0)])
    [seen] = [one for one in out.moments if isinstance(one, Observation)]
    assert seen.values == {"best_bid": 99.0}


def test_a_restored_market_goes_on_with_its_exchange_and_its_bars() -> None:
    first, second = make_market(SETTINGS), make_market(SETTINGS)
    first.advance([quote(0, exchange="7"), aggregate(0)])
    second.restore(first.snapshot())
    for one in (first, second):
        out = one.advance([quote(0.1, 98.0), quote(0.2, 97.0, exchange="7"), aggregate(0)])
        assert [top.bids[0][0] for top in out.tops] == [97.0]
        assert out.bars == ()


# -- bars of the venue -----------------------------------------------------------------------------


def test_a_bar_of_the_venue_goes_on_where_we_make_none(market: SymbolMarket) -> None:
    out = market.advance([aggregate(0)])
    [bar] = out.bars
    assert (bar.instrument, bar.interval) == (BTC, "1m")
    assert (bar.start, bar.end) == (START, START + 60 * SECOND)
    assert (bar.open, bar.high, bar.low, bar.close) == (100.0, 102.0, 99.0, 101.0)
    assert (bar.volume, bar.vwap, bar.buy_volume) == (10.0, 100.5, 5.0)
    assert (bar.count, bar.revision, bar.partial, bar.gap) == (0, 0, False, False)
    assert out.features == ()


def test_a_series_has_one_maker(market: SymbolMarket) -> None:
    """Our own bars of a second come from trades, so the venue's are left out."""
    events: list[MarketEvent] = [
        trade(0.1, instrument=BTC),
        aggregate(0, "1s"),
        trade(1.1, instrument=BTC),
    ]
    out = market.advance(events)
    assert [(bar.interval, bar.count) for bar in out.bars] == [("1s", 1)]
    assert [event for event in out.events if isinstance(event, Aggregate)] == [events[1]]


def test_a_bar_told_twice_goes_on_once_and_a_corrected_one_is_a_revision(
    market: SymbolMarket,
) -> None:
    out = market.advance(
        [aggregate(0), aggregate(0), aggregate(0, close=100.0), aggregate(60), aggregate(0)]
    )
    assert [((bar.start - START) // SECOND, bar.close, bar.revision) for bar in out.bars] == [
        (0, 101.0, 0), (0, 100.0, 1), (60, 101.0, 0),
    ]  # fmt: skip


def test_a_bar_without_a_mean_price_takes_its_close(market: SymbolMarket) -> None:
    told = msgspec.structs.replace(aggregate(0), vwap=None, mean_size=None)
    [bar] = market.advance([told]).bars
    assert bar.vwap == 101.0


# -- trades whose aggressor nobody knows -----------------------------------------------------------


def test_one_half_of_an_unknown_trade_counts_as_bought(market: SymbolMarket) -> None:
    sizes = [(Side.UNKNOWN, 4.0), (Side.BUY, 1.0), (Side.SELL, 2.0), (Side.UNKNOWN, 2.0)]
    traded = [trade(0.1, size=size, side=side, instrument=BTC) for side, size in sizes]
    out = market.advance([*traded, trade(1.1, instrument=BTC)])
    [bar] = out.bars
    assert (bar.volume, bar.buy_volume) == (9.0, 2.0 + 1.0 + 1.0)
    late = trade(0.2, size=2.0, side=Side.UNKNOWN, instrument=BTC)
    [revised] = market.advance([late]).bars
    assert (revised.volume, revised.buy_volume) == (11.0, 5.0)


@pytest.mark.parametrize("side", list(Side))
def test_a_row_says_which_side_it_was(side: Side) -> None:
    [row] = trade_rows([trade(0, side=side, instrument=BTC)])
    assert str(side) in row
