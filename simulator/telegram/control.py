"""How the fake Bot API is steered and looked into, over HTTP.

    GET  /control/messages            what arrived, as JSON, oldest first
    GET  /control/calls               how often each method was called, refused calls included
    GET  /control/notices             what people who pressed a button were shown
    POST /control/limit               {"next": 2, "retry_after": 1}: answer 429
    POST /control/fail                {"next": 1, "status": 502}: answer an error
    POST /control/drop                {"next": 1, "delivered": true}: drop the connection, after
                                      taking the message or before
    POST /control/slow                {"next": 1, "seconds": 2.5}: take the message, answer later
    POST /control/update              {"chat_id": 42, "text": "/start", "user_id": 42}: somebody
                                      writes to the bot
    POST /control/press               {"message_id": 1, "data": "ack:1", "user_id": 42}: somebody
                                      presses a button under a message
    POST /control/repeat_updates      tell updates again, confirmed or not
    POST /control/reset               forget everything

A limit, failure, drop or slowness concerns sendMessage and sendPhoto only, unless it says
`"method": "…"`.
"""

import msgspec

from simulator.frames import HttpAnswer
from simulator.http_server import HttpRequest
from simulator.telegram.answers import as_json
from simulator.telegram.bot_api import FakeTelegram


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


def control(fake: FakeTelegram, what: str, request: HttpRequest) -> HttpAnswer:
    """Answer a request below `/control/`."""
    body = request.body or b"{}"
    try:
        match request.method, what:
            case "GET", "messages":
                return as_json(200, fake.messages)
            case "GET", "notices":
                return as_json(200, fake.notices)
            case "GET", "calls":
                return as_json(200, fake.calls)
            case "POST", "repeat_updates":
                fake.repeat_updates()
            case "POST", "reset":
                fake.reset()
            case "POST", "limit":
                limit = msgspec.json.decode(body, type=_Limit)
                fake.limit(limit.next, retry_after=limit.retry_after, method=limit.method)
            case "POST", "fail":
                fail = msgspec.json.decode(body, type=_Fail)
                fake.fail(fail.next, status=fail.status, method=fail.method)
            case "POST", "drop":
                drop = msgspec.json.decode(body, type=_Drop)
                fake.drop(drop.next, delivered=drop.delivered, method=drop.method)
            case "POST", "update":
                update = msgspec.json.decode(body, type=_Update)
                fake.write(update.chat_id, update.text, user_id=update.user_id)
            case "POST", "slow":
                slow = msgspec.json.decode(body, type=_Slow)
                fake.slow(slow.next, seconds=slow.seconds, method=slow.method)
            case "POST", "press":
                press = msgspec.json.decode(body, type=_Press)
                fake.press(press.message_id, press.data, user_id=press.user_id)
            case _:
                return as_json(404, {"error": f"no {request.method} /control/{what}"})
    except msgspec.DecodeError as error:
        return as_json(400, {"error": str(error)})
    except KeyError as error:
        return as_json(400, {"error": f"no such message: {error}"})
    return as_json(200, {"ok": True})
