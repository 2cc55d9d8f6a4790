import io
import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from sinks import calls, dispatch, outbox_report, sender
from sinks.alert_settings import AlertSettings
from sinks.console import ConsoleTarget
from sinks.delivery import Delivered, DeliveryError, Failure, Target, Traits
from sinks.message import Message
from sinks.outbox_row import REPEAT_MARK
from sinks.secret import Secret
from sinks.sender import Sender
from sinks.telegram.target import TelegramTarget
from tests.drawn_examples import examples
from tests.fakes.outbox_rows import empty, fire, states, until
from tests.fakes.proxy import CuttableProxy
from tests.fakes.telegram import TOKEN, Drop, FakeTelegram, Refuse, Slow
from tests.servers.kept_connection import kept_connection

CHAT = "telegram/main"
Start = Callable[..., Sender]


@pytest.fixture(scope="module")
def outbox_database(make_whole_database: Callable[[], str]) -> str:
    return make_whole_database()


@pytest.fixture
def dsn(outbox_database: str) -> str:
    empty(outbox_database)
    return outbox_database


@pytest.fixture
def fake() -> Iterator[FakeTelegram]:
    with FakeTelegram() as fake:
        yield fake


@pytest.fixture
def start(dsn: str, fake: FakeTelegram) -> Iterator[Start]:
    """Start senders that are stopped when the test ends."""
    with ExitStack() as stack:

        def start(
            *,
            address: str = dsn,
            targets: Mapping[str, Target] | None = None,
            max_age_s: float = 60.0,
        ) -> Sender:
            if targets is None:
                chat = TelegramTarget(Secret(TOKEN), 42, base_url=fake.base_url)
                targets = {CHAT: chat}
            made = Sender(
                Secret(address), targets, AlertSettings(max_age_s=max_age_s, digest_from=1000)
            )
            made.start()

            stack.callback(until, made.stop)
            return made

        yield start


@pytest.fixture(autouse=True)
def fast_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "BACKOFF_S", (0.05,))


def all_are(dsn: str, *expected: str) -> Callable[[], bool]:
    return lambda: list(states(dsn).values()) == list(expected)


def errors(dsn: str) -> list[str | None]:
    with kept_connection(dsn) as connection:
        return [row[0] for row in connection.execute("SELECT error FROM outbox ORDER BY id")]


def test_an_alert_goes_out_at_once(
    dsn: str, fake: FakeTelegram, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "POLL_S", 60.0)  # nothing but a notification may wake it
    active = start()
    until(lambda: active.is_sending)
    fire(dsn, "RSI 28")
    until(all_are(dsn, "sent"))
    assert fake.texts == ["RSI 28"]
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT message_id, attempts, error FROM outbox").fetchone()
    assert found == ("1", 1, None)


def test_alerts_that_waited_go_out_the_urgent_first(
    dsn: str, fake: FakeTelegram, start: Start
) -> None:
    fire(dsn, "info")
    fire(dsn, "warning", severity="warning")
    fire(dsn, "critical", severity="critical")
    start()
    until(all_are(dsn, "sent", "sent", "sent"))
    assert fake.texts == ["critical", "warning", "info"]


def test_each_target_gets_its_own(dsn: str, fake: FakeTelegram, start: Start) -> None:
    printed = io.StringIO()
    chat = TelegramTarget(Secret(TOKEN), 42, base_url=fake.base_url)
    fire(dsn, "to the chat")
    fire(dsn, "to the console", target="console")
    start(targets={CHAT: chat, "console": ConsoleTarget(printed)})
    until(all_are(dsn, "sent", "sent"))
    assert fake.texts == ["to the chat"]
    assert printed.getvalue().endswith("to the console\n")


def test_flood_control_is_obeyed_and_nothing_is_lost_or_doubled(
    dsn: str, fake: FakeTelegram, start: Start
) -> None:
    fake.behave(Refuse(429, "Too Many Requests", {"retry_after": 1}))
    fire(dsn, "one", "two")
    begun = time.monotonic()
    start()
    until(all_are(dsn, "sent", "sent"))
    assert sorted(fake.texts) == ["one", "two"]
    assert fake.messages[0].at - begun > 1.0
    assert fake.calls.count("sendMessage") == 3


def test_a_paused_chat_does_not_hold_up_another_target(
    dsn: str, fake: FakeTelegram, start: Start
) -> None:
    fake.behave(Refuse(429, "Too Many Requests", {"retry_after": 30}))
    chat = TelegramTarget(Secret(TOKEN), 42, base_url=fake.base_url)
    fire(dsn, "chat", severity="critical")
    fire(dsn, "console", target="console")
    start(targets={CHAT: chat, "console": ConsoleTarget(io.StringIO())})
    until(all_are(dsn, "pending", "sent"), timeout_s=3)


def test_a_server_error_is_tried_again(dsn: str, fake: FakeTelegram, start: Start) -> None:
    fake.behave(Refuse(500, "Internal Server Error"), Refuse(502, "Bad Gateway"))
    fire(dsn, "x")
    start()
    until(all_are(dsn, "sent"))
    assert fake.texts == ["x"]


@pytest.mark.parametrize(
    "refusal",
    [
        Refuse(400, "Bad Request: chat not found"),
        Refuse(403, "Forbidden: bot was blocked by the user"),
        Refuse(401, "Unauthorized"),
    ],
)
def test_what_will_never_arrive_is_failed_with_the_reason(
    dsn: str, fake: FakeTelegram, start: Start, refusal: Refuse
) -> None:
    fake.behave(refusal)
    fire(dsn, "lost")
    fire(dsn, "next")
    start()
    until(all_are(dsn, "failed", "sent"))
    (reason, _) = errors(dsn)
    assert reason is not None
    assert refusal.description.rpartition(": ")[2].lower() in reason.lower()
    assert fake.texts == ["next"]


def test_a_wrong_token_fails_alerts_and_is_not_told(
    dsn: str, fake: FakeTelegram, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "987654321:wrong-token-of-nobody"
    fire(dsn, "x")
    start(targets={CHAT: TelegramTarget(Secret(wrong), 42, base_url=fake.base_url)})
    until(all_are(dsn, "failed"))
    assert errors(dsn) == ["telegram: Unauthorized"]
    assert "wrong-token" not in caplog.text


@pytest.mark.parametrize("recorded", [True, False])
def test_a_call_without_an_answer_is_unknown_and_not_repeated(
    dsn: str, fake: FakeTelegram, start: Start, recorded: bool
) -> None:
    fake.behave(Drop(recorded=recorded))
    fire(dsn, "dropped")
    fire(dsn, "next")
    start()
    until(all_are(dsn, "unknown", "sent"))
    assert fake.texts == ["dropped", "next"] if recorded else ["next"]
    assert fake.calls.count("sendMessage") == 2


def test_a_critical_call_without_an_answer_is_repeated_once_and_says_so(
    dsn: str, fake: FakeTelegram, start: Start
) -> None:
    fake.behave(Drop(recorded=True))
    fire(dsn, "crash", severity="critical")
    start()
    until(all_are(dsn, "sent"))
    assert fake.texts == ["crash", "possible repeat: crash"]


def test_a_critical_call_that_is_never_answered_is_held(
    dsn: str, fake: FakeTelegram, start: Start
) -> None:
    fake.behave(Drop(recorded=True), Drop(recorded=False), Drop(recorded=False))
    fire(dsn, "crash", severity="critical")
    fire(dsn, "after")
    start()
    until(all_are(dsn, "unknown", "unknown"))
    assert list(states(dsn)) == [REPEAT_MARK + "crash", "after"]
    assert fake.calls.count("sendMessage") == 3


def test_an_absent_server_is_tried_until_the_alert_is_too_old(dsn: str, start: Start) -> None:
    with FakeTelegram() as gone:
        address = gone.base_url
    target = TelegramTarget(Secret(TOKEN), 42, base_url=address)
    active = start(targets={CHAT: target}, max_age_s=2.0)
    until(lambda: active.is_sending)
    fire(dsn, "x")
    until(all_are(dsn, "expired"))
    with psycopg.connect(dsn) as connection:
        (attempts,) = connection.execute("SELECT attempts FROM outbox").fetchone() or (0,)
    assert attempts > 1
    (reason,) = errors(dsn)
    assert reason is not None
    assert reason.startswith("too old when its turn came; telegram: httpx.ConnectError")


def test_an_old_alert_is_told_to_nobody(dsn: str, fake: FakeTelegram, start: Start) -> None:
    fire(dsn, "old", age_s=61)
    fire(dsn, "old and for nobody", target="pager", age_s=61)
    fire(dsn, "young", age_s=50)
    start()
    until(all_are(dsn, "expired", "expired", "sent"))
    assert fake.texts == ["young"]


def test_an_answer_survives_the_database(
    dsn: str, fake: FakeTelegram, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    port = psycopg.conninfo.conninfo_to_dict(dsn)["port"]
    assert port is not None
    with CuttableProxy(int(port)) as proxy:
        address = psycopg.conninfo.make_conninfo(dsn, port=proxy.port)
        fake.behave(Slow(0.5))
        active = start(address=address)
        until(lambda: active.is_sending)
        fire(dsn, "during")
        until(lambda: fake.texts == ["during"])
        proxy.cut()
        fire(dsn, "while away", severity="critical")
        until(lambda: "the database is away" in caplog.text)  # the answer is in hand
        assert active.is_alive
        assert states(dsn) == {"during": "sending", "while away": "pending"}
        proxy.mend()
        until(all_are(dsn, "sent", "sent"))
        assert fake.texts == ["during", "while away"]
        assert active.stop()


def test_a_database_that_is_not_there_yet_is_waited_for(
    dsn: str, fake: FakeTelegram, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    port = psycopg.conninfo.conninfo_to_dict(dsn)["port"]
    assert port is not None
    with CuttableProxy(int(port)) as proxy:
        proxy.cut()
        active = start(address=psycopg.conninfo.make_conninfo(dsn, port=proxy.port))
        until(lambda: "the database is away" in caplog.text)
        fire(dsn, "x")
        proxy.mend()
        until(all_are(dsn, "sent"))
        assert active.stop()
    assert caplog.text.count("the database is away") == 1


def test_only_one_of_two_senders_sends_and_the_other_takes_over(
    dsn: str, fake: FakeTelegram, start: Start
) -> None:
    one = start()
    until(lambda: one.is_sending)
    two = start()
    fire(dsn, *(f"first {n}" for n in range(20)))
    until(lambda: len(fake.texts) == 20)
    assert not two.is_sending
    one.stop()
    fire(dsn, *(f"second {n}" for n in range(20)))
    until(lambda: two.is_sending, timeout_s=3)
    until(lambda: set(states(dsn).values()) == {"sent"})
    assert len(fake.texts) == len(set(fake.texts)) == 40


class Frozen:
    """A target that keeps its thread, as a stopped process does."""

    traits = Traits()

    def __init__(self) -> None:
        self.thaw = threading.Event()
        self.called = threading.Event()

    def send(self, message: Message, now: int) -> Delivered:
        self.called.set()
        self.thaw.wait()
        return Delivered("frozen")

    def abort(self) -> None:
        self.thaw.set()

    def close(self) -> None:
        pass


def test_a_frozen_sender_loses_its_turn(
    dsn: str, fake: FakeTelegram, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sender._SESSION, "idle_session_timeout", "800ms")
    frozen = Frozen()
    one = start(targets={CHAT: frozen})
    fire(dsn, "frozen", severity="critical")
    until(frozen.called.is_set)
    two = start()
    until(lambda: two.is_sending, timeout_s=4)
    until(all_are(dsn, "sent"))
    assert fake.texts == ["possible repeat: frozen"]
    frozen.thaw.set()
    until(lambda: not one.is_sending)
    fire(dsn, "next")
    until(all_are(dsn, "sent", "sent"))
    assert fake.texts[1:] == ["next"]


def test_a_stop_ends_a_call_that_is_not_answered(
    dsn: str, fake: FakeTelegram, start: Start
) -> None:
    fake.behave(Slow(5))
    active = start()
    fire(dsn, "x")
    until(lambda: fake.texts == ["x"])
    begun = time.monotonic()
    assert active.stop()
    assert time.monotonic() - begun < 1
    assert states(dsn) == {"x": "unknown"}
    assert errors(dsn) == ["telegram: stopped before the answer came"]


def test_a_stop_may_send_what_is_due_first(dsn: str, fake: FakeTelegram, start: Start) -> None:
    active = start()
    until(lambda: active.is_sending)
    fire(dsn, *(f"{n}" for n in range(50)))
    assert active.stop(drain_s=5)
    assert len(fake.texts) == 50
    assert set(states(dsn).values()) == {"sent"}


def test_a_stop_before_the_start_is_no_error(dsn: str) -> None:
    idle = Sender(Secret(dsn), {}, AlertSettings())
    assert idle.stop()
    assert not idle.is_alive


class Killed:
    """A sender in a process of its own."""

    def __init__(self, dsn: str, fake: FakeTelegram, point: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.killed_sender", point],
            env={
                **os.environ,
                "CHAT_DSN": dsn,
                "CHAT_URL": fake.base_url,
                "TELEGRAM_BOT_TOKEN": TOKEN,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def output(self) -> str:
        said, _ = self.process.communicate(timeout=20)
        return said.decode()


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_killed_sender_leaves_no_alert_behind(
    dsn: str, fake: FakeTelegram, start: Start, point: str
) -> None:
    fire(dsn, "crash", severity="critical")
    killed = Killed(dsn, fake, point)
    output = killed.output()
    assert killed.process.returncode == -signal.SIGKILL
    assert states(dsn) == {"crash": "sending"}
    fire(dsn, "later")
    start()
    until(all_are(dsn, "sent", "sent"))
    first = ["crash"] if point == "after" else []
    assert fake.texts == [*first, "possible repeat: crash", "later"]
    assert TOKEN.partition(":")[2] not in output


def test_what_a_killed_sender_had_in_hand_is_held(
    dsn: str, fake: FakeTelegram, start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    fire(dsn, "in hand", "waiting")
    Killed(dsn, fake, "after").output()
    start()
    until(all_are(dsn, "unknown", "sent"))
    assert fake.texts == ["in hand", "waiting"]
    assert "it may have arrived; not repeated" in caplog.text
    with psycopg.connect(dsn) as connection:
        assert [row.text for row in outbox_report.unanswered(connection)] == ["in hand"]
        counted = outbox_report.counts(connection)
    assert sum(counted.values()) == 2


def test_a_sender_that_is_killed_is_replaced_within_ten_seconds(
    dsn: str, fake: FakeTelegram, start: Start
) -> None:
    killed = Killed(dsn, fake, "never")
    fire(dsn, "one")
    until(all_are(dsn, "sent"))
    two = start()
    killed.process.kill()
    begun = time.monotonic()
    fire(dsn, "two")
    until(all_are(dsn, "sent", "sent"))
    assert two.is_sending
    assert time.monotonic() - begun < 10
    output = killed.output()
    assert "alert sent" in output
    assert TOKEN.partition(":")[2] not in output
    assert "***" in output


class Scripted:
    """Delivers and fails as told; remembers what really arrived."""

    traits = Traits()

    def __init__(self, script: list[str]) -> None:
        self.script = itertools.chain(script, itertools.repeat("ok"))
        self.arrived: Counter[str] = Counter()
        self.silent: Counter[str] = Counter()

    def send(self, message: Message, now: int) -> Delivered:
        step, text = next(self.script), message.text
        if step in ("ok", "lost answer"):
            self.arrived[text] += 1
        if step == "ok":
            return Delivered()
        if step in ("lost answer", "lost message"):
            self.silent[text] += 1
            raise DeliveryError("no answer", failure=Failure.UNKNOWN)
        kind = Failure.RETRY if step == "busy" else Failure.PERMANENT
        raise DeliveryError(step, failure=kind, retry_after_s=0.0)

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass


@settings(
    examples(5),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    alerts=st.lists(st.sampled_from(["info", "warning", "critical"]), max_size=8),
    script=st.lists(
        st.sampled_from(["ok", "busy", "refused", "lost answer", "lost message"]), max_size=12
    ),
)
def test_everything_that_was_fired_adds_up(
    dsn: str, monkeypatch: pytest.MonkeyPatch, alerts: list[str], script: list[str]
) -> None:
    monkeypatch.setattr(calls, "BACKOFF_S", (0.0,))
    empty(dsn)
    for number, severity in enumerate(alerts):
        fire(dsn, f"{severity} {number}", target="scripted", severity=severity)
    target = Scripted(script)
    active = Sender(Secret(dsn), {"scripted": target}, AlertSettings())
    active.start()
    try:
        until(lambda: not {"pending", "sending"} & set(states(dsn).values()))
    finally:
        assert active.stop()
    found = states(dsn)
    with psycopg.connect(dsn) as connection:
        assert sum(outbox_report.counts(connection).values()) == len(alerts)
    for number, severity in enumerate(alerts):
        plain = f"{severity} {number}"
        marked = REPEAT_MARK + plain
        state = found.get(plain) or found[marked]
        assert target.arrived[plain] <= 1
        assert target.arrived[marked] <= 1
        if marked in found:
            assert severity == "critical"
            assert target.silent[plain] == 1
        if state == "sent":
            assert target.arrived[plain] + target.arrived[marked] >= 1
        elif state == "unknown":
            assert target.silent[plain] + target.silent[marked] >= 1
        else:
            assert state == "failed"


def test_its_metrics_say_what_became_of_alerts(dsn: str, fake: FakeTelegram, start: Start) -> None:
    def value(state: str) -> float:
        found = REGISTRY.get_sample_value("candlewax_alerts_total", {"state": state})
        return -1.0 if found is None else found

    before = {state: value(state) for state in ("sent", "failed", "expired", "unknown")}
    fake.behave(Refuse(403, "Forbidden"), Drop(recorded=False))
    fire(dsn, "a", "b", "c")
    fire(dsn, "d", age_s=100)
    start()
    until(all_are(dsn, "failed", "unknown", "sent", "expired"))
    until(lambda: all(value(state) == before[state] + 1 for state in before))
