"""Alerts to another program: a signed POST of JSON.

    POST <url>
    Content-Type: application/json
    Idempotency-Key: <the same at every attempt with the same alert>
    Candlewax-Timestamp: <seconds since 1970>
    Candlewax-Signature: v1=<hex HMAC-SHA256 of "<timestamp>.<body>" with the secret>

A receiver computes the signature of the bytes it got, compares in constant time, and refuses a
timestamp that is some minutes old: then a call that was listened to cannot be played again.
"""

import contextlib
import hashlib
import hmac
import http.client
import re
import ssl
from urllib.parse import urlsplit

import msgspec

from market.intervals import SECOND
from sinks.alert_facts import AlertFacts
from sinks.breaker import Breaker
from sinks.delivery import Delivered, DeliveryError, Failure, Traits
from sinks.message import Message
from sinks.pacing import Pace
from sinks.secret import Secret

CONNECT_S = 2.5
ANSWER_S = 5.0
CALL_S = 6.0
"""Seconds for one call, connecting included."""
MOST_PAUSE_S = 3600.0

_LATER = frozenset({408, 409, 423, 425, 429, 500, 502, 503, 504})
"""Answers by which a server says that it did not take the call, and may take it later."""
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook is told.

    Attributes:
        version: 1; a change that breaks receivers counts it up.
        id: identity of the message, as `Idempotency-Key` has it.
        target: name of the target.
        severity: `info`, `warning` or `critical`.
        text: the message, as people read it.
        fired_at: our time when it fired, ns UTC.
        attempt: 1 for the first call.
        possible_repeat: an earlier call was not answered: it may have arrived.
        escalates: target where nobody acknowledged the alert, or null.
        alert: what is stored of the alert, or null.
    """

    version: int = 1
    id: str
    target: str
    severity: str
    text: str
    fired_at: int
    attempt: int
    possible_repeat: bool
    escalates: str | None
    alert: AlertFacts | None


class WebhookTarget:
    """Calls one address, one attempt a message, a connection a call.

    Redirects are refused: the signed body goes where the configuration says and nowhere else. No
    proxy is used.

    Args:
        url: where to; http or https.
        secret: signs the body.
        pace: what limits the calls.
        tls: what is trusted; the system's certificates when not given.
        call_s: seconds for one call.
    """

    def __init__(
        self,
        url: str,
        secret: Secret,
        *,
        pace: Pace | None = None,
        tls: ssl.SSLContext | None = None,
        call_s: float = CALL_S,
    ) -> None:
        self.traits = Traits(pace=pace)
        parts = urlsplit(url)
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._secret = secret
        self._tls = tls
        self._breaker = Breaker(call_s)

    def send(self, message: Message, now: int) -> Delivered:
        """Post one alert.

        Raises:
            DeliveryError: refused, redirected, not reached or not answered.
        """
        if self._breaker.is_aborted:
            raise DeliveryError("webhook: stopped before the call", failure=Failure.RETRY)
        body = msgspec.json.encode(_body(message))
        seconds = str(now // SECOND)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "candlewax",
            "Idempotency-Key": identity(message),
            "Candlewax-Timestamp": seconds,
            "Candlewax-Signature": f"v1={sign(self._secret, seconds, body)}",
        }
        with self._breaker.call(), contextlib.closing(self._connection()) as connection:
            self._open(connection)
            try:
                connection.request("POST", self._path, body, headers)
                answer = connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                raise DeliveryError(
                    f"webhook: no answer: {self._breaker.reason(error)}", failure=Failure.UNKNOWN
                ) from None
            with contextlib.closing(answer):
                return _read(answer.status, answer.headers.get("Retry-After", ""))

    def abort(self) -> None:
        """End the call that waits in the other thread, and every later one at once."""
        self._breaker.abort()

    def close(self) -> None:
        """Do nothing: a connection ends with its call."""

    def _connection(self) -> http.client.HTTPConnection:
        if not self._is_secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_S)
        tls = self._tls if self._tls is not None else ssl.create_default_context()
        return http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_S, context=tls)

    def _open(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
            connection.sock.settimeout(ANSWER_S)
            self._breaker.watch(connection.sock)
        except ssl.SSLCertVerificationError as error:
            raise DeliveryError(
                f"webhook: the server's certificate is not trusted: {error.verify_message}",
                failure=Failure.PERMANENT,
            ) from None
        except OSError as error:
            raise DeliveryError(
                f"webhook: no connection: {self._breaker.reason(error)}", failure=Failure.RETRY
            ) from None


def sign(secret: Secret, timestamp: str, body: bytes) -> str:
    """Return the signature of a call: hex HMAC-SHA256 of `timestamp`, a dot and `body`.

    Example:
        >>> sign(Secret("key"), "1700000000", b"{}")[:16]
        '9d713ed406bb7076'
    """
    return hmac.new(
        secret.reveal().encode(), timestamp.encode() + b"." + body, hashlib.sha256
    ).hexdigest()


def identity(message: Message) -> str:
    """Return what names the message, whatever its attempts: letters that a header may hold."""
    return hashlib.sha256(message.key.encode()).hexdigest()[:32]


def _body(message: Message) -> Body:
    row = message.rows[0]
    return Body(
        id=identity(message),
        target=row.target,
        severity=row.severity,
        text=message.body,
        fired_at=row.fired_at,
        attempt=row.attempts,
        possible_repeat=row.is_marked,
        escalates=row.escalates,
        alert=message.facts.get(row.alert_key),
    )


def _read(status: int, asked: str) -> Delivered:
    if 200 <= status < 300:
        return Delivered()
    if 300 <= status < 400:
        raise DeliveryError(
            f"webhook: status {status}: redirects are refused; write the final address into"
            " webhook.urls",
            failure=Failure.PERMANENT,
        )
    if status in _LATER:
        pause = float(asked) if _SECONDS.fullmatch(asked) else None
        raise DeliveryError(
            f"webhook: status {status}",
            failure=Failure.RETRY,
            retry_after_s=None if pause is None else min(pause, MOST_PAUSE_S),
        )
    raise DeliveryError(f"webhook: status {status}", failure=Failure.PERMANENT)
