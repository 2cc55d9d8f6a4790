import pickle
from itertools import zip_longest

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.specs import Spec
from flows.market_output import FilterOutput, MarketOutput
from flows.symbol_filters import FEW_TOPS, SymbolFilters
from flows.symbol_market import SnapshotError, SymbolMarket
from market.events import MarketEvent
from tests.flows.market_events import (
    BTC,
    SECOND,
    START,
    bar_spec,
    beat,
    book_spec,
    delta,
    gap,
    make_market,
    snapshot,
    specs,
    trade,
)


class Rig:
    """Both pure steps of the flow, one behind the other."""

    def __init__(self, *given: Spec) -> None:
        self.market: SymbolMarket = make_market()
        self.filters = SymbolFilters()
        self.filters.advance([self.market.advance([specs(*given)])])

    def advance(self, *events: MarketEvent) -> FilterOutput:
        return self.filters.advance([self.market.advance(events)])


def test_an_alert_comes_with_the_book_as_it_was() -> None:
    rig = Rig(book_spec("best_bid > 99.2"))
    out = rig.advance(
        snapshot(0),
        delta(0.1, [(99.5, 1.0)], sequence=2),
        delta(0.2, [(100.0, 1.0)], sequence=3),
    )
    (alert,) = out.alerts
    (top,) = out.tops
    assert alert.values == {"best_bid": 99.5}
    assert top.sequence == 2
    assert top.bids[0] == (99.5, 1.0)


def test_an_alert_on_a_bar_comes_with_the_book_of_its_close() -> None:
    rig = Rig(bar_spec("close > 100"))
    out = rig.advance(
        snapshot(0),
        trade(0.1, 101),
        delta(0.9, [(99.5, 1.0)], sequence=5),
        trade(1.1, 101),
        delta(1.2, [(99.9, 1.0)], sequence=6),
    )
    assert len(out.alerts) == 1
    assert [top.sequence for top in out.tops] == [5]


def test_there_is_no_book_while_it_is_fetched() -> None:
    rig = Rig(bar_spec("close > 100"))
    rig.advance(snapshot(0), trade(0.1, 99), trade(1.1, 99))
    out = rig.advance(gap(2, "book"), trade(2.1, 101), trade(3.1, 101))
    assert len(out.alerts) == 1
    assert out.tops == []


def test_a_wait_ends_at_a_heartbeat_with_the_book_of_then() -> None:
    spec = msgspec.structs.replace(book_spec("best_bid > 99.2"), hold=2 * SECOND)
    rig = Rig(spec)
    out = rig.advance(snapshot(0), delta(0.1, [(99.5, 1.0)], sequence=2), beat(1), beat(2))
    assert out.alerts == []
    out = rig.advance(beat(3))
    (alert,) = out.alerts
    (top,) = out.tops
    assert alert.ts_fired == beat(3).ts_recv
    assert (top.sequence, top.ts_recv) == (2, beat(3).ts_recv)


def test_a_wait_does_not_go_through_a_gap() -> None:
    spec = msgspec.structs.replace(book_spec("best_bid > 98.5"), hold=2 * SECOND)
    rig = Rig(spec)
    out = rig.advance(snapshot(0), beat(1), gap(1.5, "book"), beat(2), beat(3))
    assert out.alerts == []
    out = rig.advance(snapshot(3.5, sequence=9), beat(4), beat(5))
    assert out.alerts == []
    assert len(rig.advance(beat(6)).alerts) == 1


def test_a_suspect_book_and_a_marked_bar_fire_nothing() -> None:
    rig = Rig(book_spec("spread < 0"), bar_spec("close > 0"))
    out = rig.advance(
        snapshot(0),
        delta(0.1, [(101.5, 1.0)], sequence=2),
        gap(0.2, "trade"),
        trade(0.3),
        trade(1.1),
    )
    assert out.alerts == []  # the first bar began before its trades, the next has a gap
    rig = Rig(bar_spec("close > 0"))
    rig.advance(snapshot(0), trade(0.1))
    out = rig.advance(gap(0.5), snapshot(0.6, sequence=5), trade(0.7), trade(1.1))
    assert out.alerts == []


def test_most_of_the_time_nothing_comes_of_it() -> None:
    rig = Rig(book_spec("best_bid > 1000"))
    assert rig.advance(snapshot(0), trade(1), beat(2)) == FilterOutput()


def test_specs_that_are_gone_fire_no_more() -> None:
    rig = Rig(book_spec("best_bid > 99.2"))
    rig.filters.advance([rig.market.advance([specs(generation=2)])])
    assert rig.advance(snapshot(0), delta(0.1, [(99.5, 1.0)])) == FilterOutput()


def test_what_has_fired_stays_fired_over_a_restart() -> None:
    spec = book_spec("best_bid > 98.5")
    rig = Rig(spec)
    assert len(rig.advance(snapshot(0)).alerts) == 1
    kept = rig.filters.snapshot()
    rig.filters = SymbolFilters()
    rig.filters.restore(kept)
    rig.filters.advance([rig.market.advance([specs(spec)])])
    assert rig.advance(delta(0.1, [(99.5, 1.0)], sequence=2)).alerts == []


def test_a_wait_goes_on_over_a_restart() -> None:
    spec = msgspec.structs.replace(book_spec("best_bid > 98.5"), hold=2 * SECOND)
    rig = Rig(spec)
    rig.advance(snapshot(0), beat(1))
    kept = rig.filters.snapshot()
    rig.filters = SymbolFilters()
    rig.filters.restore(kept)
    rig.filters.advance([rig.market.advance([specs(spec)])])
    (alert,) = rig.advance(beat(2)).alerts
    assert alert.series == BTC


ETH = "binance:ETH-USDT"


def two_symbols(changes: list[int]) -> tuple[list[MarketOutput], list[MarketOutput]]:
    """What ETH-USDT says, whose book changes between its bars, and what BTC-USDT says to it."""
    change = specs(bar_spec("close > close@BTC-USDT and close@5s > 0"))
    change = msgspec.structs.replace(change, symbols=("BTC-USDT", "ETH-USDT"))
    markets = {name: make_market() for name in (ETH, BTC)}
    told: dict[str, list[MarketOutput]] = {ETH: [], BTC: []}
    sequence = 1
    for second in range(len(changes)):
        events: dict[str, list[MarketEvent]] = {ETH: [], BTC: []}
        if not second:
            events = {name: [snapshot(0, instrument=name)] for name in markets}
        high = 102.0 if second % 3 else 99.0
        events[ETH] += [trade(second + 0.1, high, instrument=ETH)]
        for part in range(changes[second]):
            sequence += 1
            changed = delta(
                second + 0.2 + part / 10, [(98.5, 1.0 + sequence)], sequence=sequence,
                instrument=ETH,
            )  # fmt: skip
            events[ETH].append(changed)
        events[BTC] += [trade(second + 0.1, 100, instrument=BTC)]
        for name, market in markets.items():
            control = [change] if not second else []
            told[name].append(market.advance([*control, *events[name]]))
    routed = {
        name: [
            out
            for output in outputs
            for to, out in output.for_filters(name.partition(":")[2])
            if to == "ETH-USDT"
        ]
        for name, outputs in told.items()
    }
    return routed[ETH], routed[BTC]


def tops_by_alert(filters: SymbolFilters, outputs: list[MarketOutput]) -> dict[str, int]:
    found: dict[str, int] = {}
    for output in outputs:
        out = filters.advance([output])
        assert len(out.tops) == len(out.alerts)
        found |= {alert.key: top.sequence for alert, top in zip(out.alerts, out.tops, strict=True)}
    return found


@given(
    changes=st.lists(st.integers(0, 4), min_size=8, max_size=16),
    order=st.lists(st.booleans(), max_size=40),
    cut=st.integers(0, 30),
)
def test_an_alert_that_looks_at_other_bars_comes_with_its_own_book_of_its_bars_close(
    changes: list[int], order: list[bool], cut: int
) -> None:
    own, other = two_symbols(changes)
    queues = [list(own), list(other)]
    mixed = [queues[choice].pop(0) for choice in order if queues[choice]]
    mixed += [*queues[0], *queues[1]]
    filters, resumed = SymbolFilters(), SymbolFilters()
    found = tops_by_alert(filters, mixed[:cut])
    resumed.restore(filters.snapshot())
    found |= tops_by_alert(resumed, mixed[cut:])
    # A bar of a second is closed by the first trade after it, before the book changes again.
    expected = {second: 1 + sum(changes[: second + 1]) for second in range(len(changes) - 1)}
    assert found
    for key, sequence in found.items():
        start = int(key.rpartition("/")[2])
        assert sequence == expected[(start - START) // SECOND]


def test_the_books_of_moments_that_are_answered_are_let_go() -> None:
    own, other = two_symbols([1] * 400)
    filters = SymbolFilters()
    for pair in zip_longest(own, other):
        filters.advance([output for output in pair if output is not None])
    assert len(pickle.loads(filters.snapshot()).tops_of) <= FEW_TOPS  # noqa: S301 - our own


class _Other(msgspec.Struct):
    schema: int


@pytest.mark.parametrize(
    "bad",
    [b"", b"no pickle", pickle.dumps(None), pickle.dumps(7), pickle.dumps(_Other(99))],
    ids=["empty", "no pickle", "none", "a number", "another schema"],
)
def test_a_snapshot_that_cannot_be_read_is_refused(bad: bytes) -> None:
    filters = SymbolFilters()
    with pytest.raises(SnapshotError):
        filters.restore(bad)
    assert filters.advance([MarketOutput()]) == FilterOutput()
