"""Massive on real sockets: the simulator behind its login, and the reader that has the key."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from connectors import VENUES
from connectors.contract import FeedDescription, Told
from connectors.feed import Feed
from connectors.frame_queue import FrameQueue
from connectors.playback import Playback
from connectors.reader import Reader
from connectors.recording import Record
from flows.instruments import list_instruments
from market.events import FeedGap, Quote, Trade
from simulator.server import simulator_in_thread
from simulator.settings import DEFAULT_KEY, Addresses, SimulatorSettings

MASSIVE = VENUES["massive"]
SYMBOLS = ("BTC-USD", "ETH-USD")
WITHIN_S = 15.0


class Reading:
    """A reader and what it has said so far."""

    def __init__(self, addresses: Addresses, *, key: str) -> None:
        listed = list_instruments(MASSIVE, addresses.rest_of("massive"), key=key)
        found = [listed.resolve(symbol, venue="massive")[0] for symbol in SYMBOLS]
        self.frames = FrameQueue()
        description = FeedDescription(
            venue="massive",
            instruments=tuple(found),
            websocket_url=addresses.websocket_of("massive"),
            rest_url=addresses.rest_of("massive"),
            options={"aggregates": True},
        )
        self.reader = Reader(Feed("massive-0-0", MASSIVE, description), self.frames, key=key)
        self.taken: list[tuple[Record, list[Told]]] = []

    def events(self, kind: type) -> list[Told]:
        self.reader.check()
        self.taken += self.frames.take(1_000_000)
        return [one for _, told in self.taken for one in told if type(one) is kind]

    def records(self, kind: str) -> list[Record]:
        self.events(Trade)
        return [record for record, _ in self.taken if record.kind == kind]

    def until(self, is_true: Callable[[], bool]) -> None:
        waits = threading.Event()
        for _ in range(int(WITHIN_S / 0.02)):
            if is_true():
                return
            waits.wait(0.02)
        raise AssertionError(f"not in {WITHIN_S:.0f} s")


@pytest.fixture
def addresses() -> Iterator[Addresses]:
    with simulator_in_thread(SimulatorSettings(venues=("massive",), symbols=SYMBOLS)) as told:
        yield told


@contextmanager
def reading(addresses: Addresses, *, key: str = DEFAULT_KEY) -> Iterator[Reading]:
    one = Reading(addresses, key=key)
    one.reader.start()
    try:
        yield one
    finally:
        one.reader.stop()
        one.reader.join()


def test_a_reader_with_the_key_hears_everything_and_records_no_key(addresses: Addresses) -> None:
    with reading(addresses) as one:
        one.until(lambda: len(one.events(Trade)) > 5 and len(one.events(Quote)) > 5)
        one.until(lambda: one.reader.feed.is_live)
    sent = [record.body for record in one.records("sent")]
    assert sent[0] == b'{"action":"auth","params":"{key}"}'
    assert not any(DEFAULT_KEY.encode() in record.body for record, _ in one.taken)
    playback = Playback(VENUES)
    for record, told in one.taken:
        assert playback.take(record) == told, record


def test_a_wrong_key_ends_in_a_reason_and_a_long_wait(addresses: Addresses) -> None:
    with reading(addresses, key="wrong") as one:
        one.until(lambda: bool(one.records("close")))
        [closed] = one.records("close")
        assert b"MASSIVE_API_KEY" in closed.body
        assert b"wrong" not in closed.body
        assert {gap.reason for gap in one.events(FeedGap) if isinstance(gap, FeedGap)} == {
            "connecting",
            closed.body.decode(),
        }
        assert len(one.records("open")) == 1


def test_who_comes_later_takes_the_place(addresses: Addresses) -> None:
    with reading(addresses) as first:
        first.until(lambda: bool(first.events(Quote)))
        with reading(addresses) as second:
            second.until(lambda: bool(second.events(Quote)))
            first.until(lambda: bool(first.records("close")))
            assert b"one connection" in first.records("close")[0].body
            assert second.records("close") == []
