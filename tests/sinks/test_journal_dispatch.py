"""What a sender does without its database, with clocks of our own."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from sinks.alert_journal import AlertJournal
from sinks.alert_settings import AlertSettings, TelegramSettings
from sinks.calls import Calls
from sinks.delivery import Delivered, DeliveryError, Failure, Traits
from sinks.insertion import insert_alerts
from sinks.journal_dispatch import JournalDispatcher
from sinks.journal_settlement import settle
from sinks.kept_mutes import KeptMutes
from sinks.message import MOST, Composer, Message
from sinks.mutes import Mute, add_mute
from sinks.outbox_row import REPEAT_MARK
from sinks.pacing import Pacer
from sinks.rows import Cell
from sinks.telegram.limits import pace_of
from tests.fakes.outbox_rows import empty

SECOND = 1_000_000_000
START = 1_732_112_220 * SECOND
CHAT = "telegram/main"


@pytest.fixture(scope="module")
def outbox_database(make_whole_database: Callable[[], str]) -> str:
    return make_whole_database()


@pytest.fixture
def dsn(outbox_database: str) -> str:
    empty(outbox_database)
    return outbox_database


class World:
    """A dispatcher with one private chat and two journals, and clocks that move when it waits."""

    def __init__(self, folder: Path, mutes: KeptMutes) -> None:
        self.elapsed = 0.0
        self.traits = Traits(pace=pace_of(42, TelegramSettings()), digests=True)
        self.messages: list[Message] = []
        self.times: list[float] = []
        self.outcomes: list[DeliveryError] = []
        settings = AlertSettings()
        self.journals = [
            AlertJournal(folder / f"alerts-{number}", clock=lambda: self.elapsed)
            for number in range(2)
        ]
        self.dispatcher = JournalDispatcher(
            Calls({CHAT: self}, Pacer(lambda: self.elapsed)),
            settings,
            Composer(settings.zone),
            mutes=mutes,
            clock=self.now,
        )

    def now(self) -> int:
        return START + int(self.elapsed * SECOND)

    def send(self, message: Message, now: int) -> Delivered:
        self.elapsed += 0.05
        self.times.append(self.elapsed)
        if self.outcomes:
            raise self.outcomes.pop(0)
        self.messages.append(message)
        return Delivered(str(len(self.messages)))

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass

    def fire(self, *names: str, journal: int = 0, spec: str = "dip", after_s: float = 0.0) -> None:
        at = self.now() + int(after_s * SECOND)
        rows: list[list[Cell]] = []
        for place, name in enumerate(names):
            row: list[Cell] = [name, spec, "abc", "binance", "BTC-USDT", "1m", at, at + place]
            row += ["critical", f"{name} fell", {"close": 7.0}, [CHAT], False, "[]"]
            rows.append(row)
        kept = self.journals[journal].keep(rows, ts=at, in_doubt=False)
        assert kept.taken == len(names)

    def run(self, seconds: float) -> None:
        until = self.elapsed + seconds
        while self.elapsed < until:
            if not self.dispatcher.deliver_next(self.journals):
                self.elapsed += 0.05

    def move(self, dsn: str) -> dict[str, tuple[str, str | None, int, str]]:
        """Move all into the database; return alert to state, carrier, attempts and text."""
        self.elapsed += 60.0
        for journal in self.journals:
            while (moving := journal.take()) is not None:
                with psycopg.connect(dsn) as connection:
                    insert_alerts(connection, moving.rows, notify=True)
                    settle(connection, moving.marks)
                journal.done(moving)
        with psycopg.connect(dsn) as connection:
            rows = connection.execute(
                "SELECT o.alert_key, o.state, c.alert_key, o.attempts, o.text"
                " FROM outbox o LEFT JOIN outbox c ON c.id = o.carried_by ORDER BY o.id"
            )
            return {key: (state, carrier, tries, text) for key, state, carrier, tries, text in rows}


@pytest.fixture
def mutes() -> KeptMutes:
    return KeptMutes()


@pytest.fixture
def world(tmp_path: Path, mutes: KeptMutes) -> Iterator[World]:
    world = World(tmp_path, mutes)
    yield world
    for journal in world.journals:
        journal.close()


def test_one_alert_says_what_is_known_without_the_store(world: World) -> None:
    world.fire("a")
    world.run(1.0)
    [message] = world.messages
    assert message.text == (
        "a fell\nbinance BTC-USDT 1m · price 7 · critical\n"
        "decided 0.0 s after the market's time\n2024-11-20 14:17:00 UTC\n"
        "the database is away: no picture or buttons"
    )


def test_many_alerts_become_digests_within_the_limits_and_add_up(world: World, dsn: str) -> None:
    names = [f"a{number:02}" for number in range(70)]
    world.fire(*names)
    world.run(10.0)
    assert [len(message.rows) for message in world.messages] == [MOST, MOST, 10]
    assert world.messages[0].body.startswith("30 alerts in BTC-USDT, critical\n")
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(world.times))
    told = world.move(dsn)
    assert [key for key, (state, *_) in told.items() if state == "sent"] == ["a00", "a30", "a60"]
    assert {carrier for state, carrier, *_ in told.values() if state == "digested"} == {
        "a00", "a30", "a60",
    }  # fmt: skip
    assert {tries for *_, tries, _ in told.values()} == {1}
    assert len(told) == 70


def test_the_first_fired_of_all_journals_comes_first(world: World) -> None:
    world.fire("late", after_s=0.02)
    world.fire("early", journal=1, after_s=0.01)
    world.run(3.0)
    assert [message.rows[0].alert_key for message in world.messages] == ["early", "late"]


def test_what_was_muted_last_is_not_sent_and_is_counted(
    world: World, mutes: KeptMutes, dsn: str
) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        muted = Mute(target=CHAT, spec="dip", symbol=None, ends_at=None, created_by="ann")
        add_mute(connection, muted, now=START)
        mutes.refresh(connection, now=START)
    world.fire("a", "b")
    world.fire("c", spec="rise")
    world.run(3.0)
    assert [message.rows[0].alert_key for message in world.messages] == ["c"]
    told = world.move(dsn)
    assert {key: (state, tries) for key, (state, _, tries, _) in told.items()} == {
        "a": ("suppressed", 0), "b": ("suppressed", 0), "c": ("sent", 1),
    }  # fmt: skip
    with psycopg.connect(dsn) as connection:
        reasons = connection.execute(
            "SELECT DISTINCT error FROM outbox WHERE state = 'suppressed'"
            " AND attempted_at IS NULL AND finished_at IS NOT NULL"
        ).fetchall()
    assert reasons == [("muted by ann",)]


def test_a_digest_that_is_refused_comes_again_and_one_without_an_answer_is_to_be_repeated(
    world: World, dsn: str
) -> None:
    world.outcomes = [
        DeliveryError("Too Many Requests", failure=Failure.RETRY, retry_after_s=3.0),
        DeliveryError("no answer", failure=Failure.UNKNOWN),
    ]
    names = [f"a{number}" for number in range(6)]
    world.fire(*names)
    world.run(20.0)
    assert world.messages == []
    refused, silent = world.times
    assert silent - refused > 3.0
    told = world.move(dsn)
    assert told == {name: ("pending", None, 2, f"{REPEAT_MARK}{name} fell") for name in names}


def test_what_is_too_old_is_left_to_expire(world: World) -> None:
    world.fire("old")
    world.elapsed += 61.0
    world.fire("young")
    world.run(3.0)
    assert [message.rows[0].alert_key for message in world.messages] == ["young"]


def test_what_will_never_arrive_is_failed(world: World, dsn: str) -> None:
    world.outcomes = [DeliveryError("blocked", failure=Failure.PERMANENT)]
    world.fire("a")
    world.run(3.0)
    assert world.move(dsn)["a"][0] == "failed"
