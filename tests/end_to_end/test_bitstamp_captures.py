"""Captured Bitstamp data through the real flow, against what an independent reference computed.

The capture is of January 2022: whole books by `diff_order_book` and REST, and trades that had no
`id_str` yet; nothing else differs from the interface of today. It has no message of `order_book`,
so the books of the best levels are checked against the simulator alone.
"""

import json
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest

from flows.output import lines_of
from market.book import Book
from market.events import BookDelta, BookSnapshot, BookTop, Level, State, Trade
from tests import bitstamp_captures as convert
from tests.end_to_end.flow_runs import replay_run

WEBSOCKET = "bitstamp/cryptofeed_BITSTAMP.ws.1.0"
HTTP = "bitstamp/cryptofeed_BITSTAMP.http.0.0"
Expected: TypeAlias = dict[str, Any]


class BookLine(msgspec.Struct):
    value: BookTop


class EventLine(msgspec.Struct):
    value: Trade | BookSnapshot | BookDelta


@pytest.fixture(scope="module")
def expected(captures: Path) -> Expected:
    return json.loads((captures / "expected.json").read_bytes())[WEBSOCKET]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def lines(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    home = tmp_path_factory.mktemp("replayed")
    recording = home / "bitstamp.jsonl.gz"
    convert.write(convert.cryptofeed(captures / WEBSOCKET, captures / HTTP), recording)
    with replay_run(home / "home", [recording], emit=["books", "events"]) as run:
        assert run.wait() == [0]
    return list(lines_of(home / "home" / "out.jsonl"))


@pytest.fixture(scope="module")
def tops(lines: list[bytes]) -> dict[str, list[BookTop]]:
    found: dict[str, list[BookTop]] = {}
    for line in lines:
        if line.startswith(b'{"kind":"books"'):
            top = msgspec.json.decode(line, type=BookLine).value
            found.setdefault(top.instrument, []).append(top)
    return found


@pytest.fixture(scope="module")
def events(lines: list[bytes]) -> list[Trade | BookSnapshot | BookDelta]:
    kinds = (b'"type":"Trade"', b'"type":"BookSnapshot"', b'"type":"BookDelta"')
    return [
        msgspec.json.decode(line, type=EventLine).value
        for line in lines
        if line.startswith(b'{"kind":"events"') and any(kind in line for kind in kinds)
    ]


def levels(texts: list[list[str]]) -> list[Level]:
    return [(float(price), float(size)) for price, size in texts]


def test_five_books_join_their_snapshots_without_a_gap(
    lines: list[bytes], tops: dict[str, list[BookTop]], expected: Expected
) -> None:
    gaps = [line for line in lines if b'"type":"FeedGap"' in line and b"connecting" not in line]
    assert gaps == []
    assert len(tops) == len(expected["books"]) == 5
    for native, want in expected["books"].items():
        last = tops[convert.bitstamp_instrument(native).id][-1]
        assert last.bids == levels(want["bids"])[:10]
        assert last.asks == levels(want["asks"])[:10]


def test_every_level_and_every_update_is_there(
    events: list[Trade | BookSnapshot | BookDelta], expected: Expected
) -> None:
    for native, want in expected["books"].items():
        name = convert.bitstamp_instrument(native).id
        mine = [one for one in events if one.instrument == name and not isinstance(one, Trade)]
        assert [type(one) for one in mine] == [BookSnapshot] + [BookDelta] * want["applied"]
        book = Book()
        for one in mine:
            book.apply(one)
        bids, asks = book.levels()
        assert (len(bids), len(asks)) == (want["n_bids"], want["n_asks"])


def test_no_book_crosses_and_all_are_live(tops: dict[str, list[BookTop]]) -> None:
    for mine in tops.values():
        assert all(top.spread is not None and top.spread > 0 for top in mine)
        began = [top.state for top in mine].index(State.LIVE)
        assert began < 10, "only what came before the first snapshot is told late"
        assert {top.state for top in mine[began:]} == {State.LIVE}
        assert [top.sequence for top in mine] == sorted({top.sequence for top in mine})


def test_every_trade_is_the_expected_one(
    events: list[Trade | BookSnapshot | BookDelta], expected: Expected
) -> None:
    told = [
        (one.instrument, one.trade_id, one.price, one.size, one.side.value, one.ts_event)
        for one in events
        if isinstance(one, Trade)
    ]
    wanted = [
        (
            convert.bitstamp_instrument(native).id,
            str(number),
            float(price),
            float(size),
            side,
            int(stamp) * 1_000,
        )
        for native, number, price, size, side, stamp in expected["trades"]
    ]
    assert len(wanted) == 10
    assert told == wanted
