import logging
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import msgspec
import pytest
from prometheus_client import REGISTRY

from filters.alerts import Alert
from flows.market_output import MarketOutput
from flows.status import FlowStatus, StatusFile, Tally
from market.events import Silence, State, Unsubscribed
from tests.flows.market_events import BTC, beat, delta, gap, make_market, snapshot, specs, trade


def alert(number: int) -> Alert:
    return Alert(
        key=f"dip/{number}",
        spec="dip",
        spec_hash="abc",
        series=BTC,
        interval="1s",
        ts_event=1,
        ts_fired=2,
        severity="info",
        targets=("console",),
        text=f"alert {number}",
        values={},
    )


COUNTS = {"trades": 3, "book_updates": 2, "gaps": 1, "dead_letters": 4}


def poll(what: Callable[[], bool], within_s: float = 10.0) -> None:
    deadline = monotonic() + within_s
    while not what():
        assert monotonic() < deadline
        sleep(0.02)


def test_nothing_has_been_counted_before_the_first_event() -> None:
    told = Tally(list).status()
    # Rows are counted by the whole process, so by other tests too.
    rows: dict[str, dict[str, int]] = {
        name: {} for name in FlowStatus.__struct_fields__ if name.startswith("rows")
    }
    assert msgspec.structs.replace(told, **rows) == FlowStatus()


def test_what_passes_is_counted() -> None:
    market = make_market()
    tally = Tally(lambda: [COUNTS, COUNTS], ["a recording is cut"])
    first = market.advance([gap(0), snapshot(0.1), *(trade(at) for at in range(4))])
    second = market.advance([delta(4, [(99.5, 2.0)]), beat(4.1)])
    tally.market([first, second])
    tally.alerts([alert(1), alert(2)])
    status = tally.status()
    assert status.seconds > 0
    assert (status.trades, status.book_updates, status.gaps, status.dead_letters) == (6, 4, 2, 8)
    assert (status.bars, status.features, status.alerts) == (3, 6, 2)
    assert status.last_alerts == ["alert 1", "alert 2"]
    assert status.problems == ["a recording is cut"]
    book = status.books[BTC]
    assert (book.bid, book.ask, book.spread, book.state) == (99.5, 101.0, 1.5, "live")


def test_a_book_that_is_being_fetched_is_not_shown_as_live() -> None:
    market = make_market()
    tally = Tally(list)
    tally.market([market.advance([gap(0), snapshot(0.1), beat(0.2)])])
    tally.market([market.advance([gap(1, "book")])])
    assert tally.status().books[BTC].state == State.RESYNCING


def test_events_that_another_process_read_are_counted() -> None:
    tally = Tally(list, reads=lambda instrument: instrument == BTC)
    other = "binance:ETH-USDT"
    assert not tally.arrived([[specs()], [specs(), trade(1), trade(2)], [beat(3)]], {BTC})
    assert tally.status().crossed == 0
    assert tally.arrived([[trade(1, instrument=other), trade(2, instrument=other)]], {other})
    assert tally.arrived([[specs()], [specs(), beat(3, instrument=other)]], {other})
    assert tally.status().crossed == 3


def test_a_symbol_may_be_read_here_from_one_venue_and_elsewhere_from_another() -> None:
    tally = Tally(list, reads=lambda instrument: instrument == BTC)
    away = "massive:BTC-USDT"
    assert tally.arrived([[trade(1), trade(2, instrument=away), beat(3)]], {BTC, away})
    assert tally.arrived([[trade(3), trade(4)]], {BTC, away}), "the other's may come any time"
    assert tally.status().crossed == 1


def test_only_the_last_alerts_are_kept() -> None:
    tally = Tally(list)
    for number in range(50):
        tally.alerts([alert(number)])
    status = tally.status()
    assert status.alerts == 50
    assert status.last_alerts[0] == "alert 30"
    assert len(status.last_alerts) == 20


def test_the_file_is_written_while_it_runs_and_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "status" / "flow-0.json"
    tally = Tally(list)
    file = StatusFile(path, tally)
    file.start()
    poll(path.exists)
    tally.alerts([alert(1)])
    file.close()
    status = msgspec.json.decode(path.read_bytes(), type=FlowStatus)
    assert status.alerts == 1
    assert [each.name for each in path.parent.iterdir()] == ["flow-0.json"]  # no part is left


def test_a_status_that_cannot_be_written_at_the_end_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "status" / "flow-0.json"
    file = StatusFile(path, Tally(list))
    file.start()
    path.mkdir()
    with caplog.at_level(logging.WARNING, "flows.status"):
        file.close()
    assert "cannot write the status" in caplog.messages


def test_a_bug_in_the_status_is_loud_and_it_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("flows.status.EVERY_S", 0.01)
    fails = [True]

    def specs() -> tuple[int, str]:
        if fails:
            raise KeyError("nobody foresaw it")
        return 3, ""

    path = tmp_path / "status" / "flow-0.json"
    file = StatusFile(path, Tally(list, specs=specs))
    file.start()
    poll(lambda: "the status is not written; tried again" in caplog.messages)
    fails.clear()
    poll(path.exists)
    file.close()
    assert msgspec.json.decode(path.read_bytes(), type=FlowStatus).generation == 3
    assert "nobody foresaw it" in caplog.text


def test_an_instrument_that_is_not_followed_any_more_is_not_shown() -> None:
    market = make_market()
    tally = Tally(list)
    tally.market([market.advance([snapshot(0), beat(0.5)])])
    assert list(tally.status().books) == [BTC]
    gone = Unsubscribed(instrument=BTC, ts_recv=beat(1.5).ts_recv)
    tally.market([market.advance([beat(1), gap(1.4, reason="unsubscribed"), gone])])
    assert not tally.status().books


def test_what_goes_wrong_is_counted_by_venue_and_reason() -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"candlewax_{name}_total", labels) or 0.0

    def values() -> list[float]:
        return [
            value("feed_silences", venue="binance", channel="book"),
            value("resyncs", venue="binance", reason="expected N, got N"),
            value("state_changes", venue="binance", state="resyncing"),
        ]

    before = values()
    silence = Silence(instrument=BTC, channel="book", reason="no book messages", since=1)
    over = msgspec.structs.replace(silence, ended=5)
    market = make_market()
    market.advance([snapshot(0)])
    out = market.advance([gap(1, "book", reason="expected 5, got 7")])
    Tally(list).market([MarketOutput(silences=[silence, over]), out])
    assert [after - first for after, first in zip(values(), before, strict=True)] == [1.0] * 3
