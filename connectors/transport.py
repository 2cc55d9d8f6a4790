"""Sockets and HTTP for the reader thread; nothing here knows a venue."""

import select
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import websocket

from market.errors import VenueRefusalError

CONNECT_TIMEOUT_S = 10.0
TIMEOUT_S = 1.0
"""For the rest of a message that has begun, and for a send; half a message is kept meanwhile."""
FETCH_TIMEOUT_S = 20.0

_REFUSALS = {
    403: "refused by the venue's firewall: this address is blocked or sent too much",
    418: "banned for sending too much: wait before trying again",
    429: "too many requests: slow down",
    451: "not available from this country: choose another venue or address",
}


def explain_status(status: int) -> str:
    """Say in words what an HTTP status of a venue means to its user; empty when it needs none."""
    return _REFUSALS.get(status, "")


class Socket:
    """One websocket, read one message at a time.

    Raises:
        OSError, websocket.WebSocketException: the connection cannot be made or is gone.
        VenueRefusalError: the venue will not have us.
    """

    def __init__(self, url: str) -> None:
        try:
            self._socket = websocket.create_connection(
                url,
                timeout=CONNECT_TIMEOUT_S,
                skip_utf8_validation=True,
                enable_multithread=False,
            )
        except websocket.WebSocketBadStatusException as error:
            status = int(error.status_code or 0)
            meaning = explain_status(status)
            if meaning:
                host = urlsplit(url).hostname
                raise VenueRefusalError(
                    f"{host}: HTTP {status}, {meaning}", status=status
                ) from error
            raise
        self._socket.settimeout(TIMEOUT_S)
        self._poll = select.poll()
        self._poll.register(self.fileno(), select.POLLIN)

    def fileno(self) -> int:
        """File descriptor to wait on."""
        sock = self._socket.sock
        return -1 if sock is None else int(sock.fileno())

    @property
    def has_buffered(self) -> bool:
        """Whether bytes are here that waiting on the descriptor would not show."""
        sock = self._socket.sock
        return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0

    @property
    def is_readable(self) -> bool:
        """Whether something can be read now."""
        return self.has_buffered or bool(self._poll.poll(0))

    def receive(self) -> tuple[bool, bytes] | None:
        """Read one message: whether it is binary, and its bytes.

        None for a ping (answered here), a pong, or a message whose rest is still to come.

        Raises:
            websocket.WebSocketConnectionClosedException: the other side closed.
        """
        try:
            opcode, data = self._socket.recv_data(control_frame=True)
        except websocket.WebSocketTimeoutException:
            return None
        if opcode in {websocket.ABNF.OPCODE_TEXT, websocket.ABNF.OPCODE_BINARY}:
            return opcode == websocket.ABNF.OPCODE_BINARY, data
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise websocket.WebSocketConnectionClosedException(_close_reason(data))
        return None

    def send(self, data: bytes) -> None:
        """Send one text message."""
        self._socket.send(data.decode())

    def close(self) -> None:
        """Close at once: no farewell is waited for."""
        self._socket.shutdown()  # type: ignore[no-untyped-call]


def _close_reason(data: bytes) -> str:
    if len(data) < 2:
        return "closed by the venue"
    code = int.from_bytes(data[:2], "big")
    text = data[2:].decode(errors="replace")
    return f"closed by the venue: {code} {text}".rstrip()


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; `status` 0 means that none came and `body` says why."""

    status: int
    body: bytes


def fetch(client: httpx.Client, url: str) -> Answer:
    """Make one GET; trouble on the way is an answer too."""
    try:
        answer = client.get(url)
    except httpx.HTTPError as error:
        return Answer(0, f"{type(error).__name__}: {error}".encode())
    return Answer(answer.status_code, answer.content)


def http_client() -> httpx.Client:
    """Make the client that a reader's fetches share."""
    return httpx.Client(timeout=FETCH_TIMEOUT_S, follow_redirects=False, trust_env=False)
