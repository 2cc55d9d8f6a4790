"""A recording played again tells what the live feed told, record by record."""

from functools import partial
from pathlib import Path

import pytest

from connectors import VENUES as REAL
from connectors.contract import FeedDescription, Told
from connectors.feed import Feed, Steering, encode_description, encode_steering
from connectors.playback import Playback
from connectors.recording import Kind, Record, Recording, RecordingWriter
from market.errors import RecordingError
from market.events import BookDelta, FeedGap, Trade
from simulator.faults import load_faults
from tests.connectors.scripted_venue import VENUES, description, instrument, say
from tests.faults.feed_client import Rig

NAME = "scripted-0-0"


def record(number: int, kind: Kind, body: bytes = b"", *, ts: int = 1) -> Record:
    return Record(ts, f"{NAME}.{number}" if number else NAME, kind, body)


def opening(number: int, described: FeedDescription) -> Record:
    return record(number, "open", encode_description(described))


@pytest.mark.parametrize("name", ["shutdown", "cut", "cross", "drop-depth", "freeze", "drop-trade"])
def test_a_recorded_run_tells_the_same_again(tmp_path: Path, name: str) -> None:
    path = tmp_path / "run.jsonl.gz"
    writer = RecordingWriter(path)
    told: list[list[Told]] = []

    def keep(one: Record, what: list[Told]) -> None:
        writer.write(one)
        told.append(what)

    Rig(load_faults(name), keep=keep).run_for(43)
    writer.close()
    playback = Playback(REAL)
    count = 0
    for count, one in enumerate(Recording(path), start=1):
        assert playback.take(one) == told[count - 1], (count, one.conn, one.kind)
    assert count == len(told)
    assert sum(isinstance(event, BookDelta) for each in told for event in each) > 500


def _keep(kept: list[tuple[Record, list[Told]]], one: Record, told: list[Told]) -> None:
    kept.append((one, told))


def test_two_runs_of_the_same_feed_are_played_one_after_the_other() -> None:
    """A recorder that was killed left no close; the next run begins with connection 1 again."""
    runs: list[list[tuple[Record, list[Told]]]] = []
    for seed in (1, 2):
        kept: list[tuple[Record, list[Told]]] = []
        Rig(load_faults("shutdown"), seed=seed, keep=partial(_keep, kept)).run_for(41)
        runs.append(kept)
    playback = Playback(REAL)
    for kept in runs:
        began = False
        for one, told in kept:
            began = began or one.kind == "open"
            if began:
                assert playback.take(one) == told
            else:
                playback.take(one)


def test_before_its_first_connection_a_feed_tells_nothing() -> None:
    playback = Playback(VENUES)
    for one in (
        record(0, "heartbeat"),
        record(1, "text", say(trade=1)),
        record(0, "close", b"overrun"),
        record(0, "control", encode_steering(Steering(resync="scripted:BTC-USDT"))),
    ):
        assert playback.take(one) == []


def test_a_later_connection_may_be_for_other_instruments() -> None:
    playback = Playback(VENUES)
    playback.take(opening(1, description("BTC-USDT")))
    playback.take(record(0, "close", b"overrun"))
    told = playback.take(opening(2, description("ETH-USDT", "BTC-USDT")))
    assert [one.instrument for one in told if isinstance(one, FeedGap)] == [
        "scripted:ETH-USDT",
        "scripted:BTC-USDT",
    ]


def test_records_of_the_flow_are_not_a_feeds() -> None:
    assert Playback(VENUES).take(Record(1, "", "control", b"whatever")) == []


def test_a_recorded_failure_is_told_once_and_does_not_grow() -> None:
    playback = Playback(VENUES)
    for number in range(1, 50):
        playback.take(opening(number, description()))
        assert [type(one) for one in playback.take(record(number, "text", say(trade=1)))] == [Trade]
        assert playback.take(record(number, "text", b"{")) == []
        assert playback.take(record(number, "text", say(trade=2))) == []
        assert len(playback.take(record(number, "close", b"x"))) == 1
    feed: Feed = playback._feeds[NAME]
    assert feed._failures == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "open record"),
        (b"{}", "open record"),
        (encode_description(FeedDescription(venue="atlantis", instruments=(instrument("A-B"),),
         websocket_url="", rest_url="")), "unknown venue 'atlantis'; known are scripted"),
    ],
)  # fmt: skip
def test_an_open_record_that_says_nothing_useful_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(RecordingError, match=rf"my\.jsonl: .*{words}"):
        Playback(VENUES, path="my.jsonl").take(record(1, "open", body))


def test_a_control_record_that_is_none_is_refused() -> None:
    playback = Playback(VENUES, path="my.jsonl")
    playback.take(opening(1, description()))
    with pytest.raises(RecordingError, match=r"my\.jsonl: control record"):
        playback.take(record(0, "control", b"nonsense"))
