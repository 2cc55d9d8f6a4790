"""A venue on a real socket that does what a script says, connection by connection.

It speaks websocket with another library than the reader's, so that the two cannot share an error.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import TypeAlias

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

Script: TypeAlias = Callable[[ServerConnection], None]

DEADLINE_S = 30.0
POLL_S = 0.005


def eventually(condition: Callable[[], bool], what: str = "") -> None:
    """Wait until something is so; fail when it takes too long."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen in {DEADLINE_S:.0f} s: {what}"
        time.sleep(POLL_S)


class ScriptedServer:
    """Serves the scripts in their order; when none is left, connections are only listened to.

    Attributes:
        received: what clients sent, with the number of their connection.
        opened: connections so far.
        refusals: statuses that the next handshakes are refused with.
        answers: for GETs, by path: status and body.
        asked: paths of GETs.
        retry_after: header of refusals, where there is one.
    """

    def __init__(self) -> None:
        self.scripts: deque[Script] = deque()
        self.received: list[tuple[int, str]] = []
        self.opened = 0
        self.refusals: deque[int] = deque()
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.retry_after = ""
        self.url = ""
        self._connections: set[ServerConnection] = set()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def running(self, port: int = 0) -> Iterator["ScriptedServer"]:
        server: Server = serve(
            self._serve, "127.0.0.1", port, process_request=self._look, compression=None
        )
        self.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            for connection in list(self._connections):
                cut(connection)
            thread.join(5)

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    def _serve(self, connection: ServerConnection) -> None:
        with self._lock:
            self.opened += 1
            number = self.opened
            script = self.scripts.popleft() if self.scripts else listen
        self._connections.add(connection)
        reader = threading.Thread(target=self._read, args=(connection, number), daemon=True)
        reader.start()
        try:
            with contextlib.suppress(ConnectionClosed, OSError):
                script(connection)
            reader.join(5)
        finally:
            self._connections.discard(connection)

    def _read(self, connection: ServerConnection, number: int) -> None:
        with contextlib.suppress(ConnectionClosed, OSError):
            for message in connection:
                self.received.append((number, str(message)))

    def _look(self, _connection: ServerConnection, request: Request) -> Response | None:
        if request.path.startswith("/stream"):
            return self._response(self.refusals.popleft(), b"") if self.refusals else None
        self.asked.append(request.path)
        return self._response(*self.answers.get(request.path, (404, b"")))

    def _response(self, status: int, body: bytes) -> Response:
        return _response(status, body, self.retry_after if status in {418, 429} else "")


def _response(status: int, body: bytes, retry_after: str) -> Response:
    headers = Headers({"Content-Length": str(len(body)), "Connection": "close"})
    if retry_after:
        headers["Retry-After"] = retry_after
    return Response(status, HTTPStatus(status).phrase, headers, body)


def listen(connection: ServerConnection) -> None:
    """Say nothing until the client goes."""
    while connection.protocol.state.name == "OPEN":
        time.sleep(POLL_S)


def saying(*messages: str | bytes, then: Script = listen) -> Script:
    """Send these, and then do something else."""

    def script(connection: ServerConnection) -> None:
        for message in messages:
            connection.send(message)
        then(connection)

    return script


def closing(code: int, reason: str = "") -> Script:
    """End with a close frame."""
    return lambda connection: connection.close(code, reason)


def cut(connection: ServerConnection) -> None:
    """End without a word."""
    with contextlib.suppress(OSError):
        connection.socket.shutdown(2)


def in_pieces(message: bytes, pieces: int, pause_s: float) -> Script:
    """Send one frame a piece at a time, with pauses longer than the reader waits for the rest."""

    def script(connection: ServerConnection) -> None:
        with connection.protocol_mutex:
            connection.protocol.send_text(message)
            frame = b"".join(connection.protocol.data_to_send())
        size = -(-len(frame) // pieces)
        for at in range(0, len(frame), size):
            connection.socket.sendall(frame[at : at + size])
            time.sleep(pause_s)
        listen(connection)

    return script
