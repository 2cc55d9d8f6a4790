"""Five hundred alerts in one second, against everything that may go wrong."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

import psycopg
import pytest

from simulator.telegram.bot_api import FakeTelegram
from simulator.telegram.received import Received
from simulator.telegram.server import telegram_in_thread
from sinks import calls, outbox_report
from sinks.alert_settings import AlertSettings, TelegramSettings
from sinks.delivery import Target
from sinks.secret import Secret
from sinks.sender import Sender
from sinks.telegram.limits import pace_of
from sinks.telegram.target import TelegramTarget
from tests.fakes.attempts import Attempts, check_order
from tests.fakes.burst import ALERT, SECOND, Api, check_limit, figures, told
from tests.fakes.outbox_rows import empty, fire, until
from tests.fakes.proxy import CuttableProxy
from tests.servers.kept_connection import kept_connection
from tests.slow_case import slow

TOKEN = "123456789:AAE-fake_token_of_the_tests"
COUNT = 500
AWAY_S = float(os.environ.get("CANDLEWAX_ALERTS_AWAY_S", "1.5"))
PER_S = 20


@pytest.fixture(scope="module")
def outbox_database(make_whole_database: Callable[[], str]) -> str:
    return make_whole_database()


@pytest.fixture
def dsn(outbox_database: str) -> str:
    empty(outbox_database)
    return outbox_database


@pytest.fixture
def api() -> Iterator[Api]:
    fake = FakeTelegram(TOKEN)
    with telegram_in_thread(fake) as address:
        yield Api(fake, address)


def start(dsn: str, api: Api, *, settings: TelegramSettings | None = None) -> Sender:
    settings = settings if settings is not None else TelegramSettings(private_per_s=PER_S)
    target = TelegramTarget(Secret(TOKEN), 42, base_url=api.base_url, pace=pace_of(42, settings))
    sender = Sender(Secret(dsn), {"telegram/main": target}, AlertSettings())
    sender.start()
    return sender


def flow(dsn: str, *fatal: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "tests.fakes.killed_flow", dsn, str(COUNT), *fatal], check=False
    ).returncode


def counts(dsn: str) -> dict[str, int]:
    with kept_connection(dsn) as connection:
        return outbox_report.counts(connection)


def settled(dsn: str) -> bool:
    found = counts(dsn)
    return found["pending"] == found["sending"] == 0 and sum(found.values()) == COUNT


def states(dsn: str) -> dict[int, tuple[str, str]]:
    """Return number to severity and state."""
    with kept_connection(dsn) as connection:
        rows = connection.execute("SELECT alert_key, severity, state FROM outbox")
        return {int(key.rpartition("/")[2]): (severity, state) for key, severity, state in rows}


def test_a_burst_arrives_once_in_order_and_within_the_limits(
    dsn: str, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = Attempts()
    monkeypatch.setattr("sinks.outbox.due", attempts.due)
    monkeypatch.setattr("sinks.outbox.begin", attempts.begin)
    api.fake.limit(2, retry_after=1)
    api.fake.fail(2, status=502)
    sender = start(dsn, api)
    try:
        assert flow(dsn) == 0
        until(lambda: settled(dsn), timeout_s=50)
    finally:
        until(sender.stop)
    found = counts(dsn)
    assert found["sent"] + found["digested"] == COUNT
    plain, marked = told(api.fake.messages)
    assert plain == Counter(range(COUNT))
    assert not marked
    assert found["sent"] == len(api.fake.messages)
    check_limit(api.fake.messages, PER_S)
    check_order(attempts.made)
    assert len(attempts.made) == len(api.fake.messages) + 4  # those that were refused
    arrived = [{int(number) for _, number in ALERT.findall(m.text)} for m in api.fake.messages]
    assert arrived == [set(attempt.begun) for attempt in attempts.delivered]
    # There was something to put in order, most of the time.
    mixed = [one for one in attempts.made if len({row.severity for row in one.due}) > 1]
    assert len(mixed) > len(attempts.made) / 3


def test_silence_makes_repeats_that_say_so_and_no_others(
    dsn: str, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "BACKOFF_S", (0.05,))
    monkeypatch.setattr("sinks.telegram.target.CALL_S", 0.5)
    api.fake.drop(2, delivered=True)
    api.fake.drop(1, delivered=False)
    api.fake.slow(1, seconds=6.5)
    sender = start(dsn, api)
    try:
        assert flow(dsn) == 0
        until(lambda: settled(dsn), timeout_s=50)
    finally:
        until(sender.stop)
    check_books(dsn, api.fake.messages)
    assert counts(dsn)["unknown"] <= 4 * 30


def check_books(dsn: str, messages: list[Received]) -> None:
    """Nothing is lost, nothing is doubled but what says so, and the sums are right."""
    found = counts(dsn)
    assert sum(found.values()) == COUNT
    assert found["failed"] == found["expired"] == found["suppressed"] == 0
    plain, marked = told(messages)
    assert max(plain.values()) == 1
    for number, (severity, state) in states(dsn).items():
        if state in ("sent", "digested"):
            assert plain[number] + marked[number] >= 1, number
        else:
            assert state == "unknown"
            assert severity != "critical" or marked[number] <= 1
        assert marked[number] <= 1
        if marked[number]:
            assert severity == "critical"
    check_limit(messages, PER_S)


@pytest.mark.parametrize("point", [slow("before"), slow("after"), "commit"])
def test_flow_and_sender_may_be_killed(dsn: str, api: Api, point: str) -> None:
    assert flow(dsn, "4") == -signal.SIGKILL
    environ = {
        **os.environ, "CHAT_DSN": dsn, "CHAT_URL": api.base_url, "TELEGRAM_BOT_TOKEN": TOKEN,
        "PER_S": str(PER_S),
    }  # fmt: skip
    for call in ("1", "3"):
        killed = subprocess.run(
            [sys.executable, "-m", "tests.fakes.killed_sender", point, call],
            env=environ, check=False, capture_output=True, timeout=40,
        )  # fmt: skip
        assert killed.returncode == -signal.SIGKILL
        assert TOKEN.partition(":")[2].encode() not in killed.stdout + killed.stderr
    assert flow(dsn) == 0
    in_hand = counts(dsn)["sending"]
    assert 1 <= in_hand <= 30
    sender = start(dsn, api)
    try:
        until(lambda: settled(dsn), timeout_s=40)
    finally:
        until(sender.stop)
    check_books(dsn, api.fake.messages)
    plain, marked = told(api.fake.messages)
    twice = sum(1 for number in marked if plain[number])
    assert twice == (sum(marked.values()) if point != "before" else 0)
    assert sum(marked.values()) + counts(dsn)["unknown"] <= 2 * 30


def test_a_database_that_is_away_loses_nothing(
    dsn: str, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    port = psycopg.conninfo.conninfo_to_dict(dsn)["port"]
    assert port is not None
    with CuttableProxy(int(port)) as proxy:
        sender = start(psycopg.conninfo.make_conninfo(dsn, port=proxy.port), api)
        try:
            assert flow(dsn) == 0
            until(lambda: len(api.fake.messages) >= 2, timeout_s=20)
            proxy.cut()
            away = time.monotonic()
            until(lambda: not sender.is_sending)
            until(lambda: time.monotonic() - away > AWAY_S, timeout_s=AWAY_S + 5)
            proxy.mend()
            until(lambda: settled(dsn), timeout_s=40)
        finally:
            until(sender.stop)
    found = counts(dsn)
    with capsys.disabled():
        print(figures(dsn, api.fake.messages, count=COUNT, away_s=AWAY_S))
    assert found["sent"] + found["digested"] + found["unknown"] == COUNT
    plain, marked = told(api.fake.messages)
    assert plain <= Counter(range(COUNT))
    assert COUNT - len({*plain, *marked}) <= found["unknown"]
    # An attempt whose commit got no answer is repeated with a mark: one message at most, which
    # nobody has seen before.
    assert marked.total() <= 30
    assert not plain.keys() & marked.keys()
    check_limit(api.fake.messages, PER_S)


def test_the_real_limits_hold_in_real_time(dsn: str, api: Api) -> None:
    sender = start(dsn, api, settings=TelegramSettings())
    try:
        assert flow(dsn) == 0
        until(lambda: len(api.fake.messages) >= 5, timeout_s=20)
    finally:
        until(sender.stop)
    times = [message.received_at for message in api.fake.messages]
    assert all(later - earlier >= SECOND for earlier, later in pairwise(times))


def busiest(messages: list[Received], stretch_s: float) -> int:
    """Return how many messages came in the busiest stretch of time, by the clock of the other."""
    times = sorted(message.received_at for message in messages)
    return max(sum(a <= b < a + int(stretch_s * SECOND) for b in times) for a in times)


def test_the_limit_over_all_chats_holds_in_real_time(dsn: str, api: Api) -> None:
    chats = range(1, 46)
    limits = TelegramSettings()
    targets: dict[str, Target] = {
        f"telegram/{chat}": TelegramTarget(
            Secret(TOKEN), chat, base_url=api.base_url, pace=pace_of(chat, limits)
        )
        for chat in chats
    }
    for chat in chats:
        fire(dsn, f"to {chat}", target=f"telegram/{chat}")
    sender = Sender(Secret(dsn), targets, AlertSettings())
    sender.start()
    try:
        until(lambda: len(api.fake.messages) == len(chats), timeout_s=30)
    finally:
        until(sender.stop)
    assert {message.chat_id for message in api.fake.messages} == {str(chat) for chat in chats}
    assert busiest(api.fake.messages, 1.0) <= 30


@pytest.mark.skipif(AWAY_S < 10, reason="it takes more than a minute: make outage")
def test_the_limit_of_a_group_holds_in_real_time(
    dsn: str, api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    target = TelegramTarget(
        Secret(TOKEN), -42, base_url=api.base_url, pace=pace_of(-42, TelegramSettings())
    )
    fire(dsn, *(f"alert {number}" for number in range(50)))
    alone = AlertSettings(digest_from=1000, max_age_s=600)
    sender = Sender(Secret(dsn), {"telegram/main": target}, alone)
    began = time.monotonic()
    sender.start()
    try:
        until(lambda: len(api.fake.messages) > 24, timeout_s=120)
    finally:
        until(sender.stop)
    most = busiest(api.fake.messages, 60.0)
    with capsys.disabled():
        print(f"\na group got 25 messages in {time.monotonic() - began:.0f} s, {most} in a minute")
    assert most <= 20
