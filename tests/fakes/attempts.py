"""What was due at the moment when each attempt of a sender was decided."""

import msgspec
import psycopg

from sinks import outbox
from sinks.outbox_row import OutboxRow

SECOND = 1_000_000_000
URGENCY = ("critical", "warning", "info")


class Row(msgspec.Struct, frozen=True):
    """A row that was due, or that was begun."""

    number: int
    severity: str
    fired_at: float

    @property
    def turn(self) -> tuple[int, float, int]:
        """Its place in the order in which rows are to go out.

        The rows are stored in the order of their numbers, which decides in a microsecond.
        """
        return (URGENCY.index(self.severity), self.fired_at, self.number)


class Attempt(msgspec.Struct, frozen=True):
    """An attempt: what was begun, and everything that was due when that was decided."""

    rows: tuple[Row, ...]
    due: tuple[Row, ...]

    @property
    def begun(self) -> tuple[int, ...]:
        """Return the numbers of its rows."""
        return tuple(row.number for row in self.rows)


class Attempts:
    """Stands where `outbox.due` and `outbox.begin` are, and notes what they did.

    What is due is read without an order of its own, in the snapshot that the decision sees: what is
    committed a moment later is not held against it.
    """

    def __init__(self) -> None:
        self.made: list[Attempt] = []
        self._due: tuple[Row, ...] = ()
        self._decide, self._begin = outbox.due, outbox.begin

    def due(
        self, connection: psycopg.Connection, *, targets: list[str], now: int, oldest: int
    ) -> OutboxRow | None:
        """Decide as the outbox does."""
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            found = self._decide(connection, targets=targets, now=now, oldest=oldest)
            rows = connection.execute(
                "SELECT alert_key, severity, extract(epoch FROM fired_at) FROM outbox"
                " WHERE state = 'pending' AND next_attempt_at <= now() AND target = ANY(%s)",
                (list(targets),),
            )
            self._due = tuple(
                Row(_number(key), severity, float(fired_at)) for key, severity, fired_at in rows
            )
        return found

    def begin(self, connection: psycopg.Connection, rows: list[OutboxRow]) -> list[OutboxRow]:
        """Begin as the outbox does."""
        begun = self._begin(connection, rows)
        if begun:
            self.made.append(
                Attempt(
                    tuple(
                        Row(_number(row.alert_key), row.severity, row.fired_at / SECOND)
                        for row in begun
                    ),
                    self._due,
                )
            )
        return begun

    @property
    def delivered(self) -> list[Attempt]:
        """Those whose rows were not tried again, in their order."""
        last = {number: place for place, one in enumerate(self.made) for number in one.begun}
        return [one for place, one in enumerate(self.made) if last[one.begun[0]] == place]


def check_order(attempts: list[Attempt]) -> None:
    """Check that nothing began while something more urgent, or as urgent and older, was due.

    Rows that wait for their next try may become due between the decision and the gathering of what
    goes along: they are older than what was decided, so they may go before it.
    """
    for attempt in attempts:
        assert len({row.severity for row in attempt.rows}) == 1  # a message is of one severity
        assert list(attempt.rows) == sorted(attempt.rows, key=lambda row: row.turn)
        began, wanted = attempt.rows[0], min(attempt.due, key=lambda row: row.turn)
        assert began.turn <= wanted.turn, f"{attempt.rows} began while {wanted} was due"


def _number(key: str) -> int:
    return int(key.rpartition("/")[2])
