import socket
import threading
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from sinks.delivery import DeliveryError, Failure
from sinks.email_settings import EmailSettings
from sinks.mail import MailTarget
from sinks.message import Message
from sinks.outbox_row import OutboxRow
from sinks.secret import Secret

NOW = 1_700_000_000_000_000_000
PASSWORD = Secret("hunter2-of-the-tests")


class Server:
    """A mail server that answers as told and keeps what it gets."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipient = "250 OK"
        self.data = "250 OK"
        self.logins: list[str] = []

    async def handle_RCPT(  # noqa: N802  as the library calls it
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return self.data

    def login(self, _server: SMTP, _session: Session, _envelope: Envelope, mechanism: str,
              data: LoginPassword) -> AuthResult:  # fmt: skip
        self.logins.append(f"{mechanism} {data.login.decode()}")
        return AuthResult(success=data.password == PASSWORD.reveal().encode(), handled=False)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def port(server: Server) -> Iterator[int]:
    controller = Controller(
        server, hostname="127.0.0.1", port=free_port(), authenticator=server.login,
        auth_require_tls=False,
    )  # fmt: skip
    controller.start()
    yield controller.port
    controller.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def settings(port: int, **changes: str) -> EmailSettings:
    told: dict[str, str] = {"security": "none", **changes}
    return EmailSettings(
        host="127.0.0.1", port=port, sender="wax@example.com", addresses={"ann": "a@b.example"},
        **told,  # type: ignore[arg-type]
    )  # fmt: skip


def message(text: str = "RSI 28", picture: bytes | None = None) -> Message:
    row = OutboxRow(
        id=7, alert_key="k", target="email/ann", severity="critical", text=text,
        state="sending", attempts=1, fired_at=NOW,
    )  # fmt: skip
    return Message(body=text, details="binance BTC-USDT", key="k", rows=(row,), picture=picture)


def failure(target: MailTarget, told: Message | None = None) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        target.send(told if told is not None else message(), NOW)
    assert PASSWORD.reveal() not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


def test_a_mail_says_what_the_alert_says(server: Server, port: int) -> None:
    target = MailTarget("a@b.example", settings(port), None)
    first = target.send(message("RSI 28 ↓\r\nBcc: x@y.example"), NOW)
    second = target.send(message("with", picture=b"\x89PNG"), NOW)
    plain, pictured = server.mails
    assert plain["Subject"] == "RSI 28 ↓"
    assert (plain["From"], plain["To"]) == ("wax@example.com", "a@b.example")
    assert plain["Bcc"] is None
    assert plain["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert plain["Message-ID"] == first.message_id == second.message_id
    assert plain["Importance"] == "high"
    assert plain.get_content().splitlines() == ["RSI 28 ↓", "Bcc: x@y.example", "binance BTC-USDT"]
    (picture,) = pictured.iter_attachments()
    assert (picture.get_filename(), picture.get_content()) == ("chart.png", b"\x89PNG")


def test_it_logs_in(server: Server, port: int) -> None:
    target = MailTarget("a@b.example", settings(port, user="wax"), PASSWORD)
    target.send(message(), NOW)
    assert [login.split()[1] for login in server.logins] == ["wax"]
    wrong = MailTarget("a@b.example", settings(port, user="wax"), Secret("wrong"))
    error = failure(wrong)
    assert error.failure is Failure.PERMANENT
    assert "535" in str(error)


@pytest.mark.parametrize(
    ("recipient", "data", "kind"),
    [
        ("550 no such user", "250 OK", Failure.PERMANENT),
        ("450 try later", "250 OK", Failure.RETRY),
        ("250 OK", "554 spam", Failure.PERMANENT),
        ("250 OK", "451 busy", Failure.RETRY),
    ],
)
def test_a_refusal_decides_whether_to_try_again(
    server: Server, port: int, recipient: str, data: str, kind: Failure
) -> None:
    server.recipient, server.data = recipient, data
    target = MailTarget("a@b.example", settings(port), None)
    assert failure(target).failure is kind
    server.recipient = server.data = "250 OK"
    target.send(message(), NOW)


def test_a_server_without_tls_gets_no_mail(server: Server, port: int) -> None:
    target = MailTarget("a@b.example", settings(port, security="starttls"), None)
    error = failure(target)
    assert error.failure is Failure.PERMANENT
    assert "STARTTLS" in str(error)
    assert server.mails == []


def test_an_absent_server_is_safe_to_try_again() -> None:
    assert failure(MailTarget("a@b.example", settings(free_port()), None)).failure is Failure.RETRY


class Silent:
    """A mail server that says its lines and then no more."""

    def __init__(self, *lines: bytes) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, args=(lines,), daemon=True)
        self.thread.start()

    def serve(self, lines: tuple[bytes, ...]) -> None:
        client, _ = self.listener.accept()
        with client:
            client.sendall(b"220 here\r\n")
            for line in lines:
                client.recv(65536)
                client.sendall(line + b"\r\n")
            while client.recv(65536):
                pass


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ((), Failure.RETRY),
        ((b"250 hello", b"250 from", b"250 to"), Failure.UNKNOWN),
        ((b"250 hello", b"250 from", b"250 to", b"354 go on"), Failure.UNKNOWN),
    ],
)
@pytest.mark.parametrize("aborted", [True, False])
def test_silence_is_told_apart_by_when_it_begins(
    lines: tuple[bytes, ...], kind: Failure, aborted: bool
) -> None:
    silent = Silent(*lines)
    target = MailTarget("a@b.example", settings(silent.port), None, call_s=20 if aborted else 0.4)
    if aborted:
        threading.Timer(0.4, target.abort).start()
    begun = time.monotonic()
    error = failure(target)
    assert time.monotonic() - begun < 2.4
    assert error.failure is kind
    expected = "stopped before the answer came" if aborted else "no answer in 0.4 s"
    assert expected in str(error)
    if aborted:
        assert failure(target).failure is Failure.RETRY
    silent.listener.close()
