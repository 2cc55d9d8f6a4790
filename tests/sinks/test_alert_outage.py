"""Alerts while the database is away: critical ones arrive, and the outbox knows it afterwards."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from simulator.telegram.bot_api import FakeTelegram
from simulator.telegram.server import telegram_in_thread
from sinks import outbox_report
from sinks.alert_settings import AlertSettings, TelegramSettings
from sinks.pacing import Pace, Rate
from sinks.rows import pack
from sinks.secret import Secret
from sinks.sender import Sender
from sinks.settings import StoreSettings
from sinks.telegram.limits import pace_of
from sinks.telegram.target import TelegramTarget
from sinks.writer import Writer
from tests.fakes.burst import ALERT, SECOND, Api, check_limit, figures, told
from tests.fakes.killed_flow import alert_cells
from tests.fakes.outbox_rows import until
from tests.servers.kept_connection import kept_connection
from tests.servers.own_server import OwnServer, kill, prepared
from tests.servers.schema import server_name

TOKEN = "123456789:AAE-fake_token_of_the_tests"
CHAT = "telegram/main"
AWAY_S = float(os.environ.get("CANDLEWAX_ALERTS_AWAY_S", "2"))
# As Telegram has it, where there is time for it.
PER_S = 1 if AWAY_S > 10 else 20
COUNT = 500


@pytest.fixture
def dsn(own_server: OwnServer) -> str:
    return prepared(own_server)


@pytest.fixture
def api() -> Iterator[Api]:
    fake = FakeTelegram(TOKEN)
    with telegram_in_thread(fake) as address:
        yield Api(fake, address)


class Process:
    """What one process of a flow has: a writer of rows, and a sender."""

    def __init__(self, dsn: str, spool: Path, base_url: str, pace: Pace | None = None) -> None:
        self.writer = Writer(
            dsn, StoreSettings(spool_free_bytes=0), name="store-0", notify=True, spool=spool
        )
        target = TelegramTarget(Secret(TOKEN), 42, base_url=base_url, pace=pace)
        self.sender = Sender(Secret(dsn), {CHAT: target}, AlertSettings(max_age_s=3600))
        self.sender.start()

    def fire(self, *numbers: int) -> None:
        """Fire alerts; those whose number divides by 3 are critical."""
        now = time.time_ns()
        rows = [alert_cells(number, now=now + number, targets=[CHAT]) for number in numbers]
        self.writer.put(pack("alerts", rows))


@contextmanager
def process(dsn: str, spool: Path, base_url: str, pace: Pace | None = None) -> Iterator[Process]:
    with ExitStack() as stack:
        made = Process(dsn, spool, base_url, pace)
        stack.callback(made.writer.close, 2.0)
        stack.callback(until, made.sender.stop)
        yield made


def rows(dsn: str) -> dict[int, tuple[str, str | None, int]]:
    """Return number to state, message and attempts."""
    with kept_connection(dsn) as connection:
        found = connection.execute(
            "SELECT alert_key, state, message_id, attempts FROM outbox ORDER BY id"
        )
        return {
            int(key.rpartition("/")[2]): (state, message, attempts)
            for key, state, message, attempts in found
        }


def numbers(api: Api) -> list[int]:
    return [int(number) for each in api.fake.messages for _, number in ALERT.findall(each.text)]


def test_a_critical_alert_arrives_while_the_database_is_killed(
    own_server: OwnServer, dsn: str, api: Api, tmp_path: Path
) -> None:
    with process(dsn, tmp_path, api.base_url) as flow:
        flow.fire(3)
        until(lambda: rows(dsn).get(3) == ("sent", "1", 1))
        kill(own_server)
        flow.fire(6, 7)
        until(lambda: len(api.fake.messages) == 2)
        message = api.fake.messages[-1]
        assert message.text.startswith(
            "alert 6.\nbinance BTC-USDT 1m · price 7 · critical\ndecided 0.0 s after"
        )
        assert message.text.endswith("the database is away: no picture or buttons")
        fired_at = time.time_ns()
        flow.fire(9)
        until(lambda: len(api.fake.messages) == 3)
        assert api.fake.messages[-1].received_at > fired_at
        until(lambda: flow.writer.totals["alerts"].spooled == 3)
        assert own_server.start() == dsn
        until(lambda: rows(dsn).get(7, ("",))[0] == "sent")
        assert rows(dsn) == {
            3: ("sent", "1", 1),
            6: ("sent", "2", 1),
            9: ("sent", "3", 1),
            7: ("sent", "4", 1),
        }
    assert numbers(api) == [3, 6, 9, 7]  # the warning has waited


def test_limits_hold_and_refusals_are_tried_again_without_a_database(
    own_server: OwnServer, dsn: str, api: Api, tmp_path: Path
) -> None:
    api.fake.fail(1, status=502)
    api.fake.limit(1, retry_after=1)
    kill(own_server)
    with process(dsn, tmp_path, api.base_url, Pace("chat", Rate(2, 1.0))) as flow:
        flow.fire(0, 3, 6)
        until(lambda: len(api.fake.messages) == 3)
        times = [message.received_at for message in api.fake.messages]
        assert all(later - earlier >= SECOND / 2 for earlier, later in pairwise(times))
        own_server.start()
        until(lambda: len(rows(dsn)) == 3)
    assert numbers(api) == [0, 3, 6]
    assert [state for state, *_ in rows(dsn).values()] == ["sent"] * 3
    assert rows(dsn)[0][2] == 3  # refused twice


def test_no_answer_makes_one_repeat_that_says_so(
    own_server: OwnServer, dsn: str, api: Api, tmp_path: Path
) -> None:
    api.fake.drop(1, delivered=True)
    kill(own_server)
    with process(dsn, tmp_path, api.base_url) as flow:
        flow.fire(0)
        until(lambda: len(api.fake.messages) == 1)
        own_server.start()
        until(lambda: rows(dsn).get(0, ("",))[0] == "sent")
    assert told(api.fake.messages) == (Counter([0]), Counter([0]))
    assert rows(dsn)[0][2] == 2


@pytest.mark.parametrize("point", ["before", "after", "commit"])
def test_a_kill_makes_one_repeat_where_no_answer_is_on_the_disk(
    dsn: str, api: Api, tmp_path: Path, point: str
) -> None:
    plain, marked = {"before": (0, 1), "after": (1, 1), "commit": (1, 0)}[point]
    environ = {**os.environ, "CHAT_URL": api.base_url, "TELEGRAM_BOT_TOKEN": TOKEN}
    killed = subprocess.run(
        [sys.executable, "-m", "tests.fakes.journaling_sender", str(tmp_path), point],
        env=environ, check=False, capture_output=True, timeout=40,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL
    assert len(api.fake.messages) == plain
    with process(dsn, tmp_path, api.base_url):
        until(lambda: rows(dsn).get(0, ("",))[0] == "sent")
    assert told(api.fake.messages) == (Counter([0] * plain), Counter([0] * marked))


def test_a_burst_over_an_outage_adds_up(
    own_server: OwnServer,
    dsn: str,
    api: Api,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pace = pace_of(42, TelegramSettings(private_per_s=PER_S))

    def settled() -> bool:
        with kept_connection(dsn) as connection:
            found = outbox_report.counts(connection)
        return sum(found.values()) == COUNT and found["pending"] == found["sending"] == 0

    with process(dsn, tmp_path, api.base_url, pace) as flow:
        flow.fire(*range(100))
        until(lambda: len(api.fake.messages) > 1)
        kill(own_server)
        began = time.monotonic()
        for first in range(100, COUNT, 50):
            flow.fire(*range(first, first + 50))
        until(lambda: time.monotonic() - began > AWAY_S, timeout_s=AWAY_S + 5)
        meanwhile = len(api.fake.messages)
        own_server.start()
        until(settled, timeout_s=60)
    with psycopg.connect(dsn) as connection:
        found = outbox_report.counts(connection)
    with capsys.disabled():
        print(figures(dsn, api.fake.messages, count=COUNT, away_s=AWAY_S), end="")
        print(f"; {server_name(dsn)}, {meanwhile} messages before the database was back")
    assert found["failed"] == found["expired"] == found["suppressed"] == 0
    plain, marked = told(api.fake.messages)
    assert set(plain) | set(marked) == set(range(COUNT))
    # Only what was in hand when the server was killed may have been sent twice, and says so.
    assert max(plain.values()) == 1
    assert sum(marked.values()) <= 30
    check_limit(api.fake.messages, PER_S)
