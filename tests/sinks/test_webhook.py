import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sinks.alert_facts import AlertFacts
from sinks.delivery import DeliveryError, Failure
from sinks.message import Message
from sinks.outbox_row import REPEAT_MARK, OutboxRow
from sinks.secret import Secret
from sinks.webhook import WebhookTarget

KEY = Secret("signs-it")
NOW = 1_700_000_000_000_000_000


class Receiver:
    """A server that answers as told and keeps what it gets."""

    def __init__(self) -> None:
        self.status, self.headers = 204, dict[str, str]()
        self.silent_s = 0.0
        self.bodies: list[bytes] = []
        self.got: list[dict[str, str]] = []
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.got.append(dict(self.headers))
                if receiver.silent_s:
                    receiver.released.wait(receiver.silent_s)
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/alerts?desk=1"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield receiver
    receiver.released.set()
    receiver.server.shutdown()
    receiver.server.server_close()


def message(text: str = "RSI 28", attempt: int = 1) -> Message:
    row = OutboxRow(
        id=7, alert_key="k", target="webhook/desk", severity="critical", text=text,
        state="sending", attempts=attempt, fired_at=NOW,
    )  # fmt: skip
    facts = AlertFacts(
        key="k", spec="oversold", venue="binance", symbol="BTC-USDT", interval="1m",
        severity="critical", text="RSI 28", time=NOW, fired_at=NOW, values={"rsi(14)": 28.0},
    )  # fmt: skip
    return Message(body=text, key="k webhook/desk", rows=(row,), facts={"k": facts})


def failure(target: WebhookTarget) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        target.send(message(), NOW)
    assert KEY.reveal() not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


def test_a_call_is_signed_and_says_what_happened(receiver: Receiver) -> None:
    target = WebhookTarget(receiver.url, KEY)
    assert target.send(message(), NOW).message_id is None
    target.send(message(REPEAT_MARK + "RSI 28", attempt=2), NOW)
    target.close()
    body, headers = receiver.bodies[0], receiver.got[0]
    assert headers["Content-Type"] == "application/json"
    assert headers["Candlewax-Timestamp"] == "1700000000"
    expected = hmac.new(b"signs-it", b"1700000000." + body, hashlib.sha256).hexdigest()
    assert headers["Candlewax-Signature"] == f"v1={expected}"
    told = json.loads(body)
    assert told["version"] == 1
    assert told["id"] == headers["Idempotency-Key"]
    assert (told["text"], told["severity"], told["attempt"]) == ("RSI 28", "critical", 1)
    assert told["alert"]["values"] == {"rsi(14)": 28.0}
    assert told["alert"]["symbol"] == "BTC-USDT"
    assert told["possible_repeat"] is False
    again = json.loads(receiver.bodies[1])
    assert (again["attempt"], again["possible_repeat"]) == (2, True)
    assert receiver.got[1]["Idempotency-Key"] == headers["Idempotency-Key"]
    assert receiver.got[1]["Candlewax-Signature"] != headers["Candlewax-Signature"]


@pytest.mark.parametrize(
    ("status", "headers", "kind", "pause"),
    [
        (400, {}, Failure.PERMANENT, None),
        (401, {}, Failure.PERMANENT, None),
        (404, {}, Failure.PERMANENT, None),
        (410, {}, Failure.PERMANENT, None),
        (429, {"Retry-After": "7"}, Failure.RETRY, 7.0),
        (429, {"Retry-After": "999999"}, Failure.RETRY, 3600.0),
        (503, {"Retry-After": "tomorrow"}, Failure.RETRY, None),
        (500, {}, Failure.RETRY, None),
    ],
)
def test_an_answer_decides_whether_to_try_again(
    receiver: Receiver, status: int, headers: dict[str, str], kind: Failure, pause: float | None
) -> None:
    receiver.status, receiver.headers = status, headers
    target = WebhookTarget(receiver.url, KEY)
    error = failure(target)
    assert (error.failure, error.retry_after_s) == (kind, pause)
    assert f"status {status}" in str(error)
    target.close()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_refused(receiver: Receiver, status: int) -> None:
    receiver.status, receiver.headers = status, {"Location": receiver.url}
    target = WebhookTarget(receiver.url, KEY)
    error = failure(target)
    assert error.failure is Failure.PERMANENT
    assert "redirects are refused" in str(error)
    assert len(receiver.bodies) == 1
    target.close()


def test_silence_is_unknown(receiver: Receiver) -> None:
    receiver.silent_s = 5
    target = WebhookTarget(receiver.url, KEY, call_s=0.2)
    assert failure(target).failure is Failure.UNKNOWN
    target.close()


def test_no_connection_is_safe_to_try_again(receiver: Receiver) -> None:
    gone = Receiver()
    gone.server.server_close()
    target = WebhookTarget(gone.url, KEY)
    assert failure(target).failure is Failure.RETRY
    target.close()


def test_abort_ends_a_call_and_every_later_one(receiver: Receiver) -> None:
    receiver.silent_s = 4
    target = WebhookTarget(receiver.url, KEY)
    threading.Timer(0.3, target.abort).start()
    begun = time.monotonic()
    assert failure(target).failure is Failure.UNKNOWN
    assert time.monotonic() - begun < 3
    assert failure(target).failure is Failure.RETRY
    assert len(receiver.bodies) == 1
