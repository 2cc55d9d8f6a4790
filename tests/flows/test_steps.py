import logging
import pickle
from collections.abc import Collection, Sequence

import pytest
from bytewax.operators import StatefulBatchLogic

from connectors.drain import FlowEvent
from flows.bar_series import HistoryWish
from flows.steps import filter_builder, market_builder
from market.events import State
from tests.flows.market_events import (
    BTC,
    book_spec,
    delta,
    gap,
    make_market,
    snapshot,
    specs,
    trade,
)


def pass_over(_batches: Sequence[list[FlowEvent]], _instruments: Collection[str]) -> bool:
    return False


def forget(_instrument: str, _reason: str) -> None:
    pass


def do_without(_wish: HistoryWish) -> None:
    pass


def test_micro_batches_of_one_turn_make_one_output() -> None:
    logic = market_builder(make_market, forget, do_without, pass_over)(None)
    first: list[FlowEvent] = [gap(0), snapshot(0.1)]
    outputs, discards = logic.on_batch([first, [trade(0.2)], [trade(0.3)]])
    (output,) = outputs
    assert len(output.trades) == 2
    assert len(output.tops) == 1
    assert discards is StatefulBatchLogic.RETAIN


def test_books_to_be_fetched_again_are_told() -> None:
    told: list[tuple[str, str]] = []
    logic = market_builder(make_market, lambda *wish: told.append(wish), do_without, pass_over)(
        None
    )
    crossing: list[FlowEvent] = [
        snapshot(0),
        delta(0.1, [(101.5, 1.0)], sequence=2),
        delta(0.2, [(101.4, 1.0)], sequence=3),
    ]
    logic.on_batch([crossing])
    assert told == [(BTC, "crossed book")]


def test_what_comes_in_is_told_while_it_matters() -> None:
    away = "massive:BTC-USDT"
    told: list[set[str]] = []

    def arrived(_batches: Sequence[list[FlowEvent]], instruments: Collection[str]) -> bool:
        told.append(set(instruments))
        return away in instruments

    logic = market_builder(make_market, forget, do_without, arrived)(None)
    logic.on_batch([[specs(), snapshot(0)]])
    logic.on_batch([[delta(0.1)]])
    assert told == [{BTC}], "of a symbol that is read here nothing more is told"
    logic.on_batch([[trade(0.2, instrument=away)]])
    logic.on_batch([[delta(0.3)]])
    assert told == [{BTC}, {BTC, away}, {BTC, away}]


def test_state_goes_over_a_restart_of_both_steps() -> None:
    build_market, build_filters = (
        market_builder(make_market, forget, do_without, pass_over),
        filter_builder(),
    )
    market, filters = build_market(None), build_filters(None)
    spec = specs(book_spec("best_bid > 98.5"))
    (output,) = market.on_batch([[spec, snapshot(0)]])[0]
    assert len(list(filters.on_batch([output])[0])) == 1
    market, filters = build_market(market.snapshot()), build_filters(filters.snapshot())
    (output,) = market.on_batch([[spec, delta(0.1, [(99.5, 1.0)])]])[0]
    assert output.tops[-1].state is State.LIVE
    assert list(filters.on_batch([output])[0]) == []  # it has fired already


def test_an_unknown_snapshot_is_dropped_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    unknown = pickle.dumps((99, {}))
    with caplog.at_level(logging.WARNING):
        market = market_builder(make_market, forget, do_without, pass_over)(unknown)
    assert len(caplog.records) == 1
    assert "schema 99" in str(vars(caplog.records[0])["reason"])
    (output,) = market.on_batch([[gap(0), snapshot(0.1)]])[0]
    assert output.tops[-1].state is State.LIVE
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        filters = filter_builder()(b"no pickle")
    assert len(caplog.records) == 1
    assert list(filters.on_batch([output])[0]) == []
