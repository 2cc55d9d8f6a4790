"""The reader thread on real sockets, against a venue that follows a script.

Its clock runs fast, so that seconds of backoff, silence and heartbeats are milliseconds here.
"""

import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.sync.server import ServerConnection

from connectors import reader as reader_module
from connectors import transport
from connectors.contract import DeadLetter, Limits, Told
from connectors.feed import Feed, Steering, encode_description
from connectors.frame_queue import FrameQueue
from connectors.helm import Helm
from connectors.limiter import HostLimiter
from connectors.playback import Playback
from connectors.reader import Clock, Reader
from connectors.recording import Kind, Record
from connectors.transport import Answer
from market.events import BookSnapshot, FeedGap, Heartbeat, Trade
from tests.connectors.scripted_server import (
    Script,
    ScriptedServer,
    closing,
    cut,
    eventually,
    in_pieces,
    saying,
)
from tests.connectors.scripted_venue import SECOND, VENUES, ScriptedVenue, description
from tests.connectors.scripted_venue import say as encoded
from tests.drawn_examples import examples

BTC = "scripted:BTC-USDT"
NAME = "scripted-0-0"
FAST = 40
"""How much faster than real time the reader's clock is."""

UNLIMITED = Limits(connects=1000, connects_per_s=1000.0, weight=1000, weight_per_s=1000.0)

Taken = tuple[Record, list[Told]]


def say(**what: object) -> str:
    """A text message of the venue."""
    return encoded(**what).decode()


def fast_clock(times: int = FAST) -> Callable[[], int]:
    began = time.monotonic_ns()
    last = 0

    def now() -> int:
        nonlocal last
        last = max(1_700_000_000 * SECOND + (time.monotonic_ns() - began) * times, last + 1)
        return last

    return now


class Rig:
    """A reader and all that it has said so far."""

    def __init__(
        self,
        url: str,
        *,
        capacity: int = 10_000,
        silence_s: int = 0,
        overrun_s: float = 2.0,
        clock: Callable[[], int] | None = None,
        limits: Limits = UNLIMITED,
    ) -> None:
        described = description(websocket_url=url, silence_s=silence_s)
        clock = clock or fast_clock()
        limiter = HostLimiter(limits, clock)
        self.frames = FrameQueue(capacity)
        self.feed = Feed(NAME, ScriptedVenue(), described)
        self.reader = Reader(
            self.feed,
            self.frames,
            clock=clock,
            overrun_s=overrun_s,
            limiter=lambda _venue, _url: limiter,
        )
        self.taken: list[Taken] = []

    def drain(self) -> list[Taken]:
        self.reader.check()
        self.taken += self.frames.take(1_000_000)
        return self.taken

    def records(self, *kinds: Kind) -> list[Record]:
        return [record for record, _ in self.drain() if record.kind in kinds]

    def events(self, *kinds: type) -> list[Told]:
        return [event for _, told in self.drain() for event in told if type(event) in kinds]

    def gaps(self) -> list[str]:
        return [event.reason for event in self.events(FeedGap) if isinstance(event, FeedGap)]

    def trades(self) -> list[str]:
        return [event.trade_id for event in self.events(Trade) if isinstance(event, Trade)]

    def until_gaps(self, *reasons: str) -> None:
        eventually(lambda: self.gaps()[: len(reasons)] == list(reasons), f"{reasons}")

    def assert_replays(self) -> None:
        """The records that were taken tell the same when they are played."""
        playback = Playback(VENUES)
        for record, told in self.taken:
            assert playback.take(record) == told, record


@pytest.fixture(autouse=True)
def short_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "TICK_S", 0.005)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer().running() as running:
        yield running


@pytest.fixture
def start() -> Iterator[Callable[[Rig], Rig]]:
    """Starts readers, and ends them when the test does."""
    started: list[Rig] = []

    def begin(rig: Rig) -> Rig:
        started.append(rig)
        rig.reader.start()
        return rig

    yield begin
    for rig in started:
        rig.reader.stop()
        rig.reader.join()
        assert not rig.reader._thread.is_alive()


Start = Callable[[Rig], Rig]


# -- a connection ----------------------------------------------------------------------------------


def test_it_subscribes_reads_and_beats(server: ScriptedServer, start: Start) -> None:
    server.scripts.append(saying(say(trade=1), say(book=1), say(letter="odd")))
    rig = start(Rig(server.url))
    eventually(lambda: len(rig.events(DeadLetter)) == 1)
    eventually(lambda: len(rig.events(Heartbeat)) >= 3)
    records = [record for record, _ in rig.taken if record.kind not in {"begin", "heartbeat"}]
    assert [record.kind for record in records] == ["open", "sent", "text", "text", "text"]
    assert {record.conn for record in records} == {f"{NAME}.1"}
    assert records[0].body == encode_description(rig.feed.description)
    assert records[1].body == f"subscribe {BTC}".encode()
    eventually(lambda: server.received == [(1, f"subscribe {BTC}")])
    assert rig.gaps() == ["connecting"]
    times = [record.ts for record, _ in rig.taken]
    assert times == sorted(set(times))
    rig.assert_replays()


def test_a_frame_in_three_pieces_is_one_message(
    server: ScriptedServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "TIMEOUT_S", 0.02)
    server.scripts.append(in_pieces(encoded(trade=1, note="x" * 3000), 3, 0.06))
    rig = start(Rig(server.url))
    eventually(lambda: rig.trades() == ["1"])
    assert len(rig.records("text")) == 1
    assert rig.gaps() == ["connecting"]


def test_binary_messages_are_kept_as_such(server: ScriptedServer, start: Start) -> None:
    server.scripts.append(saying(say(trade=1), encoded(trade=2)))
    rig = start(Rig(server.url))
    eventually(lambda: rig.trades() == ["1", "2"])
    assert [record.kind for record in rig.records("text", "binary")] == ["text", "binary"]


@pytest.mark.parametrize(
    ("end", "reason"),
    [(closing(1012, "service restart"), "closed by the venue: 1012 service restart"),
     (closing(1001), "closed by the venue: 1001")],
)  # fmt: skip
def test_after_a_close_it_comes_back_with_gaps_in_order(
    server: ScriptedServer, start: Start, end: Script, reason: str
) -> None:
    server.scripts.append(saying(say(trade=1), then=end))
    server.scripts.append(saying(say(trade=2)))
    rig = start(Rig(server.url))
    eventually(lambda: rig.trades() == ["1", "2"])
    assert rig.gaps() == ["connecting", reason, "connecting"]
    kinds = [(record.kind, record.conn) for record, _ in rig.taken if record.kind != "heartbeat"]
    first, second = f"{NAME}.1", f"{NAME}.2"
    assert kinds == [
        ("begin", NAME),
        ("open", first), ("sent", first), ("text", first), ("close", first),
        ("open", second), ("sent", second), ("text", second),
    ]  # fmt: skip
    rig.assert_replays()


def test_after_a_cut_it_comes_back(server: ScriptedServer, start: Start) -> None:
    server.scripts.append(cut)
    rig = start(Rig(server.url))
    eventually(lambda: len(rig.gaps()) == 3)
    assert rig.gaps()[1] not in {"", "closed"}
    eventually(lambda: server.opened == 2)


def test_a_venue_that_is_not_there_yet_is_tried_again(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with caplog.at_level(logging.WARNING, "connectors.reader"):
        rig = start(Rig(f"ws://127.0.0.1:{port}"))
        eventually(lambda: caplog.messages.count("cannot connect") >= 2)
        with ScriptedServer().running(port) as server:
            rig.until_gaps("connecting")
            eventually(lambda: server.opened == 1)
            rig.reader.stop()
            rig.reader.join()


@pytest.mark.parametrize(("status", "words"), [(451, "country"), (403, "firewall")])
def test_a_refusal_is_explained_and_not_tried_again_soon(
    server: ScriptedServer, start: Start, caplog: pytest.LogCaptureFixture, status: int, words: str
) -> None:
    server.refusals.append(status)
    with caplog.at_level(logging.WARNING, "connectors.reader"):
        rig = start(Rig(server.url, clock=fast_clock(1000)))
        eventually(lambda: "cannot connect" in caplog.messages)
    [record] = [one for one in caplog.records if one.message == "cannot connect"]
    assert words in record.__dict__["reason"]
    assert record.__dict__["again_in_s"] >= 600
    assert rig.gaps() == []
    rig.until_gaps("connecting")  # ten minutes later, by its clock


def test_a_refusal_in_the_session_is_waited_out(server: ScriptedServer, start: Start) -> None:
    server.scripts.append(saying(say(refuse=40)))
    rig = start(Rig(server.url))
    rig.until_gaps("connecting", "refused", "connecting")
    closed, opened = [record.ts for record in rig.records("open", "close")][1:3]
    assert opened - closed >= 40 * SECOND


def test_silence_is_noticed_and_ends_the_connection(server: ScriptedServer, start: Start) -> None:
    rig = start(Rig(server.url, silence_s=5))
    eventually(lambda: len(rig.gaps()) >= 3)
    assert rig.gaps()[1].startswith("scripted: silent for")
    eventually(lambda: server.open_connections <= 1)
    rig.assert_replays()


def test_a_half_open_connection_is_found_out(server: ScriptedServer, start: Start) -> None:
    """The other side is gone without a word: it does not even answer a ping."""
    over = threading.Event()

    def gone(connection: ServerConnection) -> None:
        with connection.protocol_mutex:  # nothing is read, so nothing answered
            over.wait(20)
        cut(connection)

    server.scripts.append(saying(say(trade=1), then=gone))
    rig = start(Rig(server.url))
    eventually(lambda: len(rig.gaps()) == 3)
    over.set()
    found = re.fullmatch(r"nothing came for (\d+) s, not even an answer to a ping", rig.gaps()[1])
    assert found
    assert 25 <= int(found[1]) <= 45
    rig.assert_replays()


def test_a_quiet_connection_that_answers_pings_stays(server: ScriptedServer, start: Start) -> None:
    rig = start(Rig(server.url))
    eventually(lambda: len(rig.events(Heartbeat)) >= 60, "a minute passes by its clock")
    assert rig.gaps() == ["connecting"]
    assert server.opened == 1


def test_a_message_too_large_ends_the_connection(
    server: ScriptedServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MESSAGE_LIMIT", 1000)
    server.scripts.append(saying(say(trade=1), "x" * 2000))
    rig = start(Rig(server.url))
    eventually(lambda: len(rig.gaps()) == 3)
    assert rig.gaps()[1] == "a message of 2,000 bytes or more; the limit is 1,000"
    rig.assert_replays()


# -- what the venue allows -------------------------------------------------------------------------


def test_connections_wait_for_the_venues_limit(server: ScriptedServer, start: Start) -> None:
    server.scripts.extend([cut, cut])
    limits = Limits(connects=1, connects_per_s=0.05, weight=1, weight_per_s=1.0)
    rig = start(Rig(server.url, limits=limits))
    eventually(lambda: len(rig.records("open")) == 3)
    first, second, third = [record.ts for record in rig.records("open")]
    # An `open` is noted when the machine comes to it, so the time between two may be shorter.
    assert second - first >= 10 * SECOND
    assert third - first >= 30 * SECOND


def test_gets_wait_for_the_venues_limit(server: ScriptedServer, start: Start) -> None:
    server.answers["/depth"] = (200, encoded(book=7))
    server.scripts.append(saying(*[say(get=f"/depth?{number}") for number in range(4)]))
    for number in range(4):
        server.answers[f"/depth?{number}"] = (200, encoded(book=number + 1))
    limits = Limits(connects=1, connects_per_s=1.0, weight=2, weight_per_s=0.05)
    rig = start(Rig(server.url, limits=limits))
    eventually(lambda: len(rig.records("http")) == 4)
    [opened] = rig.records("open")
    *_, third, fourth = [record.ts for record in rig.records("http")]
    # An answer may be late; a question is not early.
    assert third - opened.ts >= 18 * SECOND
    assert fourth - opened.ts >= 36 * SECOND
    assert sorted(server.asked) == [f"/depth?{number}" for number in range(4)]
    assert rig.gaps() == ["connecting"], "reading goes on meanwhile"


def test_a_host_that_wants_to_be_left_alone_is(server: ScriptedServer, start: Start) -> None:
    server.answers["/busy"] = (429, b"slow down")
    server.answers["/depth"] = (200, encoded(book=7))
    server.retry_after = "40"
    refused = threading.Event()

    def then(connection: ServerConnection) -> None:
        refused.wait(20)
        saying(say(get="/depth"))(connection)

    server.scripts.append(saying(say(get="/busy"), then=then))
    rig = start(Rig(server.url))
    eventually(lambda: len(rig.records("http")) == 1)
    refused.set()
    eventually(lambda: len(rig.records("http")) == 2)
    busy, depth = rig.records("http")
    assert (busy.status, depth.status) == (429, 200)
    assert depth.ts - busy.ts >= 40 * SECOND


def test_a_broken_contract_ends_the_connection(server: ScriptedServer, start: Start) -> None:
    server.scripts.append(saying(say(trade=1), "nonsense", say(trade=2)))
    rig = start(Rig(server.url))
    eventually(lambda: len(rig.gaps()) == 3)
    assert rig.gaps()[1].startswith("not a message")
    assert rig.trades() == ["1"]
    rig.assert_replays()


def test_waits_double_until_a_connection_was_healthy(server: ScriptedServer, start: Start) -> None:
    for _ in range(5):
        server.scripts.append(closing(1012))
    rig = start(Rig(server.url))
    eventually(lambda: server.opened == 6)
    eventually(lambda: len(rig.records("open")) == 6)
    marks = rig.records("open", "close")
    waits = [
        (opened.ts - closed.ts) / SECOND
        for closed, opened in zip(marks[1::2], marks[2::2], strict=True)
    ]
    for number, wait in enumerate(waits):
        assert wait >= 0.25 * 2**number
    assert waits[4] > 2 * waits[0]


# -- GETs ------------------------------------------------------------------------------------------


def test_a_get_is_fetched_and_its_answer_recorded(
    server: ScriptedServer, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers["/depth"] = (200, encoded(book=7))
    server.answers["/gone"] = (451, b"")
    server.scripts.append(saying(say(get="/depth"), say(get="/gone")))
    with caplog.at_level(logging.WARNING, "connectors.reader"):
        rig = start(Rig(server.url))
        eventually(lambda: len(rig.records("http")) == 2)
    assert [one.sequence for one in rig.events(BookSnapshot) if isinstance(one, BookSnapshot)] == [
        7
    ]
    by_url = {record.url.rpartition("/")[2]: record for record in rig.records("http")}
    assert by_url["depth"].status == 200
    assert by_url["depth"].body == encoded(book=7)
    assert by_url["gone"].status == 451
    [failed] = [one for one in caplog.records if one.message == "fetch failed"]
    assert "country" in failed.__dict__["reason"]
    rig.assert_replays()


def test_a_slow_answer_holds_nothing_up(
    server: ScriptedServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    asked: list[str] = []

    def slow(_client: object, url: str) -> Answer:
        asked.append(url)
        answered.wait(10)
        return Answer(200, encoded(book=1))

    monkeypatch.setattr(reader_module, "fetch", slow)

    def hang(connection: ServerConnection) -> None:
        eventually(lambda: len(asked) == 4)
        saying(say(trade=1), say(wrong="x"))(connection)

    server.scripts.append(saying(*[say(get=f"/{number}") for number in range(9)], then=hang))
    server.scripts.append(saying(say(trade=2)))
    rig = start(Rig(server.url))
    eventually(lambda: rig.trades() == ["1", "2"], "every fetching thread hangs")
    answered.set()
    eventually(lambda: len(rig.records("http")) == 9)
    assert rig.events(BookSnapshot) == [], "their connection has ended"
    statuses = sorted(record.status for record in rig.records("http"))
    assert statuses == [0] * 5 + [200] * 4, "what had not begun was not asked any more"


# -- replacement and steering ----------------------------------------------------------------------


def test_a_planned_replacement_makes_no_gap(server: ScriptedServer, start: Start) -> None:
    def both(connection: ServerConnection) -> None:
        eventually(lambda: len(server.received) == 2, "the second has subscribed")
        saying(say(trade=2))(connection)

    server.scripts.append(saying(say(book=1), say(trade=1), say(replace=1), then=both))
    server.scripts.append(saying(say(trade=2), say(book=5), say(trade=3)))
    rig = start(Rig(server.url))
    eventually(lambda: rig.trades() == ["1", "2", "3"])
    assert rig.gaps() == ["connecting"]
    eventually(lambda: len(rig.records("close")) == 1)
    [closed] = rig.records("close")
    assert (closed.conn, closed.body) == (f"{NAME}.1", b"replaced")
    eventually(lambda: server.open_connections == 1)
    rig.assert_replays()


def test_a_resync_goes_by_a_control_record(server: ScriptedServer, start: Start) -> None:
    server.scripts.append(saying(say(book=1)))
    rig = start(Rig(server.url))
    eventually(lambda: len(rig.events(BookSnapshot)) == 1)
    helm = Helm()
    helm.enlist(rig.reader)
    helm.resync(BTC, "crossed book")
    helm.resync("scripted:X-Y", "nobody follows it")
    rig.until_gaps("connecting", "crossed book")
    [control] = rig.records("control")
    assert control.conn == NAME
    rig.assert_replays()


# -- a flow that is too slow -----------------------------------------------------------------------


def test_a_flow_that_takes_nothing_costs_a_gap_and_no_memory(
    server: ScriptedServer, start: Start
) -> None:
    flood = saying(say(book=1), *[say(trade=number) for number in range(3000)])
    server.scripts.extend([flood, saying(say(book=9), say(trade=9999))])
    rig = start(Rig(server.url, capacity=100, overrun_s=0.1))
    eventually(lambda: rig.frames.high_water >= 100)
    eventually(lambda: len(rig.frames) < 50, "the feed lets go of what it had")
    assert rig.frames.high_water <= 102
    assert server.opened == 1
    eventually(lambda: rig.trades()[-1:] == ["9999"], "live again")
    reason = "overrun: the flow took nothing for 0.1 s"
    assert rig.gaps() == ["connecting", reason, "connecting"]
    assert rig.trades() == ["9999"]
    assert server.opened == 2
    rig.assert_replays()


def test_several_overruns_leave_it_alive(
    server: ScriptedServer, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server.scripts.extend([saying(say(book=1), *[say(trade=n) for n in range(500)])] * 3)
    with caplog.at_level(logging.ERROR, "connectors.reader"):
        rig = start(Rig(server.url, capacity=20, overrun_s=0.03))
        for count in range(1, 4):
            eventually(lambda: caplog.messages.count("queue overrun") == count)  # noqa: B023
            rig.drain()
    eventually(lambda: rig.gaps().count("connecting") == 4)
    assert rig.frames.high_water <= 22
    rig.assert_replays()


frames = st.sampled_from(
    [encoded(trade=n) for n in range(1, 5)]
    + [encoded(book=n) for n in (1, 2)]
    + [encoded(delta=3), encoded(gap="sequence"), encoded(replace=1), encoded(wrong="x")]
)
steps = st.one_of(
    st.tuples(st.just("text"), st.integers(0, 1), frames),
    st.tuples(
        st.sampled_from(["close", "open", "heartbeat", "resync", "take"]),
        st.integers(0, 1),
        st.just(b""),
    ),
)


@examples(50)
@given(st.lists(steps, max_size=60))
def test_whatever_an_overrun_drops_the_rest_replays_to_the_same(
    script: list[tuple[str, int, bytes]],
) -> None:
    """The reader's own steps, without its thread; the flow takes what it takes."""
    rig = Rig("ws://nowhere", capacity=6, overrun_s=0.0)
    reader, feed = rig.reader, rig.feed
    opened: list[str] = []
    for what, which, body in script:
        conn = opened[-1 - which] if which < len(opened) else f"{NAME}.99"
        match what:
            case "text":
                reader._put(Record(reader._now(), conn, "text", body))
            case "close":
                reader._put(Record(reader._now(), conn, "close", b"1006"))
            case "open" if not feed.is_connected or feed.wants_replacement:
                opened.append(f"{NAME}.{len(opened) + 1}")
                opening = encode_description(feed.description)
                reader._put(Record(reader._now(), opened[-1], "open", opening))
            case "heartbeat":
                reader._put(Record(reader._now(), NAME, "heartbeat"))
            case "resync":
                reader._steer(Steering(resync=BTC, reason="crossed book"))
            case _:
                rig.taken += rig.frames.take(4)
        reader._close_what_must()
        assert len(rig.frames) <= 6
    rig.taken += rig.frames.take(100)
    rig.assert_replays()
    reader._bell.close()
    reader._rope.close()


# -- the end ---------------------------------------------------------------------------------------


def ends_within(rig: Rig, seconds: float) -> bool:
    rig.reader.stop()
    rig.reader._thread.join(seconds)
    return not rig.reader._thread.is_alive()


def test_it_stops_within_a_tick(server: ScriptedServer, start: Start) -> None:
    rig = start(Rig(server.url))
    rig.until_gaps("connecting")
    assert ends_within(rig, 0.5)
    eventually(lambda: server.open_connections == 0)


def test_it_stops_while_a_venue_does_not_answer(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        rig = start(Rig(f"ws://127.0.0.1:{mute.getsockname()[1]}"))
        eventually(lambda: rig.reader._connecting is not None)
        client, _ = mute.accept()
        assert ends_within(rig, 0.5)
        client.close()


def test_a_connection_that_comes_too_late_is_closed(server: ScriptedServer, start: Start) -> None:
    rig = start(Rig("ws://127.0.0.1:1"))
    assert ends_within(rig, 0.5)
    sock = transport.Socket(f"{server.url}/stream")
    late: Future[transport.Socket] = Future()
    late.add_done_callback(reader_module._close_unused)
    late.set_result(sock)
    eventually(lambda: server.open_connections == 0)


def test_a_stop_loses_nothing_that_was_read(server: ScriptedServer, start: Start) -> None:
    """The queue is full, and the flow that stops the reader waits for it."""
    server.scripts.append(saying(*[say(trade=number) for number in range(200)]))
    rig = start(Rig(server.url, capacity=50, overrun_s=30.0))
    eventually(lambda: len(rig.frames) == 50)
    assert ends_within(rig, 2.0)
    assert rig.gaps() == ["connecting"]
    assert rig.trades() == [str(number) for number in range(len(rig.trades()))]
    assert len(rig.trades()) >= 47


def test_a_bug_is_loud(
    server: ScriptedServer, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    server.scripts.append(saying(say(bug="ours")))
    with caplog.at_level(logging.CRITICAL, "connectors.reader"):
        rig = start(Rig(server.url))
        eventually(lambda: not rig.reader._thread.is_alive())
    with pytest.raises(RuntimeError, match=f"the reader of {NAME} died") as caught:
        rig.reader.check()
    assert isinstance(caught.value.__cause__, LookupError)
    assert caplog.messages == ["feed thread died"]
    eventually(lambda: server.open_connections == 0)
    rig.reader.steer(Steering(resync=BTC))  # nobody listens, and nothing happens


def test_many_reconnects_cost_no_threads_and_no_sockets(
    server: ScriptedServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "BACKOFF_MOST_S", 0.2)

    def mine() -> int:
        return sum(thread.name.endswith(NAME) or f"{NAME}-" in thread.name
                   for thread in threading.enumerate())  # fmt: skip

    def descriptors() -> int:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())

    server.scripts.extend([cut] * 30)
    rig = start(Rig(server.url))
    eventually(lambda: len(rig.records("open")) >= 5)
    eventually(lambda: server.open_connections <= 1)
    threads, held = mine(), descriptors()
    eventually(lambda: len(rig.records("open")) == 31)
    eventually(lambda: server.open_connections == 1)
    assert mine() == threads == 6
    eventually(lambda: descriptors() <= held + 10, "26 connections have come and gone")
    assert len(rig.reader._sockets) == 1


# -- the clock -------------------------------------------------------------------------------------


def test_the_clock_always_goes_on() -> None:
    clock = Clock()
    times = [clock.now() for _ in range(1000)]
    assert times == sorted(set(times))
    assert abs(times[0] - time.time_ns()) < SECOND


@pytest.mark.parametrize("step", [-3600, -10, 10, 3600])
def test_a_clock_that_is_set_does_not_stand_still(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    wall, monotonic = time.time_ns(), time.monotonic_ns()
    now = {"wall": wall, "monotonic": monotonic}
    monkeypatch.setattr(time, "time_ns", lambda: now["wall"])
    monkeypatch.setattr(time, "monotonic_ns", lambda: now["monotonic"])
    before = clock.now()
    now = {"wall": wall + (step + 1) * SECOND, "monotonic": monotonic + SECOND}
    passed = clock.now() - before
    assert passed == (SECOND if step < 0 else (step + 1) * SECOND)
