import logging
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from telegram.error import NetworkError

from market.errors import ConfigError
from simulator.telegram.bot_api import FakeTelegram as BotApi
from simulator.telegram.server import telegram_in_thread
from sinks.delivery import DeliveryError, Failure
from sinks.message import Message, cut
from sinks.secret import Secret
from sinks.telegram.bot import BotConnection
from sinks.telegram.target import CAPTION_LIMIT, TEXT_LIMIT, TelegramTarget
from tests.fakes.telegram import TOKEN, Behaviour, Drop, FakeTelegram, Raw, Refuse, Slow


def plain(text: str) -> Message:
    return Message(body=text)


NOW = 1_700_000_000_000_000_000


@pytest.fixture
def fake() -> Iterator[FakeTelegram]:
    with FakeTelegram() as fake:
        yield fake


@pytest.fixture
def target(fake: FakeTelegram) -> Iterator[TelegramTarget]:
    target = TelegramTarget(Secret(TOKEN), 42, base_url=fake.base_url)
    yield target
    target.close()


def failure(target: TelegramTarget) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        target.send(plain("x"), NOW)
    assert TOKEN not in str(caught.value)
    assert caught.value.__cause__ is None
    return caught.value


def test_a_message_arrives_as_plain_text_and_has_an_id(
    fake: FakeTelegram, target: TelegramTarget
) -> None:
    assert target.send(plain("<b>RSI</b> _28_ [x](http://x)"), NOW).message_id == "1"
    assert target.send(plain("two"), NOW).message_id == "2"
    assert fake.texts == ["<b>RSI</b> _28_ [x](http://x)", "two"]
    assert [message.chat_id for message in fake.messages] == ["42", "42"]
    assert all("parse_mode" not in form for form in fake.forms)
    assert fake.calls == ["sendMessage", "sendMessage"]


@pytest.mark.parametrize(
    ("behaviour", "kind", "reason"),
    [
        (Refuse(403, "Forbidden: bot was blocked by the user"), Failure.PERMANENT, "blocked by"),
        (Refuse(400, "Bad Request: chat not found"), Failure.PERMANENT, "Chat not found"),
        (Refuse(401, "Unauthorized"), Failure.PERMANENT, "Unauthorized"),
        (Refuse(404, "Not Found"), Failure.PERMANENT, "Not Found"),
        (Refuse(429, "Too Many Requests"), Failure.RETRY, "Too Many Requests"),
        (Refuse(500, "Internal Server Error"), Failure.RETRY, "Internal Server Error"),
        (Refuse(502, "Bad Gateway"), Failure.RETRY, "Bad Gateway"),
        (Drop(recorded=True), Failure.UNKNOWN, "disconnected"),
        (Drop(recorded=False), Failure.UNKNOWN, "disconnected"),
        (Raw(b"<html>"), Failure.UNKNOWN, "Invalid server response"),
        (Raw(b'{"ok":true}'), Failure.UNKNOWN, ""),
        (Raw(b'{"ok":true,"result":{}}'), Failure.UNKNOWN, ""),
    ],
)
def test_an_answer_or_none_is_told_apart(
    fake: FakeTelegram, target: TelegramTarget, behaviour: Behaviour, kind: Failure, reason: str
) -> None:
    fake.behave(behaviour)
    error = failure(target)
    assert error.failure is kind
    assert error.retry_after_s is None
    assert reason in str(error)
    target.send(plain("and on it goes"), NOW)
    assert fake.texts[-1] == "and on it goes"


def test_flood_control_tells_how_long_to_wait(fake: FakeTelegram, target: TelegramTarget) -> None:
    fake.behave(Refuse(429, "Too Many Requests: retry after 7", {"retry_after": 7}))
    error = failure(target)
    assert (error.failure, error.retry_after_s) == (Failure.RETRY, 7.0)


def test_a_group_that_moved_is_followed(
    fake: FakeTelegram, target: TelegramTarget, caplog: pytest.LogCaptureFixture
) -> None:
    fake.behave(Refuse(400, "Bad Request: group upgraded", {"migrate_to_chat_id": -1009}))
    target.send(plain("one"), NOW)
    target.send(plain("two"), NOW)
    assert [message.chat_id for message in fake.messages] == ["-1009", "-1009"]
    assert "new id" in caplog.text


def test_a_connection_that_never_opened_is_safe_to_try_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    target = TelegramTarget(Secret(TOKEN), 42, base_url=f"http://127.0.0.1:{port}/bot")
    assert failure(target).failure is Failure.RETRY
    target.close()


def test_a_name_that_does_not_resolve_is_safe_to_try_again() -> None:
    target = TelegramTarget(Secret(TOKEN), 42, base_url="http://nowhere.invalid/bot")
    assert failure(target).failure is Failure.RETRY
    target.close()


def test_an_answer_that_is_late_is_unknown(fake: FakeTelegram) -> None:
    target = TelegramTarget(Secret(TOKEN), 42, base_url=fake.base_url, call_s=0.2)
    fake.behave(Slow(5))
    error = failure(target)
    assert error.failure is Failure.UNKNOWN
    assert "no answer in 0.2 s" in str(error)
    target.close()


def test_abort_ends_a_call_at_once_and_every_later_one(
    fake: FakeTelegram, target: TelegramTarget
) -> None:
    fake.behave(Slow(5))
    threading.Timer(0.2, target.abort).start()
    begun = time.monotonic()
    assert failure(target).failure is Failure.UNKNOWN
    assert time.monotonic() - begun < 1
    assert failure(target).failure is Failure.RETRY
    assert len(fake.messages) == 1


@pytest.mark.parametrize("token", ["", "secret", "123456", "abc:def", "123456:ab cd", "1:a\n"])
def test_what_is_no_token_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(ConfigError, match="not a bot token") as caught:
        TelegramTarget(Secret(token), 42, base_url="http://127.0.0.1:1/bot")
    assert not token or token not in str(caught.value)


def test_a_wrong_address_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"telegram.base_url: .* must end with '/bot'"):
        TelegramTarget(Secret(TOKEN), 42, base_url="http://127.0.0.1:1")


def test_nobody_logs_the_token(fake: FakeTelegram, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.DEBUG)
    target = TelegramTarget(Secret(TOKEN), 42, base_url=fake.base_url)
    fake.behave(Refuse(401, "Unauthorized"), Drop(recorded=True), Raw(b"?"))
    for _ in range(3):
        failure(target)
    target.send(plain("x"), NOW)
    target.close()
    assert caplog.records
    assert TOKEN.partition(":")[2] not in caplog.text
    assert TOKEN not in repr(target)


@given(st.text(max_size=50), st.integers(0, 4200))
def test_a_message_is_never_longer_than_telegram_takes(tail: str, length: int) -> None:
    text = "😀" * (length // 2) + tail
    short = cut(text, TEXT_LIMIT)
    assert len(short.encode("utf-16-le")) // 2 <= TEXT_LIMIT
    if len(text.encode("utf-16-le", "replace")) // 2 > TEXT_LIMIT:
        assert short.endswith("…")
        assert text.startswith(short[:-1])
        assert len(short.encode("utf-16-le")) // 2 >= TEXT_LIMIT - 1
    else:
        assert short == text


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (httpx.ConnectError("refused"), Failure.RETRY),
        (httpx.ConnectTimeout("slow"), Failure.RETRY),
        (httpx.PoolTimeout("busy"), Failure.RETRY),
        (RuntimeError("cannot schedule new futures after interpreter shutdown"), Failure.RETRY),
        (httpx.ReadTimeout("slow"), Failure.UNKNOWN),
        (httpx.WriteError("cut"), Failure.UNKNOWN),
        (httpx.ReadError("cut"), Failure.UNKNOWN),
        (RuntimeError("else"), Failure.UNKNOWN),
    ],
)
def test_only_a_connection_that_was_not_used_is_safe(cause: Exception, kind: Failure) -> None:
    connection = BotConnection(Secret(TOKEN), "http://127.0.0.1:1/bot")
    error = NetworkError(f"bot{TOKEN} {cause}")
    error.__cause__ = cause
    meaning = connection.explain(error)
    assert meaning.failure is kind
    assert meaning.retriable == (kind is Failure.RETRY)
    assert TOKEN not in str(meaning)


def test_a_picture_goes_with_its_text_as_a_file_with_a_name() -> None:
    api = BotApi(TOKEN)
    with telegram_in_thread(api) as address:
        target = TelegramTarget(Secret(TOKEN), 42, base_url=f"{address}/bot")
        details = "binance BTC-USDT 1m"
        message = Message(body="RSI 28 " * 300, details=details, picture=b"\x89PNG")
        assert target.send(message, NOW).message_id == "1"
        target.close()
    (sent,) = api.messages
    assert (sent.method, sent.filename, sent.photo) == ("sendPhoto", "chart.png", 4)
    assert len(sent.text) == CAPTION_LIMIT
    assert sent.text.endswith("…\n" + details)
    assert sent.buttons == ()
