from collections.abc import Iterator

import httpx
import pytest

from simulator.telegram.bot_api import FakeTelegram
from simulator.telegram.server import telegram_in_thread

TOKEN = "123456:fake"


@pytest.fixture
def address() -> Iterator[str]:
    with telegram_in_thread(FakeTelegram(TOKEN)) as address:
        yield address


def test_everything_can_be_steered_over_http(address: str) -> None:
    api = f"{address}/bot{TOKEN}"
    control = f"{address}/control"
    with httpx.Client() as client:
        assert client.post(f"{control}/limit", json={"next": 1, "retry_after": 3}).json() == {
            "ok": True
        }
        limited = client.post(f"{api}/sendMessage", json={"chat_id": 5, "text": "a"})
        assert limited.json()["parameters"] == {"retry_after": 3}
        assert client.post(f"{api}/sendMessage", json={"chat_id": 5, "text": "a"}).json()["ok"]
        client.post(f"{control}/fail", json={"status": 503, "method": "getMe"})
        assert client.post(f"{api}/getMe").status_code == 503
        client.post(f"{control}/update", json={"chat_id": 5, "text": "/start"})
        [update] = client.get(f"{api}/getUpdates").json()["result"]
        assert update["message"]["chat"]["id"] == 5
        [message] = client.get(f"{control}/messages").json()
        assert (message["chat_id"], message["text"]) == ("5", "a")
        assert client.get(f"{control}/calls").json()["sendMessage"] == 2
        client.post(f"{control}/drop", json={"next": 1})
        with pytest.raises(httpx.RemoteProtocolError):
            client.post(f"{api}/sendMessage", json={"chat_id": 5, "text": "b"})
        client.post(f"{control}/slow", json={"next": 1, "seconds": 0.05})
        assert client.post(f"{api}/sendMessage", json={"chat_id": 5, "text": "c"}).json()["ok"]
        client.post(f"{control}/press", json={"message_id": 3, "data": "ack:1", "user_id": 9})
        client.post(f"{control}/repeat_updates")
        updates = client.get(f"{api}/getUpdates", params={"offset": 99}).json()["result"]
        assert [one["update_id"] for one in updates] == [1, 2]
        assert client.get(f"{api}/getUpdates", params={"offset": 99}).json()["result"] == updates
        pressed = updates[1]["callback_query"]
        assert (pressed["data"], pressed["from"]["id"]) == ("ack:1", 9)
        client.post(f"{api}/answerCallbackQuery", json={"text": "noted"})
        assert client.get(f"{control}/notices").json() == ["noted"]
        client.post(f"{control}/reset")
        assert client.get(f"{control}/messages").json() == []


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("limit", {"nxt": 1}, "nxt"),
        ("slow", {"seconds": "long"}, "seconds"),
        ("press", {"message_id": 77, "data": "ack:1", "user_id": 1}, "no such message: 77"),
        ("update", {"text": "x"}, "chat_id"),
    ],
)
def test_wrong_control_is_told(address: str, path: str, body: dict[str, object], says: str) -> None:
    answer = httpx.post(f"{address}/control/{path}", json=body)
    assert answer.status_code == 400
    assert says in answer.json()["error"]


@pytest.mark.parametrize(("method", "path"), [("POST", "nothing"), ("GET", "reset")])
def test_a_control_that_is_none_is_refused(address: str, method: str, path: str) -> None:
    assert httpx.request(method, f"{address}/control/{path}").status_code == 404
