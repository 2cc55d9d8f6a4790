"""The bot that people command, against a fake Bot API and a real database."""

import time
from collections.abc import Callable, Iterator
from zoneinfo import ZoneInfo

import psycopg
import pytest
from prometheus_client import REGISTRY

from market.errors import ConfigError
from simulator.telegram.bot_api import FakeTelegram
from simulator.telegram.received import Received
from simulator.telegram.server import telegram_in_thread
from sinks.acknowledgements import acknowledged_by
from sinks.alert_settings import AlertSettings, Role, TelegramSettings, TelegramUser
from sinks.insertion import insert_alerts
from sinks.message import Composer
from sinks.mutes import active_mutes
from sinks.pacing import Pacer
from sinks.secret import Secret
from sinks.sender import Sender
from sinks.telegram import poller, updates
from sinks.telegram.desk import Desk
from sinks.telegram.limits import pace_of
from sinks.telegram.poller import AWAY, FAILED, Poller
from sinks.telegram.services import Services
from sinks.telegram.target import TelegramTarget
from tests.fakes.killed_flow import alert_cells
from tests.fakes.outbox_rows import empty, until
from tests.servers.kept_connection import kept_connection

TOKEN = "123456789:AAE-fake_token_of_the_tests"
GROUP, OWNER, OPERATOR, VIEWER, STRANGER = -500, 1, 2, 3, 666
USERS = {
    "olga": TelegramUser(id=OWNER, role=Role.OWNER),
    "otto": TelegramUser(id=OPERATOR, role=Role.OPERATOR),
    "vera": TelegramUser(id=VIEWER),
}
DAY = 86_400_000_000_000


@pytest.fixture(scope="module")
def outbox_database(make_whole_database: Callable[[], str]) -> str:
    return make_whole_database()


@pytest.fixture
def dsn(outbox_database: str) -> str:
    empty(outbox_database)
    return outbox_database


def refuse(line: str, by: str, _all: bool) -> str:
    raise ConfigError(f"no symbol in {line!r}, {by}")


class Bot:
    """A fake Bot API, a sender with the bot's poller, and the database between them."""

    def __init__(
        self, fake: FakeTelegram, base_url: str, dsn: str, services: Services | None = None
    ) -> None:
        self.fake = fake
        self.dsn = dsn
        settings = TelegramSettings(
            base_url=base_url,
            chats={"main": GROUP},
            users=USERS,
            private_per_s=1000,
            group_per_minute=1000,
            overall_per_s=1000,
        )
        pacer = Pacer(time.monotonic)
        pace = pace_of(GROUP, settings)
        target = TelegramTarget(Secret(TOKEN), GROUP, base_url=base_url, pace=pace, buttons=True)
        desk = Desk(services or Services(), Composer(ZoneInfo("UTC")))
        self.poller = Poller(Secret(TOKEN), settings, Secret(dsn), desk, pacer=pacer)
        self.sender = Sender(
            Secret(dsn),
            {"telegram/main": target},
            AlertSettings(),
            pacer=pacer,
            companion=self.poller,
        )
        self.sender.start()

    def ask(self, text: str, *, user: int = OWNER, chat: int | None = None) -> str:
        """Write to the bot and return its answer."""
        known = len(self.fake.messages)
        self.fake.write(user if chat is None else chat, text, user_id=user)
        until(lambda: len(self.fake.messages) > known)
        return self.fake.messages[-1].text

    def fire(self, *numbers: int) -> Received:
        """Fire alerts and return the message that the last of them is in."""
        known = len(self.fake.messages)
        with psycopg.connect(self.dsn) as connection:
            rows = [
                alert_cells(number, now=time.time_ns(), targets=["telegram/main"])
                for number in numbers
            ]
            insert_alerts(connection, rows, notify=True)
        until(lambda: len(self.fake.messages) > known)
        return self.fake.messages[-1]

    def press(self, message: Received, button: str, *, user: int = OPERATOR) -> str:
        """Press a button and return what is shown to whoever did."""
        known = len(self.fake.notices)
        (data,) = (data for data in message.buttons if data.startswith(button))
        self.fake.press(message.message_id, data, user_id=user)
        until(lambda: len(self.fake.notices) > known)
        return self.fake.notices[-1]

    def states(self) -> list[str]:
        with kept_connection(self.dsn) as connection:
            rows = connection.execute("SELECT state FROM outbox ORDER BY id")
            return [str(state) for (state,) in rows]


@pytest.fixture
def fake() -> Iterator[tuple[FakeTelegram, str]]:
    fake = FakeTelegram(TOKEN)
    with telegram_in_thread(fake) as address:
        yield fake, f"{address}/bot"


@pytest.fixture
def bot(dsn: str, fake: tuple[FakeTelegram, str]) -> Iterator[Bot]:
    bot = Bot(*fake, dsn)
    yield bot
    until(bot.sender.stop)


def test_every_button_does_what_it_says(bot: Bot) -> None:
    message = bot.fire(0)
    assert [data.partition(":")[0] for data in message.buttons] == ["ack", "snooze", "mute", "why"]
    assert message.text.startswith("alert 0.\nbinance BTC-USDT 1m · price 1 · critical\n")
    assert bot.press(message, "ack") == "acknowledged by otto"
    assert bot.press(message, "ack", user=OWNER) == "already acknowledged by otto"
    with psycopg.connect(bot.dsn) as connection:
        assert acknowledged_by(connection, "burst/0") == "otto"
    assert bot.press(message, "why", user=VIEWER) == "Why"
    until(lambda: "burst on binance BTC-USDT 1m" in bot.fake.messages[-1].text)
    assert "close was 1\n" in bot.fake.messages[-1].text
    assert bot.fake.messages[-1].text.endswith("acknowledged by otto")
    assert bot.press(message, "snooze") == "muted for 1 h"
    with psycopg.connect(bot.dsn) as connection:
        (mute,) = active_mutes(connection, now=time.time_ns())
    assert (mute.target, mute.spec, mute.symbol) == ("telegram/main", "burst", "BTC-USDT")
    assert mute.ends_at is not None
    assert 3500 < (mute.ends_at - time.time_ns()) / 1e9 <= 3600
    bot.fire(2, 1)  # the first is of a snoozed symbol, the second is not
    until(lambda: bot.states() == ["sent", "suppressed", "sent"])
    assert bot.press(message, "mute") == "muted until /unmute"


def test_a_viewer_may_look_and_no_more(bot: Bot) -> None:
    message = bot.fire(0)
    for button in ("ack", "snooze", "mute"):
        assert "needs the role operator; yours: viewer" in bot.press(message, button, user=VIEWER)
    for command in ("/mute", "/unmute", "/alert BTC-USDT > 1", "/delete x"):
        assert "needs the role" in bot.ask(command, user=VIEWER)
    assert "/alert needs the role operator; yours: viewer" in bot.ask("/alert x", user=VIEWER)
    with psycopg.connect(bot.dsn) as connection:
        assert active_mutes(connection, now=time.time_ns()) == []
        assert acknowledged_by(connection, "burst/0") is None


def test_strangers_are_not_answered_and_do_nothing(
    bot: Bot, caplog: pytest.LogCaptureFixture
) -> None:
    message = bot.fire(0)
    known = len(bot.fake.messages)
    bot.fake.write(STRANGER, "/mute", user_id=STRANGER)
    bot.fake.write(GROUP, "/mute", user_id=STRANGER)
    bot.fake.write(-777, "/mute", user_id=OWNER)  # a group that nobody allowed
    assert bot.press(message, "ack", user=STRANGER) == "You are not allowed to."
    assert bot.ask("/help").startswith("You are owner")
    assert len(bot.fake.messages) == known + 1
    with psycopg.connect(bot.dsn) as connection:
        assert active_mutes(connection, now=time.time_ns()) == []
        assert acknowledged_by(connection, "burst/0") is None
    assert [getattr(record, "user_id", None) for record in caplog.records].count(STRANGER) == 1


def test_mutes_are_set_listed_and_lifted_by_command(bot: Bot) -> None:
    bot.fire(0)
    assert bot.ask("/mute btc-usdt 2h", user=OPERATOR, chat=GROUP).startswith(
        "mute 1: BTC-USDT to telegram/main until 20"
    )
    assert bot.ask("/mute burst") == (
        "mute 2: burst to every target until lifted, by olga; /unmute 2 ends it"
    )
    status = bot.ask("/status", user=VIEWER)
    assert "1 fired: 1 sent" in status
    assert "mute 2: burst to every target" in status
    assert bot.ask("/unmute 1", chat=GROUP) == "ended: BTC-USDT"
    assert bot.ask("/unmute") == "ended: burst"
    assert bot.ask("/unmute") == "There is no such mute; /status lists them."
    assert bot.ask("/mute a b c") == "Write it as /mute [SPEC|SYMBOL|all] [2h]"
    assert bot.ask("/mute 1h").startswith("mute 3: everything to every target until 20")
    # A slip of the pen mutes nothing.
    assert bot.ask("/mute brust") == ("there is no spec and no symbol 'brust'; did you mean burst?")
    assert bot.ask("/mute zzz") == ("there is no spec and no symbol 'zzz'; /rules lists the specs")


def test_a_mute_for_centuries_is_refused_and_one_in_the_table_stops_nothing(bot: Bot) -> None:
    for length in ("366d", "90000d", "99999d"):
        told = bot.ask(f"/mute all {length}")
        assert told.startswith("A mute lasts 365 days at most: write a shorter time")
    with psycopg.connect(bot.dsn) as connection:
        assert active_mutes(connection, now=time.time_ns()) == []
        connection.execute(
            "INSERT INTO alert_mutes (symbol, ends_at, created_at, created_by)"
            " VALUES ('ETH-USDT', '2300-01-01', now(), 'olga')"
        )
    bot.fire(1, 0)  # the first is of the muted symbol, the second is not
    until(lambda: bot.states() == ["suppressed", "sent"])
    assert "mute 1: ETH-USDT to every target until 2262" in bot.ask("/status")
    assert bot.ask("/unmute") == "ended: ETH-USDT"
    assert bot.ask("/mute all 365d").startswith("mute 2: everything to every target until 20")


def test_alerts_lists_the_newest_and_the_sums(bot: Bot) -> None:
    bot.fire(0)
    told = bot.ask("/alerts", user=VIEWER)
    assert "sent telegram/main\n  alert 0." in told
    assert told.endswith("1 fired: 1 sent")


def test_what_is_not_connected_says_so(bot: Bot) -> None:
    for command in ("/alert BTC-USDT > 1", "/delete x", "/rules", "/why x BTC-USDT", "/chart X"):
        assert bot.ask(command).startswith("Not available here: ")
    assert bot.ask("/dance") == "There is no /dance. /help tells what there is."


def test_what_is_connected_is_used(dsn: str, fake: tuple[FakeTelegram, str]) -> None:
    services = Services(
        add_spec=lambda line, by, target: f"added {line} for {by} at {target}",
        delete_spec=refuse,
        list_specs=lambda: ["oversold", "walls"],
        spec_ids=lambda: ["oversold", "walls"],
        why=lambda spec, symbol: f"{spec} {symbol}: rsi(14) was 31",
        chart=lambda symbol: b"png" if symbol == "btc-usdt" else None,
        status=lambda: "2 feeds live",
    )
    with psycopg.connect(dsn) as connection:
        for symbol in ("BTC-USDT", "ETH-USDT"):
            connection.execute(
                "INSERT INTO instruments VALUES"
                " ('binance', %s, replace(%s, '-', ''), 'A', 'B', 0.01, 0.01, 'spot')"
                " ON CONFLICT DO NOTHING",
                (symbol, symbol),
            )
    bot = Bot(*fake, dsn, services)
    try:
        assert bot.ask("/alert BTC-USDT > 70000") == "added BTC-USDT > 70000 for olga at None"
        told = bot.ask("/alert A > 1", user=OPERATOR, chat=GROUP)
        assert told == "added A > 1 for otto at telegram/main"
        assert bot.ask("/alert") == "Write it as /alert SYMBOL > PRICE"
        assert bot.ask("/delete x") == "no symbol in 'x', olga"
        assert bot.ask("/rules") == "oversold\nwalls"
        for word, meant in (
            ("btc-usdt", "BTC-USDT"),
            ("ethusdt", "ETH-USDT"),
            ("Binance:eth-usdt", "binance:ETH-USDT"),
            ("merged:xy", "merged:XY"),
        ):
            assert bot.ask(f"/why oversold {word}") == f"oversold {meant}: rsi(14) was 31"
        assert bot.ask("/status").startswith("2 feeds live\n0 fired")
        assert bot.ask("/chart btc-usdt") == "BTC-USDT"
        picture = bot.fake.messages[-1]
        assert (picture.method, picture.filename) == ("sendPhoto", "chart.png")
        assert bot.ask("/chart ethusdt") == "ETH-USDT: there is nothing to draw yet"
        assert bot.ask("/chart doge") == "'doge' is not followed; followed are BTC-USDT, ETH-USDT"
        assert "did you mean BTC-USDT" in bot.ask("/chart btc-usd")
        assert bot.ask("/mute walls").startswith("mute 1: walls to every target")
        assert bot.ask("/mute ethusdt").startswith("mute 2: ETH-USDT to every target")
        assert bot.ask("/unmute ethusdt") == "ended: ETH-USDT"
    finally:
        until(bot.sender.stop)


def test_an_update_that_comes_twice_acts_once(dsn: str, fake: tuple[FakeTelegram, str]) -> None:
    added: list[str] = []

    def add(line: str, by: str, _target: str | None) -> str:
        added.append(f"{line} {by}")
        return "added"

    services = Services(add_spec=add)
    fake[0].repeat_updates()
    bot = Bot(*fake, dsn, services)
    try:
        assert bot.ask("/alert A > 1") == "added"
        assert bot.ask("/alert B > 1") == "added"
        until(lambda: bot.fake.calls["getUpdates"] > 5)
        assert added == ["A > 1 olga", "B > 1 olga"]
        assert len(bot.fake.messages) == 2
    finally:
        until(bot.sender.stop)
    again = Bot(*fake, dsn, services)  # the offset is kept
    try:
        calls = bot.fake.calls["getUpdates"]
        until(lambda: bot.fake.calls["getUpdates"] > calls + 3)
        assert added == ["A > 1 olga", "B > 1 olga"]
    finally:
        until(again.sender.stop)


def test_trouble_with_telegram_ends_no_poller(bot: Bot) -> None:
    bot.fake.fail(1, status=502, method="getUpdates")
    bot.fake.limit(1, retry_after=1, method="sendMessage")
    assert bot.ask("/help").startswith("You are owner")


def contained() -> float:
    """Return how many errors the poller's thread has outlived."""
    labels = {"thread": "telegram-poller"}
    return REGISTRY.get_sample_value("candlewax_thread_errors_total", labels) or 0.0


def broken() -> list[str]:
    raise ZeroDivisionError("nobody foresaw it")


def away() -> str:
    raise psycopg.OperationalError("the server went away")


def test_a_bug_in_one_answer_is_loud_and_ends_no_other(
    dsn: str,
    fake: tuple[FakeTelegram, str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sinks.telegram.desk.explain", lambda *_args, **_more: broken())
    before = contained()
    bot = Bot(*fake, dsn, Services(list_specs=broken, status=away))
    try:
        message = bot.fire(0)
        for asked in ("/rules", "/rules"):
            assert bot.ask(asked, user=VIEWER) == FAILED
        assert bot.ask("/status") == AWAY
        assert bot.press(message, "why") == FAILED
        known = len(bot.fake.messages)
        bot.fake.write(STRANGER, "/rules", user_id=STRANGER)  # it is not told of our bugs
        assert bot.ask("/help").startswith("You are owner")
        assert len(bot.fake.messages) == known + 1
        assert bot.press(message, "ack") == "acknowledged by otto"
    finally:
        until(bot.sender.stop)
    assert contained() - before == 3
    traces = [record for record in caplog.records if record.exc_info]
    assert [getattr(record, "asked", None) for record in traces] == [
        "/rules", "/rules", "the button Why",
    ]  # fmt: skip
    assert caplog.text.count("ZeroDivisionError: nobody foresaw it") == 3


def test_a_bug_beside_the_answer_ends_no_poller(
    bot: Bot, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(poller, "CONFLICT_S", 0.05)
    assert bot.ask("/help").startswith("You are owner")
    before = contained()
    with monkeypatch.context() as patch:
        # It cannot be put on record: it is not acted on, and comes again.
        patch.setattr(poller, "take", lambda *_args, **_more: broken())
        bot.fake.write(OWNER, "/help", user_id=OWNER)
        until(lambda: contained() >= before + 2)
        known = len(bot.fake.messages)
    until(lambda: len(bot.fake.messages) > known)
    assert "what people write cannot be read; it is tried again" in caplog.messages
    with monkeypatch.context() as patch:
        # It is on record, and what goes wrong then is not tried again.
        patch.setattr(poller, "read_command", lambda *_: broken())
        known, before = len(bot.fake.messages), contained()
        bot.fake.write(OWNER, "/help", user_id=OWNER)
        until(lambda: contained() == before + 1)
    assert bot.ask("/rules").startswith("Not available here")
    assert len(bot.fake.messages) == known + 1
    assert "an update was not acted on" in caplog.messages


def test_only_the_sender_that_sends_polls(
    dsn: str, bot: Bot, fake: tuple[FakeTelegram, str]
) -> None:
    until(lambda: bot.sender.is_sending)
    until(lambda: bot.fake.calls.get("getUpdates", 0) > 0)
    second = Bot(*fake, dsn)
    try:
        assert bot.ask("/help").startswith("You are owner")
        assert not second.sender.is_sending
        until(bot.sender.stop)
        until(lambda: second.sender.is_sending)
        assert second.ask("/help").startswith("You are owner")
        assert second.fake.calls["getMe"] == 2
    finally:
        until(second.sender.stop)


def test_updates_are_numbered_anew_after_a_week(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert updates.take(connection, "1", 100, now=DAY)
        assert not updates.take(connection, "1", 100, now=DAY)
        assert not updates.take(connection, "1", 7, now=6 * DAY)
        assert updates.take(connection, "2", 7, now=DAY)
        assert updates.next_update(connection, "1", now=2 * DAY) == 101
        assert updates.next_update(connection, "1", now=8 * DAY) == 0
        assert updates.take(connection, "1", 7, now=8 * DAY)
        assert updates.next_update(connection, "1", now=8 * DAY) == 8
