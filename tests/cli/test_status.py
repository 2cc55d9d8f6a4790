import io
from pathlib import Path

import msgspec

from cli import display, status
from flows.status import BookLine, FlowStatus
from sinks.spool import SpoolState


def test_the_processes_of_a_run_are_added_up(tmp_path: Path) -> None:
    first = FlowStatus(
        seconds=3.0,
        trades=2,
        rows={"bars": 1},
        books={"a": BookLine(bid=1.0)},
        last_alerts=["one"],
    )
    second = FlowStatus(seconds=4.0, trades=5, rows={"bars": 2, "trades": 7}, alerts=1)
    (tmp_path / "flow-0.json").write_bytes(msgspec.json.encode(first))
    (tmp_path / "flow-1.json").write_bytes(msgspec.json.encode(second))
    (tmp_path / "flow-2.json").write_bytes(b"{")
    (tmp_path / "flow-3.7.part").write_bytes(b"{")
    total = status.read(tmp_path)
    assert (total.seconds, total.trades, total.alerts) == (4.0, 7, 1)
    assert total.rows == {"bars": 3, "trades": 7}
    assert list(total.books) == ["a"]
    assert total.last_alerts == ["one"]


def test_nothing_told_yet_is_zero(tmp_path: Path) -> None:
    assert status.read(tmp_path / "nowhere") == FlowStatus()


def test_the_summary_has_the_promised_names() -> None:
    told = status.summary(FlowStatus(rows={"a": 1, "b": 2}, rows_written={"a": 1}), 30.04)
    assert " ".join(told).startswith(
        "seconds trades book_updates bars features rows alerts gaps dead_letters "
    )
    assert (told["seconds"], told["rows"], told["rows_written"]) == (30.0, 3, 1)


def test_what_waits_on_the_disk_is_added_up(tmp_path: Path) -> None:
    for number, name in enumerate(("store-1", "store-0")):
        part = FlowStatus(spools={name: SpoolState({"trades": 5, "bars": number}, 100, 1)})
        (tmp_path / f"flow-{number}.json").write_bytes(msgspec.json.encode(part))
    total = status.read(tmp_path)
    assert list(total.spools) == ["store-1", "store-0"]
    assert status.spooled(total) == 11
    assert status.summary(total, 1.0)["rows_spooled"] == 11
    assert display._spooled(total, "  ") == "  on the disk 11"
    assert display._spooled(FlowStatus(), "  ") == ""
    failing = FlowStatus(spools={"store-0": SpoolState({"trades": 5}, 100, 1, unsafe=2)})
    assert (
        display._spooled(failing, "") == "on the disk 5, 2 of them not for sure: it fails to sync"
    )


def test_rates_are_over_the_last_seconds_only() -> None:
    rates = display.Rates()
    assert rates.of("trades") == 0
    for second in range(20):
        rates.add(float(second), FlowStatus(trades=100 if second < 10 else 100 + second * 7))
    assert rates.of("trades") == 7
    rates.add(20.0, FlowStatus())
    assert rates.of("trades") == 0


def test_lines_tell_counts_books_and_each_alert_once() -> None:
    stream = io.StringIO()
    shown = display.for_stream(stream, plain=True)
    told = FlowStatus(
        trades=5, alerts=2, last_alerts=["zero", "one", "two"], books={"b:X": BookLine(bid=1.5)}
    )
    with shown:
        shown.show(told, 1.0)
        shown.show(told, 1.1)
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["ALERT  one", "ALERT  two"]
    assert "trades 5" in lines[2]
    assert lines[3].split() == ["b:X", "bid", "1.5", "ask", "-", "warming"]
    assert len(lines) == 4
