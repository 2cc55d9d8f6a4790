import time
from collections.abc import Callable, Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sinks import outbox, outbox_report, outbox_waits
from sinks.outbox_row import REPEAT_MARK, STATES, OutboxRow
from tests.drawn_examples import examples
from tests.fakes.outbox_rows import empty, fire, insert, read_states, states

TARGETS = ["telegram/main"]
MINUTE = 60_000_000_000


@pytest.fixture(scope="module")
def outbox_database(make_whole_database: Callable[[], str]) -> str:
    return make_whole_database()


@pytest.fixture
def dsn(outbox_database: str) -> str:
    empty(outbox_database)
    return outbox_database


@pytest.fixture
def connection(dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def oldest() -> int:
    return time.time_ns() - MINUTE


def next_due(connection: psycopg.Connection, *targets: str) -> OutboxRow | None:
    return outbox.due(connection, targets=targets or TARGETS, now=time.time_ns(), oldest=oldest())


def claim(connection: psycopg.Connection) -> OutboxRow:
    row = next_due(connection)
    assert row is not None
    (begun,) = outbox.begin(connection, [row])
    return begun


def find(connection: psycopg.Connection, text: str) -> OutboxRow | None:
    rows = outbox.due_like(
        connection,
        OutboxRow(
            id=0, alert_key="", target=TARGETS[0], severity="info", text="", state="pending",
            attempts=0, fired_at=0,
        ),
        now=time.time_ns(), oldest=oldest(), limit=100,
    )  # fmt: skip
    return next((row for row in rows if row.text == text), None)


def test_the_urgent_come_first_and_then_the_early(dsn: str, connection: psycopg.Connection) -> None:
    fire(dsn, "info late", age_s=1)
    fire(dsn, "info early", age_s=2)
    fire(dsn, "critical late", severity="critical", age_s=0)
    fire(dsn, "warning", severity="warning", age_s=3)
    fire(dsn, "critical early", severity="critical", age_s=1)
    order = [claim(connection).text for _ in range(5)]
    assert order == ["critical early", "critical late", "warning", "info early", "info late"]
    assert next_due(connection) is None


def test_a_claim_is_an_attempt_that_others_see(dsn: str, connection: psycopg.Connection) -> None:
    fire(dsn, "x")
    fired = time.time_ns()
    row = claim(connection)
    assert (row.state, row.attempts, row.severity) == ("sending", 1, "info")
    assert abs(row.fired_at - fired) < 1_000_000_000
    assert row.fired_at % 1000 == 0
    with psycopg.connect(dsn) as other:
        found = other.execute("SELECT state, attempts, attempted_at IS NULL FROM outbox")
        assert found.fetchone() == ("sending", 1, False)


def test_only_called_for_targets_and_young_rows_are_claimed(
    dsn: str, connection: psycopg.Connection
) -> None:
    fire(dsn, "elsewhere", target="console")
    fire(dsn, "old", age_s=61)
    assert next_due(connection) is None
    nowhere = outbox.due(connection, targets=[], now=time.time_ns(), oldest=oldest())
    assert nowhere is None
    found = next_due(connection, "console", "telegram/main")
    assert found is not None
    assert found.text == "elsewhere"


def test_a_row_that_has_moved_on_is_not_begun(dsn: str, connection: psycopg.Connection) -> None:
    fire(dsn, "gone", "here")
    rows = [row for text in ("gone", "here") if (row := find(connection, text)) is not None]
    connection.execute("UPDATE outbox SET state = 'suppressed' WHERE text = 'gone'")
    assert [row.text for row in outbox.begin(connection, rows)] == ["here"]
    assert outbox.begin(connection, rows) == []
    assert outbox.begin(connection, []) == []


def test_a_retry_waits_for_its_time(dsn: str, connection: psycopg.Connection) -> None:
    fire(dsn, "x")
    row = claim(connection)
    assert outbox.record_retry(connection, [row], "busy", delay_s=30)
    assert next_due(connection) is None
    connection.execute("UPDATE outbox SET next_attempt_at = now()")
    assert claim(connection).attempts == 2


def test_every_end_is_recorded_with_its_reason(dsn: str, connection: psycopg.Connection) -> None:
    fire(dsn, "sent", "failed", "unknown", "expired")
    rows = {row.text: row for row in (claim(connection) for _ in range(4))}
    assert outbox.record_sent(connection, [rows["sent"]], "77")
    assert outbox.record_failed(connection, [rows["failed"]], "chat not found")
    held = outbox.record_unanswered(connection, [rows["unknown"]], "cut off", oldest=oldest())
    assert len(held) == 1
    assert held[0].state == "unknown"
    assert outbox.record_retry(connection, [rows["expired"]], "busy", delay_s=0)
    assert [
        row.text for row in outbox_waits.expire(connection, oldest=time.time_ns() + MINUTE)
    ] == ["expired"]
    found = connection.execute(
        "SELECT state, error, message_id, finished_at IS NOT NULL FROM outbox ORDER BY id"
    ).fetchall()
    assert found == [
        ("sent", None, "77", True),
        ("failed", "chat not found", None, True),
        ("unknown", "cut off", None, True),
        ("expired", "too old when its turn came; busy", None, True),
    ]
    assert [row.text for row in outbox_report.unanswered(connection)] == ["unknown"]
    counted = outbox_report.counts(connection)
    assert tuple(counted) == STATES
    assert sum(counted.values()) == 4


def test_a_critical_row_without_an_answer_is_marked_and_repeated_once(
    dsn: str, connection: psycopg.Connection
) -> None:
    fire(dsn, "crash", severity="critical")
    first = claim(connection)
    again = outbox.record_unanswered(connection, [first], "cut off", oldest=oldest())
    assert len(again) == 1
    assert (again[0].state, again[0].text) == ("pending", "possible repeat: crash")
    second = claim(connection)
    assert second.text == "possible repeat: crash"
    held = outbox.record_unanswered(connection, [second], "cut off", oldest=oldest())
    assert len(held) == 1
    assert (held[0].state, held[0].text) == ("unknown", "possible repeat: crash")


def test_what_is_too_old_is_not_repeated(dsn: str, connection: psycopg.Connection) -> None:
    fire(dsn, "crash", severity="critical", age_s=5)
    row = claim(connection)
    held = outbox.record_unanswered(connection, [row], "cut off", oldest=time.time_ns())
    assert len(held) == 1
    assert (held[0].state, held[0].text) == ("unknown", "crash")


def test_what_a_dead_sender_left_is_unknown(dsn: str, connection: psycopg.Connection) -> None:
    fire(dsn, "a", "b")
    fire(dsn, "c", severity="critical")
    for _ in range(2):
        claim(connection)
    rows = outbox.recover(connection, oldest=oldest())
    assert {(row.text, row.state) for row in rows} == {
        (REPEAT_MARK + "c", "pending"),
        ("a", "unknown"),
    }
    assert states(dsn) == {"a": "unknown", "b": "pending", REPEAT_MARK + "c": "pending"}


def test_a_late_answer_counts_unless_a_new_attempt_has_begun(
    dsn: str, connection: psycopg.Connection
) -> None:
    fire(dsn, "x", "y", severity="critical")
    late, too_late = claim(connection), claim(connection)
    outbox.recover(connection, oldest=oldest())
    assert outbox.record_sent(connection, [late], "1")
    assert claim(connection).id == too_late.id
    assert not outbox.record_sent(connection, [too_late], "2")
    assert not outbox.record_failed(connection, [too_late], "x")
    assert not outbox.record_retry(connection, [too_late], "x", delay_s=0)
    assert outbox.record_unanswered(connection, [too_late], "x", oldest=oldest()) == []
    assert states(dsn) == {REPEAT_MARK + "x": "sent", REPEAT_MARK + "y": "sending"}


class Deliveries(RuleBasedStateMachine):
    """The outbox against a plain dict: text to state, attempts and mark."""

    def __init__(self, dsn: str) -> None:
        super().__init__()
        empty(dsn)
        self.connection = psycopg.connect(dsn, autocommit=True)
        self.model: dict[str, list[str]] = {}
        self.critical: set[str] = set()
        self.marked: set[str] = set()
        self.claimed: list[OutboxRow] = []

    def teardown(self) -> None:
        self.connection.close()

    @rule(critical=st.booleans())
    def fired(self, *, critical: bool) -> None:
        name = f"alert {len(self.model)}"
        severity = "critical" if critical else "info"
        insert(self.connection, name, target=TARGETS[0], severity=severity)
        self.model[name] = ["pending"]
        if critical:
            self.critical.add(name)

    @rule()
    def claim(self) -> None:
        row = next_due(self.connection)
        waiting = [name for name, history in self.model.items() if history[-1] == "pending"]
        if row is None:
            assert not waiting
            return
        (row,) = outbox.begin(self.connection, [row])
        name = row.text.removeprefix(REPEAT_MARK)
        assert name in waiting
        assert name in self.critical or not self.critical & set(waiting)
        assert (row.text != name) == (name in self.marked)
        self.model[name].append("sending")
        assert row.attempts == self.model[name].count("sending")
        self.claimed.append(row)

    def attempt(self, data: st.DataObject) -> tuple[OutboxRow, str, bool]:
        row = data.draw(st.sampled_from(self.claimed))
        name = row.text.removeprefix(REPEAT_MARK)
        current = (
            self.model[name][-1] == "sending" and self.model[name].count("sending") == row.attempts
        )
        return row, name, current

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def sent(self, data: st.DataObject) -> None:
        row, name, _ = self.attempt(data)
        same = self.model[name].count("sending") == row.attempts
        counts = same and self.model[name][-1] in ("sending", "unknown", "pending")
        assert outbox.record_sent(self.connection, [row], None) == counts
        if counts:
            self.model[name].append("sent")

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def failed(self, data: st.DataObject) -> None:
        row, name, current = self.attempt(data)
        assert outbox.record_failed(self.connection, [row], "no") == current
        if current:
            self.model[name].append("failed")

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        row, name, current = self.attempt(data)
        assert outbox.record_retry(self.connection, [row], "later", delay_s=0) == current
        if current:
            self.model[name].append("pending")

    @precondition(lambda self: self.claimed)
    @rule(data=st.data())
    def unanswered(self, data: st.DataObject) -> None:
        row, name, current = self.attempt(data)
        found = outbox.record_unanswered(self.connection, [row], "cut", oldest=oldest())
        assert (len(found) == 1) == current
        if current:
            self.given_up(name)

    @rule()
    def takeover(self) -> None:
        sending = {name for name, history in self.model.items() if history[-1] == "sending"}
        rows = outbox.recover(self.connection, oldest=oldest())
        assert {row.text.removeprefix(REPEAT_MARK) for row in rows} == sending
        for name in sending:
            self.given_up(name)

    @rule()
    def too_old(self) -> None:
        outbox_waits.expire(self.connection, oldest=time.time_ns() + MINUTE)
        for name, history in self.model.items():
            if history[-1] == "pending":
                history.append("unknown" if name in self.marked else "expired")

    def given_up(self, name: str) -> None:
        repeated = name in self.critical and name not in self.marked
        self.model[name].append("pending" if repeated else "unknown")
        if repeated:
            self.marked.add(name)

    @invariant()
    def the_table_is_the_model(self) -> None:
        found = read_states(self.connection)
        expected = {
            (REPEAT_MARK if name in self.marked else "") + name: history[-1]
            for name, history in self.model.items()
        }
        assert found == expected
        counted = outbox_report.counts(self.connection)
        assert sum(counted.values()) == len(self.model)


def test_any_order_of_deliveries_keeps_the_books(dsn: str) -> None:
    run_state_machine_as_test(
        lambda: Deliveries(dsn),  # type: ignore[arg-type]  # any factory will do, it says
        settings=settings(
            examples(5),
            stateful_step_count=25,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
