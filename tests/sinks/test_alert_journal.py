"""No alert is lost or sent twice for want of a database, and its outbox row says what happened."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from filters.alerts import Alert, Clause
from sinks.alert_facts import AlertFacts
from sinks.alert_journal import (
    ANSWER_S,
    AlertJournal,
    Moving,
    open_journals,
)
from sinks.insertion import insert_alerts
from sinks.journal_settlement import settle
from sinks.journaled_alert import JournaledAlert
from sinks.rows import Cell, alert_row

START = 1_732_112_220_000_000_000
TARGETS = ("telegram/main", "console")


def alert(
    key: str, *, severity: str = "critical", fired: int = START, targets: tuple[str, ...] = TARGETS
) -> list[Cell]:
    row: list[Cell] = [key, "dip", "abc", "binance", "BTC-USDT", "1m", START, fired, severity]
    return [*row, f"{key} fell", {"mid": 1.0}, list(targets), False, "[]"]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[AlertJournal]:
    journal = AlertJournal(tmp_path / "alerts-0", clock=clock)
    yield journal
    journal.close()


def claim(
    journal: AlertJournal, targets: Sequence[str] = TARGETS, *, oldest: int = 0
) -> JournaledAlert | None:
    due = [alert for name in targets for alert in journal.due(target=name, oldest=oldest)]
    for first in sorted(due, key=lambda each: (each.fired_at, each.key, each.target))[:1]:
        return next(iter(journal.claim([first])), None)
    return None


def move(journal: AlertJournal, dsn: str) -> Moving:
    moving = journal.take()
    assert moving is not None
    with psycopg.connect(dsn) as connection:
        insert_alerts(connection, moving.rows, notify=True)
        settle(connection, moving.marks)
    journal.done(moving)
    return moving


def outbox(dsn: str) -> dict[tuple[str, str], tuple[str, int, str | None]]:
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT alert_key, target, state, attempts, coalesce(message_id, error) FROM outbox"
        )
        return {(key, target): (state, tries, said) for key, target, state, tries, said in found}


def marked(dsn: str) -> list[str]:
    """Return the alerts that are to be sent a second time."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT alert_key FROM outbox WHERE text = 'possible repeat: ' || alert_key || ' fell'"
            " AND state = 'pending'"
        )
        return sorted(key for (key,) in rows)


def test_critical_alerts_are_claimed_once_the_first_fired_first(journal: AlertJournal) -> None:
    rows = [
        alert("b", fired=START + 2, targets=("console",)),
        alert("a", fired=START + 1),
        alert("calm", severity="warning"),
        alert("old", fired=5),
    ]
    assert journal.keep(rows, ts=1, in_doubt=False).taken == 4
    assert journal in open_journals()
    claimed = []
    while (found := claim(journal, oldest=START)) is not None:
        claimed.append((found.key, found.target, found.attempts, found.text))
    assert claimed == [
        ("a", "console", 1, "a fell"),
        ("a", "telegram/main", 1, "a fell"),
        ("b", "console", 1, "b fell"),
    ]
    assert claim(journal, ()) is None
    assert journal.alerts == 4


def test_the_row_of_an_alert_is_understood(journal: AlertJournal) -> None:
    fired = Alert(
        key="k", spec="dip", spec_hash="abc", series="binance:BTC-USDT", interval="1m",
        ts_event=START, ts_fired=START + 5, severity="critical", targets=("console",),
        text="it fell", values={"mid": 1.0}, chart=True, clauses=(Clause("mid < 2", 1.0, 2.0),),
    )  # fmt: skip
    journal.keep([alert_row(fired)], ts=1, in_doubt=False)
    assert claim(journal) == JournaledAlert(
        key="k", target="console", severity="critical", text="it fell", fired_at=START + 5,
        attempts=1,
        facts=AlertFacts(
            key="k", spec="dip", venue="binance", symbol="BTC-USDT", interval="1m",
            severity="critical", text="it fell", time=START, fired_at=START + 5,
            values={"mid": 1.0}, chart=True, clauses=(Clause("mid < 2", 1.0, 2.0),), price=1.0,
        ),
    )  # fmt: skip


def test_the_outbox_says_what_became_of_what_was_sent(journal: AlertJournal, database: str) -> None:
    journal.keep([alert(key, targets=("console",)) for key in "abcde"], ts=1, in_doubt=False)
    for state, said in (("sent", "77"), ("failed", "no such chat"), ("pending", "busy")):
        found = claim(journal)
        assert found is not None
        assert journal.record([found], state, detail=said)  # type: ignore[arg-type]
    again = claim(journal)
    assert again is not None
    assert (again.key, again.attempts) == ("c", 2)  # it did not arrive: it is tried again
    assert journal.record([again], "unknown", detail="no answer")
    moving = move(journal, database)
    assert len(moving.rows) == 5
    assert outbox(database) == {
        ("a", "console"): ("sent", 1, "77"),
        ("b", "console"): ("failed", 1, "no such chat"),
        ("c", "console"): ("pending", 2, "no answer"),
        ("d", "console"): ("pending", 0, None),
        ("e", "console"): ("pending", 0, None),
    }
    assert marked(database) == ["c"]
    assert (journal.alerts, claim(journal), journal.take()) == (0, None, None)


def test_nothing_is_moved_while_an_answer_is_out_and_nothing_claimed_while_it_moves(
    journal: AlertJournal, clock: Clock, database: str
) -> None:
    journal.keep([alert("a", targets=("console",)), alert("b")], ts=1, in_doubt=False)
    found = claim(journal)
    assert found is not None
    assert not journal.is_ready
    assert journal.take() is None
    clock.now += ANSWER_S
    moving = journal.take()
    assert moving is not None
    assert claim(journal) is None
    assert not journal.record([found], "sent")  # too late: it goes in as unanswered
    journal.release(moving, in_doubt=False)
    assert claim(journal) is not None  # it is away again: the other one is still to be sent
    clock.now += ANSWER_S
    move(journal, database)
    states = outbox(database)
    assert states["a", "console"][:2] == ("pending", 1)
    assert sorted(tries for (key, _), (_, tries, _) in states.items() if key == "b") == [0, 1]
    assert marked(database) == ["a", "b"]
    assert not journal.record([found], "sent")


def test_what_the_database_may_have_is_not_sent_from_here(
    journal: AlertJournal, database: str
) -> None:
    journal.keep([alert("a")], ts=1, in_doubt=True)
    assert claim(journal) is None
    journal.clear_doubt([alert("a")])
    assert claim(journal) is not None
    journal.keep([alert("b")], ts=1, in_doubt=True)
    journal.keep([alert("b")], ts=1, in_doubt=False)  # the doubt stays
    found = claim(journal)
    assert found is not None
    assert found.key == "a"
    journal.record([found], "sent")
    assert claim(journal) is None


def test_a_move_whose_commit_had_no_answer_leaves_nothing_to_send(journal: AlertJournal) -> None:
    journal.keep([alert("a")], ts=1, in_doubt=False)
    moving = journal.take()
    assert moving is not None
    journal.release(moving, in_doubt=True)
    assert claim(journal) is None
    assert journal.is_ready


def test_a_killed_process_leaves_its_attempts_on_the_disk(
    journal: AlertJournal, tmp_path: Path, database: str
) -> None:
    journal.keep(
        [alert("a", targets=("console",)), alert("b", targets=("console",))], ts=1, in_doubt=False
    )
    first = claim(journal)
    assert first is not None
    journal.record([first], "sent", detail="5")
    second = claim(journal)
    assert second is not None
    shutil.copytree(tmp_path / "alerts-0", tmp_path / "alerts-1")  # as a kill would leave it
    after = AlertJournal(tmp_path / "alerts-1")
    assert claim(after) is None
    assert after.alerts == 2
    move(after, database)
    states = {key: state for (key, _), (state, *_) in outbox(database).items()}
    assert states == {"a": "sent", "b": "pending"}
    assert marked(database) == ["b"]
    after.close()


def test_an_alert_that_comes_again_is_not_sent_again(journal: AlertJournal, database: str) -> None:
    for _ in range(2):  # a flow that resumes fires the last epoch's once more
        journal.keep([alert("a", targets=("console",))], ts=1, in_doubt=False)
    found = claim(journal)
    assert found is not None
    journal.record([found], "sent", detail="1")
    assert claim(journal) is None
    move(journal, database)
    assert outbox(database) == {("a", "console"): ("sent", 1, "1")}


def test_an_outbox_row_that_someone_sends_is_left_alone(
    journal: AlertJournal, database: str
) -> None:
    journal.keep([alert("a", targets=("console",))], ts=1, in_doubt=False)
    found = claim(journal)
    assert found is not None
    journal.record([found], "failed", detail="x")
    with psycopg.connect(database) as connection:
        insert_alerts(connection, [alert("a", targets=("console",))], notify=True)
        connection.execute("UPDATE outbox SET state = 'sent', attempts = 3")
    move(journal, database)
    assert outbox(database)["a", "console"][:2] == ("sent", 3)


def test_a_closed_journal_gives_nothing_out(tmp_path: Path) -> None:
    journal = AlertJournal(tmp_path / "alerts-3")
    journal.keep([alert("a")], ts=1, in_doubt=False)
    journal.close()
    assert claim(journal) is None
    assert journal not in open_journals()
