"""A Telegram Bot API that is not Telegram's: what a bot needs, and what can go wrong with it.

    POST /bot<token>/getMe, sendMessage, sendPhoto, getUpdates, answerCallbackQuery, deleteWebhook,
                     setMyCommands, sendChatAction
    GET  /control/messages            what arrived, as JSON, oldest first
    GET  /control/calls               how often each method was called, refused calls included
    POST /control/limit               {"next": 2, "retry_after": 1}: answer 429
    POST /control/fail                {"next": 1, "status": 502}: answer an error
    POST /control/drop                {"next": 1, "delivered": true}: drop the connection, after
                                      taking the message or before
    POST /control/slow                {"next": 1, "seconds": 2.5}: take the message, answer later
    POST /control/update              {"chat_id": 42, "text": "/start", "user_id": 42}: somebody
                                      writes to the bot
    POST /control/press               {"message_id": 1, "data": "ack:1", "user_id": 42}: somebody
                                      presses a button under a message
    POST /control/reset               forget everything

A limit, failure or drop concerns sendMessage and sendPhoto only, unless it says `"method": "…"`.
"""

import asyncio
import contextlib
import email
import email.policy
import threading
import time
from collections.abc import AsyncIterator, Iterator
from urllib.parse import parse_qs, urlsplit

import msgspec

from simulator.frames import HttpAnswer
from simulator.http_server import HttpRequest, serve_http

LONGEST_TEXT = 4096
LONGEST_CAPTION = 1024
LONGEST_POLL_S = 50.0
POLL_STEP_S = 0.02
MOST_MESSAGES = 10_000
MOST_PHOTOS = 100
"""What is kept to be looked at; older ones are forgotten."""
START_WITHIN_S = 10.0
_SENDING = ("sendMessage", "sendPhoto")
_QUIET = ("deleteWebhook", "setMyCommands", "deleteMyCommands", "sendChatAction")


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A message that the bot sent.

    Attributes:
        message_id: 1 and up.
        chat_id: as the bot gave it.
        method: `sendMessage` or `sendPhoto`.
        text: the text, or the caption of a photo.
        parse_mode: `HTML`, `MarkdownV2` or empty.
        photo: bytes of the picture.
        filename: that the picture was sent with.
        received_at: ns UTC.
        buttons: what the buttons under it give back, in order.
    """

    message_id: int
    chat_id: str
    method: str
    text: str
    parse_mode: str
    photo: int
    filename: str
    received_at: int
    buttons: tuple[str, ...] = ()


class _Trouble(msgspec.Struct):
    """What the next calls get."""

    kind: str
    left: int
    method: str = ""
    retry_after: int = 1
    status: int = 500
    delivered: bool = False
    seconds: float = 0.0

    def concerns(self, method: str) -> bool:
        return method == self.method if self.method else method in _SENDING


class _Limit(msgspec.Struct, forbid_unknown_fields=True):
    next: int = 1
    retry_after: int = 1
    method: str = ""


class _Fail(msgspec.Struct, forbid_unknown_fields=True):
    next: int = 1
    status: int = 500
    method: str = ""


class _Drop(msgspec.Struct, forbid_unknown_fields=True):
    next: int = 1
    delivered: bool = False
    method: str = ""


class _Slow(msgspec.Struct, forbid_unknown_fields=True):
    next: int = 1
    seconds: float = 1.0
    method: str = ""


class _Update(msgspec.Struct, forbid_unknown_fields=True):
    chat_id: int
    text: str
    user_id: int | None = None


class _Press(msgspec.Struct, forbid_unknown_fields=True):
    message_id: int
    data: str
    user_id: int


class _Refusal(Exception):  # noqa: N818 - it is an answer
    def __init__(self, status: int, description: str) -> None:
        self.status = status
        self.description = description
        super().__init__(description)


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
            self._troubles: list[_Trouble] = []
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
        trouble = _Trouble("limit", calls, method=method, retry_after=retry_after)
        with self._lock:
            self._troubles.append(trouble)

    def fail(self, calls: int, *, status: int = 500, method: str = "") -> None:
        """Answer an HTTP error to the next calls."""
        with self._lock:
            self._troubles.append(_Trouble("fail", calls, method=method, status=status))

    def drop(self, calls: int, *, delivered: bool = False, method: str = "") -> None:
        """Drop the connection at the next calls; `delivered`: after taking the message."""
        with self._lock:
            self._troubles.append(_Trouble("drop", calls, method=method, delivered=delivered))

    def slow(self, calls: int, *, seconds: float, method: str = "") -> None:
        """Take the next calls at once and answer them later."""
        with self._lock:
            self._troubles.append(_Trouble("slow", calls, method=method, seconds=seconds))

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
        if parts.path.startswith("/control/"):
            return self._control(parts.path.removeprefix("/control/"), request)
        try:
            return await self._call(parts.path, parts.query, request)
        except _Refusal as refusal:
            return _refused(refusal.status, refusal.description)

    async def _call(self, path: str, query: str, request: HttpRequest) -> HttpAnswer | None:
        bot, _, method = path.removeprefix("/bot").rpartition("/")
        if not path.startswith("/bot") or not method:
            return _refused(404, "Not Found")
        if bot != self.token:
            return _refused(401, "Unauthorized")
        with self._lock:
            self._calls[method] = self._calls.get(method, 0) + 1
            trouble = next((found for found in self._troubles if found.concerns(method)), None)
            if trouble is not None:
                trouble.left -= 1
                if trouble.left <= 0:
                    self._troubles.remove(trouble)
        if trouble is not None and trouble.kind == "limit":
            return _refused(
                429,
                f"Too Many Requests: retry after {trouble.retry_after}",
                {"retry_after": trouble.retry_after},
            )
        if trouble is not None and trouble.kind == "fail":
            return _refused(trouble.status, "Internal Server Error")
        is_slow = trouble is not None and trouble.kind == "slow"
        if trouble is not None and not trouble.delivered and not is_slow:
            return None
        fields, files = _read_form(request, query)
        result = await self._result(method, fields, files)
        if trouble is not None and is_slow:
            await asyncio.sleep(trouble.seconds)
            return _granted(result)
        return None if trouble is not None else _granted(result)

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
                    raise _Refusal(400, "Bad Request: message text is empty")
                if len(text) > LONGEST_TEXT:
                    raise _Refusal(400, "Bad Request: message is too long")
                return self._take(method, fields, text, "", b"")
            case "sendPhoto":
                filename, photo = files.get("photo", ("", b""))
                caption = fields.get("caption", "")
                if not photo:
                    raise _Refusal(400, "Bad Request: there is no photo in the request")
                if len(caption) > LONGEST_CAPTION:
                    raise _Refusal(400, "Bad Request: message caption is too long")
                return self._take(method, fields, caption, filename, photo)
            case _:
                raise _Refusal(404, "Not Found")

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
            raise _Refusal(400, "Bad Request: chat_id is empty")
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
                    buttons=_buttons(fields.get("reply_markup", "")),
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
                    raise _Refusal(
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

    def _control(self, what: str, request: HttpRequest) -> HttpAnswer:
        body = request.body or b"{}"
        try:
            match request.method, what:
                case "GET", "messages":
                    return _json(200, self.messages)
                case "GET", "calls":
                    return _json(200, self.calls)
                case "POST", "reset":
                    self.reset()
                case "POST", "limit":
                    limit = msgspec.json.decode(body, type=_Limit)
                    self.limit(limit.next, retry_after=limit.retry_after, method=limit.method)
                case "POST", "fail":
                    fail = msgspec.json.decode(body, type=_Fail)
                    self.fail(fail.next, status=fail.status, method=fail.method)
                case "POST", "drop":
                    drop = msgspec.json.decode(body, type=_Drop)
                    self.drop(drop.next, delivered=drop.delivered, method=drop.method)
                case "POST", "update":
                    update = msgspec.json.decode(body, type=_Update)
                    self.write(update.chat_id, update.text, user_id=update.user_id)
                case "POST", "slow":
                    slow = msgspec.json.decode(body, type=_Slow)
                    self.slow(slow.next, seconds=slow.seconds, method=slow.method)
                case "POST", "press":
                    press = msgspec.json.decode(body, type=_Press)
                    self.press(press.message_id, press.data, user_id=press.user_id)
                case _:
                    return _json(404, {"error": f"no {request.method} /control/{what}"})
        except msgspec.DecodeError as error:
            return _json(400, {"error": str(error)})
        except KeyError as error:
            return _json(400, {"error": f"no such message: {error}"})
        return _json(200, {"ok": True})


class _Pressable(msgspec.Struct):
    callback_data: str = ""


class _Keyboard(msgspec.Struct):
    inline_keyboard: list[list[_Pressable]] = []


def _buttons(markup: str) -> tuple[str, ...]:
    if not markup:
        return ()
    keyboard = msgspec.json.decode(markup, type=_Keyboard)
    return tuple(button.callback_data for row in keyboard.inline_keyboard for button in row)


def _json(status: int, content: object) -> HttpAnswer:
    return HttpAnswer(status, msgspec.json.encode(content), {"Content-Type": "application/json"})


def _granted(result: object) -> HttpAnswer:
    return _json(200, {"ok": True, "result": result})


def _refused(
    status: int, description: str, parameters: dict[str, object] | None = None
) -> HttpAnswer:
    answer: dict[str, object] = {"ok": False, "error_code": status, "description": description}
    if parameters:
        answer["parameters"] = parameters
    return _json(status, answer)


def _read_form(
    request: HttpRequest, query: str
) -> tuple[dict[str, str], dict[str, tuple[str, bytes]]]:
    """Return fields, and files with their names, of a form, a multipart form or JSON."""
    fields = {name: values[-1] for name, values in parse_qs(query).items()}
    files: dict[str, tuple[str, bytes]] = {}
    kind = request.content_type.partition(";")[0].strip().lower()
    if kind == "application/json" and request.body:
        try:
            content = msgspec.json.decode(request.body, type=dict[str, object])
        except msgspec.DecodeError as error:
            raise _Refusal(400, "Bad Request: can't parse the JSON body") from error
        for name, value in content.items():
            fields[name] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    elif kind == "multipart/form-data":
        head = f"Content-Type: {request.content_type}\r\n\r\n".encode("latin-1")
        message = email.message_from_bytes(head + request.body, policy=email.policy.HTTP)
        for part in message.iter_parts():
            name = str(part.get_param("name", "", header="content-disposition"))
            content_bytes = part.get_payload(decode=True)
            data = content_bytes if isinstance(content_bytes, bytes) else b""
            filename = part.get_filename()
            if filename is None:
                fields[name] = data.decode("utf-8", "replace")
            else:
                files[name] = (filename, data)
    elif request.body:
        form = parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        fields.update({name: values[-1] for name, values in form.items()})
    # A file may be named by a field that holds attach://<part>.
    for name, value in list(fields.items()):
        if (
            value.startswith("attach://")
            and (part_name := value.removeprefix("attach://")) in files
        ):
            files[name] = files[part_name]
    return fields, files


@contextlib.asynccontextmanager
async def serve_telegram(fake: FakeTelegram, host: str, port: int) -> AsyncIterator[str]:
    """Serve a fake Bot API while the context is open; gives its base address.

    A client's base URL is that address and `/bot`.

    Raises:
        OSError: the port is taken.
    """
    server = await serve_http(fake.answer, host, port)
    try:
        yield f"http://{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@contextlib.contextmanager
def telegram_in_thread(fake: FakeTelegram, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve a fake Bot API in a thread of its own while the context is open; gives its address.

    Raises:
        TimeoutError: it did not come up.
    """
    loop = asyncio.new_event_loop()
    addresses: list[str] = []
    is_ready = threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        async with serve_telegram(fake, host, port) as address:
            addresses.append(address)
            is_ready.set()
            await stop.wait()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def run() -> None:
        with contextlib.closing(loop):
            loop.run_until_complete(serve())

    thread = threading.Thread(target=run, name="fake-telegram", daemon=True)
    thread.start()
    try:
        if not is_ready.wait(START_WITHIN_S):
            raise TimeoutError(f"the fake Telegram did not start within {START_WITHIN_S:.0f} s")
        yield addresses[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_WITHIN_S)
