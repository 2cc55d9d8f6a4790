"""The sender's decisions, with clocks of our own."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from sinks import dispatch, outbox_report
from sinks.acknowledgements import acknowledge
from sinks.alert_facts import AlertFacts
from sinks.alert_settings import AlertSettings, TelegramSettings
from sinks.calls import Calls
from sinks.delivery import Delivered, DeliveryError, Failure, Target, Traits
from sinks.dispatch import Dispatcher
from sinks.insertion import insert, insert_alerts
from sinks.kept_mutes import KeptMutes
from sinks.message import Composer, Message
from sinks.mutes import Mute, add_mute
from sinks.outbox_row import REPEAT_MARK
from sinks.pacing import Pacer
from sinks.pictures import Picture
from sinks.rows import Cell, ending_row
from sinks.tables import TABLES
from sinks.telegram.limits import pace_of
from tests.fakes.outbox_rows import empty

SECOND = 1_000_000_000
MAIN, GROUP = "telegram/main", "telegram/group"


@pytest.fixture(scope="module")
def outbox_database(make_whole_database: Callable[[], str]) -> str:
    return make_whole_database()


@pytest.fixture
def connection(outbox_database: str) -> Iterator[psycopg.Connection]:
    empty(outbox_database)
    with psycopg.connect(outbox_database, autocommit=True) as connection:
        yield connection


class Chat:
    """A target that remembers what came when, by the virtual clock."""

    def __init__(self, world: "World", chat: int) -> None:
        self.traits = Traits(
            pace=pace_of(chat, TelegramSettings()),
            digests=True,
            keeps_quiet=True,
            takes_pictures=True,
        )
        self.world = world
        self.messages: list[Message] = []
        self.times: list[float] = []
        self.outcomes: list[DeliveryError] = []

    def send(self, message: Message, now: int) -> Delivered:
        self.world.elapsed += 0.05
        self.times.append(self.world.elapsed)
        if self.outcomes:
            raise self.outcomes.pop(0)
        self.messages.append(message)
        return Delivered(str(len(self.messages)))

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass

    @property
    def bodies(self) -> list[str]:
        return [message.body for message in self.messages]


class World:
    """A dispatcher with two chats, and clocks that move when it waits."""

    def __init__(
        self,
        connection: psycopg.Connection,
        *,
        at: str = "2026-11-20T12:00:00",
        picture: Picture | None = None,
        **settings: object,
    ) -> None:
        self.connection = connection
        self.start = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) * SECOND
        self.elapsed = 0.0
        self.main, self.group = Chat(self, 42), Chat(self, -42)
        targets: dict[str, Target] = {MAIN: self.main, GROUP: self.group}
        told = AlertSettings(**settings)  # type: ignore[arg-type]
        self.dispatcher = Dispatcher(
            Calls(targets, Pacer(lambda: self.elapsed)),
            told,
            Composer(told.zone),
            picture=picture,
            mutes=KeptMutes(),
            clock=self.now,
            monotonic=lambda: self.elapsed,
        )
        self.numbers = 0

    def now(self) -> int:
        return self.start + int(self.elapsed * SECOND)

    def fire(
        self,
        text: str,
        *,
        severity: str = "info",
        symbol: str = "BTC-USDT",
        targets: tuple[str, ...] = (MAIN,),
        chart: bool = False,
    ) -> str:
        self.numbers += 1
        key = f"spec/{self.numbers}"
        moment = self.now() + self.numbers * 1000
        row: list[Cell] = [
            *(key, "spec", "abc", "binance", symbol, "1m", moment, moment, severity, text),
        ]
        row += [{"rsi(14)": 28.0}, list(targets), chart, "[]"]
        insert_alerts(self.connection, [row], notify=True)
        return key

    def end(self, key: str) -> None:
        with self.connection.transaction():
            insert(self.connection, TABLES["alert_endings"], [list(ending_row(key, self.now()))])

    def run(self, seconds: float) -> None:
        """Let the dispatcher work for so long, by the virtual clock."""
        until = self.elapsed + seconds
        while self.elapsed < until:
            if not self.dispatcher.deliver_next(self.connection):
                self.elapsed += min(self.dispatcher.wait_s(), until - self.elapsed) + 1e-6
                # Retries wait on the database's clock, which this test does not move.
                self.connection.execute("UPDATE outbox SET next_attempt_at = now()")

    def counts(self) -> dict[str, int]:
        found = outbox_report.counts(self.connection)
        assert sum(found.values()) == self.rows()
        return {state: count for state, count in found.items() if count}

    def rows(self) -> int:
        found = self.connection.execute("SELECT count(*) FROM outbox").fetchone()
        assert found is not None
        return int(found[0])


def most_in(moments: list[float], period: float) -> int:
    return max((sum(a <= b < a + period for b in moments) for a in moments), default=0)


def test_a_burst_becomes_digests_with_what_is_urgent_first(connection: psycopg.Connection) -> None:
    world = World(connection)
    severities = ["info", "warning", "critical"]
    for number in range(500):
        world.fire(
            f"alert {number}",
            severity=severities[number % 3],
            symbol=("BTC-USDT", "ETH-USDT")[number % 2],
            targets=(MAIN, GROUP),
        )
    world.run(59)
    found = world.counts()
    assert sum(found.values()) == 1000
    assert set(found) == {"sent", "digested"}
    for chat, period, limit in ((world.main, 1.0, 1), (world.group, 60.0, 20)):
        assert most_in(chat.times, period) <= limit
        severities_told = [message.rows[0].severity for message in chat.messages]
        order = {"critical": 0, "warning": 1, "info": 2}
        ranks = [order[one] for one in severities_told]
        assert ranks == sorted(ranks)
        told = "\n".join(chat.bodies)
        assert all(f" alert {number}\n" in f"{told}\n" for number in range(500))
    assert most_in(world.main.times + world.group.times, 1.0) <= 30
    pointers = connection.execute(
        "SELECT count(*) FROM outbox o JOIN outbox lead ON lead.id = o.carried_by"
        " WHERE o.state = 'digested' AND lead.state = 'sent' AND lead.message_id = o.message_id"
        " AND lead.target = o.target"
    ).fetchone()
    assert pointers == (found["digested"],)


def test_a_few_alerts_stay_messages_of_their_own(connection: psycopg.Connection) -> None:
    world = World(connection)
    for number in range(4):
        world.fire(f"alert {number}")
    world.run(6)
    assert world.main.bodies == [f"alert {number}" for number in range(4)]
    assert most_in(world.main.times, 1.0) == 1


def test_flood_control_and_silence_lose_nothing_of_a_digest(connection: psycopg.Connection) -> None:
    world = World(connection)
    for number in range(10):
        world.fire(f"alert {number}", severity="critical" if number < 5 else "info")
    world.main.outcomes = [
        DeliveryError("flood", failure=Failure.RETRY, retry_after_s=7.0),
        DeliveryError("silence", failure=Failure.UNKNOWN),
    ]
    world.run(50)
    assert world.main.times[1] - world.main.times[0] >= 7.0
    first, second = world.main.bodies
    assert first.count(REPEAT_MARK) == 5
    assert REPEAT_MARK not in second
    assert world.counts() == {"sent": 2, "digested": 8}


def test_a_digest_without_an_answer_is_unknown_row_by_row(connection: psycopg.Connection) -> None:
    world = World(connection)
    for number in range(6):
        world.fire(f"alert {number}")
    world.main.outcomes = [DeliveryError("silence", failure=Failure.UNKNOWN)]
    world.run(20)
    assert world.counts() == {"unknown": 6}
    assert world.main.messages == []


def test_a_night_is_quiet_and_its_end_tells_what_is_still_true_and_what_is_over(
    connection: psycopg.Connection,
) -> None:
    world = World(connection, at="2026-11-20T21:59:50", quiet_hours="22:00-22:10", timezone="UTC")
    world.fire("before")
    world.run(15)
    over = world.fire("was true", severity="warning")
    world.fire("is true", severity="warning")
    world.fire("wakes", severity="critical")
    world.run(400)  # longer than an alert may wait
    assert world.main.bodies == ["before", "wakes"]
    assert world.counts() == {"pending": 2, "sent": 2}
    world.end(over)
    world.run(240)
    assert world.main.bodies[2:] == [
        (
            "2 alerts in BTC-USDT, warning (from the quiet hours)\n"
            "- 22:00:05 over since 22:06:45: was true\n- 22:00:05 is true"
        )
    ]
    assert world.counts() == {"digested": 1, "sent": 3}


def test_one_alert_of_a_night_says_since_when(connection: psycopg.Connection) -> None:
    world = World(connection, at="2026-11-20T22:00:00", quiet_hours="22:00-22:01")
    world.fire("is true")
    world.run(63)
    assert world.main.bodies == ["since 22:00:00 (quiet hours), no end seen: is true"]


def test_quiet_hours_that_are_taken_back_end_at_once(connection: psycopg.Connection) -> None:
    night = World(connection, at="2026-11-20T22:00:00", quiet_hours="22:00-07:00")
    night.fire("held")
    night.run(2)
    assert night.counts() == {"pending": 1}
    day = World(connection, at="2026-11-20T22:00:05")
    day.run(2)
    assert day.main.bodies == ["since 22:00:00 (quiet hours), no end seen: held"]


def test_what_nobody_acknowledges_goes_to_a_second_target_once(
    connection: psycopg.Connection,
) -> None:
    world = World(connection, escalate_to=GROUP, escalate_after_s=120.0)
    seen = world.fire("seen", severity="critical")
    world.fire("unseen", severity="critical")
    world.fire("harmless", severity="warning")
    world.run(100)
    acknowledge(connection, [seen], by="ann", now=world.now())
    assert world.group.bodies == []
    world.run(400)
    assert world.group.bodies == ["not acknowledged at telegram/main: unseen"]
    assert world.counts() == {"sent": 4}


def test_a_critical_alert_that_failed_is_told_to_the_second_target(
    connection: psycopg.Connection,
) -> None:
    world = World(connection, escalate_to=GROUP, escalate_after_s=60.0)
    world.main.outcomes = [DeliveryError("blocked", failure=Failure.PERMANENT)]
    world.fire("lost", severity="critical")
    world.run(70)
    assert world.group.bodies == ["not acknowledged at telegram/main: lost"]
    assert world.counts() == {"failed": 1, "sent": 1}


@pytest.mark.parametrize(
    ("named", "suppressed"),
    [
        ((None, None, None, None), 4),
        ((MAIN, None, None, None), 2),
        ((None, "spec", "BTC-USDT", None), 2),
        ((None, None, "ETH-USDT", 60), 2),
        ((None, "other", None, None), 0),
        ((None, None, None, -1), 0),
    ],
)
def test_mutes_suppress_what_they_name_and_count_it(
    connection: psycopg.Connection,
    named: tuple[str | None, str | None, str | None, int | None],
    suppressed: int,
) -> None:
    target, spec, symbol, lasts_s = named
    world = World(connection)
    mute = Mute(
        target=target,
        spec=spec,
        symbol=symbol,
        ends_at=None if lasts_s is None else world.now() + lasts_s * SECOND,
        created_by="ann",
    )
    add_mute(connection, mute, now=world.now())
    for name in ("BTC-USDT", "ETH-USDT"):
        world.fire(name, symbol=name, severity="critical", targets=(MAIN, GROUP))
    world.run(10)
    assert world.counts().get("suppressed", 0) == suppressed
    assert len(world.main.messages) + len(world.group.messages) == 4 - suppressed


def test_a_picture_goes_with_an_alert_that_wants_one(connection: psycopg.Connection) -> None:
    asked: list[AlertFacts] = []

    def draw(facts: AlertFacts) -> bytes:
        asked.append(facts)
        return b"png"

    world = World(connection, picture=draw)
    world.fire("with", chart=True)
    world.fire("without")
    world.run(5)
    assert [message.picture for message in world.main.messages] == [b"png", None]
    assert [facts.text for facts in asked] == ["with"]


@pytest.mark.parametrize("error", [ValueError("a stored number"), AttributeError("a bug")])
def test_a_picture_that_fails_leaves_the_text(
    connection: psycopg.Connection, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def draw(_facts: AlertFacts) -> bytes:
        raise error

    world = World(connection, picture=draw)
    world.fire("text", chart=True)
    world.run(2)
    assert [(one.body, one.picture) for one in world.main.messages] == [("text", None)]
    assert repr(error) in [
        repr(record.exc_info[1]) if record.exc_info else getattr(record, "reason", "")
        for record in caplog.records
    ]


def test_a_picture_that_takes_too_long_leaves_the_text(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.pictures.Pictures.__init__.__kwdefaults__", {"patience_s": 0.1})
    go_on = threading.Event()

    def draw(_facts: AlertFacts) -> bytes:
        go_on.wait(10)
        return b"late"

    world = World(connection, picture=draw)
    world.fire("one", chart=True)
    world.fire("two", chart=True)
    begun = time.monotonic()
    world.run(5)
    go_on.set()
    assert [(one.body, one.picture) for one in world.main.messages] == [
        ("one", None),
        ("two", None),
    ]
    assert time.monotonic() - begun < 9


def test_pictures_may_be_turned_off(connection: psycopg.Connection) -> None:
    world = World(connection, picture=lambda _facts: b"png", pictures=False)
    world.fire("text", chart=True)
    world.run(2)
    assert world.main.messages[0].picture is None


def test_the_price_is_that_of_the_bar_or_the_book(connection: psycopg.Connection) -> None:
    world = World(connection)
    moment = world.now() + 1000
    connection.execute("TRUNCATE bars, book_tops")
    top: list[Cell] = [
        *("binance", "ETH-USDT", moment - SECOND, moment, 1, [3000.0], [1.0], [3001.0], [1.0]),
        *(1.0, 0.0, "live"),
    ]
    with connection.transaction():
        insert(connection, TABLES["book_tops"], [top])
    bar: list[Cell] = [
        *("binance", "BTC-USDT", "1m", moment - 60 * SECOND, moment, 1.0, 9.0, 0.5, 70000.5),
        *(4.0, 1.0, 6.0, 1.5, 3, 0, False, False),
    ]
    with connection.transaction():
        insert(connection, TABLES["bars"], [bar])
    world.fire("bar")
    world.fire("book", symbol="ETH-USDT")
    world.fire("neither", symbol="XRP-USDT")
    world.run(5)
    assert [message.details.partition("\n")[0] for message in world.main.messages] == [
        "binance BTC-USDT 1m · price 70,000.5 · info",
        "binance ETH-USDT 1m · price 3,000.5 · info",
        "binance XRP-USDT 1m · info",
    ]
    assert dispatch.POLL_S == 0.5
