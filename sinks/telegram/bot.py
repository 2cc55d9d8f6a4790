"""One way to talk to the Bot API: the library's `Bot`, our time limits, and no token in sight.

The library's errors do not say all that a sender must know. What it means is read from the cause:

    answered with an error      not delivered; 429 says when to come back
    no connection was opened    not delivered
    no answer on an open one    unknown
"""

import logging
import os
import re
from datetime import timedelta

import httpx
from telegram import Bot
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)
from telegram.request import HTTPXRequest

from market.errors import ConfigError
from sinks.alert_settings import check_base_url
from sinks.delivery import DeliveryError, Failure
from sinks.redaction import redact
from sinks.secret import Secret

# The library's own switch: `RetryAfter.retry_after` is a timedelta, without a warning a call.
os.environ.setdefault("PTB_TIMEDELTA", "true")

CONNECT_S = 2.5
READ_S = 5.0
_TOKEN = re.compile(r"\d+:[A-Za-z0-9_-]+", re.ASCII)
MISSHAPEN = (AttributeError, KeyError, TypeError, ValueError)
"""What the library raises over an answer that is JSON but not the Bot API's."""

_NEVER_OPENED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class BotConnection:
    """A `Bot` and the connections it uses; everything runs in the event loop of the caller.

    Args:
        token: of the bot.
        base_url: of the Bot API, up to where the token follows.

    Raises:
        ConfigError: the token or the address cannot be right.
    """

    def __init__(self, token: Secret, base_url: str) -> None:
        if not _TOKEN.fullmatch(token.reveal()):
            raise ConfigError(
                "TELEGRAM_BOT_TOKEN is not a bot token: expected digits, a colon and letters,"
                " as @BotFather gives it"
            )
        try:
            check_base_url(base_url)
        except ValueError as error:
            raise ConfigError(f"telegram.{error}") from error
        quiet_loggers()
        self._token = token
        self._request = HTTPXRequest(
            connection_pool_size=1,  # one call at a time, whichever method
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            write_timeout=READ_S,
            pool_timeout=CONNECT_S,
        )
        self.bot = Bot(
            token.reveal(),
            base_url=base_url,
            request=self._request,
            get_updates_request=self._request,
        )

    def explain(self, error: TelegramError) -> DeliveryError:
        """Say what the library's error means for the message; without the token."""
        message = redact(f"telegram: {error.message or type(error).__name__}", [self._token])
        match error:
            case RetryAfter():
                return DeliveryError(
                    message, failure=Failure.RETRY, retry_after_s=_seconds(error.retry_after)
                )
            case Forbidden() | BadRequest() | InvalidToken() | ChatMigrated():
                return DeliveryError(message, failure=Failure.PERMANENT)
            case NetworkError() if not isinstance(error.__cause__, Exception):
                return DeliveryError(message, failure=Failure.RETRY)  # an answer: 5xx and the like
            case NetworkError() if isinstance(error.__cause__, TelegramError):
                return DeliveryError(message, failure=Failure.RETRY)  # the same, in no JSON
            case NetworkError() if _never_opened(error.__cause__):
                return DeliveryError(message, failure=Failure.RETRY)
            case _:
                return DeliveryError(message, failure=Failure.UNKNOWN)

    async def close(self) -> None:
        """Close the connections."""
        await self._request.shutdown()


def _never_opened(cause: BaseException | None) -> bool:
    # The second: a name is looked up in a thread, and there are none once the interpreter ends.
    return isinstance(cause, _NEVER_OPENED) or (
        isinstance(cause, RuntimeError) and "cannot schedule new futures" in str(cause)
    )


def quiet_loggers() -> None:
    """Keep the libraries from logging addresses: the token is in each of them."""
    for name in ("httpx", "httpcore", "telegram"):
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)


def _seconds(value: timedelta | float) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
