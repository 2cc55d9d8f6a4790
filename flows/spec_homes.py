"""The two homes of filter specs as one set: a folder of files, and the database."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from connectors import VENUES
from filters.judge import Known
from filters.load import read_place
from filters.spec_reader import Reading
from filters.spec_store import SpecStore
from filters.specs import DEFAULT_TARGET, in_force
from market.errors import ConfigError

KNOWN = Known(venues=frozenset(VENUES))


class SpecHomes:
    """Reads both homes.

    Args:
        folder: of the YAML files.
        store: the database; None for the files alone.
        check: refuses names of targets that mean nothing.
        known: what specs are judged by.
    """

    def __init__(
        self,
        folder: Path,
        store: SpecStore | None,
        *,
        check: Callable[[Iterable[str]], None] = lambda _: None,
        known: Known = KNOWN,
    ) -> None:
        self.folder = folder
        self.store = store
        self._check = check
        self._known = known

    def read(self) -> Reading:
        """Return everything that is in the two homes.

        Raises:
            SpecSetError: some spec is wrong, or an id is in both homes.
            ConfigError: a home cannot be read, or a spec tells a target that there is not.
        """
        stored = () if self.store is None else self.store.list()
        known = msgspec.structs.replace(self._known, now=time.time_ns())
        reading = read_place(self.folder, known, stored)
        self._check((DEFAULT_TARGET,))
        for spec in in_force(reading.specs):
            try:
                self._check(spec.targets)
            except ConfigError as error:
                raise ConfigError(f"{reading.places[spec.id]}: {spec.id!r}: {error}") from None
        return reading
