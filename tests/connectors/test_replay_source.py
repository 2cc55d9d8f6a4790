"""A replayed input: batches, resuming, damage."""

import gzip
from pathlib import Path

import msgspec
import pytest

from connectors.contract import FeedDescription, Told
from connectors.feed import encode_description
from connectors.recording import Record, Recording, RecordingWriter
from filters.specs import SpecsChanged
from market.events import Trade
from simulator.faults import load_faults
from tests.connectors.played import by_symbol, replay
from tests.connectors.scripted_venue import description, say
from tests.faults.feed_client import Rig

SPECS = msgspec.json.encode(SpecsChanged(generation=1, specs=()))


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
