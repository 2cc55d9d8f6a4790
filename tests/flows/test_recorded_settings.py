from pathlib import Path

import msgspec
import pytest

from connectors.recording import Record, RecordingWriter
from filters.specs import SpecsChanged
from flows.recorded_settings import market_of, primary_of, recorded_settings, symbols_of
from flows.settings import MarketSettings
from market.errors import RecordingError

MARKET = MarketSettings(bar_intervals=("5s",), features=("ema(7)",), depth=3, stale_after_s=4.5)


def written(path: Path, *records: Record) -> Path:
    writer = RecordingWriter(path)
    for record in records:
        writer.write(record)
    writer.close()
    return path


def test_settings_come_back_as_they_were(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.jsonl.gz",
        Record(1, "binance-0-0", "heartbeat"),
        Record(2, "", "control", b'{"type":"SpecsChanged","generation":1,"specs":[]}'),
        Record(3, "", "control", recorded_settings(MARKET)),
    )
    assert market_of([path]) == MARKET


def test_the_first_of_several_recordings_decides(tmp_path: Path) -> None:
    first = written(tmp_path / "a.jsonl", Record(1, "", "control", recorded_settings(MARKET)))
    other = MarketSettings(depth=7)
    second = written(tmp_path / "b.jsonl", Record(1, "", "control", recorded_settings(other)))
    assert market_of([first, second]) == MARKET
    assert market_of([second, first]) == other


def test_a_recording_that_does_not_say_is_no_mistake(tmp_path: Path) -> None:
    assert market_of([written(tmp_path / "a.jsonl", Record(1, "x", "text", b"{}"))]) is None


def test_settings_are_not_looked_for_in_the_middle_of_a_day(tmp_path: Path) -> None:
    beats = [Record(number, "x", "heartbeat") for number in range(50)]
    late = Record(51, "", "control", recorded_settings(MARKET))
    assert market_of([written(tmp_path / "a.jsonl", *beats, late)]) is None


def test_every_file_is_looked_at(tmp_path: Path) -> None:
    good = written(tmp_path / "a.jsonl", Record(1, "", "control", recorded_settings(MARKET)))
    with pytest.raises(RecordingError, match="none"):
        market_of([good, tmp_path / "none.jsonl"])


def test_what_was_followed_is_gathered_from_every_file(tmp_path: Path) -> None:
    files = []
    for name, symbols in (
        ("a", ("ETH-BTC", "BTC-USDT")),
        ("b", ("BTC-USDT", "SOL-USDT")),
        ("c", ()),
    ):
        change = SpecsChanged(generation=1, specs=(), symbols=symbols)
        record = Record(2, "", "control", msgspec.json.encode(change))
        settings = Record(1, "", "control", recorded_settings(MARKET))
        files.append(written(tmp_path / f"{name}.jsonl", settings, record))
    assert symbols_of(files) == ("BTC-USDT", "ETH-BTC", "SOL-USDT")


def test_the_venue_that_spoke_for_a_symbol_comes_back(tmp_path: Path) -> None:
    files = []
    for name, primary in (("a", {"BTC-USDT": "htx"}), ("b", {"ETH-BTC": "binance"}), ("c", {})):
        change = SpecsChanged(generation=1, specs=(), primary=primary)
        record = Record(1, "", "control", msgspec.json.encode(change))
        files.append(written(tmp_path / f"{name}.jsonl", record))
    assert primary_of(files) == {"BTC-USDT": "htx", "ETH-BTC": "binance"}
