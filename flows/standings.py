"""Where every spec stands with every series, written for people who ask why.

Each flow process writes `status/specs-<number>.json` into the state folder about once a second.
Nothing in the flow depends on it.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from flows.symbol_filters import SeriesStanding, SymbolFilters
from sinks.unexpected import Contained

EVERY_S = 1.0
SHARE = 100
"""Looking at a symbol's specs takes one part in so many of its time at most."""

log = logging.getLogger(__name__)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What one process tells.

    Attributes:
        at: when it was written, our clock, ns UTC.
        generation: number of the set of specs in force.
        series: where the specs stand with each.
    """

    at: int
    generation: int
    series: tuple[SeriesStanding, ...]


class Standings:
    """Gathers where specs stand, on the flow's threads, and writes it, on its own.

    Args:
        path: of the file.
        clock: seconds that never go back.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._due: dict[int, float] = {}
        self._told: dict[int, list[SeriesStanding]] = {}
        self._generation = 0
        self._is_new = False
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="standings", daemon=True)

    def note(self, filters: SymbolFilters) -> None:
        """Look at a symbol's filters, unless that was done a moment ago."""
        key = id(filters)
        began = self._clock()
        if began < self._due.get(key, 0.0):
            return
        told = filters.explained()
        ended = self._clock()
        self._due[key] = ended + max(EVERY_S, (ended - began) * SHARE)
        with self._lock:
            self._told[key] = told
            self._generation = max(self._generation, filters.generation)
            self._is_new = True

    def start(self) -> None:
        """Start writing."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def close(self) -> None:
        """Write a last time and stop."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(EVERY_S)
        self.write()

    def write(self) -> None:
        """Write what is new; nothing when nothing is."""
        with self._lock:
            if not self._is_new:
                return
            self._is_new = False
            series = tuple(one for told in self._told.values() for one in told)
            generation = self._generation
        standing = Standing(at=time.time_ns(), generation=generation, series=series)
        part = self._path.with_suffix(f".{os.getpid()}.part")
        try:
            part.write_bytes(msgspec.json.encode(standing))
            part.replace(self._path)
        except OSError as error:  # people ask seldom; the flow goes on
            log.warning("cannot write where specs stand", extra={"reason": str(error)})

    def _run(self) -> None:
        while not self._closed.wait(EVERY_S):
            with Contained(log, "standings", "where specs stand is not written; tried again"):
                self.write()


def read_standings(folder: Path) -> list[Standing]:
    """Return what the processes of a run have told last, as far as it can be read."""
    found = []
    for path in sorted(folder.glob("specs-*.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Standing))
        except (OSError, msgspec.DecodeError):
            continue  # it is being replaced, or comes from another version
    return found
