"""When the database is away: since when, how long until the next try, and who has been told."""

import logging

from sinks.store_connection import AT_ONCE

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
REMIND_S = 30.0
TRIES_AT_ONCE = 3
"""Deadlocks in a row that are no trouble yet."""

_log = logging.getLogger(__name__)


class Outage:
    """The trouble of one writer; times are of a monotonic clock, s.

    Args:
        partition: the writer's name, for the log.

    Attributes:
        since: when the trouble began; None while there is none.
        pause_s: how long to wait before the next try.
    """

    def __init__(self, partition: str) -> None:
        self.since: float | None = None
        self.pause_s = FIRST_PAUSE_S
        self._partition = partition
        self._reminded = 0.0
        self._at_once = 0

    def met(self, error: Exception, *, now: float, rows: int, where: str) -> None:
        """Note an error that passes; tell it when it is new, and every half minute.

        Args:
            error: what the database or the network said.
            now: the time.
            rows: rows that wait.
            where: where they wait, for people.
        """
        if isinstance(error, AT_ONCE) and self.since is None and self._at_once < TRIES_AT_ONCE:
            self._at_once += 1
            return
        if self.since is None or now >= self._reminded + REMIND_S:
            self._reminded = now
            _log.warning(
                f"the database does not take rows; they wait {where}",
                extra={"partition": self._partition, "reason": str(error).strip(), "rows": rows},
            )
        self.since = now if self.since is None else self.since

    def waited(self) -> None:
        """Note that the pause is over: the next one is longer."""
        self.pause_s = min(self.pause_s * 2, LONGEST_PAUSE_S)

    def ended(self, *, now: float, rows: int) -> None:
        """Note that the database took what it was given."""
        self.pause_s = FIRST_PAUSE_S
        self._at_once = 0
        if self.since is not None:
            away = round(now - self.since, 3)
            self.since = None
            _log.info(
                "the database takes rows again",
                extra={"partition": self._partition, "away_s": away, "rows": rows},
            )
