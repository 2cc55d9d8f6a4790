"""Alerts to another program: a signed POST of JSON.

    POST <url>
    Content-Type: application/json
    Idempotency-Key: <the same at every attempt with the same alert>
    Candlewax-Timestamp: <seconds since 1970>
    Candlewax-Signature: v1=<hex HMAC-SHA256 of "<timestamp>.<body>" with the secret>

A receiver computes the signature of the bytes it got, compares in constant time, and refuses a
timestamp that is some minutes old: then a call that was listened to cannot be played again.
"""

import hashlib
import hmac
import re
import threading

import httpx
import msgspec

from sinks.alert_facts import AlertFacts
from sinks.delivery import Delivered, DeliveryError, Failure, Traits
from sinks.message import Message
from sinks.pacing import Pace
from sinks.secret import Secret

CONNECT_S = 2.5
ANSWER_S = 5.0
CALL_S = 6.0
"""Seconds for one call, connecting included."""
MOST_PAUSE_S = 3600.0

_SECOND = 1_000_000_000
_LATER = frozenset({408, 409, 423, 425, 429, 500, 502, 503, 504})
"""Answers by which a server says that it did not take the call, and may take it later."""
_SECONDS = re.compile(r"\d{1,9}", re.ASCII)
_NEVER_OPENED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


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
    """Calls one address, one attempt a message.

    Redirects are refused: the signed body goes where the configuration says and nowhere else.

    Args:
        url: where to.
        secret: signs the body.
        pace: what limits the calls.
        call_s: seconds for one call.
    """

    def __init__(
        self, url: str, secret: Secret, *, pace: Pace | None = None, call_s: float = CALL_S
    ) -> None:
        self.traits = Traits(pace=pace)
        self._url = url
        self._secret = secret
        self._client = httpx.Client(
            timeout=httpx.Timeout(min(call_s, ANSWER_S), connect=CONNECT_S), follow_redirects=False
        )
        self._aborted = threading.Event()

    def send(self, message: Message, now: int) -> Delivered:
        """Post one alert.

        Raises:
            DeliveryError: refused, redirected, not reached or not answered.
        """
        body = msgspec.json.encode(_body(message))
        seconds = str(now // _SECOND)
        if self._aborted.is_set():
            raise DeliveryError("webhook: stopped before the call", failure=Failure.RETRY)
        try:
            with self._client.stream(
                "POST",
                self._url,
                content=body,
                headers={
                    "Content-Type": "application/json",
                    "User-Agent": "candlewax",
                    "Idempotency-Key": identity(message),
                    "Candlewax-Timestamp": seconds,
                    "Candlewax-Signature": f"v1={sign(self._secret, seconds, body)}",
                },
            ) as answer:
                return _read(answer)
        except _NEVER_OPENED as error:
            raise DeliveryError(
                f"webhook: no connection: {_words(error)}", failure=Failure.RETRY
            ) from None
        except (httpx.HTTPError, RuntimeError) as error:
            # RuntimeError: the client was closed from another thread while it waited.
            reason = "stopped before the answer came" if self._aborted.is_set() else _words(error)
            raise DeliveryError(f"webhook: no answer: {reason}", failure=Failure.UNKNOWN) from None

    def abort(self) -> None:
        """End the call that waits in the other thread, and every later one at once."""
        self._aborted.set()
        self._client.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def sign(secret: Secret, timestamp: str, body: bytes) -> str:
    """Return the signature of a call: hex HMAC-SHA256 of `timestamp`, a dot and `body`.

    Example:
        >>> sign(Secret("key"), "1700000000", b"{}")[:16]
        '3b0b05d0b7f4e5f5'
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


def _read(answer: httpx.Response) -> Delivered:
    status = answer.status_code
    if 200 <= status < 300:
        return Delivered()
    if 300 <= status < 400:
        raise DeliveryError(
            f"webhook: status {status}: redirects are refused; write the final address into"
            " webhook.urls",
            failure=Failure.PERMANENT,
        )
    if status in _LATER:
        asked = answer.headers.get("retry-after", "")
        pause = float(asked) if _SECONDS.fullmatch(asked) else None
        raise DeliveryError(
            f"webhook: status {status}",
            failure=Failure.RETRY,
            retry_after_s=None if pause is None else min(pause, MOST_PAUSE_S),
        )
    raise DeliveryError(f"webhook: status {status}", failure=Failure.PERMANENT)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
