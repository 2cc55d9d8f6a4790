"""What the section `[store]` of the configuration holds."""

from typing import Annotated

import msgspec


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How rows get into the database; where it is says `DATABASE_URL`, which is a secret.

    Attributes:
        require_timescaledb: refuse to start on a server without TimescaleDB.
        partitions: writer threads, each with a connection, over all processes. A number that
            recovery has seen may grow but not shrink: Bytewax then misses a partition.
        flush_rows: rows that are written at once when so many wait.
        flush_interval_s: seconds after which the oldest waiting row is written in any case.
        buffer_rows: rows that a writer keeps in memory, where the spool cannot take them.
        spool_bytes: what each partition's spool may hold on the disk while the database is away; 0
            for no spool at all.
        spool_free_bytes: what the spool leaves free on the disk.
    """

    require_timescaledb: bool = False
    partitions: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    flush_rows: Annotated[int, msgspec.Meta(ge=1, le=50_000)] = 2_000
    flush_interval_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 0.25
    buffer_rows: Annotated[int, msgspec.Meta(ge=1_000, le=10_000_000)] = 200_000
    spool_bytes: Annotated[int, msgspec.Meta(ge=0)] = 1024**3
    spool_free_bytes: Annotated[int, msgspec.Meta(ge=0)] = 256 * 1024**2
