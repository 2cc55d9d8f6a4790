"""First contact with a bot: check the token, find the chat, send a test message."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from telegram import Message, Update
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError

from market.errors import ConfigError
from sinks.delivery import Failure
from sinks.secret import Secret
from sinks.telegram.bot import MISSHAPEN, BotConnection

POLL_S = 10
"""Seconds that one request for news waits at the server."""
TEST_TEXT = "Candlewax is connected: alerts will arrive in this chat."

_Result = TypeVar("_Result")


class ChatFound(msgspec.Struct, frozen=True, kw_only=True):
    """What a set-up came to.

    Attributes:
        bot: user name of the bot, without `@`.
        chat_id: negative for a group.
        chat_name: title of the group, or the person's name.
    """

    bot: str
    chat_id: int
    chat_name: str


def setup(token: Secret, base_url: str, say: Callable[[str], None], wait_s: float) -> ChatFound:
    """Find the chat that says `/start` to the bot, and send a test message there.

    A `/start` that was said before counts when Telegram still keeps it (a day).

    Args:
        token: of the bot.
        base_url: of the Bot API, up to where the token follows.
        say: told what to do and what happens, a line at a time.
        wait_s: seconds to wait for `/start`.

    Raises:
        ConfigError: a wrong token or address, nobody said `/start`, another program reads this
            bot's messages, or the test message was refused.
    """
    return asyncio.run(_setup(token, base_url, say, time.monotonic() + wait_s))


async def _setup(
    token: Secret, base_url: str, say: Callable[[str], None], deadline: float
) -> ChatFound:
    connection = BotConnection(token, base_url)
    try:
        user = await _ask(connection, connection.bot.get_me())
        say(f"The token belongs to @{user.username}.")
        say(f"Open https://t.me/{user.username} (or add the bot to a group) and send /start ...")
        message = await _wait_for_start(connection, deadline)
        if message is None:
            raise ConfigError(
                f"nobody sent /start to @{user.username} in time: run the set-up again and send it"
            )
        chat = message.chat
        found = ChatFound(
            bot=user.username or "",
            chat_id=chat.id,
            chat_name=chat.effective_name or str(chat.id),
        )
        await _ask(connection, connection.bot.send_message(chat.id, TEST_TEXT))
        say(f"A test message went to {found.chat_name!r}, chat id {found.chat_id}.")
        return found
    finally:
        await connection.close()


async def _wait_for_start(connection: BotConnection, deadline: float) -> Message | None:
    offset = 0
    while (left := deadline - time.monotonic()) > 0:
        wait = max(0, min(POLL_S, int(left)))
        try:
            updates = await connection.bot.get_updates(
                offset=offset, timeout=wait, allowed_updates=["message", "channel_post"]
            )
        except TelegramError as error:
            await asyncio.sleep(min(_patience(connection, error), left))
            continue
        except MISSHAPEN:
            raise _no_bot_api() from None
        for update in updates:
            offset = update.update_id + 1
            message = _start(update)
            if message is not None:
                # Tells the server that this one is read, for whoever polls next.
                await _ask(connection, connection.bot.get_updates(offset=offset, timeout=0))
                return message
        if not wait:
            await asyncio.sleep(min(0.2, left))
    return None


def _start(update: Update) -> Message | None:
    message = update.message or update.channel_post
    words = (message.text or "").split(maxsplit=1) if message is not None else []
    return message if words and words[0].partition("@")[0] == "/start" else None


def _patience(connection: BotConnection, error: TelegramError) -> float:
    """Return how long to wait after an error while polling, s; raise what waiting does not cure."""
    if isinstance(error, Conflict):
        raise _config_error(connection, error) from None
    meaning = connection.explain(error)
    if meaning.failure is Failure.PERMANENT:
        raise _config_error(connection, error) from None
    return 1.0 if meaning.retry_after_s is None else meaning.retry_after_s


async def _ask(connection: BotConnection, question: Awaitable[_Result]) -> _Result:
    try:
        return await question
    except RetryAfter as error:
        seconds = connection.explain(error).retry_after_s or 0.0
        raise ConfigError(
            f"Telegram asks for a pause of {seconds:g} s: run the set-up again after it"
        ) from None
    except TelegramError as error:
        raise _config_error(connection, error) from None
    except MISSHAPEN:
        raise _no_bot_api() from None


def _no_bot_api() -> ConfigError:
    return ConfigError("what answers is no Bot API: check telegram.base_url")


def _config_error(connection: BotConnection, error: TelegramError) -> ConfigError:
    reason = str(connection.explain(error)).removeprefix("telegram: ")
    if isinstance(error, InvalidToken):
        return ConfigError(
            f"Telegram does not know this bot token ({reason}): copy it again from @BotFather"
            " into TELEGRAM_BOT_TOKEN, and check telegram.base_url"
        )
    if isinstance(error, Conflict):
        return ConfigError(
            f"another program reads this bot's messages ({reason}): stop it, or delete its webhook"
        )
    return ConfigError(
        f"Telegram: {reason}; check the network and telegram.base_url, then run the set-up again"
    )
