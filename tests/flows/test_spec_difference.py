"""What an edit of specs changes is told in the log."""

import logging
import threading
import time

import psycopg
import pytest

from filters.specs import Source, Spec
from flows.spec_difference import MOST, SpecDifferences
from market.events import Bar
from sinks.insertion import insert
from sinks.rows import bar_row, pack, unpack
from sinks.secret import Secret
from sinks.tables import TABLES
from tests.flows.market_events import BTC

MINUTE = 60_000_000_000


def spec(when: str, ident: str = "high") -> Spec:
    source = Source(stream="bar", symbols=("BTC-USDT",), interval="1m")
    return Spec(id=ident, source=source, when=when)


def closed(start: int, close: float) -> Bar:
    return Bar(
        instrument=BTC, interval="1m", start=start, end=start + MINUTE, open=close, high=close,
        low=close, close=close, volume=1.0, buy_volume=1.0, notional=close, count=1,
    )  # fmt: skip


def store(dsn: str, *closes: float) -> None:
    first = time.time_ns() // MINUTE * MINUTE - (len(closes) + 1) * MINUTE
    rows = [bar_row(closed(first + at * MINUTE, close)) for at, close in enumerate(closes)]
    with psycopg.connect(dsn) as connection:
        insert(connection, TABLES["bars"], unpack(pack("bars", rows)))


def test_old_and_new_are_compared_over_stored_bars(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    store(database, 100, 102, 100, 104, 100, 102, 100)
    caplog.set_level(logging.INFO)
    differences = SpecDifferences(Secret(database), (BTC,))
    same = spec("close > 1", "same")
    differences.changed((spec("close > 101"), same), (spec("close > 103"), same)).join()
    [line] = [record for record in caplog.records if record.message == "filter compared"]
    assert vars(line)["difference"] == (
        "high: over the last 1d it fires 1 times, before 3 (0 new, 2 no more)"
    )


def test_a_database_that_is_away_or_a_whole_new_set_is_no_trouble(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    differences = SpecDifferences(Secret("postgresql://me:hush@127.0.0.1:1/none"), (BTC,))
    differences.tell((), (spec("close > 1"),))
    differences.tell((), tuple(spec("close > 1", f"s{at}") for at in range(MOST + 1)))
    assert [record.message for record in caplog.records] == [
        "filters not compared",
        "filters not compared: too many changed",
    ]
    assert "hush" not in caplog.text


def test_a_bug_costs_the_comparison_and_is_loud(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("ours")

    ends: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", ends.append)  # in a flow it ends the process
    monkeypatch.setattr(SpecDifferences, "_compare", broken)
    SpecDifferences(Secret(""), (BTC,)).changed((), (spec("close > 1"),)).join()
    assert ends == []
    [line] = caplog.records
    assert line.levelname == "ERROR"
    assert line.exc_info is not None
