"""Sockets and GETs, against another websocket library."""

import socket
from collections.abc import Iterator

import pytest
import websocket
from websockets.sync.server import ServerConnection

from connectors import transport
from connectors.transport import (
    Answer,
    Socket,
    explain_status,
    fetch,
    http_client,
    wait_after,
)
from market.errors import VenueRefusalError
from tests.connectors.scripted_server import (
    ScriptedServer,
    closing,
    cut,
    eventually,
    in_pieces,
    listen,
    saying,
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer().running() as running:
        yield running


def open_socket(server: ScriptedServer) -> Socket:
    return Socket(f"{server.url}/stream")


def receive(sock: Socket) -> tuple[bool, bytes]:
    """Read until a message is whole."""
    message = None
    while message is None:
        eventually(lambda: sock.is_readable)
        message = sock.receive()
    return message


def test_messages_go_both_ways(server: ScriptedServer) -> None:
    server.scripts.append(saying('{"e":"é"}', b"\x00\xff"))
    sock = open_socket(server)
    assert receive(sock) == (False, '{"e":"é"}'.encode())
    assert receive(sock) == (True, b"\x00\xff")
    assert not sock.is_readable
    sock.send('{"method":"é"}'.encode())
    eventually(lambda: server.received == [(1, '{"method":"é"}')])
    sock.close()
    eventually(lambda: server.open_connections == 0)


def test_a_frame_in_three_pieces_arrives_whole(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "TIMEOUT_S", 0.02)
    message = b'{"text":"' + b"x" * 3000 + b'"}'
    server.scripts.append(in_pieces(message, 3, 0.06))
    sock = open_socket(server)
    assert receive(sock) == (False, message)
    sock.close()


def test_a_message_in_several_frames_arrives_whole(server: ScriptedServer) -> None:
    def script(connection: ServerConnection) -> None:
        connection.send(iter(["one ", "two ", "three"]))
        listen(connection)

    server.scripts.append(script)
    sock = open_socket(server)
    assert receive(sock) == (False, b"one two three")
    sock.close()


def test_a_ping_is_answered_and_is_no_message(server: ScriptedServer) -> None:
    answered: list[bool] = []

    def script(connection: ServerConnection) -> None:
        answered.append(connection.ping(b"1234567890").wait(10))
        connection.send("after")
        listen(connection)

    server.scripts.append(script)
    sock = open_socket(server)
    assert receive(sock) == (False, b"after")
    assert answered == [True]
    sock.close()


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [(1012, "service restart", "closed by the venue: 1012 service restart"),
     (1001, "", "closed by the venue: 1001")],
)  # fmt: skip
def test_a_close_says_why(server: ScriptedServer, code: int, reason: str, words: str) -> None:
    server.scripts.append(closing(code, reason))
    sock = open_socket(server)
    with pytest.raises(websocket.WebSocketConnectionClosedException, match=f"^{words}$"):
        receive(sock)
    sock.close()


def test_a_connection_that_is_cut_says_so(server: ScriptedServer) -> None:
    server.scripts.append(cut)
    sock = open_socket(server)
    with pytest.raises((OSError, websocket.WebSocketException)):
        receive(sock)
    sock.close()


@pytest.mark.parametrize(
    ("status", "words"),
    [(451, "not available from this country"), (403, "firewall"), (429, "too many requests"),
     (418, "banned")],
)  # fmt: skip
def test_a_refusal_says_what_it_means(server: ScriptedServer, status: int, words: str) -> None:
    server.refusals.append(status)
    with pytest.raises(VenueRefusalError, match=f"127.0.0.1: HTTP {status}, .*{words}") as caught:
        open_socket(server)
    assert caught.value.status == status
    assert caught.value.retry_after_s >= 60


def test_a_refusal_says_how_long_to_wait(server: ScriptedServer) -> None:
    server.refusals.extend([429, 418])
    server.retry_after = "7"
    for _ in range(2):
        with pytest.raises(VenueRefusalError) as caught:
            open_socket(server)
        assert caught.value.retry_after_s == 7
    server.answers["/busy"] = (429, b"slow down")
    with http_client() as client:
        answer = fetch(client, f"{server.url.replace('ws', 'http')}/busy")
    assert answer.wait_s == 7


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (200, "7", 0),
        (503, "7", 0),
        (429, "", 60),
        (418, "", 300),
        (403, "", 600),
        (451, "7", 600),
        (429, "120", 120),
        (429, " 2.5 ", 2.5),
        (429, "0", 1),
        (429, "-5", 1),
        (429, "soon", 60),
        (429, "nan", 60),
        (418, "inf", 300),
        (429, "1e12", 86_400),
        (429, "Wed, 15 Nov 2023 00:00:30 GMT", 30),
        (429, "Wed, 15 Nov 2023 00:00:30", 30),
        (418, "Wed, 15 Nov 2000 00:00:30 GMT", 1),
        (429, "Wed, 99 Nov 2023 00:00:30 GMT", 60),
    ],
)
def test_what_a_venue_wants_us_to_wait_is_read(status: int, header: str, seconds: float) -> None:
    midnight = 1_700_006_400.0
    assert wait_after(status, header, midnight) == seconds


def test_a_message_beyond_the_limit_is_refused(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MESSAGE_LIMIT", 70_000)
    server.scripts.append(saying("x" * 70_000, "x" * 70_001))
    sock = open_socket(server)
    assert receive(sock) == (False, b"x" * 70_000)
    words = "a message of 70,001 bytes or more; the limit is 70,000"
    with pytest.raises(websocket.WebSocketException, match=words):
        receive(sock)
    sock.close()


def test_a_message_that_grows_beyond_the_limit_is_refused(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MESSAGE_LIMIT", 100)

    def script(connection: ServerConnection) -> None:
        connection.send(iter(["x" * 60, "y" * 40]))
        connection.send(iter(["x" * 60, "y" * 40, "z"]))
        listen(connection)

    server.scripts.append(script)
    sock = open_socket(server)
    assert receive(sock) == (False, b"x" * 60 + b"y" * 40)
    with pytest.raises(websocket.WebSocketException, match="a message of 101 bytes or more"):
        receive(sock)
    sock.close()


def test_an_answer_to_our_ping_is_no_message(server: ScriptedServer) -> None:
    sock = open_socket(server)
    sock.ping()
    eventually(lambda: sock.is_readable)
    assert sock.receive() is None
    sock.close()


def test_another_bad_handshake_is_a_websocket_error(server: ScriptedServer) -> None:
    server.refusals.append(503)
    with pytest.raises(websocket.WebSocketBadStatusException):
        open_socket(server)


def test_nobody_at_the_address_is_an_os_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        Socket(f"ws://127.0.0.1:{port}/stream")


def test_a_get_gives_status_and_body(server: ScriptedServer) -> None:
    server.answers["/depth?symbol=BTCUSDT"] = (200, b'{"lastUpdateId":1}')
    server.answers["/busy"] = (429, b"slow down")
    url = server.url.replace("ws", "http")
    with http_client() as client:
        assert fetch(client, f"{url}/depth?symbol=BTCUSDT") == Answer(200, b'{"lastUpdateId":1}')
        assert fetch(client, f"{url}/busy") == Answer(429, b"slow down", 60.0)


def test_a_get_without_an_answer_is_an_answer_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with http_client() as client:
        answer = fetch(client, f"http://127.0.0.1:{port}/")
    assert answer.status == 0
    assert answer.body.startswith(b"ConnectError: ")


@pytest.mark.parametrize(
    ("status", "is_said"), [(451, True), (403, True), (200, False), (500, False)]
)
def test_only_refusals_are_explained(status: int, *, is_said: bool) -> None:
    assert bool(explain_status(status)) is is_said
