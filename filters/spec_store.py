"""Specs that are kept in a database: the second home beside the folder of files.

Both homes are one set, read by one reader (`filters.load`), so that an id is taken in both or in
neither. What keeps them is in the rooms above; here is what they must do.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

DATABASE = "database"
"""How messages call this home: `database:ID:line:column`."""


class StoredSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One spec of the database.

    Attributes:
        id: as its text says it.
        text: YAML of this spec alone: what stands behind `- ` in a file.
        is_enabled: it is in force; this decides, and not what the text may say.
        created_at: when it was added, our clock, ns UTC; 0 where not known.
        created_by: who added it, for people.
    """

    id: str
    text: str
    is_enabled: bool = True
    created_at: int = 0
    created_by: str = ""

    @property
    def place(self) -> str:
        """How messages call it."""
        return f"{DATABASE}:{self.id}"


class SpecStore(Protocol):
    """Keeps specs. Every call raises `ConfigError`, with what to do, when it cannot."""

    def list(self) -> Sequence[StoredSpec]:
        """Return all of them, by id."""

    def add(self, spec: StoredSpec) -> None:
        """Keep a spec that has been checked; raise `ConfigError` when its id is taken."""

    def remove(self, ident: str) -> bool:
        """Forget a spec; return whether there was one of this id."""

    def switch(self, ident: str, *, is_enabled: bool) -> bool:
        """Put a spec in force or out of it; return whether there is one of this id."""

    def generation(self, digest: str) -> int:
        """Return the number of a set of specs: the next one, unless it is the newest already.

        Processes that read the same set get the same number, whichever asks first.

        Args:
            digest: of what is in force, from `filters.specs.digest_of`.
        """
