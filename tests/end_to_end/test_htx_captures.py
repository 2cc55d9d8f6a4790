"""Captured HTX data through the real flow, against what an independent reference computed.

The capture is of 2021; `tests/htx_captures.py` says what of it is today's protocol.
"""

import gzip
import json
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from connectors.contract import FeedDescription
from connectors.feed import decode_description
from connectors.htx import HtxProtocol
from connectors.recording import Record
from flows.output import lines_of
from market.events import BookTop, FeedGap, Heartbeat, State, Trade
from tests import htx_captures as convert
from tests.end_to_end.flow_runs import replay_run

HTX = "htx/cryptofeed_HUOBI.ws.44.0"


class Line(msgspec.Struct):
    kind: str
    value: msgspec.Raw


@pytest.fixture(scope="module")
def expected(captures: Path) -> dict:  # type: ignore[type-arg]
    return json.loads((captures / "expected.json").read_bytes())[HTX]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def replayed(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Line]:
    """Both recordings, replayed as one."""
    home = tmp_path_factory.mktemp("htx")
    recordings = [home / "trades.jsonl.gz", home / "books.jsonl.gz"]
    convert.write(convert.trades(captures / HTX), recordings[0])
    convert.write(convert.books(captures / HTX), recordings[1])
    with replay_run(home, recordings, emit=["books", "events"]) as run:
        assert run.wait() == [0]
    return [msgspec.json.decode(line, type=Line) for line in lines_of(home / "out.jsonl")]


def told(lines: list[Line], kind: type) -> list[dict]:  # type: ignore[type-arg]
    events = (json.loads(bytes(line.value)) for line in lines if line.kind == "events")
    return [event for event in events if event["type"] == kind.__name__]


def test_the_capture_is_the_one_that_we_know(captures: Path, expected: dict) -> None:  # type: ignore[type-arg]
    counted = Counter(kind for _, kind, _ in convert.frames(captures / HTX))
    assert counted["binary"] == sum(expected["counts"].values())


def test_every_trade_since_the_acknowledgement_is_told_once(
    replayed: list[Line],
    captures: Path,
    expected: dict,  # type: ignore[type-arg]
) -> None:
    acknowledged = _acknowledged(captures / HTX)
    wanted = sorted(
        (convert.htx_instrument(native).id, price, size, side, ts * 1_000_000)
        for native, _, price, size, side, ts in expected["trades"]
        if ts >= acknowledged[native]
    )
    assert len(wanted) == 62
    assert len(expected["trades"]) - len(wanted) == 11, "what HTX repeats at first is history"
    trades = told(replayed, Trade)
    assert wanted == sorted(
        (one["instrument"], one["price"], one["size"], one["side"], one["ts_event"])
        for one in trades
    )
    for instrument in {one["instrument"] for one in trades}:
        ids = [int(one["trade_id"]) for one in trades if one["instrument"] == instrument]
        assert ids == list(range(ids[0], ids[0] + len(ids))), "HTX has told them all, in order"


def _acknowledged(path: Path) -> dict[str, int]:
    """HTX's time of the acknowledgement of each symbol's trades, in ms."""
    answers = {}
    for _, kind, data in convert.frames(path):
        message = json.loads(gzip.decompress(data)) if kind == "binary" else {}
        if "trade.detail" in message.get("subbed", ""):
            answers[message["subbed"].split(".")[1]] = message["ts"]
    return answers


def test_books_in_todays_form_end_as_the_captured_ones(
    replayed: list[Line],
    captures: Path,
    expected: dict,  # type: ignore[type-arg]
) -> None:
    tops: dict[str, list[BookTop]] = {}
    for line in replayed:
        if line.kind == "books":
            top = msgspec.json.decode(line.value, type=BookTop)
            tops.setdefault(top.instrument, []).append(top)
    last = _last_books(captures / HTX)
    assert len(expected["last_depth"]) == len(tops) == 10
    for native, want in expected["last_depth"].items():
        top = tops[convert.htx_instrument(native).id][-1]
        assert top.state is State.LIVE
        assert top.ts_event == want["ts"] * 1_000_000
        assert top.bids[:3] == [tuple(level) for level in want["bids"]]
        assert top.asks[:3] == [tuple(level) for level in want["asks"]]
        bids, asks = last[native]
        assert top.bids == [tuple(level) for level in bids[:10]]
        assert top.asks == [tuple(level) for level in asks[:10]]
    assert sum(map(len, tops.values())) >= 282


def _last_books(path: Path) -> dict[str, tuple[list[list[float]], list[list[float]]]]:
    """Each symbol's last whole book."""
    books = {}
    for _, kind, data in convert.frames(path):
        message = json.loads(gzip.decompress(data)) if kind == "binary" else {}
        if message.get("ch", "").endswith("depth.step0"):
            books[message["ch"].split(".")[1]] = (message["tick"]["bids"], message["tick"]["asks"])
    return books


def test_nothing_is_missing(replayed: list[Line]) -> None:
    assert {gap["reason"] for gap in told(replayed, FeedGap)} == {"connecting"}
    assert {gap["channel"] for gap in told(replayed, FeedGap)} == {"trade", "book"}


def test_every_captured_ping_is_answered_as_the_captured_client_did(captures: Path) -> None:
    protocol = None
    ours: list[object] = []
    theirs: list[object] = []
    letters: Counter[str] = Counter()
    for record in convert.trades(captures / HTX):
        if record.kind == "open":
            protocol = _opened(record)
            continue
        assert protocol is not None
        if record.kind == "sent":
            theirs.append(json.loads(record.body))
            continue
        for letter in protocol.received(record.body, record.ts):
            letters[getattr(letter, "reason", "")] += 1
        ours += [json.loads(one) for one in protocol.outgoing() if isinstance(one, bytes)]
    pongs = [message for message in theirs if isinstance(message, dict) and "pong" in message]
    assert len(pongs) == 6
    assert ours == pongs
    # What it subscribed to beside, and we do not: put aside, and the connection goes on.
    assert letters.pop("") == 62
    assert letters == {"unknown channel depth.step0": 292, "answer to nothing": 10}


def _opened(record: Record) -> HtxProtocol:
    protocol = HtxProtocol(decode_description(record.body))
    protocol.opened(record.ts)
    protocol.outgoing()
    return protocol


def test_documented_messages_of_other_channels_are_put_aside(captures: Path) -> None:
    kinds = Counter()  # type: ignore[var-annotated]
    for file in sorted((captures / "htx").glob("gct_*.json")):
        for line in file.read_text().splitlines():
            if not line.strip():
                continue
            protocol = HtxProtocol(_description("btcusdt"))
            protocol.opened(1)
            said = '{"id":"1","status":"ok","subbed":"market.btcusdt.trade.detail","ts":1}'
            protocol.received(convert.packed(said), 2)
            kinds.update(
                f"{file.stem} {type(one).__name__}"
                for one in protocol.received(convert.packed(line), 3)
                if not isinstance(one, Heartbeat)
            )
    assert kinds == {
        "gct_wsAllTrades Trade": 2,
        "gct_wsCandles DeadLetter": 1,
        "gct_wsOrderbook DeadLetter": 1,
        "gct_wsTicker DeadLetter": 1,
    }


def _description(native: str) -> FeedDescription:
    return FeedDescription(
        venue="htx",
        instruments=(convert.htx_instrument(native),),
        websocket_url="ws://captured",
        rest_url="http://captured",
        channels=("trade",),
    )
