import socket
import threading
import time
from collections.abc import Iterator

import pytest

from market.errors import ConfigError
from sinks.secret import Secret
from sinks.telegram.setup import TEST_TEXT, ChatFound, setup
from tests.fakes.telegram import TOKEN, FakeTelegram, Raw, Refuse

GROUP = {"id": -100777, "type": "supergroup", "title": "Desk"}


@pytest.fixture
def fake() -> Iterator[FakeTelegram]:
    with FakeTelegram() as fake:
        yield fake


def run(
    fake: FakeTelegram, *, token: str = TOKEN, wait_s: float = 5
) -> tuple[ChatFound, list[str]]:
    said: list[str] = []
    return setup(Secret(token), fake.base_url, said.append, wait_s), said


def test_a_start_that_was_said_before_counts(fake: FakeTelegram) -> None:
    fake.write("hello")
    fake.write("/start")
    found, said = run(fake)
    assert found == ChatFound(bot="candlewax_bot", chat_id=42, chat_name="Ann")
    assert fake.texts == [TEST_TEXT]
    assert fake.messages[0].chat_id == "42"
    assert "https://t.me/candlewax_bot" in " ".join(said)
    assert "'Ann'" in said[-1]
    assert TOKEN not in " ".join(said)


def test_it_waits_until_somebody_says_start(fake: FakeTelegram) -> None:
    threading.Timer(0.3, fake.write, ["/start"]).start()
    assert run(fake)[0].chat_id == 42


@pytest.mark.parametrize("text", ["/start", "/start@candlewax_bot", "/start now"])
def test_a_group_may_say_it(fake: FakeTelegram, text: str) -> None:
    fake.write(text, chat=GROUP)
    assert run(fake)[0] == ChatFound(bot="candlewax_bot", chat_id=-100777, chat_name="Desk")


def test_a_channel_may_say_it(fake: FakeTelegram) -> None:
    fake.write("/start", chat={"id": -5, "type": "channel", "title": "News"}, kind="channel_post")
    assert run(fake)[0].chat_name == "News"


@pytest.mark.parametrize("wait_s", [0.0, 1.1])
def test_nobody_said_it_in_time(fake: FakeTelegram, wait_s: float) -> None:
    fake.write("starting")
    begun = time.monotonic()
    with pytest.raises(ConfigError, match="nobody sent /start to @candlewax_bot in time"):
        run(fake, wait_s=wait_s)
    assert time.monotonic() - begun < wait_s + 1


@pytest.mark.parametrize("token", ["123456:wrong-token-of-somebody", "no token"])
def test_a_wrong_token_is_refused_and_not_shown(fake: FakeTelegram, token: str) -> None:
    with pytest.raises(ConfigError, match="BotFather") as caught:
        run(fake, token=token)
    assert token not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_absent_server_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ConfigError, match=r"check the network and telegram\.base_url"):
        setup(Secret(TOKEN), f"http://127.0.0.1:{port}/bot", print, 1)


def test_a_wrong_address_is_told() -> None:
    with pytest.raises(ConfigError, match="must end with '/bot'"):
        setup(Secret(TOKEN), "http://127.0.0.1:1/", print, 1)


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (Refuse(403, "Forbidden: bot was kicked"), "bot was kicked"),
        (Refuse(429, "Too Many Requests", {"retry_after": 9}), "a pause of 9 s"),
    ],
)
def test_a_refused_test_message_is_told(fake: FakeTelegram, refusal: Refuse, error: str) -> None:
    fake.write("/start")
    fake.behave(refusal)
    with pytest.raises(ConfigError, match=error):
        run(fake)


def test_something_else_that_answers_is_told(fake: FakeTelegram) -> None:
    fake.write("/start")
    fake.behave(Raw(b'{"ok":true,"result":{"status":"up"}}'))
    with pytest.raises(ConfigError, match=r"no Bot API: check telegram\.base_url"):
        run(fake)


def test_a_second_reader_of_the_bot_is_told(fake: FakeTelegram) -> None:
    fake.refuse_polls(Refuse(409, "Conflict: terminated by other getUpdates request"))
    with pytest.raises(ConfigError, match="another program reads this bot's messages"):
        run(fake)


def test_polling_goes_on_after_a_pause_or_an_error(fake: FakeTelegram) -> None:
    fake.refuse_polls(Refuse(429, "Too Many Requests", {"retry_after": 0.1}), Refuse(502, "?"))
    fake.write("/start")
    assert run(fake)[0].chat_id == 42
