"""What an edit of specs changes, by the bars of the last day: told in the log after a reload."""

import logging
import threading
import time
from collections.abc import Mapping

import psycopg

from filters.specs import Spec, hash_of
from flows.preview import compare
from market.events import Bar
from sinks.secret import Secret
from sinks.store_connection import RETRIABLE, complete, connect
from sinks.stored_bars import read_bars
from sinks.unexpected import Contained

MOST = 20
"""Specs that are compared after one change; a larger change is a new set, and no edit."""

_THREAD = "spec-difference"

log = logging.getLogger(__name__)


class SpecDifferences:
    """Compares old and new specs in a thread of its own, one change after the other.

    Args:
        dsn: address of the database.
        series: instrument ids that are followed.
        primary: symbol to the venue that specs without venues look at.
    """

    def __init__(
        self, dsn: Secret, series: tuple[str, ...], primary: Mapping[str, str] | None = None
    ) -> None:
        self._dsn = dsn
        self._series = series
        self._primary = primary
        self._turn = threading.Lock()

    def changed(self, old: tuple[Spec, ...], new: tuple[Spec, ...]) -> threading.Thread:
        """Begin to compare two sets of specs in force; return the thread that does."""
        thread = threading.Thread(target=self._run, args=(old, new), name=_THREAD, daemon=True)
        thread.start()
        return thread

    def _run(self, old: tuple[Spec, ...], new: tuple[Spec, ...]) -> None:
        with Contained(log, _THREAD, "filters not compared, by a bug in the comparison"):
            self.tell(old, new)

    def tell(self, old: tuple[Spec, ...], new: tuple[Spec, ...]) -> None:
        """Write a line into the log for each spec that is new, gone or edited."""
        before = {spec.id: spec for spec in old}
        after = {spec.id: spec for spec in new}
        edited = [
            ident
            for ident in sorted(before.keys() | after.keys())
            if ident not in before
            or ident not in after
            or hash_of(before[ident]) != hash_of(after[ident])
        ]
        if len(edited) > MOST:
            log.info("filters not compared: too many changed", extra={"changed": len(edited)})
            return
        with self._turn:
            try:
                self._compare(edited, before, after)
            except (*RETRIABLE, psycopg.errors.UndefinedTable) as error:
                log.info("filters not compared", extra={"reason": str(error).strip()})

    def _compare(self, edited: list[str], before: dict[str, Spec], after: dict[str, Spec]) -> None:
        with connect(complete(self._dsn.reveal())) as connection:

            def read(instrument: str, interval: str, start: int, end: int) -> list[Bar]:
                return read_bars(connection, instrument, interval, start=start, end=end)

            for ident in edited:
                told = compare(
                    before.get(ident), after.get(ident), self._series, read, time.time_ns(),
                    primary=self._primary,
                )  # fmt: skip
                log.info("filter compared", extra={"difference": told.text})
