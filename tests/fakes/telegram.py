"""A Bot API on a real socket that records what it gets and can be told to misbehave."""

import json
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs

TOKEN = "123456789:AAE-fake_token_of_the_tests"
Json = dict[str, object]


@dataclass(frozen=True)
class Refuse:
    """Answer with an error; nothing is recorded."""

    status: int
    description: str
    parameters: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Drop:
    """Close the connection without an answer, before or after the message is recorded."""

    recorded: bool


@dataclass(frozen=True)
class Slow:
    """Record, wait, then answer as usual."""

    seconds: float


@dataclass(frozen=True)
class Raw:
    """Record, then answer 200 with something that is no JSON."""

    body: bytes


Behaviour = Refuse | Drop | Slow | Raw


@dataclass(frozen=True)
class Sent:
    chat_id: str
    text: str
    at: float


class FakeTelegram:
    """Serves one bot; `behave` queues what the next calls of sendMessage meet."""

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self.messages: list[Sent] = []
        self.calls: list[str] = []
        self.forms: list[dict[str, str]] = []
        self._behaviours: deque[Behaviour] = deque()
        self._poll_refusals: deque[Refuse] = deque()
        self._updates: list[Json] = []
        self._news = threading.Condition()
        self._is_closed = False
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                fake._answer(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/bot"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._news:
            self._is_closed = True
            self._news.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def behave(self, *behaviours: Behaviour) -> None:
        self._behaviours.extend(behaviours)

    def refuse_polls(self, *refusals: Refuse) -> None:
        self._poll_refusals.extend(refusals)

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.messages]

    def write(self, text: str, *, chat: Json | None = None, kind: str = "message") -> None:
        """Let somebody write to the bot."""
        with self._news:
            number = len(self._updates) + 1
            chat = chat or {"id": 42, "type": "private", "first_name": "Ann"}
            message: Json = {"message_id": number, "date": 1, "chat": chat, "text": text}
            self._updates.append({"update_id": number, kind: message})
            self._news.notify_all()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length", 0))
        fields = parse_qs(handler.rfile.read(length).decode(), keep_blank_values=True)
        form = {name: values[0] for name, values in fields.items()}
        token, _, method = handler.path.removeprefix("/bot").partition("/")
        self.calls.append(method)
        if token != self.token:
            self._reply(
                handler, 401, {"ok": False, "error_code": 401, "description": "Unauthorized"}
            )
        elif method == "getMe":
            me = {"id": 1, "is_bot": True, "first_name": "Candlewax", "username": "candlewax_bot"}
            self._reply(handler, 200, {"ok": True, "result": me})
        elif method == "getUpdates" and self._poll_refusals:
            self._refuse(handler, self._poll_refusals.popleft())
        elif method == "getUpdates":
            self._reply(handler, 200, {"ok": True, "result": self._poll(form)})
        elif method == "sendMessage":
            self._send(handler, form)
        else:
            self._reply(handler, 404, {"ok": False, "error_code": 404, "description": "Not Found"})

    def _poll(self, form: dict[str, str]) -> list[Json]:
        offset = int(form.get("offset", 0))
        deadline = time.monotonic() + float(form.get("timeout", 0))
        with self._news:
            while True:
                fresh = self._updates[max(0, offset - 1) :]
                left = deadline - time.monotonic()
                if fresh or left <= 0 or self._is_closed:
                    return fresh
                self._news.wait(left)

    def _send(self, handler: BaseHTTPRequestHandler, form: dict[str, str]) -> None:
        behaviour = self._behaviours.popleft() if self._behaviours else None
        if isinstance(behaviour, Refuse):
            self._refuse(handler, behaviour)
            return
        if not (isinstance(behaviour, Drop) and not behaviour.recorded):
            self.forms.append(form)
            self.messages.append(Sent(form["chat_id"], form["text"], time.monotonic()))
        if isinstance(behaviour, Drop):
            handler.close_connection = True
            return
        if isinstance(behaviour, Raw):
            self._reply(handler, 200, behaviour.body)
            return
        if isinstance(behaviour, Slow):
            with self._news:
                self._news.wait_for(lambda: self._is_closed, behaviour.seconds)
        chat = {"id": 42, "type": "private", "first_name": "Ann"}
        message = {"message_id": len(self.messages), "date": 1, "chat": chat, "text": form["text"]}
        self._reply(handler, 200, {"ok": True, "result": message})

    def _refuse(self, handler: BaseHTTPRequestHandler, refuse: Refuse) -> None:
        body: Json = {"ok": False, "error_code": refuse.status, "description": refuse.description}
        if refuse.parameters:
            body["parameters"] = refuse.parameters
        self._reply(handler, refuse.status, body)

    def _reply(self, handler: BaseHTTPRequestHandler, status: int, body: Json | bytes) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)
        except OSError:
            handler.close_connection = True
