"""Massive's official examples through the real flow.

They are examples and no capture: one event of each kind, of January 2021, and the example of `XAS`
is a copy of that of `XA`. There is nothing to reconcile, only to be understood.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors import VENUES
from connectors.contract import FeedDescription
from connectors.feed import encode_description
from connectors.massive import Massive
from connectors.recording import Record, RecordingWriter
from flows.output import lines_of
from market.instruments import Instrument
from tests.end_to_end.flow_runs import replay_run

EXAMPLES = "polygon/massive_spec_crypto_ws.jsonl"
BOOK = "polygon/rest_v2_snapshot_locale_global_markets_crypto_tickers_X_BTCUSD_book_json.json"
MILLISECOND = 1_000_000
CONN = "massive-0-0.1"
Event = dict[str, Any]


def instrument(pair: str) -> Instrument:
    base, _, currency = pair.partition("-")
    return Instrument(venue="massive", symbol=pair, native=pair, base=base, quote=currency)


@pytest.fixture(scope="module")
def examples(captures: Path) -> list[Event]:
    lines = (captures / EXAMPLES).read_text().splitlines()
    return [json.loads(line)["example"] for line in lines]


@pytest.fixture(scope="module")
def emitted(
    examples: list[Event], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Event]]:
    """What a replay of the examples says, by kind."""
    folder = tmp_path_factory.mktemp("massive")
    now = 1_610_463_300_000 * MILLISECOND
    described = FeedDescription(
        venue="massive",
        instruments=(instrument("BTC-USD"), instrument("BCD-USD")),
        websocket_url=Massive.websocket_url,
        rest_url=Massive.rest_url,
        options={"aggregates": True},
    )
    params = [
        f"{one}.{pair}" for pair in ("BTC-USD", "BCD-USD") for one in ("XT", "XQ", "XA", "XAS")
    ]
    frames: list[list[Event]] = [
        [{"ev": "status", "status": "connected", "message": "Connected Successfully"}],
        [{"ev": "status", "status": "auth_success", "message": "authenticated"}],
        [{"ev": "status", "status": "success", "message": f"subscribed to: {p}"} for p in params],
        *[[one] for one in examples],
    ]
    writer = RecordingWriter(folder / "examples.jsonl.gz")
    writer.write(Record(now, CONN, "open", encode_description(described)))
    for number, frame in enumerate(frames):
        at = now + (number + 1) * MILLISECOND
        writer.write(Record(at, CONN, "text", json.dumps(frame).encode()))
    writer.write(Record(now + 1000 * MILLISECOND, "massive-0-0", "heartbeat"))
    writer.close()
    with replay_run(
        folder, [folder / "examples.jsonl.gz"], emit=["events", "books", "bars"]
    ) as run:
        assert run.wait() == [0]
    told: dict[str, list[Event]] = {}
    for line in lines_of(folder / "out.jsonl"):
        one = json.loads(line)
        value = one["value"]
        told.setdefault(value.get("type", one["kind"]), []).append(value)
    return told


def test_the_trade_is_told(examples: list[Event], emitted: dict[str, list[Event]]) -> None:
    [example] = [one for one in examples if one["ev"] == "XT"]
    [trade] = emitted["Trade"]
    assert trade["instrument"] == "massive:BTC-USD"
    assert (trade["price"], trade["size"]) == (example["p"], example["s"])
    assert trade["ts_event"] == example["t"] * MILLISECOND
    assert trade["side"] == {1: "sell", 2: "buy"}[example["c"][0]]
    assert trade["trade_id"] == f"{example['x']}-{example['i']}"


def test_the_quote_is_told_and_is_a_book(
    examples: list[Event], emitted: dict[str, list[Event]]
) -> None:
    [example] = [one for one in examples if one["ev"] == "XQ"]
    [quote] = emitted["Quote"]
    told = [quote[name] for name in ("bid", "bid_size", "ask", "ask_size")]
    assert told == [example[name] for name in ("bp", "bs", "ap", "as")]
    [top] = emitted["BookTop"]
    assert top["bids"] == [[example["bp"], example["bs"]]]
    assert top["asks"] == [[example["ap"], example["as"]]]
    assert top["state"] == "live"


def test_the_bar_is_told(examples: list[Event], emitted: dict[str, list[Event]]) -> None:
    example = next(one for one in examples if one["ev"] == "XA")
    aggregate = emitted["Aggregate"][0]
    names = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v", "vwap": "vw"}
    assert {name: aggregate[name] for name in names} == {
        name: example[theirs] for name, theirs in names.items()
    }
    assert (aggregate["start"], aggregate["end"]) == (
        example["s"] * MILLISECOND,
        example["e"] * MILLISECOND,
    )


def test_what_we_do_not_read_is_put_aside(examples: list[Event]) -> None:
    described = FeedDescription(
        venue="massive", instruments=(instrument("BTC-USD"),), websocket_url="x", rest_url="x"
    )
    for example in examples:
        protocol = VENUES["massive"].protocol(described)
        told = protocol.received(json.dumps([example]).encode(), 1)
        is_known = example["ev"] in {"XT", "XQ", "XA", "XAS"} and example["pair"] == "BTC-USD"
        assert [type(one).__name__ == "DeadLetter" for one in told] == [not is_known]


def test_the_book_of_rest_crosses_itself_and_is_not_used(captures: Path) -> None:
    """One more reason to leave it: its bids of one exchange lie above its asks of another."""
    data = json.loads((captures / BOOK).read_text())["data"]
    assert data["bids"][0]["p"] > data["asks"][0]["p"]
    assert data["spread"] < 0
