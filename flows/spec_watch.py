"""Hot reload: specs that change while the flow runs.

Two threads watch the two homes. What has changed is read whole: one bad spec keeps the old set as
it is, and people are told; a good set gets the next generation and goes to the flow as data,
through every worker's queue and recording.
"""

import contextlib
import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psycopg
import watchfiles
from prometheus_client import Counter, Gauge

from filters.spec_reader import Reading
from filters.specs import Spec, SpecsChanged, digest_of, hash_of, in_force
from flows.spec_homes import SpecHomes
from market.errors import ConfigError
from sinks.secret import Secret
from sinks.stored_specs import CHANNEL

LOOK_MS = 250
"""How soon a stop is noticed."""
SETTLE_S = 0.3
"""A set that cannot be read is looked at again after so long: a file may be half written."""
AGAIN_S = 2.0
"""Pause before an absent folder or database is asked again."""

RELOADS = Counter("candlewax_filter_reloads_total", "Sets of specs put in force while running")
FAILURES = Counter("candlewax_filter_reload_failures_total", "Sets of specs that were refused")
GENERATION = Gauge("candlewax_filter_generation", "Number of the set of specs in force")

log = logging.getLogger(__name__)


class SpecsInForce(msgspec.Struct, frozen=True, kw_only=True):
    """The set that the flow has, and what is wrong with a newer one.

    Attributes:
        generation: its number.
        specs: those in force.
        problem: why a newer set was refused; empty when there is none.
    """

    generation: int
    specs: tuple[Spec, ...]
    problem: str = ""


def first_set(homes: SpecHomes) -> SpecsInForce:
    """Read the set that a flow begins with.

    Raises:
        ConfigError: something is wrong with it.
    """
    reading = homes.read()
    specs = in_force(reading.specs)
    _warn(reading)
    return SpecsInForce(generation=_number(homes, specs, after=0), specs=specs)


class SpecWatch:
    """Watches both homes until it is stopped.

    Args:
        homes: where specs are.
        current: the set that the flow began with.
        tell: gives a new set to the flow.
        symbols: what is followed.
        dsn: address of the database to listen at; None where there is none.
        trouble: tells operators what is wrong with a set, by a key of what it is.
        changed: told of the old and the new specs in force, after a change.
    """

    def __init__(
        self,
        homes: SpecHomes,
        current: SpecsInForce,
        *,
        tell: Callable[[SpecsChanged], None],
        symbols: tuple[str, ...] = (),
        dsn: Secret | None = None,
        trouble: Callable[[str, str], None] = lambda _key, _text: None,
        changed: Callable[[tuple[Spec, ...], tuple[Spec, ...]], object] = lambda _old, _new: None,
    ) -> None:
        self._homes = homes
        self._current = current
        self._tell = tell
        self._symbols = symbols
        self._dsn = dsn
        self._trouble = trouble
        self._changed = changed
        self._warned: tuple[str, ...] = ()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._files, name="spec-files", daemon=True)]
        if dsn is not None:
            self._threads.append(
                threading.Thread(target=self._database, name="spec-database", daemon=True)
            )
        GENERATION.set(current.generation)

    @property
    def current(self) -> SpecsInForce:
        """The set in force now."""
        return self._current

    def start(self) -> None:
        """Begin to watch; what changed since the first set was read is found, too."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End watching."""
        self._stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(AGAIN_S)

    def reload(self) -> bool:
        """Read both homes; return whether another set is in force now."""
        with self._lock:
            try:
                return self._take(self._settled())
            except ConfigError as error:
                self._refuse(str(error))
            except Exception as error:  # noqa: BLE001 - what ended the thread would end hot reload
                self._refuse(f"a mistake of the program itself: {error!r}", is_ours=True)
            return False

    def _settled(self) -> Reading:
        try:
            return self._homes.read()
        except ConfigError:
            self._stopping.wait(SETTLE_S)
            return self._homes.read()

    def _refuse(self, problem: str, *, is_ours: bool = False) -> None:
        if problem == self._current.problem:
            return
        FAILURES.inc()
        self._current = msgspec.structs.replace(self._current, problem=problem)
        log.error(
            "filters cannot be taken over; those before stay in force",
            extra={"generation": self._current.generation, "reason": problem},
            exc_info=is_ours,
        )
        digest = hashlib.sha256(problem.encode(errors="replace")).hexdigest()[:12]
        self._trouble(
            f"specs/{self._current.generation}/{digest}",
            f"Changed filters cannot be taken over; those before stay in force.\n{problem}",
        )

    def _take(self, reading: Reading) -> bool:
        old, specs = self._current, in_force(reading.specs)
        if digest_of(specs) == digest_of(old.specs):
            if old.problem:
                log.info("filters are right again", extra={"generation": old.generation})
            self._current = msgspec.structs.replace(old, problem="")
            return False
        warned = tuple(map(str, reading.warnings))
        if warned != self._warned:
            self._warned = warned
            _warn(reading)
        number = _number(self._homes, specs, after=old.generation)
        self._tell(SpecsChanged(generation=number, specs=specs, symbols=self._symbols))
        self._current = SpecsInForce(generation=number, specs=specs)
        RELOADS.inc()
        GENERATION.set(number)
        log.info("filters changed", extra={"generation": number, **difference(old.specs, specs)})
        self._changed(old.specs, specs)
        return True

    def _files(self) -> None:
        """Reload whenever something in the folder changes."""
        folder = self._homes.folder
        is_absent = False
        while not self._stopping.is_set():
            watched = _identity(folder)
            if watched is None:
                if not is_absent:
                    is_absent = True
                    self.reload()  # tells that the folder is gone
                self._stopping.wait(AGAIN_S)
                continue
            is_absent = False
            is_seen = False
            # The folder and not its files: editors and deployments replace files.
            with contextlib.suppress(FileNotFoundError):  # it went away just now
                for changes in watchfiles.watch(
                    folder,
                    watch_filter=None,
                    stop_event=self._stopping,
                    rust_timeout=LOOK_MS,
                    yield_on_timeout=True,
                    raise_interrupt=False,
                    recursive=False,
                ):
                    # What changes before the watching has begun is told by nobody.
                    if changes or not is_seen:
                        is_seen = True
                        self.reload()
                    if _identity(folder) != watched:
                        break

    def _database(self) -> None:
        """Reload whenever the database tells of a change, and whenever it comes back."""
        while not self._stopping.is_set():
            try:
                with self._listening() as connection:
                    self.reload()
                    while not self._stopping.is_set():
                        if list(connection.notifies(timeout=LOOK_MS / 1000, stop_after=1)):
                            self.reload()
            except psycopg.Error as error:
                log.info(
                    "the database does not tell of changed filters now",
                    extra={"reason": str(error).strip()},
                )
                self._stopping.wait(AGAIN_S)

    @contextlib.contextmanager
    def _listening(self) -> Iterator[psycopg.Connection]:
        assert self._dsn is not None  # noqa: S101 - the thread runs with an address only
        with psycopg.connect(
            self._dsn.reveal(),
            autocommit=True,
            connect_timeout=3,
            application_name="candlewax filter specs",
        ) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            yield connection


def difference(old: tuple[Spec, ...], new: tuple[Spec, ...]) -> dict[str, list[str]]:
    """Return which specs, by id, are new, gone and edited; what is empty is left out."""
    before = {spec.id: hash_of(spec) for spec in old}
    after = {spec.id: hash_of(spec) for spec in new}
    told = {
        "added": sorted(after.keys() - before.keys()),
        "removed": sorted(before.keys() - after.keys()),
        "edited": sorted(name for name in after.keys() & before if after[name] != before[name]),
    }
    return {name: ids for name, ids in told.items() if ids}


def _number(homes: SpecHomes, specs: tuple[Spec, ...], *, after: int) -> int:
    if homes.store is None:
        return after + 1
    try:
        return homes.store.generation(digest_of(specs))
    except ConfigError as error:
        log.warning("the generation of filters is counted here", extra={"reason": str(error)})
        return after + 1


def _warn(reading: Reading) -> None:
    for warning in reading.warnings:
        log.warning("a filter may not do what it says", extra={"reason": str(warning)})


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return what tells a folder from another of the same name; None when there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
