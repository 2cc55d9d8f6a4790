import asyncio
import logging
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, Update
from telegram.error import BadRequest, InvalidToken, NetworkError, RetryAfter, TimedOut
from telegram.ext import ApplicationBuilder, CommandHandler, ContextTypes

from simulator.telegram.bot_api import MOST_PHOTOS, FakeTelegram
from simulator.telegram.server import telegram_in_thread

TOKEN = "123456:fake"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 3


@pytest.fixture
def fake() -> FakeTelegram:
    return FakeTelegram(TOKEN)


@pytest.fixture
def address(fake: FakeTelegram) -> Iterator[str]:
    with telegram_in_thread(fake) as address:
        yield address


def bot(address: str, token: str = TOKEN) -> Bot:
    return Bot(token, base_url=f"{address}/bot", base_file_url=f"{address}/file/bot")


def test_the_real_library_finds_the_bot_and_sends_text(fake: FakeTelegram, address: str) -> None:
    async def scene() -> None:
        async with bot(address) as sender:
            assert sender.username == "candlewax_bot"
            message = await sender.send_message(42, "RSI <b>12.3</b> & 你好", parse_mode="HTML")
            assert (message.chat.id, message.text) == (42, "RSI <b>12.3</b> & 你好")

    asyncio.run(scene())
    [received] = fake.messages
    assert (received.chat_id, received.text) == ("42", "RSI <b>12.3</b> & 你好")
    assert (received.method, received.parse_mode) == ("sendMessage", "HTML")


def test_a_photo_arrives_byte_for_byte(fake: FakeTelegram, address: str) -> None:
    async def scene() -> None:
        async with bot(address) as sender:
            message = await sender.send_photo(
                -100, PICTURE, caption="BTC-USDT\nfell", filename="chart.png"
            )
            assert message.photo[0].file_size == len(PICTURE)
            assert message.caption == "BTC-USDT\nfell"

    asyncio.run(scene())
    [received] = fake.messages
    assert (received.text, received.filename) == ("BTC-USDT\nfell", "chart.png")
    assert fake.photo(received.message_id) == PICTURE


def test_a_wrong_token_is_unauthorized(address: str) -> None:
    answer = httpx.post(f"{address}/bot999:wrong/getMe")
    assert answer.status_code == 401
    assert answer.json() == {"ok": False, "error_code": 401, "description": "Unauthorized"}

    async def scene() -> None:
        with pytest.raises(InvalidToken):
            async with bot(address, "999:wrong"):
                pass

    asyncio.run(scene())


def test_a_limit_is_told_with_the_seconds_to_wait(
    fake: FakeTelegram, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")  # else the library warns of its own attribute
    fake.limit(2, retry_after=7)

    async def scene() -> None:
        async with bot(address) as sender:
            for _ in range(2):
                with pytest.raises(RetryAfter) as error:
                    await sender.send_message(1, "a")
                assert error.value.retry_after == timedelta(seconds=7)
            await sender.send_message(1, "b")

    asyncio.run(scene())
    assert [message.text for message in fake.messages] == ["b"]
    assert fake.calls["sendMessage"] == 3


def test_a_server_error_and_a_dropped_connection_are_network_errors(
    fake: FakeTelegram, address: str
) -> None:
    fake.fail(1, status=502)
    fake.drop(1)
    fake.drop(1, delivered=True)

    async def scene() -> None:
        async with bot(address) as sender:
            for text in ("failed", "dropped", "unknown"):
                with pytest.raises((NetworkError, TimedOut)):
                    await sender.send_message(1, text)

    asyncio.run(scene())
    assert [message.text for message in fake.messages] == ["unknown"]


@pytest.mark.parametrize(("text", "says"), [("x" * 4097, "too long"), ("", "text is empty")])
def test_a_message_that_telegram_refuses_is_refused(address: str, text: str, says: str) -> None:
    async def scene() -> None:
        async with bot(address) as sender:
            with pytest.raises(BadRequest, match=says):
                await sender.send_message(1, text)

    asyncio.run(scene())


def test_a_command_reaches_a_running_application(fake: FakeTelegram, address: str) -> None:
    async def start(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.effective_chat is not None
        await context.bot.send_message(update.effective_chat.id, "welcome")

    async def scene() -> None:
        application = (
            ApplicationBuilder()
            .token(TOKEN)
            .base_url(f"{address}/bot")
            .base_file_url(f"{address}/file/bot")
            .build()
        )
        application.add_handler(CommandHandler("start", start))
        async with asyncio.timeout(20), application:
            assert application.updater is not None
            await application.start()
            await application.updater.start_polling(poll_interval=0.0, timeout=1)
            fake.write(77, "/start")
            while not fake.messages:  # noqa: ASYNC110 - the server is in another thread
                await asyncio.sleep(0.01)
            await application.updater.stop()
            await application.stop()

    asyncio.run(scene())
    assert [(message.chat_id, message.text) for message in fake.messages] == [("77", "welcome")]


def test_updates_are_told_until_they_are_confirmed(fake: FakeTelegram, address: str) -> None:
    def updates(offset: int) -> list[int]:
        answer = httpx.post(f"{address}/bot{TOKEN}/getUpdates", data={"offset": str(offset)})
        return [update["update_id"] for update in answer.json()["result"]]

    fake.write(1, "one")
    fake.write(1, "two")
    assert updates(0) == [1, 2]
    assert updates(0) == [1, 2]
    assert updates(2) == [2]
    assert updates(3) == []


def test_updates_that_are_repeated_come_again_though_they_were_confirmed(
    fake: FakeTelegram, address: str
) -> None:
    def updates(offset: int) -> list[int]:
        answer = httpx.post(f"{address}/bot{TOKEN}/getUpdates", data={"offset": str(offset)})
        return [update["update_id"] for update in answer.json()["result"]]

    fake.write(1, "one")
    assert updates(2) == []
    fake.write(1, "two")
    fake.repeat_updates()
    assert updates(2) == [2]
    assert updates(3) == [2]  # confirmed, and told nevertheless
    fake.write(1, "three")
    assert updates(4) == [2, 3]
    fake.reset()
    assert updates(4) == []


def test_a_slow_call_is_taken_at_once_and_answered_later(fake: FakeTelegram, address: str) -> None:
    fake.slow(1, seconds=30.0)
    fake.slow(1, seconds=0.05, method="getMe")

    async def scene() -> None:
        url = f"{address}/bot{TOKEN}"
        async with asyncio.timeout(20), httpx.AsyncClient() as client:
            call = asyncio.create_task(
                client.post(f"{url}/sendMessage", data={"chat_id": "1", "text": "a"}, timeout=30)
            )
            while not fake.messages:  # noqa: ASYNC110 - another thread's
                await asyncio.sleep(0.01)
            quick = await client.post(f"{url}/sendMessage", data={"chat_id": "1", "text": "b"})
            assert quick.json()["ok"]
            assert not call.done()
            call.cancel()
            clock = asyncio.get_running_loop().time
            began = clock()
            assert (await client.post(f"{url}/getMe")).json()["ok"]
            assert clock() - began >= 0.05

    asyncio.run(scene())
    assert [message.text for message in fake.messages] == ["a", "b"]


def test_a_button_is_pressed_under_the_message_that_has_it(
    fake: FakeTelegram, address: str
) -> None:
    keyboard = InlineKeyboardMarkup([[InlineKeyboardButton("Ack", callback_data="ack:7")]])

    async def scene() -> None:
        async with bot(address) as sender:
            await sender.send_message(-100, "alert", reply_markup=keyboard)
            [sent] = fake.messages
            assert sent.buttons == ("ack:7",)
            fake.press(sent.message_id, "ack:7", user_id=11)
            [update] = await sender.get_updates()
            pressed = update.callback_query
            assert pressed is not None
            assert (pressed.data, pressed.from_user.id) == ("ack:7", 11)
            assert pressed.message is not None
            assert (pressed.message.chat.id, pressed.message.message_id) == (-100, 1)
            await pressed.answer("noted")

    asyncio.run(scene())
    assert fake.notices == ["noted"]


def test_a_button_under_no_message_cannot_be_pressed(fake: FakeTelegram) -> None:
    with pytest.raises(KeyError):
        fake.press(1, "ack:1", user_id=1)


def test_an_old_picture_is_forgotten_and_no_text_has_one(fake: FakeTelegram, address: str) -> None:
    with httpx.Client() as client:
        url = f"{address}/bot{TOKEN}"
        for number in range(MOST_PHOTOS + 1):
            client.post(
                f"{url}/sendPhoto",
                data={"chat_id": "1"},
                files={"photo": ("x.png", PICTURE + bytes([number]))},
            )
        client.post(f"{url}/sendMessage", data={"chat_id": "1", "text": "a"})
    assert fake.photo(2) == PICTURE + b"\x01"
    for without in (1, MOST_PHOTOS + 2):
        with pytest.raises(KeyError):
            fake.photo(without)


def test_a_second_poller_ends_the_first(fake: FakeTelegram, address: str) -> None:
    async def scene() -> None:
        url = f"{address}/bot{TOKEN}/getUpdates"
        async with asyncio.timeout(20), httpx.AsyncClient() as client:
            first = asyncio.create_task(client.post(url, data={"timeout": "30"}, timeout=30))
            while not fake.calls.get("getUpdates"):  # noqa: ASYNC110 - another thread's
                await asyncio.sleep(0.01)
            await client.post(url, data={"timeout": "0"})
            assert (await first).status_code == 409

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("POST", f"/bot{TOKEN}/launchRocket", 404),
        ("POST", f"/bot{TOKEN}/sendMessage", 400),
        ("POST", f"/bot{TOKEN}/sendPhoto", 400),
        ("POST", f"/bot{TOKEN}/deleteWebhook", 200),
    ],
)
def test_what_is_not_there_is_refused(address: str, method: str, path: str, status: int) -> None:
    assert httpx.request(method, address + path).status_code == status


def test_the_token_is_in_no_log(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="simulator"):
        httpx.post(f"{address}/bot{TOKEN}/getMe")
    assert not [
        record
        for record in caplog.records
        if record.name.startswith("simulator") and TOKEN in record.getMessage()
    ]
