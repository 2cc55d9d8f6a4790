"""Alerts into one Telegram chat."""

import asyncio
import logging
import threading

from telegram import LinkPreviewOptions
from telegram.error import ChatMigrated, TelegramError

from sinks.alert_settings import ChatId
from sinks.delivery import Delivered, DeliveryError, Failure
from sinks.secret import Secret
from sinks.telegram.bot import MISSHAPEN, BotConnection

TEXT_LIMIT = 4096
"""UTF-16 units of a message, by the Bot API (sendMessage; read 2026-11-20)."""
CALL_S = 6.0

_log = logging.getLogger(__name__)


class TelegramTarget:
    """Sends plain text to one chat, one attempt a call.

    It has an event loop of its own, which runs in the sender's thread while that waits for an
    answer. There is no rate limiter inside: it would hold a row that counts as attempted; pacing
    belongs before an attempt.

    Args:
        token: of the bot.
        chat: where to; a group that became a supergroup is followed to its new id.
        base_url: of the Bot API, up to where the token follows.
        call_s: seconds for one call, connecting included.

    Raises:
        ConfigError: the token or the address cannot be right.
    """

    def __init__(
        self, token: Secret, chat: ChatId, *, base_url: str, call_s: float = CALL_S
    ) -> None:
        self._connection = BotConnection(token, base_url)
        self._chat = chat
        self._call_s = call_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._call: asyncio.Task[Delivered] | None = None
        self._is_aborted = False

    def send(self, text: str, now: int) -> Delivered:  # noqa: ARG002  Telegram dates it itself
        """Send `text`, cut to Telegram's limit, and wait for the answer.

        Raises:
            DeliveryError: see `Failure`.
        """
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        with self._lock:
            if self._is_aborted:
                raise DeliveryError("telegram: stopped before the call", failure=Failure.RETRY)
            self._call = self._loop.create_task(self._attempt(shortened(text)))
        try:
            return self._loop.run_until_complete(self._call)
        except asyncio.CancelledError:
            raise DeliveryError(
                "telegram: stopped before the answer came", failure=Failure.UNKNOWN
            ) from None
        finally:
            with self._lock:
                self._call = None

    def abort(self) -> None:
        """End the call that waits in the other thread, and every later one at once."""
        with self._lock:
            self._is_aborted = True
            if self._call is not None and self._loop is not None:
                self._loop.call_soon_threadsafe(self._call.cancel)

    def close(self) -> None:
        """Close the connections and the loop."""
        if self._loop is not None:
            self._loop.run_until_complete(self._connection.close())
            self._loop.close()
            self._loop = None

    async def _attempt(self, text: str) -> Delivered:
        try:
            async with asyncio.timeout(self._call_s):
                return await self._post(text)
        except TimeoutError:
            raise DeliveryError(
                f"telegram: no answer in {self._call_s:g} s", failure=Failure.UNKNOWN
            ) from None
        except TelegramError as error:
            # Not chained: whoever prints the chain would print the library's words, too.
            raise self._connection.explain(error) from None
        except MISSHAPEN as error:
            raise DeliveryError(
                f"telegram: the answer is none of the Bot API's ({error!r})",
                failure=Failure.UNKNOWN,
            ) from None

    async def _post(self, text: str) -> Delivered:
        try:
            return await self._message(text)
        except ChatMigrated as error:
            _log.warning(
                "a Telegram group has a new id; write it into [telegram.chats]",
                extra={"old_chat": self._chat, "new_chat": error.new_chat_id},
            )
            self._chat = error.new_chat_id
            return await self._message(text)

    async def _message(self, text: str) -> Delivered:
        message = await self._connection.bot.send_message(
            self._chat, text, link_preview_options=LinkPreviewOptions(is_disabled=True)
        )
        return Delivered(str(message.message_id))


def shortened(text: str) -> str:
    """Return `text`, cut and ended with `…` where it is longer than a message may be.

    Example:
        >>> shortened("x" * 5000)[-3:], len(shortened("x" * 5000))
        ('xx…', 4096)
    """
    units = text.encode("utf-16-le", "replace")
    if len(units) <= 2 * TEXT_LIMIT:
        return units.decode("utf-16-le")
    # "ignore" drops the half of a letter that the cut may leave.
    return units[: 2 * (TEXT_LIMIT - 1)].decode("utf-16-le", "ignore") + "…"
