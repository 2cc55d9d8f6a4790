"""Wishes come to the reader that can fulfil them, and news to every worker."""

import msgspec

from connectors.feed import Feed
from connectors.frame_queue import FrameQueue
from connectors.helm import Helm
from connectors.reader import Reader
from connectors.venue_feeds import VenueFeeds
from filters.specs import SpecsChanged
from tests.connectors.scripted_venue import ScriptedVenue, instrument


class Apart(ScriptedVenue):
    """Trades and books come on connections of their own."""

    channel_groups = (("trade",), ("book",))  # type: ignore[assignment]


def test_a_wish_for_a_book_goes_to_the_reader_of_books() -> None:
    steered: list[str] = []
    helm = Helm()
    frames = FrameQueue()
    readers = []
    for described in VenueFeeds(Apart(), [instrument("A-B")]).descriptions(0, 1):
        reader = Reader(Feed("scripted-0-0", Apart(), described), frames)
        [channel] = described.channels
        reader.steer = lambda _steering, channel=channel: steered.append(channel)  # type: ignore[method-assign,misc]
        readers.append(reader)
    for reader in reversed(readers):
        helm.enlist(reader)
    helm.resync("scripted:A-B", "crossed book")
    assert steered == ["book"]
    for reader in readers:
        reader._bell.close()
        reader._rope.close()


def test_changed_specs_go_to_every_worker_of_this_process_and_to_those_that_come_later() -> None:
    helm = Helm()
    frames = [FrameQueue() for _ in range(3)]
    helm.connect(frames[0], 0, 3)
    helm.connect(frames[2], 2, 3)
    helm.tell_specs(SpecsChanged(generation=7, specs=()))
    helm.connect(frames[1], 1, 3)
    told = [
        [msgspec.json.decode(record.body, type=SpecsChanged) for record, _ in each.take(9)]
        for each in frames
    ]
    assert told == [[SpecsChanged(generation=7, specs=(), worker=worker)] for worker in (0, 1, 2)]


def test_changed_specs_of_a_single_worker_are_for_everything() -> None:
    helm, frames = Helm(), FrameQueue()
    helm.connect(frames, 0, 1)
    helm.tell_specs(SpecsChanged(generation=7, specs=()))
    [(record, told)] = frames.take(9)
    assert (record.kind, record.conn, told) == ("control", "", [])
    assert msgspec.json.decode(record.body, type=SpecsChanged).worker is None
