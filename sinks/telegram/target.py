"""Alerts into one Telegram chat."""

import asyncio
import logging
import threading

from telegram import InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions
from telegram.error import ChatMigrated, TelegramError

from sinks.alert_settings import ChatId
from sinks.delivery import Delivered, DeliveryError, Failure, Traits
from sinks.message import PICTURE_NAME, Message, cut
from sinks.pacing import Pace
from sinks.secret import Secret
from sinks.telegram.bot import MISSHAPEN, BotConnection
from sinks.telegram.buttons import Button, data_of

TEXT_LIMIT = 4096
"""UTF-16 units of a message, by the Bot API (sendMessage; read 2026-11-20)."""
CAPTION_LIMIT = 1024
"""UTF-16 units of a picture's caption (sendPhoto; read 2026-11-20)."""
CALL_S = 6.0

_log = logging.getLogger(__name__)


class TelegramTarget:
    """Sends plain text, or a picture with it, to one chat, one attempt a call.

    It has an event loop of its own, which runs in the sender's thread while that waits for an
    answer. There is no rate limiter inside: it would hold a row that counts as attempted; pacing
    belongs before an attempt.

    Args:
        token: of the bot.
        chat: where to; a group that became a supergroup is followed to its new id.
        base_url: of the Bot API, up to where the token follows.
        pace: what limits the calls of this chat.
        buttons: put buttons under alerts; of use where somebody reads what is pressed.
        call_s: seconds for one call, connecting included.

    Raises:
        ConfigError: the token or the address cannot be right.
    """

    def __init__(
        self,
        token: Secret,
        chat: ChatId,
        *,
        base_url: str,
        pace: Pace | None = None,
        buttons: bool = False,
        call_s: float = CALL_S,
    ) -> None:
        self.traits = Traits(pace=pace, digests=True, keeps_quiet=True, takes_pictures=True)
        self._connection = BotConnection(token, base_url)
        self._chat = chat
        self._buttons = buttons
        self._call_s = call_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._call: asyncio.Task[Delivered] | None = None
        self._is_aborted = False

    def send(self, message: Message, now: int) -> Delivered:  # noqa: ARG002  Telegram dates it
        """Send `message`, cut to Telegram's limits, and wait for the answer.

        Raises:
            DeliveryError: see `Failure`.
        """
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
        with self._lock:
            if self._is_aborted:
                raise DeliveryError("telegram: stopped before the call", failure=Failure.RETRY)
            self._call = self._loop.create_task(self._attempt(message))
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

    async def _attempt(self, message: Message) -> Delivered:
        try:
            async with asyncio.timeout(self._call_s):
                return await self._post(message)
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

    async def _post(self, message: Message) -> Delivered:
        try:
            return await self._message(message)
        except ChatMigrated as error:
            _log.warning(
                "a Telegram group has a new id; write it into [telegram.chats]",
                extra={"old_chat": self._chat, "new_chat": error.new_chat_id},
            )
            self._chat = error.new_chat_id
            return await self._message(message)

    async def _message(self, message: Message) -> Delivered:
        keyboard = self._keyboard(message)
        if message.picture is not None:
            sent = await self._connection.bot.send_photo(
                self._chat,
                message.picture,
                caption=fitted(message, CAPTION_LIMIT),
                filename=PICTURE_NAME,
                reply_markup=keyboard,
            )
        else:
            sent = await self._connection.bot.send_message(
                self._chat,
                fitted(message, TEXT_LIMIT),
                link_preview_options=LinkPreviewOptions(is_disabled=True),
                reply_markup=keyboard,
            )
        return Delivered(str(sent.message_id))

    def _keyboard(self, message: Message) -> InlineKeyboardMarkup | None:
        if not self._buttons or not message.facts:
            return None
        number = message.rows[0].id
        if not number:  # it is in no table yet: nobody could say what was pressed
            return None
        return InlineKeyboardMarkup(
            [
                [
                    InlineKeyboardButton(button.label, callback_data=data_of(button, number))
                    for button in Button
                ]
            ]
        )


def fitted(message: Message, limit: int) -> str:
    """Return the text of `message`; where it is too long the body is cut, the details stay.

    Example:
        >>> fitted(Message(body="x" * 5000, details="binance"), 4096).split()[-1]
        'binance'
    """
    if not message.details:
        return cut(message.body, limit)
    room = limit - len(message.details.encode("utf-16-le", "replace")) // 2 - 1
    if room < 1:
        return cut(message.text, limit)
    return f"{cut(message.body, room)}\n{cut(message.details, limit)}"
