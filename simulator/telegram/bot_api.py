"""What the fake Bot API knows, and how it answers a bot.

    POST /bot<token>/getMe, sendMessage, sendPhoto, getUpdates, answerCallbackQuery, deleteWebhook,
                     setMyCommands, sendChatAction

What can go wrong is asked for by methods, or over HTTP (`simulator.telegram.control`).
"""

import asyncio
import threading
import time
from urllib.parse import urlsplit

from simulator.frames import HttpAnswer
from simulator.http_server import HttpRequest
from simulator.telegram.answers import Refusal, granted, refused
from simulator.telegram.form import read_form
from simulator.telegram.received import Received, buttons_of
from simulator.telegram.troubles import Trouble, Troubles

LONGEST_TEXT = 4096
LONGEST_CAPTION = 1024
LONGEST_POLL_S = 50.0
POLL_STEP_S = 0.02
MOST_MESSAGES = 10_000
MOST_PHOTOS = 100
"""What is kept to be looked at; older ones are forgotten."""
_QUIET = ("deleteWebhook", "setMyCommands", "deleteMyCommands", "sendChatAction")


class FakeTelegram:
    """The Bot API of one bot. Its methods may be called from any thread.

    Args:
        token: the only one that is accepted.
        username: of the bot.
    """

    def __init__(self, token: str, username: str = "candlewax_bot") -> None:
        self.token = token
        self._username = username
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget messages, updates, calls and troubles."""
        with self._lock:
            self._messages: list[Received] = []
            self._photos: dict[int, bytes] = {}
            self._calls: dict[str, int] = {}
            self._updates: list[dict[str, object]] = []
            self._troubles = Troubles()
            self._notices: list[str] = []
            self._next_update = 1
            self._next_message = 1
            self._poll = 0
            self._repeats = False

    @property
    def messages(self) -> list[Received]:
        """What the bot has sent, oldest first; the last `MOST_MESSAGES`."""
        with self._lock:
            return list(self._messages)

    @property
    def calls(self) -> dict[str, int]:
        """How often each method was called, refused calls included."""
        with self._lock:
            return dict(self._calls)

    def photo(self, message_id: int) -> bytes:
        """Return the picture of a message. KeyError when it has none, or an old one."""
        with self._lock:
            return self._photos[message_id]

    def limit(self, calls: int, *, retry_after: int = 1, method: str = "") -> None:
        """Answer 429 to the next calls; `retry_after` is seconds."""
        trouble = Trouble("limit", calls, method=method, retry_after=retry_after)
        with self._lock:
            self._troubles.add(trouble)

    def fail(self, calls: int, *, status: int = 500, method: str = "") -> None:
        """Answer an HTTP error to the next calls."""
        with self._lock:
            self._troubles.add(Trouble("fail", calls, method=method, status=status))

    def drop(self, calls: int, *, delivered: bool = False, method: str = "") -> None:
        """Drop the connection at the next calls; `delivered`: after taking the message."""
        with self._lock:
            self._troubles.add(Trouble("drop", calls, method=method, delivered=delivered))

    def slow(self, calls: int, *, seconds: float, method: str = "") -> None:
        """Take the next calls at once and answer them later."""
        with self._lock:
            self._troubles.add(Trouble("slow", calls, method=method, seconds=seconds))

    @property
    def notices(self) -> list[str]:
        """What people who pressed a button were shown, oldest first."""
        with self._lock:
            return list(self._notices)

    def write(self, chat_id: int, text: str, *, user_id: int | None = None) -> None:
        """Let somebody write to the bot; `getUpdates` tells it.

        Args:
            chat_id: where; positive for a private chat.
            text: what.
            user_id: who; the chat itself when not given.
        """
        message = self._message(chat_id, text, chat_id if user_id is None else user_id)
        if text.startswith("/"):
            length = len(text.split(maxsplit=1)[0])
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": length}]
        self._tell({"message": message})

    def press(self, message_id: int, data: str, *, user_id: int) -> None:
        """Let somebody press a button under a message of the bot. KeyError: no such message."""
        with self._lock:
            chats = {sent.message_id: sent.chat_id for sent in self._messages}
        query: dict[str, object] = {
            "id": f"press {data}",
            "from": {"id": user_id, "is_bot": False, "first_name": "Person"},
            "message": {
                **self._message(int(chats[message_id]), "alert", user_id),
                "message_id": message_id,
            },
            "chat_instance": "1",
            "data": data,
        }
        self._tell({"callback_query": query})

    def repeat_updates(self) -> None:
        """Tell once more what was told since the last confirmation, and all of it from then on."""
        with self._lock:
            self._repeats = True

    def _message(self, chat_id: int, text: str, user_id: int) -> dict[str, object]:
        with self._lock:
            message_id, self._next_message = self._next_message, self._next_message + 1
        kind = "private" if chat_id > 0 else "supergroup"
        name = {"first_name": "Person"} if chat_id > 0 else {"title": str(chat_id)}
        return {
            "message_id": message_id,
            "date": time.time_ns() // 1_000_000_000,
            "chat": {"id": chat_id, "type": kind, **name},
            "from": {"id": user_id, "is_bot": False, "first_name": "Person"},
            "text": text,
        }

    def _tell(self, content: dict[str, object]) -> None:
        with self._lock:
            update_id, self._next_update = self._next_update, self._next_update + 1
            self._updates.append({"update_id": update_id, **content})

    async def answer(self, request: HttpRequest) -> HttpAnswer | None:
        """Answer one HTTP request; None drops the connection."""
        parts = urlsplit(request.target)
        try:
            return await self._call(parts.path, parts.query, request)
        except Refusal as refusal:
            return refused(refusal.status, refusal.description)

    async def _call(self, path: str, query: str, request: HttpRequest) -> HttpAnswer | None:
        bot, _, method = path.removeprefix("/bot").rpartition("/")
        if not path.startswith("/bot") or not method:
            return refused(404, "Not Found")
        if bot != self.token:
            return refused(401, "Unauthorized")
        with self._lock:
            self._calls[method] = self._calls.get(method, 0) + 1
            trouble = self._troubles.of(method)
        if trouble is not None and trouble.kind == "limit":
            return refused(
                429,
                f"Too Many Requests: retry after {trouble.retry_after}",
                {"retry_after": trouble.retry_after},
            )
        if trouble is not None and trouble.kind == "fail":
            return refused(trouble.status, "Internal Server Error")
        is_slow = trouble is not None and trouble.kind == "slow"
        if trouble is not None and not trouble.delivered and not is_slow:
            return None
        fields, files = read_form(request, query)
        result = await self._result(method, fields, files)
        if trouble is not None and is_slow:
            await asyncio.sleep(trouble.seconds)
            return granted(result)
        return None if trouble is not None else granted(result)

    async def _result(
        self, method: str, fields: dict[str, str], files: dict[str, tuple[str, bytes]]
    ) -> object:
        if method in _QUIET:
            return True
        match method:
            case "getMe":
                return {
                    **self._user(),
                    "can_join_groups": True,
                    "can_read_all_group_messages": False,
                    "supports_inline_queries": False,
                }
            case "answerCallbackQuery":
                with self._lock:
                    self._notices.append(fields.get("text", ""))
                return True
            case "getUpdates":
                return await self._wait_for_updates(fields)
            case "sendMessage":
                text = fields.get("text", "")
                if not text:
                    raise Refusal(400, "Bad Request: message text is empty")
                if len(text) > LONGEST_TEXT:
                    raise Refusal(400, "Bad Request: message is too long")
                return self._take(method, fields, text, "", b"")
            case "sendPhoto":
                filename, photo = files.get("photo", ("", b""))
                caption = fields.get("caption", "")
                if not photo:
                    raise Refusal(400, "Bad Request: there is no photo in the request")
                if len(caption) > LONGEST_CAPTION:
                    raise Refusal(400, "Bad Request: message caption is too long")
                return self._take(method, fields, caption, filename, photo)
            case _:
                raise Refusal(404, "Not Found")

    def _user(self) -> dict[str, object]:
        number = self.token.partition(":")[0]
        return {
            "id": int(number) if number.isdigit() else 1,
            "is_bot": True,
            "first_name": "Candlewax",
            "username": self._username,
        }

    def _take(
        self, method: str, fields: dict[str, str], text: str, filename: str, photo: bytes
    ) -> dict[str, object]:
        chat_id = fields.get("chat_id", "")
        if not chat_id:
            raise Refusal(400, "Bad Request: chat_id is empty")
        now = time.time_ns()
        with self._lock:
            message_id, self._next_message = self._next_message, self._next_message + 1
            self._messages.append(
                Received(
                    message_id=message_id,
                    chat_id=chat_id,
                    method=method,
                    text=text,
                    parse_mode=fields.get("parse_mode", ""),
                    photo=len(photo),
                    filename=filename,
                    received_at=now,
                    buttons=buttons_of(fields.get("reply_markup", "")),
                )
            )
            del self._messages[:-MOST_MESSAGES]
            if photo:
                self._photos[message_id] = photo
                if len(self._photos) > MOST_PHOTOS:
                    del self._photos[next(iter(self._photos))]
        private = chat_id.isdigit()
        chat: dict[str, object] = {
            "id": int(chat_id) if chat_id.lstrip("-").isdigit() else -1,
            "type": "private" if private else "supergroup",
            **({"first_name": "Person"} if private else {"title": chat_id}),
        }
        message: dict[str, object] = {
            "message_id": message_id,
            "date": now // 1_000_000_000,
            "chat": chat,
            "from": self._user(),
        }
        if not photo:
            return {**message, "text": text}
        size = {
            "file_id": f"photo-{message_id}",
            "file_unique_id": f"unique-{message_id}",
            "width": 800,
            "height": 600,
            "file_size": len(photo),
        }
        return {**message, "photo": [size], **({"caption": text} if text else {})}

    async def _wait_for_updates(self, fields: dict[str, str]) -> list[dict[str, object]]:
        """Wait up to `timeout` s for updates from `offset` on; a newer call ends this one."""
        offset = int(fields.get("offset") or 0)
        most = int(fields.get("limit") or 100)
        until = time.monotonic() + min(float(fields.get("timeout") or 0), LONGEST_POLL_S)
        with self._lock:
            self._poll += 1
            mine = self._poll
        while True:
            with self._lock:
                if self._poll != mine:
                    raise Refusal(
                        409,
                        "Conflict: terminated by other getUpdates request; make sure that only "
                        "one bot instance is running",
                    )
                if offset > 0 and not self._repeats:
                    self._updates = [
                        update
                        for update in self._updates
                        if isinstance(update["update_id"], int) and update["update_id"] >= offset
                    ]
                if self._updates or time.monotonic() >= until:
                    return self._updates[:most]
            await asyncio.sleep(POLL_STEP_S)
