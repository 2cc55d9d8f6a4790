"""The last step of every log line: take out what must not be shown.

Known secrets go by their exact value. Patterns catch the unknown ones: what looks like a bot token
(there is no word boundary in `/bot123456:abc`, so the pattern must not ask for one), a password in
an address, a password in a connection string.
"""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

from sinks.secret import MASK, Secret

# After a dot, three digits end a host: 10.0.0.200:50051 is no token.
_TOKEN = re.compile(r"(?<!\d)(?:(?<!\.)\d{3}|\d{4,})(?::|%3[Aa])[A-Za-z0-9_-]{5,}")
# The quotes stay out: a line of JSON must remain one.
_ADDRESS_PASSWORD = re.compile(r"(://[^\s:/@\"]*:)[^\s/\"]*@")
_NAMED_PASSWORD = re.compile(r"(?i)\b(password\s*=\s*)('(?:[^'\"\\]|\\.)*'|[^\s&'\"]+)")


def redact(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Return `text` with each secret, and whatever looks like one, replaced by `***`.

    Args:
        text: a log line, an exception's text.
        secrets: known values; empty ones are passed over.

    Example:
        >>> redact("POST https://api.telegram.org/bot123456:AbC-dEfGh/sendMessage")
        'POST https://api.telegram.org/bot***/sendMessage'
        >>> redact("postgresql://candle:wax@127.0.0.1:5432/market")
        'postgresql://candle:***@127.0.0.1:5432/market'
    """
    return _without(_spellings(secrets), text)


class Redactor:
    """Redacts with the secrets it has been told of; one serves all log handlers of a process.

    Example:
        >>> redactor = Redactor()
        >>> redactor.add(Secret("hunter2"))
        >>> redactor.redact("the password is hunter2")
        'the password is ***'
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._secrets = frozenset(secrets)
        self._values = _spellings(self._secrets)

    def add(self, secret: Secret) -> None:
        """Redact this one too, from now on and in every thread."""
        self._secrets |= {secret}
        self._values = _spellings(self._secrets)

    def redact(self, text: str) -> str:
        """Return `text` without secrets."""
        return _without(self._values, text)


def _spellings(secrets: Iterable[Secret]) -> tuple[str, ...]:
    values = {secret.reveal() for secret in secrets}
    values |= {
        spelled
        for value in values
        for spelled in (
            quote(value, safe="", errors="surrogatepass"),
            json.dumps(value, ensure_ascii=False)[1:-1],
            repr(value)[1:-1],
        )
    }
    values.discard("")
    # The longest first: of two secrets, one may hold the other.
    return tuple(sorted(values, key=len, reverse=True))


def _without(values: tuple[str, ...], text: str) -> str:
    for value in values:
        if value in text:
            text = text.replace(value, MASK)
    text = _TOKEN.sub(MASK, text)
    text = _ADDRESS_PASSWORD.sub(rf"\1{MASK}@", text)
    return _NAMED_PASSWORD.sub(rf"\1{MASK}", text)
