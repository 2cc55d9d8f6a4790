"""Reads what people write to the bot, and answers those who may ask.

It runs only where the alerts are sent, so there is one reader of a bot. An update is put on record
before it is acted on: one that comes again, or that two readers get, acts once; one whose answer
was cut off by the end of the process is not answered, and is not done twice. What fails by a bug is
logged, counted and answered as such, and the next update is acted on.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from functools import partial

import psycopg
from telegram import Bot, Chat, LinkPreviewOptions, Update, User
from telegram.error import Conflict, TelegramError

from sinks.alert_settings import TELEGRAM, TelegramSettings
from sinks.delivery import Failure
from sinks.message import PICTURE_NAME, cut
from sinks.pacing import Pace, Pacer
from sinks.secret import Secret
from sinks.store_connection import RETRIABLE
from sinks.telegram.bot import MISSHAPEN, BotConnection
from sinks.telegram.buttons import read_data
from sinks.telegram.commands import read_command
from sinks.telegram.desk import Answer, Asker, Desk
from sinks.telegram.limits import pace_of
from sinks.telegram.target import CAPTION_LIMIT, TEXT_LIMIT
from sinks.telegram.updates import next_update, take
from sinks.unexpected import Contained

POLL_S = 10
"""Seconds that one request for news waits at the server."""
PAUSE_S = 1.0
CONFLICT_S = 5.0
"""Pause when another program reads this bot's messages."""
NOTICE_LIMIT = 200
"""Letters that Telegram shows to whoever pressed a button."""
ANSWER_TRIES = 3
FAILED = "That failed, by a mistake in the program: its log tells more. Other commands go on."
AWAY = "That failed: the database does not answer now. Ask again in a moment."
STOP_S = 0.4
_CALL_S = 6.0
_THREAD = "telegram-poller"

_log = logging.getLogger(__name__)


class Poller:
    """A thread that reads a bot's messages while it is wanted.

    Args:
        token: of the bot.
        settings: who may ask, and from which chats.
        dsn: address of the database.
        desk: answers.
        pacer: shared with the sender: answers count like alerts.
        clock: our clock, ns UTC.
    """

    def __init__(
        self,
        token: Secret,
        settings: TelegramSettings,
        dsn: Secret,
        desk: Desk,
        *,
        pacer: Pacer,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._token = token
        self._bot_id = token.reveal().partition(":")[0]
        self._settings = settings
        self._dsn = dsn
        self._desk = desk
        self._pacer = pacer
        self._clock = clock
        self._people = {user.id: (name, user.role) for name, user in settings.users.items()}
        self._chats = {str(chat): TELEGRAM + name for name, chat in settings.chats.items()}
        self._refused: set[int] = set()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._lock = threading.Lock()
        self._said_conflict = False

    def start(self) -> None:
        """Begin to read."""
        self.stop()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=_THREAD, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End reading, a call that waits for an answer included."""
        self._stopping.set()
        with self._lock:
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)
        if self._thread is not None:
            self._thread.join(STOP_S)
            self._thread = None

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._main(self._stopping))

    async def _main(self, stopping: threading.Event) -> None:
        with self._lock:
            if stopping.is_set():
                return
            self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        connection = BotConnection(self._token, self._settings.base_url)
        try:
            while not stopping.is_set():
                with Contained(
                    _log, _THREAD, "what people write cannot be read; it is tried again"
                ) as contained:
                    await self._serve(connection)
                await asyncio.sleep(CONFLICT_S if contained.failed else PAUSE_S)
        finally:
            with self._lock:
                self._loop = self._task = None
            await connection.close()

    async def _serve(self, connection: BotConnection) -> None:
        """Read until the database is away."""
        # The sender says that it is away; what was asked waits at Telegram.
        with (
            contextlib.suppress(*RETRIABLE),
            psycopg.connect(
                self._dsn.reveal(),
                autocommit=True,
                connect_timeout=3,
                application_name="candlewax telegram",
            ) as store,
        ):
            await self._read(connection, store)

    async def _read(self, connection: BotConnection, store: psycopg.Connection) -> None:
        name = ""
        offset = next_update(store, self._bot_id, now=self._clock())
        while True:
            try:
                if not name:
                    name = (await connection.bot.get_me()).username or ""
                updates = await connection.bot.get_updates(
                    offset=offset, timeout=POLL_S, allowed_updates=["message", "callback_query"]
                )
            except TelegramError as error:
                await asyncio.sleep(self._patience(connection, error))
                continue
            except MISSHAPEN as error:
                _log.warning("what Telegram answers is none of its", extra={"reason": repr(error)})
                await asyncio.sleep(PAUSE_S)
                continue
            self._said_conflict = False
            for update in updates:
                offset = update.update_id + 1
                if take(store, self._bot_id, update.update_id, now=self._clock()):
                    with Contained(
                        _log, _THREAD, "an update was not acted on", update=update.update_id
                    ):
                        await self._act(connection, store, update, name)

    def _patience(self, connection: BotConnection, error: TelegramError) -> float:
        meaning = connection.explain(error)
        if isinstance(error, Conflict):
            if not self._said_conflict:
                self._said_conflict = True
                _log.warning(
                    "another program reads this bot's messages; commands wait",
                    extra={"reason": str(meaning)},
                )
            return CONFLICT_S
        if meaning.failure is Failure.PERMANENT:
            _log.error("commands cannot be read", extra={"reason": str(meaning)})
            return 10 * CONFLICT_S
        return PAUSE_S if meaning.retry_after_s is None else meaning.retry_after_s

    async def _act(
        self, connection: BotConnection, store: psycopg.Connection, update: Update, bot: str
    ) -> None:
        message, query = update.message, update.callback_query
        if query is not None and query.message is not None:
            asker = self._asker(query.from_user, query.message.chat)
            pressed = read_data(query.data or "")
            if asker is None or pressed is None:
                answer = Answer(text="", notice="You are not allowed to.", shown=False)
            else:
                press = partial(self._desk.press, store, *pressed, asker, self._clock())
                answer = self._try(press, f"the button {pressed[0].label}")
            await self._notice(connection.bot, query.id, answer.notice)
            if answer.shown:
                await self._say(connection, query.message.chat.id, answer, query.message.message_id)
        elif message is not None and message.from_user is not None:
            command = read_command(message.text or "", bot)
            if command is None:
                return
            asker = self._asker(message.from_user, message.chat)
            if asker is not None:
                ask = partial(self._desk.answer, store, command, asker, self._clock())
                answer = self._try(ask, f"/{cut(command.name, 30)}")
                await self._say(connection, message.chat.id, answer, message.message_id)

    def _try(self, act: Callable[[], Answer], what: str) -> Answer:
        """Return what the desk answers, or that it failed."""
        with Contained(_log, _THREAD, "what was asked of the bot failed", asked=what):
            try:
                return act()
            except RETRIABLE as error:
                _log.warning(
                    "what was asked of the bot failed: the database is away",
                    extra={"asked": what, "reason": str(error).strip()},
                )
                return _failed(AWAY)
        return _failed(FAILED)

    def _asker(self, user: User, chat: Chat) -> Asker | None:
        """Return who asks; None when they may not, or not from there."""
        person = self._people.get(user.id)
        target = self._chats.get(str(chat.id))
        if target is None and chat.username is not None:
            target = self._chats.get(f"@{chat.username}")
        if person is None or user.is_bot or (target is None and chat.id != user.id):
            if user.id not in self._refused and len(self._refused) < 1000:
                self._refused.add(user.id)
                _log.warning(
                    "somebody who may not commands the bot; not answered",
                    extra={"user_id": user.id, "chat_id": chat.id},
                )
            return None
        return Asker(name=person[0], role=person[1], target=target)

    async def _notice(self, bot: Bot, query_id: str, text: str) -> None:
        try:
            await bot.answer_callback_query(query_id, cut(text, NOTICE_LIMIT))
        except (TelegramError, *MISSHAPEN):
            _log.info("a pressed button was not answered")  # it is done all the same

    async def _say(
        self, connection: BotConnection, chat: int, answer: Answer, reply_to: int
    ) -> None:
        pace = pace_of(chat, self._settings)
        for _ in range(ANSWER_TRIES):
            await self._turn(pace)
            try:
                async with asyncio.timeout(_CALL_S):
                    await self._post(connection.bot, chat, answer, reply_to)
            except TelegramError as error:
                meaning = connection.explain(error)
                if meaning.failure is not Failure.RETRY:
                    _log.warning("an answer was not delivered", extra={"reason": str(meaning)})
                    return
                pause = PAUSE_S if meaning.retry_after_s is None else meaning.retry_after_s
                self._pacer.pause(pace, pause, limited=meaning.retry_after_s is not None)
            except (TimeoutError, *MISSHAPEN) as error:
                _log.warning("an answer was not confirmed", extra={"reason": repr(error)})
                return
            else:
                return
            finally:
                self._pacer.end(pace)

    async def _turn(self, pace: Pace) -> None:
        """Wait until the chat may be written to."""
        while True:
            if self._pacer.begin(pace):
                return
            await asyncio.sleep(max(0.01, min(self._pacer.wait_s(pace), PAUSE_S)))

    async def _post(self, bot: Bot, chat: int, answer: Answer, reply_to: int) -> None:
        if answer.picture is not None:
            await bot.send_photo(
                chat,
                answer.picture,
                caption=cut(answer.text, CAPTION_LIMIT),
                filename=PICTURE_NAME,
                reply_to_message_id=reply_to,
                allow_sending_without_reply=True,
            )
            return
        await bot.send_message(
            chat,
            cut(answer.text, TEXT_LIMIT),
            link_preview_options=LinkPreviewOptions(is_disabled=True),
            reply_to_message_id=reply_to,
            allow_sending_without_reply=True,
        )


def _failed(text: str) -> Answer:
    return Answer(text=text, notice=text, shown=False)
