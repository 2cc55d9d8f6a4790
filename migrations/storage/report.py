"""What a database server is and does, step by step."""

import msgspec

from migrations.storage.server import Server, ServerKind

HISTORY = "history of "
"""How the steps begin that are too long for a start."""


class StorageStep(msgspec.Struct, frozen=True):
    """One thing that a server may do.

    Attributes:
        what: `"hypertable trades"`.
        is_done: whether it is in force.
        reason: since when, or why not.
    """

    what: str
    is_done: bool
    reason: str


class StorageReport(msgspec.Struct, frozen=True):
    """What server this is and what is on and off there.

    Attributes:
        server: kind and versions.
        steps: in the order they are tried.
    """

    server: Server
    steps: tuple[StorageStep, ...]

    @property
    def kind(self) -> ServerKind:
        """Which of the three."""
        return self.server.kind

    @property
    def server_version(self) -> str:
        """PostgreSQL's, `"18.4"`."""
        return self.server.version

    @property
    def timescaledb_version(self) -> str | None:
        """The extension's; None without it."""
        return self.server.timescaledb

    @property
    def history(self) -> tuple[StorageStep, ...]:
        """The steps that only `fill` takes; none where there are no continuous aggregates."""
        return tuple(step for step in self.steps if step.what.startswith(HISTORY))
