"""What the section `[store]` of the configuration holds."""

from typing import Annotated

import msgspec

from market.kept_depth import KeptDepth


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How rows get into the database; where it is says `DATABASE_URL`, which is a secret.

    Attributes:
        require_timescaledb: refuse to start on a server without TimescaleDB.
        partitions: writer threads, each with a connection, over all processes. A number that
            recovery has seen may grow but not shrink: Bytewax then misses a partition.
        flush_rows: rows that are written at once when so many wait.
        flush_interval_s: seconds after which the oldest waiting row is written in any case.
        buffer_rows: rows that a writer keeps in memory while the database is away.
        depth: what is stored of whole books: `off`, `snapshots 60s` (of so many seconds), or `all`
            for every change.
    """

    require_timescaledb: bool = False
    partitions: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    flush_rows: Annotated[int, msgspec.Meta(ge=1, le=50_000)] = 2_000
    flush_interval_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 0.25
    buffer_rows: Annotated[int, msgspec.Meta(ge=1_000, le=10_000_000)] = 200_000
    depth: str = "off"

    def kept_depth(self) -> KeptDepth:
        """Return what is stored of whole books.

        Raises:
            ValueError: `depth` says nothing that we know.
        """
        return KeptDepth.parse(self.depth)
