"""What was due at the moment when each attempt of a sender was decided."""

import msgspec
import psycopg

from sinks import outbox
from sinks.outbox_row import OutboxRow

URGENCY = ("critical", "warning", "info")


class Row(msgspec.Struct, frozen=True):
    """A row that was due."""

    number: int
    severity: str
    fired_at: float


class Attempt(msgspec.Struct, frozen=True):
    """An attempt: what was begun, and everything that was due when that was decided."""

    begun: tuple[int, ...]
    severities: tuple[str, ...]
    due: tuple[Row, ...]


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
                    tuple(_number(row.alert_key) for row in begun),
                    tuple(row.severity for row in begun),
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
    """Check that nothing began while something more urgent, or as urgent and older, was due."""
    for attempt in attempts:
        (severity,) = set(attempt.severities)  # a message is of one severity
        _, _, number, wanted = min(
            # The rows are stored in the order of their numbers, which decides in a microsecond.
            (URGENCY.index(row.severity), row.fired_at, row.number, row.severity)
            for row in attempt.due
        )
        # What is waiting for its next try may become due a moment later and travel along.
        began = (attempt.begun, severity)
        assert number in attempt.begun, f"{began} began while {(number, wanted)} was due"
        assert severity == wanted, f"{began} began while {(number, wanted)} was due"


def _number(key: str) -> int:
    return int(key.rpartition("/")[2])
