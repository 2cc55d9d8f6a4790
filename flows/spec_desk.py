"""Adding, removing and switching specs, for the command line and for a chat."""

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import msgspec

from filters.fields import Stream
from filters.grammar import Named
from filters.judge import Known
from filters.one_line import Wishes, spec_of_line
from filters.spec_reader import Reading, read
from filters.spec_set_error import SpecSetError
from filters.spec_store import DATABASE, SpecStore, StoredSpec
from filters.specs import Spec
from flows.spec_files import add_to_file, names_in, other_ids, remove_file_of, switch_in_file
from flows.spec_homes import KNOWN, SpecHomes
from indicators.spelling import did_you_mean
from market.errors import ConfigError, SpecError

NO_DATABASE = "there is no database to keep it in: set DATABASE_URL, or name a file with --file"


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """A spec that was added.

    Attributes:
        spec: as it was read.
        text: its YAML.
        place: where it is kept now: `database:ID`, or a file.
        notes: what may be wrong, for people.
    """

    spec: Spec
    text: str
    place: str
    notes: tuple[str, ...] = ()


class SpecDesk:
    """Changes both homes; a flow that watches them takes the change up by itself.

    Args:
        homes: where specs are.
        check: refuses names of targets that mean nothing.
        symbols: that are followed, as far as they are known.
    """

    def __init__(
        self,
        homes: SpecHomes,
        *,
        check: Callable[[Collection[str]], None] = lambda _: None,
        symbols: Callable[[], Collection[str]] = tuple,
    ) -> None:
        self._homes = homes
        self._check = check
        self._symbols = symbols

    def read(self) -> Reading:
        """Return all specs of both homes.

        Raises:
            ConfigError: something is wrong in them.
        """
        return self._homes.read()

    def add(self, line: str, wishes: Wishes, *, by: str, file: str = "") -> Added:
        """Make a spec of a line and keep it.

        Args:
            line: as `filters.one_line` has it.
            wishes: what is said beside it.
            by: who wants it.
            file: name of a file in the folder; empty for the database.

        Raises:
            SpecError: the line cannot be read.
            SpecSetError: what was made of it is no spec.
            ConfigError: its id or a target is wrong, or the home cannot be written to.
        """
        symbols = self._symbols()
        taken = other_ids(self._homes.folder)
        if self._homes.store is not None:
            taken |= {one.id for one in self._homes.store.list()}
        named = names_in(self._homes.folder, file)
        stored = spec_of_line(line, wishes, symbols=symbols, taken=taken, named=named, by=by)
        if stored.id in taken:
            raise ConfigError(
                f"id {stored.id!r} is taken already{self._where(stored.id)}: choose another with"
                " --id"
            )
        known = msgspec.structs.replace(
            KNOWN, followed=frozenset(symbols) or None, now=time.time_ns()
        )
        reading = _checked(stored, line, known, named)
        [spec] = reading.specs
        self._check(spec.targets)
        notes = tuple(warning.message for warning in reading.warnings)
        if file:
            path = add_to_file(self._homes.folder, file, stored.text)
            return Added(spec=spec, text=stored.text, place=str(path), notes=notes)
        self._store().add(stored)
        return Added(spec=spec, text=stored.text, place=stored.place, notes=notes)

    def forget(self, ident: str, *, by: str | None) -> str:
        """Forget a spec of the database; return where it was.

        Args:
            ident: its id.
            by: who wants that, where it must be who added it; None for anybody.

        Raises:
            ConfigError: there is none, it stands in a file, or another added it.
        """
        store = self._store()
        row = next((one for one in store.list() if one.id == ident), None)
        if row is None:
            path = self._file_of(ident)
            raise ConfigError(f"{ident!r} is kept in {path.name}: delete it there")
        if by is not None and row.created_by != by:
            raise ConfigError(
                f"{ident!r} was added by {row.created_by or 'somebody else'}: they or an owner may"
                " delete it"
            )
        store.remove(ident)
        return row.place

    def remove(self, ident: str) -> str:
        """Forget a spec; return where it was.

        Raises:
            ConfigError: there is none, or it stands in a file with others.
        """
        if self._homes.store is not None and self._homes.store.remove(ident):
            return f"{DATABASE}:{ident}"
        path = self._file_of(ident)
        remove_file_of(path, ident)
        return str(path)

    def switch(self, ident: str, *, is_enabled: bool) -> str:
        """Put a spec in force or out of it; return where it is.

        Raises:
            ConfigError: there is none, or its file cannot be changed safely.
        """
        if self._homes.store is not None and self._homes.store.switch(ident, is_enabled=is_enabled):
            return f"{DATABASE}:{ident}"
        path = self._file_of(ident)
        switch_in_file(path, ident, is_enabled=is_enabled)
        return str(path)

    def _store(self) -> SpecStore:
        if self._homes.store is None:
            raise ConfigError(NO_DATABASE)
        return self._homes.store

    def _where(self, ident: str) -> str:
        try:
            place = self.read().places.get(ident)
        except ConfigError:
            return ""
        return "" if place is None else f", in {place}"

    def _file_of(self, ident: str) -> Path:
        reading = self.read()
        place = reading.places.get(ident)
        if place is None:
            hint = did_you_mean(ident, reading.places)
            raise ConfigError(
                f"no filter {ident!r}{hint}; `candlewax filters list` shows what there is"
            )
        return Path(place.rpartition(":")[0])


def _checked(stored: StoredSpec, line: str, known: Known, named: Mapping[Stream, Named]) -> Reading:
    """Read a spec that was made of a line; a mistake of its condition is shown in the line."""
    try:
        return read((), known, stored=[stored], named=named)
    except SpecSetError as error:
        raise SpecSetError([_in_line(each, line) for each in error.errors]) from None


def _in_line(error: SpecError, line: str) -> SpecError:
    shown = error.source.partition(": ")[2].strip('"')
    written = shown.removeprefix("price ").removeprefix("close ")
    at = line.find(written) if written else -1
    if not error.source.startswith("when: ") or at < 0:
        return error
    offset = error.column - 1 - error.source.find(written)
    return SpecError(
        error.message, path="spec", line=1, column=at + max(0, offset) + 1, source=line
    )
