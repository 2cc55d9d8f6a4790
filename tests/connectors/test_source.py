"""Bytewax inputs without Bytewax: live feeds against the simulator, and recordings again."""

import gzip
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from connectors import VENUES as REAL
from connectors.contract import FeedDescription, Told
from connectors.drain import FlowEvent
from connectors.feed import Feed, encode_description
from connectors.frame_queue import FrameQueue
from connectors.placement import owner_of
from connectors.reader import Reader
from connectors.recording import Record, Recording, RecordingWriter
from connectors.source import FeedPartition, FeedSource, Helm, ReplaySource
from connectors.venue_feeds import VenueFeeds
from filters.specs import SpecsChanged
from market.errors import ConfigError
from market.events import BookSnapshot, FeedGap, Trade
from market.instruments import Instrument
from simulator.faults import load_faults
from simulator.server import simulator_in_thread
from simulator.settings import SimulatorSettings
from tests.connectors.scripted_server import eventually
from tests.connectors.scripted_venue import VENUES, ScriptedVenue, description, instrument, say
from tests.faults.feed_client import Rig
from tests.faults.feed_client import instrument as binance_instrument

Batches = list[tuple[str, list[FlowEvent]]]
SPECS = msgspec.json.encode(SpecsChanged(generation=1, specs=()))


def by_symbol(batches: Iterable[tuple[str, list[FlowEvent]]]) -> dict[str, list[FlowEvent]]:
    joined: dict[str, list[FlowEvent]] = {}
    for symbol, events in batches:
        joined.setdefault(symbol, []).extend(events)
    return joined


# -- who opens what --------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_every_instrument_is_followed_by_the_worker_that_owns_its_symbol(workers: int) -> None:
    instruments = [instrument(f"C{number}-USDT") for number in range(31)]
    feeds = VenueFeeds(ScriptedVenue(), instruments)
    followed: list[Instrument] = []
    for worker in range(workers):
        for described in feeds.descriptions(worker, workers):
            assert 1 <= len(described.instruments) <= 2, "the venue's limit"
            assert {owner_of(one.symbol, workers) for one in described.instruments} == {worker}
            followed += described.instruments
    assert sorted(one.symbol for one in followed) == sorted(one.symbol for one in instruments)


class Apart(ScriptedVenue):
    """Trades and books come on connections of their own."""

    channel_groups = (("trade",), ("book",))  # type: ignore[assignment]


class Alone(ScriptedVenue):
    """An account has one connection."""

    connections_at_once = 1
    instruments_per_connection = 40


def test_each_group_of_channels_has_a_connection_of_its_own() -> None:
    instruments = [instrument(f"C{number}-USDT") for number in range(3)]
    described = VenueFeeds(Apart(), instruments).descriptions(0, 1)
    assert [(one.channels, len(one.instruments)) for one in described] == [
        (("trade",), 2),
        (("book",), 2),
        (("trade",), 1),
        (("book",), 1),
    ]
    [one, _] = VenueFeeds(ScriptedVenue(), instruments).descriptions(0, 1)
    assert one.channels == (), "they share a connection"


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_a_venue_with_one_connection_is_opened_by_one_worker(workers: int) -> None:
    instruments = tuple(instrument(f"C{number}-USDT") for number in range(31))
    feeds = VenueFeeds(Alone(), instruments)
    described = [feeds.descriptions(worker, workers) for worker in range(workers)]
    assert [len(one) for one in described] == [
        int(worker == owner_of("scripted", workers)) for worker in range(workers)
    ]
    [[one]] = [some for some in described if some]
    assert one.instruments == instruments


def test_more_symbols_than_the_allowed_connections_carry_are_refused() -> None:
    instruments = [instrument(f"C{number}-USDT") for number in range(41)]
    words = "41 symbols need 2 connections and the venue allows 1; name at most 40"
    with pytest.raises(ConfigError, match=words):
        VenueFeeds(Alone(), instruments)
    VenueFeeds(Alone(), instruments[:40])


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


def test_addresses_are_the_venues_unless_others_are_given() -> None:
    one = [instrument("A-B")]
    [described] = VenueFeeds(ScriptedVenue(), one).descriptions(0, 1)
    assert (described.websocket_url, described.rest_url) == ("ws://nowhere", "http://nowhere")
    feeds = VenueFeeds(ScriptedVenue(), one, websocket_url="ws://x", options={"max_age_s": 5})
    [described] = feeds.descriptions(0, 1)
    assert described.websocket_url == "ws://x"
    assert described.options == {"max_age_s": 5}


# -- live ------------------------------------------------------------------------------------------


def test_a_live_run_recovers_stops_cleanly_and_replays_to_the_same(tmp_path: Path) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text("faults:\n  - {at: 1500ms, kind: cut, code: 1012}\n")
    settings = SimulatorSettings(
        symbols=("BTC-USDT", "ETH-USDT"), faults=str(faults), wait_for_client=True
    )
    batches: Batches = []
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


def _rest(partition: FeedPartition) -> Batches:
    batches: Batches = []
    while True:
        try:
            batches += partition.next_batch()
        except StopIteration:
            return batches


# -- replay ----------------------------------------------------------------------------------------


def replay(
    paths: list[Path],
    *,
    batch: int = 500,
    position: int | None = None,
    controls: list[bytes] | None = None,
    scripted: bool = False,
) -> tuple[Batches, list[str]]:
    source = ReplaySource(
        paths,
        VENUES if scripted else REAL,
        batch=batch,
        controls=controls,
        stopping=threading.Event(),
    )
    assert source.list_parts() == ["recording"]
    partition = source.build_part("feeds", "recording", position)
    batches: Batches = []
    while True:
        try:
            batches += partition.next_batch()
        except StopIteration:
            partition.close()
            return batches, source.problems


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute with a cut, and the specs before everything."""
    path = tmp_path_factory.mktemp("recorded") / "run.jsonl.gz"
    writer = RecordingWriter(path)
    writer.write(Record(1, "", "control", SPECS))

    def keep(record: Record, _told: list[Told]) -> None:
        writer.write(record)

    Rig(load_faults("cut"), keep=keep).run_for(33)
    writer.close()
    return path


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_batches_change_nothing(recorded: Path, batch: int) -> None:
    whole, _ = replay([recorded], batch=100_000)
    assert by_symbol(replay([recorded], batch=batch)[0]) == by_symbol(whole)


@pytest.mark.parametrize("position", [1, 2, 500, 1900, 10**9])
def test_a_replay_that_resumes_tells_only_the_rest(recorded: Path, position: int) -> None:
    records = list(Recording(recorded))
    whole = by_symbol(replay([recorded])[0])
    rest = by_symbol(replay([recorded], position=position)[0])
    head: dict[str, int] = {}
    partial = recorded.with_name("head.jsonl.gz")
    partial.unlink(missing_ok=True)
    writer = RecordingWriter(partial)
    for record in records[:position]:
        writer.write(record)
    writer.close()
    for symbol, events in by_symbol(replay([partial])[0]).items():
        head[symbol] = len(events)
    for symbol, events in whole.items():
        expected = events[head.get(symbol, 0) :]
        got = rest.get(symbol, [])
        specs, after = (got[:1], got[1:]) if head.get(symbol) and got else ([], got)
        assert after == expected
        assert all(isinstance(event, SpecsChanged) for event in specs)


def test_specs_of_ones_own_replace_the_recorded(recorded: Path) -> None:
    own = SpecsChanged(generation=7, specs=())
    batches, _ = replay([recorded], controls=[msgspec.json.encode(own)])
    for events in by_symbol(batches).values():
        assert [event for event in events if isinstance(event, SpecsChanged)] == [own]


def test_a_recording_cut_in_half_is_played_as_far_as_it_goes(
    recorded: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.jsonl.gz"
    whole = recorded.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    batches, problems = replay([cut])
    assert problems == [f"{cut}: cut in its middle; read up to the last whole record"]
    complete = by_symbol(replay([recorded])[0])
    for symbol, events in by_symbol(batches).items():
        assert events == complete[symbol][: len(events)]
        assert len(events) > 100


def write(path: Path, records: list[Record]) -> Path:
    writer = RecordingWriter(path)
    for record in records:
        writer.write(record)
    writer.close()
    return path


OPEN = Record(1, "scripted-0-0.1", "open", encode_description(description()))
TRADE = Record(2, "scripted-0-0.1", "text", say(trade=1))
AFTER = Record(4, "scripted-0-0.1", "text", say(trade=2))


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (Record(3, "scripted-0-0", "control", b"nonsense"), "control record"),
        (Record(3, "", "control", b'{"type":"SpecsChanged"}'), "specs of a control record"),
        (Record(3, "atlantis-0-0.1", "open", encode_description(
            FeedDescription(venue="atlantis", instruments=(), websocket_url="", rest_url=""))),
         "unknown venue 'atlantis'"),
        (Record(3, "scripted-0-0.2", "open", b""), "open record"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("position", [None, 2, 4])
def test_a_record_that_makes_no_sense_ends_the_replay_with_a_message(
    tmp_path: Path, bad: Record, words: str, position: int | None
) -> None:
    path = write(tmp_path / "bad.jsonl", [OPEN, TRADE, bad, AFTER])
    batches, problems = replay([path], scripted=True, position=position)
    [problem] = problems
    assert words in problem
    assert str(path) in problem
    trades = [event for _, events in batches for event in events if isinstance(event, Trade)]
    assert [trade.trade_id for trade in trades] == ([] if position else ["1"])


def test_a_bad_line_ends_the_replay_with_its_number(tmp_path: Path) -> None:
    path = write(tmp_path / "bad.jsonl", [OPEN, TRADE])
    path.write_bytes(path.read_bytes() + b"nonsense\n")
    batches, [problem] = replay([path], scripted=True)
    assert problem.startswith(f"{path}:3: not a record")
    assert batches


def test_damage_and_a_missing_file_are_told(tmp_path: Path) -> None:
    path = tmp_path / "damaged.jsonl.gz"
    packed = gzip.compress(b'{"ts":1,"conn":"","kind":"control"}\n' * 50)
    path.write_bytes(packed[:-8] + b"\x00" * 8)
    [problem] = replay([path])[1]
    assert "damaged gzip data" in problem
    [problem] = replay([tmp_path / "none.jsonl"])[1]
    assert "cannot read the recording" in problem


# -- specs that change -----------------------------------------------------------------------------


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
