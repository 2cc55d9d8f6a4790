"""Alerts as mails, by SMTP.

refused with 4xx before the text was taken      try again
refused with 5xx                                never
connection lost before the text was sent        try again
connection lost after that                      unknown
"""

import contextlib
import hashlib
import smtplib
import ssl
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime

from market.intervals import SECOND
from sinks.breaker import Breaker
from sinks.delivery import Delivered, DeliveryError, Failure, Traits
from sinks.email_settings import EmailSettings
from sinks.message import PICTURE_NAME, Message
from sinks.pacing import Pace, Rate
from sinks.redaction import redact
from sinks.secret import Secret

STEP_S = 2.5
"""Seconds for one answer of the server."""
CALL_S = 6.0
"""Seconds for one mail, connecting and logging in included."""


class MailTarget:
    """Sends mails to one address, one attempt a call, a connection a mail.

    Args:
        address: where to.
        settings: the mail server.
        password: of `settings.user`; None for no login.
        tls: what is trusted; the system's certificates when not given.
        call_s: seconds for one mail.
    """

    def __init__(
        self,
        address: str,
        settings: EmailSettings,
        password: Secret | None,
        *,
        tls: ssl.SSLContext | None = None,
        call_s: float = CALL_S,
    ) -> None:
        minute = Rate(settings.per_minute, 60.0, burst=max(1, settings.per_minute // 3))
        self.traits = Traits(
            pace=Pace(f"email {address}", minute),
            digests=True,
            keeps_quiet=True,
            takes_pictures=True,
        )
        self._address = address
        self._settings = settings
        self._password = password
        self._tls = tls
        self._breaker = Breaker(call_s)
        self._is_text_out = False

    def send(self, message: Message, now: int) -> Delivered:
        """Send one mail.

        Raises:
            DeliveryError: refused, not reached or not answered.
        """
        mail = self._mail(message, now)
        self._is_text_out = False
        try:
            with self._breaker.call():
                self._deliver(mail)
        except smtplib.SMTPResponseException as error:
            raise self._refusal(error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPNotSupportedError as error:
            raise DeliveryError(f"email: {error}", failure=Failure.PERMANENT) from None
        except ssl.SSLCertVerificationError as error:
            raise DeliveryError(
                f"email: the server's certificate is not trusted: {error.verify_message}",
                failure=Failure.PERMANENT,
            ) from None
        except (smtplib.SMTPException, OSError) as error:
            raise self._broken(error) from None
        return Delivered(str(mail["Message-ID"]))

    def abort(self) -> None:
        """End the call that waits in the other thread, and every later one at once."""
        self._breaker.abort()

    def close(self) -> None:
        """Do nothing: a connection ends with its mail."""

    def _deliver(self, mail: EmailMessage) -> None:
        if self._breaker.is_aborted:
            raise DeliveryError("email: stopped before the call", failure=Failure.RETRY)
        host, port = self._settings.host, self._settings.port
        session = (
            smtplib.SMTP_SSL(host, port, timeout=STEP_S, context=self._context())
            if self._settings.security == "tls"
            else smtplib.SMTP(host, port, timeout=STEP_S)
        )
        with contextlib.closing(session):
            self._breaker.watch(session.sock)
            if self._settings.security == "starttls":
                session.starttls(context=self._context())
                self._breaker.watch(session.sock)
            session.ehlo_or_helo_if_needed()
            if self._settings.user and self._password is not None:
                session.login(self._settings.user, self._password.reveal())
            _accept(session.mail(self._settings.sender))
            _accept(session.rcpt(self._address))
            self._is_text_out = True
            _accept(session.data(mail.as_bytes(policy=policy.SMTP)))

    def _context(self) -> ssl.SSLContext:
        return self._tls if self._tls is not None else ssl.create_default_context()

    def _refusal(self, code: int, reason: bytes | str) -> DeliveryError:
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        secrets = [] if self._password is None else [self._password]
        words = redact(f"email: {code} {' '.join(text.split())}", secrets)
        if code == 421 and not self._is_text_out:
            return DeliveryError(words, failure=Failure.RETRY)
        if not 400 <= code < 600:
            # -1 and the like: the connection ended where an answer should have been.
            return self._broken(ConnectionResetError(words))
        return DeliveryError(words, failure=Failure.PERMANENT if code >= 500 else Failure.RETRY)

    def _broken(self, error: Exception) -> DeliveryError:
        return DeliveryError(
            f"email: {self._breaker.reason(error)}",
            failure=Failure.UNKNOWN if self._is_text_out else Failure.RETRY,
        )

    def _mail(self, message: Message, now: int) -> EmailMessage:
        """Write the mail; its id is the same at every attempt, so that readers see one."""
        name = hashlib.sha256(message.key.encode()).hexdigest()[:32]
        mail = EmailMessage(policy=policy.SMTP)
        mail["Subject"] = " ".join(message.subject.split())
        mail["From"] = self._settings.sender
        mail["To"] = self._address
        mail["Date"] = format_datetime(datetime.fromtimestamp(now // SECOND, UTC))
        mail["Message-ID"] = f"<{name}@{self._settings.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        if message.rows and message.rows[0].severity == "critical":
            mail["Importance"] = "high"
        mail.set_content(message.text + "\n")
        if message.picture is not None:
            mail.add_attachment(
                message.picture, maintype="image", subtype="png", filename=PICTURE_NAME
            )
        return mail


def _accept(answer: tuple[int, bytes]) -> None:
    code, reason = answer
    if not 200 <= code < 300:
        raise smtplib.SMTPResponseException(code, reason)
