"""Sockets and HTTP for the reader thread; nothing here knows a venue."""

import select
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from math import isfinite
from urllib.parse import urlsplit

import httpx
import websocket

from market.errors import VenueRefusalError

CONNECT_TIMEOUT_S = 10.0
TIMEOUT_S = 1.0
"""For the rest of a message that has begun, and for a send; half a message is kept meanwhile."""
FETCH_TIMEOUT_S = 20.0
MESSAGE_LIMIT = 16 * 1024 * 1024
"""Bytes of one message; the largest that a venue here is known to send is a tenth of it."""
RETRY_LIMIT_S = 86_400.0
"""A `Retry-After` beyond a day is a mistake."""

_REFUSALS = {
    403: "refused by the venue's firewall: this address is blocked or sent too much",
    418: "banned for sending too much: wait before trying again",
    429: "too many requests: slow down",
    451: "not available from this country: choose another venue or address",
}


def explain_status(status: int) -> str:
    """Say in words what an HTTP status of a venue means to its user; empty when it needs none."""
    return _REFUSALS.get(status, "")


_WAITS_S = {403: 600.0, 418: 300.0, 429: 60.0, 451: 600.0}


def wait_after(status: int, retry_after: str, now: float) -> float:
    """Return the seconds to wait after a refusal; 0 for a status that is none.

    Args:
        status: HTTP status.
        retry_after: the header `Retry-After`: seconds, or a date; it counts with 418 and 429 only.
        now: our clock, seconds since 1970.
    """
    usual = _WAITS_S.get(status, 0.0)
    if status not in {418, 429}:
        return usual
    text = retry_after.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError):
            return usual
    return min(max(seconds, 1.0), RETRY_LIMIT_S) if isfinite(seconds) else usual


class _BoundedFrames(websocket._abnf.frame_buffer):  # noqa: SLF001 - the library has no setting
    """Refuses a frame by its length, before any of it is read."""

    def recv_length(self) -> None:
        super().recv_length()
        _check_size(self.length or 0)


class _BoundedMessage(websocket._abnf.continuous_frame):  # noqa: SLF001 - as above
    """Refuses a message that grows too long over its frames."""

    def add(self, frame: websocket.ABNF) -> None:
        if self.cont_data:
            _check_size(len(self.cont_data[1]) + len(frame.data))
        super().add(frame)


def _check_size(size: int) -> None:
    if size > MESSAGE_LIMIT:
        raise websocket.WebSocketPayloadException(
            f"a message of {size:,} bytes or more; the limit is {MESSAGE_LIMIT:,}"
        )


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
                later = str((error.resp_headers or {}).get("retry-after", ""))
                raise VenueRefusalError(
                    f"{host}: HTTP {status}, {meaning}",
                    status=status,
                    retry_after_s=wait_after(status, later, time.time()),
                ) from error
            raise
        frames = _BoundedFrames(self._socket._recv, skip_utf8_validation=True)  # noqa: SLF001
        frames.recv_buffer = self._socket.frame_buffer.recv_buffer
        self._socket.frame_buffer = frames
        self._socket.cont_frame = _BoundedMessage(fire_cont_frame=False, skip_utf8_validation=True)
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

    def ping(self) -> None:
        """Ask for a sign of life: the answer is no message, but it is something to read."""
        self._socket.ping()

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
    """An HTTP answer; `status` 0 means that none came and `body` says why.

    `wait_s`: seconds in which the host wants to hear nothing more; 0 unless it refused us.
    """

    status: int
    body: bytes
    wait_s: float = 0.0


def fetch(client: httpx.Client, url: str) -> Answer:
    """Make one GET; trouble on the way is an answer too."""
    try:
        answer = client.get(url)
    except httpx.HTTPError as error:
        return Answer(0, f"{type(error).__name__}: {error}".encode())
    later = answer.headers.get("Retry-After", "")
    wait = wait_after(answer.status_code, later, time.time())
    return Answer(answer.status_code, answer.content, wait)


def http_client() -> httpx.Client:
    """Make the client that a reader's fetches share."""
    return httpx.Client(timeout=FETCH_TIMEOUT_S, follow_redirects=False, trust_env=False)
