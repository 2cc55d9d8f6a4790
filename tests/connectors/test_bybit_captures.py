"""Captured Bybit messages; they are of other products than spot, or of other topics.

`hftbacktest_v5_linear_3lines.txt` is of linear: the messages are those of spot but for the order of
two keys and a field of the trades. `gct_wsTicker.json` has tickers, which we do not subscribe to.
Neither has a book with its snapshot: what they can show is that we read what was really sent.
"""

import json
import os
from pathlib import Path

import pytest

from connectors.contract import DeadLetter
from market.events import BookDelta, Side, Trade
from tests.connectors.bybit_session import MILLISECOND, Session, book


@pytest.fixture
def folder() -> Path:
    found = os.environ.get("CANDLEWAX_CAPTURES")
    if not found:
        pytest.skip("CANDLEWAX_CAPTURES names no folder")
    return Path(found) / "bybit"


def timed_lines(path: Path) -> list[tuple[int, bytes]]:
    """Read `<receive time ns> <json>` lines."""
    pairs = (line.split(" ", 1) for line in path.read_text().splitlines() if line)
    return [(int(time), text.encode()) for time, text in pairs]


def test_captured_lines_of_linear_are_read(folder: Path) -> None:
    (_, best), (traded_at, trades), (changed_at, change) = timed_lines(
        folder / "hftbacktest_v5_linear_3lines.txt"
    )
    session = Session("BTC-USDT")
    assert [type(one) for one in session.receive(best)] == [DeadLetter], "of another depth"

    rows = json.loads(trades)["data"]
    told = session.receive(trades, after=traded_at - session.now)
    assert told == [
        Trade(
            instrument="bybit:BTC-USDT",
            ts_event=row["T"] * MILLISECOND,
            ts_recv=traded_at,
            price=float(row["p"]),
            size=float(row["v"]),
            side=Side.BUY if row["S"] == "Buy" else Side.SELL,
            trade_id=row["i"],
        )
        for row in rows
    ]

    said = json.loads(change)
    assert session.receive(change) == [], "no snapshot yet"
    before = book(u=said["data"]["u"] - 1, kind="snapshot", ts=said["ts"] - 20)
    session.receive(before, after=0)
    [delta] = session.receive(change, after=changed_at - session.now)
    assert isinstance(delta, BookDelta)
    assert delta.ts_event == said["cts"] * MILLISECOND
    assert delta.sequence == said["data"]["u"]
    assert delta.bids == [(float(price), float(size)) for price, size in said["data"]["b"]]
    assert delta.asks == [(float(price), float(size)) for price, size in said["data"]["a"]]


def test_captured_tickers_are_put_aside(folder: Path) -> None:
    session = Session("BTC-USDT")
    lines = (folder / "gct_wsTicker.json").read_bytes().splitlines()
    assert len(lines) >= 5
    for line in lines:
        if line.strip():
            [letter] = session.receive(line)
            assert isinstance(letter, DeadLetter)
            assert letter.reason == "unknown topic tickers"
