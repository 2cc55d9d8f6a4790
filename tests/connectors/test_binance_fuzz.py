"""Binance's protocol and any input: events or a VenueProtocolError, and never a false book."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from connectors.binance import BinanceProtocol
from connectors.contract import DeadLetter, Request, Told
from market.book import Book
from market.errors import FeedError, VenueProtocolError
from market.events import BookDelta, BookSnapshot, FeedGap, Heartbeat, Quote, Trade
from tests.connectors.binance_session import (
    DOCUMENTED_DEPTH,
    DOCUMENTED_PARTIAL,
    DOCUMENTED_SHUTDOWN,
    DOCUMENTED_SNAPSHOT,
    DOCUMENTED_TRADE,
    MILLISECOND,
    SECOND,
    START,
    depth,
    description,
    encoded,
    snapshot,
    trade,
)
from tests.drawn_examples import examples

EVENTS = (Trade, Quote, BookSnapshot, BookDelta, FeedGap, Heartbeat, DeadLetter)
REAL = (
    DOCUMENTED_TRADE,
    DOCUMENTED_DEPTH,
    DOCUMENTED_SHUTDOWN,
    DOCUMENTED_PARTIAL,
    DOCUMENTED_SNAPSHOT,
    trade(),
    depth(),
    encoded({"result": None, "id": 1}),
    encoded({"error": {"code": 2, "msg": "Invalid request"}, "id": 1}),
    encoded({"code": 2, "msg": "Invalid request", "id": 1}),
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["NaN", "inf", "1e400", "-0", "trade", "depthUpdate", "BTCUSDT"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def torn_frames(draw: st.DrawFn) -> bytes:
    """A real frame with a few bytes changed, taken out or put in."""
    frame = bytearray(draw(st.sampled_from(REAL)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(frame)))
        match draw(st.sampled_from(["change", "cut", "insert", "end"])):
            case "change" if at < len(frame):
                frame[at] = draw(st.integers(0, 255))
            case "cut":
                del frame[at : at + draw(st.integers(1, 12))]
            case "insert":
                frame[at:at] = draw(st.binary(max_size=6))
            case _:
                del frame[at:]
    return bytes(frame)


@st.composite
def wrong_frames(draw: st.DrawFn) -> bytes:
    """A real frame with values of other types, or missing, or more than there should be."""
    message = json.loads(draw(st.sampled_from(REAL)))
    for _ in range(draw(st.integers(1, 3))):
        inner = message.get("data", message)
        where = draw(st.sampled_from([message, inner])) if isinstance(inner, dict) else message
        key = draw(st.sampled_from([*where, "more"]))
        if draw(st.booleans()):
            where[key] = draw(json_values)
        else:
            where.pop(key, None)
    return encoded(message)


frames = st.one_of(st.binary(max_size=80), torn_frames(), wrong_frames(), st.sampled_from(REAL))


def is_sound(event: Told) -> bool:
    """Whether every number of an event is one."""
    match event:
        case Trade():
            return 0 < event.price < math.inf and 0 < event.size < math.inf and event.ts_event > 0
        case BookSnapshot() | BookDelta():
            levels = [*event.bids, *event.asks]
            return all(0 < price < math.inf and 0 <= size < math.inf for price, size in levels)
        case _:
            return isinstance(event, EVENTS)


def opened(book: str = "diff") -> BinanceProtocol:
    protocol = BinanceProtocol(description("BTC-USDT", "BNB-BTC", book=book))
    protocol.opened(START)
    protocol.outgoing()
    return protocol


@examples(300)
@given(frames, st.sampled_from(["diff", "partial"]))
def test_any_bytes_give_events_or_a_protocol_error(frame: bytes, book: str) -> None:
    try:
        told = opened(book).received(frame, START + 1)
    except VenueProtocolError:
        return
    assert all(map(is_sound, told))


@examples(100)
@given(frames, st.sampled_from([200, 200, 200, 0, 418, 429, 500]))
def test_any_answer_gives_events_or_a_protocol_error(body: bytes, status: int) -> None:
    protocol = opened()
    protocol.received(depth(), START + 1)
    [request] = [item for item in protocol.outgoing() if isinstance(item, Request)]
    try:
        told = protocol.fetched(request, status, body, START + 2)
    except VenueProtocolError:
        return
    assert all(map(is_sound, told))


def run(script: list[tuple[bytes, int]]) -> list[object]:
    """Everything that comes out when these frames come in, after these waits."""
    protocol = opened()
    now = START
    out: list[object] = []
    try:
        for frame, wait in script:
            now += wait * MILLISECOND
            out += protocol.received(frame, now)
            out += protocol.elapsed(now)
            for item in protocol.outgoing():
                out.append(item)
                if isinstance(item, Request):
                    out += protocol.fetched(item, 200, snapshot(1), now)
    except FeedError as error:
        out.append((type(error), str(error)))
    return out


@examples(80)
@given(st.lists(st.tuples(frames, st.integers(0, 3000)), max_size=12))
def test_the_same_frames_give_the_same_events(script: list[tuple[bytes, int]]) -> None:
    assert run(script) == run(script)


class Exchange:
    """A true book of few prices, its messages, and what of them gets lost."""

    def __init__(self) -> None:
        self.id = 100
        self.told = 100
        self.books: dict[int, tuple[dict[float, float], dict[float, float]]] = {100: ({}, {})}
        self.changed: dict[tuple[bool, int], int] = {}
        for price in range(3):
            self.change(price, 1, is_bid=True)
            self.change(price, 1, is_bid=False)
        self.depth()

    def change(self, price: int, size: int, *, is_bid: bool) -> None:
        bids, asks = map(dict, self.books[self.id])
        side, key = (bids, 90.0 + price) if is_bid else (asks, 100.0 + price)
        if size:
            side[key] = float(size)
        else:
            side.pop(key, None)
        self.id += 1
        self.books[self.id] = (bids, asks)
        self.changed[is_bid, price] = size

    def depth(self) -> bytes | None:
        if self.id == self.told:
            return None
        first, self.told = self.told + 1, self.id
        changed, self.changed = self.changed, {}
        bids = [[str(90 + price), str(size)] for (is_bid, price), size in changed.items() if is_bid]
        asks = [[str(100 + at), str(size)] for (is_bid, at), size in changed.items() if not is_bid]
        return depth("BTCUSDT", first, self.id, b=bids, a=asks)

    def snapshot(self) -> bytes:
        bids, asks = self.books[self.id]
        return snapshot(
            self.id,
            bids=[[str(price), str(size)] for price, size in bids.items()],
            asks=[[str(price), str(size)] for price, size in asks.items()],
        )


steps = st.one_of(
    st.tuples(st.just("change"), st.integers(0, 5), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("depth")),
    st.tuples(st.just("lose")),
    st.tuples(st.just("snapshot")),  # taken at the venue: what it holds is decided now
    st.tuples(st.just("answer")),  # and it arrives
    st.tuples(st.just("fail"), st.sampled_from([0, 429, 500])),
    st.tuples(st.just("wait"), st.integers(1, 40)),
    st.tuples(st.just("resync")),
    st.tuples(st.just("hour")),
)


@examples(150)
@given(st.lists(steps, max_size=60))
def test_a_book_that_is_live_is_the_true_book(script: list[tuple]) -> None:  # type: ignore[type-arg]
    exchange = Exchange()
    protocol = BinanceProtocol(description("BTC-USDT"))
    now = START
    protocol.opened(now)
    protocol.received(encoded({"result": None, "id": 1}), now)
    book = Book()
    asked: list[Request] = []
    taken: list[bytes] = []

    def look(told: list[Told]) -> None:
        for event in told:
            if isinstance(event, FeedGap):
                book.clear()
            elif isinstance(event, (BookSnapshot, BookDelta)):
                if not isinstance(event, BookSnapshot):
                    assert not book.is_empty, "a delta before the snapshot"
                book.apply(event)
                assert book.levels() == exchange.books[book.sequence]
        for item in protocol.outgoing():
            if isinstance(item, Request):
                asked.append(item)
            elif isinstance(item, bytes) and (number := json.loads(item)["id"]):
                look(protocol.received(encoded({"result": None, "id": number}), now))
        assert len(asked) <= 1

    for step in script:
        now += MILLISECOND
        match step:
            case ("change", price, size, is_bid):
                exchange.change(price, size, is_bid=is_bid)
            case ("depth",):
                if (frame := exchange.depth()) is not None:
                    look(protocol.received(frame, now))
            case ("lose",):
                exchange.depth()
            case ("snapshot",) if asked and not taken:
                taken.append(exchange.snapshot())
            case ("answer",) if asked:
                body = taken.pop() if taken else exchange.snapshot()
                look(protocol.fetched(asked.pop(), 200, body, now))
            case ("fail", status) if asked:
                taken.clear()
                look(protocol.fetched(asked.pop(), status, b"", now))
            case ("wait", seconds):
                for _ in range(seconds):
                    now += SECOND
                    protocol.received(encoded({"result": [], "id": 0}), now)
                    look(protocol.elapsed(now))
            case ("resync",):
                look(protocol.resync("binance:BTC-USDT", "crossed book", now))
            case ("hour",):
                now += 3601 * SECOND
                protocol.received(encoded({"result": [], "id": 0}), now)
                look(protocol.elapsed(now))
            case _:
                pass

    # When nothing goes wrong any more it is live again, within the longest wait.
    for _ in range(400):
        now += SECOND
        exchange.change(0, 1 + now % 3, is_bid=True)
        frame = exchange.depth()
        assert frame is not None
        look(protocol.received(frame, now))
        look(protocol.elapsed(now))
        if asked:
            look(protocol.fetched(asked.pop(), 200, exchange.snapshot(), now))
        if protocol.is_live and book.sequence == exchange.id:
            break
    assert protocol.is_live
    assert book.levels() == exchange.books[exchange.id]
