"""The buffer is bounded, keeps order, and every row of it is accounted for."""

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sinks.row_buffer import RowBuffer, Waiting
from sinks.rows import RowBatch
from sinks.tables import TABLES
from tests.drawn_examples import examples

LIMIT = 50


def batch(table: str, count: int, number: int = 0) -> RowBatch:
    return RowBatch(table, count, number.to_bytes(4, "big"), urgent=table == "alerts")


class Model(RuleBasedStateMachine):
    """The buffer against a plain list of what was put."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = RowBuffer(LIMIT)
        self.number = 0
        self.put_rows = 0
        self.gone_rows = 0
        self.settled_rows = 0
        self.taken: list[Waiting] = []

    @rule(table=st.sampled_from(sorted(TABLES)), count=st.integers(1, 20))
    def put(self, table: str, count: int) -> None:
        self.number += 1
        self.put_rows += count
        new = batch(table, count, self.number)
        self.note(self.buffer.put(new, ts=self.number, at=float(self.number)))

    @precondition(lambda self: not self.taken)
    @rule(limit=st.integers(1, 60))
    def take(self, limit: int) -> None:
        alerts = self.buffer.take_alerts()
        rows = self.buffer.take_rows(limit)
        assert all(waiting.batch.table == "alerts" for waiting in alerts)
        assert all(waiting.batch.table != "alerts" for waiting in rows)
        self.taken = alerts + rows
        for table in TABLES:
            order = [waiting.ts for waiting in self.taken if waiting.batch.table == table]
            assert order == sorted(order)

    @rule()
    def put_back(self) -> None:
        self.note(self.buffer.put_back(self.taken))
        self.taken = []

    @rule()
    def settle(self) -> None:
        self.settled_rows += sum(waiting.batch.count for waiting in self.taken)
        self.buffer.settle(self.taken)
        self.taken = []

    def note(self, gone: list[Waiting]) -> None:
        self.gone_rows += sum(waiting.batch.count for waiting in gone)
        ranks = [TABLES[waiting.batch.table].precious for waiting in gone]
        assert ranks == sorted(ranks)

    @invariant()
    def every_row_is_accounted_for(self) -> None:
        assert self.put_rows == self.settled_rows + self.gone_rows + self.buffer.rows
        held = sum(waiting.batch.count for waiting in self.taken)
        assert self.buffer.waiting_rows == self.buffer.rows - held

    @invariant()
    def it_is_bounded(self) -> None:
        held = sum(waiting.batch.count for waiting in self.taken)
        assert self.buffer.waiting_rows <= max(LIMIT - held, 0) or self.buffer.batches == 1


TestRowBuffer = Model.TestCase
TestRowBuffer.settings = examples(15)


def test_trades_go_before_bars_and_alerts_go_last() -> None:
    buffer = RowBuffer(30)
    for number, table in enumerate(["alerts", "gaps", "bars", "trades", "trades"]):
        assert buffer.put(batch(table, 5), ts=number, at=float(number)) == []
    gone = Counter[str]()
    for number in range(5, 10):
        for waiting in buffer.put(batch("alerts", 10), ts=number, at=float(number)):
            gone[waiting.batch.table] += 1
        if number == 5:
            assert gone == {"trades": 1}
    assert gone["trades"] == 2
    assert gone["bars"] == gone["gaps"] == 1
    assert buffer.rows == 30
    assert buffer.has_urgent


def test_the_newest_batch_is_kept_however_large() -> None:
    buffer = RowBuffer(10)
    buffer.put(batch("trades", 5), ts=1, at=1.0)
    assert [waiting.ts for waiting in buffer.put(batch("trades", 99), ts=2, at=2.0)] == [1]
    assert buffer.rows == 99


def test_the_oldest_is_the_oldest_of_all_tables() -> None:
    buffer = RowBuffer(100)
    assert RowBuffer(1).oldest is None
    buffer.put(batch("trades", 1), ts=1, at=1.0)
    buffer.put(batch("bars", 1), ts=2, at=2.0)
    assert buffer.oldest == 1.0
    assert [waiting.batch.table for waiting in buffer.take_rows(9)] == ["bars", "trades"]
    assert buffer.is_empty


def test_room_is_what_costs_no_other_batch() -> None:
    buffer = RowBuffer(10)
    assert buffer.has_room(99)  # the newest batch is kept in any case
    buffer.put(batch("trades", 6), ts=1, at=1.0)
    assert buffer.has_room(4)
    assert not buffer.has_room(5)
    taken = buffer.take_rows(9)
    assert not buffer.has_room(5)  # taken ones may come back
    buffer.settle(taken)
    assert buffer.has_room(5)
