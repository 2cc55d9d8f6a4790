"""HTX's protocol and any input: events or a VenueProtocolError, and never a false book."""

import json
import math
import zlib

from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import DeadLetter, Told
from connectors.htx import HtxProtocol
from market.book import Book
from market.errors import FeedError, VenueProtocolError
from market.events import BookDelta, BookSnapshot, FeedGap, Trade
from tests.connectors.htx_session import (
    DOCUMENTED,
    MILLISECOND,
    SECOND,
    START,
    acknowledgement,
    description,
    encoded,
    packed,
    refusal,
    snapshot,
    trades,
    update,
)
from tests.drawn_examples import examples

CHANNELS = st.sampled_from(["trade", "book"])
REAL = (
    *DOCUMENTED.values(),
    *(
        zlib.decompress(frame, 31)
        for frame in (
            trades(),
            update(),
            snapshot(1, identity="3"),
            refusal("1"),
            acknowledgement({"sub": "market.btcusdt.mbp.150", "id": "1"}),
            acknowledgement({"sub": "market.btcusdt.trade.detail", "id": "1"}),
            acknowledgement({"unsub": "market.btcusdt.trade.detail", "id": "9"}),
        )
    ),
)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["NaN", "inf", "1e400", "market.btcusdt.mbp.150", "error", "buy"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@st.composite
def torn(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes with a few changed, taken out or put in, or without their end."""
    frame = bytearray(whole)
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
def wrong(draw: st.DrawFn) -> bytes:
    """A real message with values of other types, or missing, or more than there should be."""
    message = json.loads(draw(st.sampled_from(REAL)))
    for _ in range(draw(st.integers(1, 3))):
        inner = message.get("tick", message.get("data", message))
        where = draw(st.sampled_from([message, inner])) if isinstance(inner, dict) else message
        key = draw(st.sampled_from([*where, "more"]))
        if draw(st.booleans()):
            where[key] = draw(json_values)
        else:
            where.pop(key, None)
    return encoded(message)


real = st.sampled_from(REAL)
frames = st.one_of(
    st.binary(max_size=80),
    st.one_of(real, real.flatmap(torn), wrong(), st.binary(max_size=40)).map(packed),
    real.map(packed).flatmap(torn),
)


def is_sound(event: Told) -> bool:
    """Whether every number of an event is one."""
    match event:
        case Trade():
            return 0 < event.price < math.inf and 0 < event.size < math.inf and event.ts_event > 0
        case BookSnapshot() | BookDelta():
            levels = [*event.bids, *event.asks]
            return all(0 < price < math.inf and 0 <= size < math.inf for price, size in levels)
        case _:
            return isinstance(event, FeedGap | DeadLetter)


def opened(channel: str) -> HtxProtocol:
    protocol = HtxProtocol(description(channel, "BTC-USDT", "BNB-BTC"))
    protocol.opened(START)
    return protocol


@examples(200)
@given(CHANNELS, st.lists(frames, min_size=1, max_size=4))
def test_any_bytes_give_events_or_a_protocol_error(channel: str, script: list[bytes]) -> None:
    protocol = opened(channel)
    for at, frame in enumerate(script):
        try:
            told = protocol.received(frame, START + at * SECOND)
        except VenueProtocolError:
            return
        assert all(map(is_sound, told))
        assert all(isinstance(item, bytes) for item in protocol.outgoing())


def run(channel: str, script: list[tuple[bytes, int]]) -> list[object]:
    """Everything that comes out when these frames come in, after these waits."""
    protocol = opened(channel)
    now = START
    out: list[object] = []
    try:
        for frame, wait in script:
            now += wait * MILLISECOND
            out += protocol.received(frame, now)
            out += protocol.elapsed(now)
            out += protocol.outgoing()
    except FeedError as error:
        out.append((type(error), str(error)))
    return out


@examples(80)
@given(CHANNELS, st.lists(st.tuples(frames, st.integers(0, 3000)), max_size=10))
def test_the_same_frames_give_the_same_events(
    channel: str, script: list[tuple[bytes, int]]
) -> None:
    assert run(channel, script) == run(channel, script)


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
        self.update()

    def change(self, price: int, size: int, *, is_bid: bool) -> None:
        bids, asks = map(dict, self.books[self.id])
        side, key = (bids, 90.0 + price) if is_bid else (asks, 100.0 + price)
        if size:
            side[key] = float(size)
        else:
            side.pop(key, None)
        self.id += 3
        self.books[self.id] = (bids, asks)
        self.changed[is_bid, price] = size

    def update(self) -> bytes | None:
        if self.id == self.told:
            return None
        before, self.told = self.told, self.id
        changed, self.changed = self.changed, {}
        bids = [[90 + price, size] for (is_bid, price), size in changed.items() if is_bid]
        asks = [[100 + price, size] for (is_bid, price), size in changed.items() if not is_bid]
        return update("btcusdt", before, self.id, bids=bids, asks=asks)

    def snapshot(self, number: int) -> bytes:
        bids, asks = map(list, (side.items() for side in self.books[number]))
        return snapshot(number, bids=bids, asks=asks)


steps = st.one_of(
    st.tuples(st.just("change"), st.integers(0, 5), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("tell"), st.integers(0, 5), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("tell"), st.integers(0, 5), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("lose"), st.integers(0, 5), st.integers(0, 3), st.booleans()),
    st.tuples(st.just("again")),
    st.tuples(st.just("snapshot")),  # taken at the venue: what it holds is decided now
    st.tuples(st.just("answer")),  # and it arrives
    st.tuples(st.just("refuse")),
    st.tuples(st.just("wait"), st.integers(1, 40)),
    st.tuples(st.just("resync")),
)


@examples(100)
@given(st.lists(steps, min_size=15, max_size=60))
def test_a_book_that_is_live_is_the_true_book(script: list[tuple]) -> None:  # type: ignore[type-arg]
    exchange = Exchange()
    protocol = HtxProtocol(description("book", "BTC-USDT"))
    now = START
    protocol.opened(now)
    [asking] = map(json.loads, _sent(protocol))
    protocol.received(acknowledgement(asking), now)
    book = Book()
    asked: list[str] = []
    taken: list[bytes] = []
    last_frame = packed(DOCUMENTED["ping"])
    newest = 0

    def look(told: list[Told]) -> None:
        nonlocal newest
        for event in told:
            if isinstance(event, FeedGap):
                book.clear()
            elif isinstance(event, (BookSnapshot, BookDelta)):
                if not isinstance(event, BookSnapshot):
                    assert not book.is_empty, "an update before the snapshot"
                book.apply(event)
                if isinstance(event, BookDelta) or not event.catching_up:
                    assert event.sequence >= newest, "it goes back"
                    newest = event.sequence
                assert book.levels() == exchange.books[book.sequence]
        for item in _sent(protocol):
            message = json.loads(item)
            if "req" in message:
                asked[:] = [message["id"]]
            elif "sub" in message or "unsub" in message:
                look(protocol.received(acknowledgement(message), now))

    for step in [("tell", 0, 1, True), ("answer",), *script]:
        now += 50 * MILLISECOND
        match step:
            case ("change", price, size, is_bid):
                exchange.change(price, size, is_bid=is_bid)
            case ("tell", price, size, is_bid):
                exchange.change(price, size, is_bid=is_bid)
                if (frame := exchange.update()) is not None:
                    last_frame = frame
                    look(protocol.received(frame, now))
            case ("again",):
                look(protocol.received(last_frame, now))
            case ("lose", price, size, is_bid):
                exchange.change(price, size, is_bid=is_bid)
                exchange.update()
            case ("snapshot",) if asked and not taken:
                taken.append(exchange.snapshot(exchange.told))
            case ("answer",) if asked:
                asked.clear()
                frame = taken.pop() if taken else exchange.snapshot(exchange.told)
                look(protocol.received(frame, now))
            case ("refuse",) if asked:
                taken.clear()
                look(protocol.received(refusal(asked.pop(), "429 too many request"), now))
            case ("wait", seconds):
                for _ in range(seconds):
                    now += SECOND
                    look(protocol.received(packed(DOCUMENTED["ping"]), now))
                    look(protocol.elapsed(now))
            case ("resync",):
                look(protocol.resync("htx:BTC-USDT", "crossed book", now))
            case _:
                pass

    # When nothing goes wrong any more it is live again, within the longest wait.
    for _ in range(100):
        now += SECOND
        exchange.change(0, 1 + now % 3, is_bid=True)
        following = exchange.update()
        assert following is not None
        look(protocol.received(following, now))
        look(protocol.elapsed(now))
        if asked:
            asked.clear()
            look(protocol.received(exchange.snapshot(exchange.told), now))
        if protocol.is_live and book.sequence == exchange.id:
            break
    assert protocol.is_live
    assert book.levels() == exchange.books[exchange.id]


def _sent(protocol: HtxProtocol) -> list[bytes]:
    return [item for item in protocol.outgoing() if isinstance(item, bytes)]
