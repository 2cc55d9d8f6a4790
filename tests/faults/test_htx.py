"""HTX's own rules over the wire: two sockets, requests that are rationed, pings that want answers.

What every venue has to overcome is in test_every_venue.
"""

import json
import zlib
from itertools import pairwise

import pytest

from connectors.contract import Told
from connectors.recording import Record
from market.events import State
from simulator.faults import Fault
from simulator.listings import LISTINGS
from tests.faults.feed_client import MILLISECOND, SECOND, START, Rig
from tests.slow_case import slow

MANY = tuple(
    listing.symbol for listing in LISTINGS if listing.is_trading and "USDT" in listing.quote
)


class Kept:
    """The records of a run, and what they told."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def __call__(self, record: Record, told: list[Told]) -> None:
        del told
        self.records.append(record)

    def sent(self, verb: str) -> list[tuple[int, str]]:
        return [
            (record.ts, record.conn)
            for record in self.records
            if record.kind == "sent" and verb in json.loads(record.body)
        ]

    def came(self) -> list[dict]:  # type: ignore[type-arg]
        return [
            json.loads(zlib.decompress(record.body, 31))
            for record in self.records
            if record.kind == "binary"
        ]


def test_many_books_come_to_life_without_asking_too_often() -> None:
    kept = Kept()
    rig = Rig(venue="htx", symbols=MANY, keep=kept).run_for(12)
    assert rig.client.is_live
    asked = [ts for ts, _ in kept.sent("req")]
    assert len(asked) == len(MANY) > 15
    assert min(after - before for before, after in pairwise(asked)) >= (100 * MILLISECOND)
    assert [message for message in kept.came() if message.get("status") == "error"] == []
    assert rig.client.dead_letters == 0
    assert {gap.reason for gap in rig.client.gaps} == {"connecting"}


def test_every_trade_after_the_acknowledgement_is_told_and_every_ping_answered() -> None:
    kept = Kept()
    rig = Rig(venue="htx", keep=kept).run_for(61)
    for symbol, trades in rig.client.trades.items():
        ids = [int(trade.trade_id) for trade in trades]
        last = rig.model.last_trade_id(symbol)
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert last - ids[-1] <= 5, "but for what is on its way"
    pings = [message for message in kept.came() if "ping" in message]
    assert len(pings) == len(kept.sent("pong")) == 24
    assert rig.client.closed_reasons == []


def test_a_lost_book_message_is_a_gap_and_a_request_of_that_symbol_only() -> None:
    kept = Kept()
    drop = Fault(at=20 * SECOND, kind="drop", channel="depth", symbol="ETH-USDT")
    rig = Rig((drop,), venue="htx", keep=kept).run_for(30)
    [gap] = [gap for gap in rig.client.gaps if gap.reason != "connecting"]
    assert (gap.instrument, gap.channel) == ("htx:ETH-USDT", "book")
    assert gap.reason.startswith("sequence: expected prevSeqNum ")
    asked = [ts for ts, _ in kept.sent("req") if ts > START + 20 * SECOND]
    assert len(asked) == 1
    assert rig.client.closed_reasons == []
    assert {symbol: len(truth.live) for symbol, truth in rig.client.truth.items()} == {
        "BTC-USDT": 1,
        "ETH-USDT": 2,
        "ETH-BTC": 1,
    }
    [_, again] = rig.client.truth["ETH-USDT"].live
    assert again[0] - gap.ts_recv < SECOND


def test_a_connection_of_an_age_that_was_set_is_replaced_without_a_gap() -> None:
    rig = Rig(venue="htx", max_age_s=20).run_for(70)
    assert {gap.reason for gap in rig.client.gaps} == {"connecting"}
    assert rig.client.closed_reasons == []
    assert rig.wire.counts.opened >= 6
    for symbol, trades in rig.client.trades.items():
        ids = [int(trade.trade_id) for trade in trades]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        assert rig.client.state(symbol) is State.LIVE
        assert len(rig.client.truth[symbol].live) == 1


@pytest.mark.parametrize("latency", [slow(0), slow(5), 400, slow(1200)])
def test_books_are_true_over_any_distance(latency: int) -> None:
    rig = Rig(venue="htx", latency=latency * MILLISECOND).run_for(30)
    for symbol in rig.client.markets:
        assert rig.client.state(symbol) is State.LIVE
        assert rig.client.truth[symbol].looked > 100
    assert rig.client.closed_reasons == []
