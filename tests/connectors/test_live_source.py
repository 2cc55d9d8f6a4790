"""A live input: what it tells, records, and how it ends."""

import threading
from pathlib import Path

import msgspec

from connectors import VENUES as REAL
from connectors.drain import MicroBatch
from connectors.helm import Helm
from connectors.live_source import FeedPartition, FeedSource
from connectors.venue_feeds import VenueFeeds
from filters.specs import SpecsChanged
from market.events import BookSnapshot, FeedGap, Trade
from simulator.server import simulator_in_thread
from simulator.settings import SimulatorSettings
from tests.connectors.played import by_symbol, replay
from tests.connectors.scripted_server import eventually
from tests.faults.feed_client import instrument as binance_instrument

SPECS = msgspec.json.encode(SpecsChanged(generation=1, specs=()))


def test_a_live_run_recovers_stops_cleanly_and_replays_to_the_same(tmp_path: Path) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("faults:\n  - {at: 1500ms, kind: cut, code: 1012}\n")
    settings = SimulatorSettings(
        symbols=("BTC-USDT", "ETH-USDT"), faults=str(faults), wait_for_client=True
    )
    batches: list[MicroBatch] = []
    with simulator_in_thread(settings) as addresses:
        stopping = threading.Event()
        source = FeedSource(
            [
                VenueFeeds(
                    REAL["binance"],
                    [binance_instrument("BTC-USDT"), binance_instrument("ETH-USDT")],
                    websocket_url=addresses.websocket_of("binance"),
                    rest_url=addresses.rest_of("binance"),
                )
            ],
            controls=[SPECS],
            helm=Helm(),
            stopping=stopping,
            recording=lambda worker: tmp_path / f"worker-{worker}.jsonl.gz",
            dead_letters=tmp_path / "dead",
        )
        partition = source.build("feeds", 0, 1)

        def books() -> int:
            batches.extend(partition.next_batch())
            return sum(isinstance(event, BookSnapshot) for _, events in batches for event in events)

        eventually(lambda: books() >= 4, "both books, before and after the cut")
        stopping.set()
        batches += _rest(partition)
    events = by_symbol(batches)
    for symbol in ("BTC-USDT", "ETH-USDT"):
        gaps = [event.reason for event in events[symbol] if isinstance(event, FeedGap)]
        assert gaps == ["connecting", "closed by the venue: 1012 fault", "connecting"]
        assert isinstance(events[symbol][0], SpecsChanged)
        ids = [int(event.trade_id) for event in events[symbol] if isinstance(event, Trade)]
        assert ids == sorted(set(ids))
    assert not (tmp_path / "dead").exists()
    assert source.drains[0].counts["gaps"] == 2
    replayed, problems = replay([tmp_path / "worker-0.jsonl.gz"], batch=7)
    assert problems == []
    assert by_symbol(replayed) == events


def _rest(partition: FeedPartition) -> list[MicroBatch]:
    batches: list[MicroBatch] = []
    while True:
        try:
            batches += partition.next_batch()
        except StopIteration:
            return batches
