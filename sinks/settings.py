"""What the section `[store]` of the configuration holds."""

from typing import Annotated

import msgspec

from market.kept_depth import KeptDepth

Days = Annotated[float, msgspec.Meta(ge=0, le=36_500)]
Gigabytes = Annotated[float, msgspec.Meta(ge=0)]


class RetentionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long rows stay, by their own time, and how much room files may take.

    Attributes:
        trades_days: days; 0 for ever, as below.
        book_tops_days: days.
        book_updates_days: days; whole books are much.
        bars_days: days.
        features_days: days.
        alerts_days: days, of alerts, of what became of them, and of ended mutes.
        recordings_gb: gigabytes (10^9 bytes) that `recordings/` may hold before the oldest go; 0
            for no limit.
        dead_letters_gb: the same for `dead/`.
    """

    trades_days: Days = 30
    book_tops_days: Days = 14
    book_updates_days: Days = 7
    bars_days: Days = 0
    features_days: Days = 90
    alerts_days: Days = 365
    recordings_gb: Gigabytes = 20
    dead_letters_gb: Gigabytes = 1

    @property
    def days(self) -> dict[str, float]:
        """Days by table; 0 for ever."""
        return {
            "trades": self.trades_days,
            "book_tops": self.book_tops_days,
            "book_updates": self.book_updates_days,
            "bars": self.bars_days,
            "features": self.features_days,
            "alerts": self.alerts_days,
        }


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
        depth: what is stored of whole books: `off`, `snapshots 60s` (of so many seconds), or `all`
            for every change.
        retention: how long rows stay.
    """

    require_timescaledb: bool = False
    partitions: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    flush_rows: Annotated[int, msgspec.Meta(ge=1, le=50_000)] = 2_000
    flush_interval_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 0.25
    buffer_rows: Annotated[int, msgspec.Meta(ge=1_000, le=10_000_000)] = 200_000
    spool_bytes: Annotated[int, msgspec.Meta(ge=0)] = 1024**3
    spool_free_bytes: Annotated[int, msgspec.Meta(ge=0)] = 256 * 1024**2
    depth: str = "off"
    retention: RetentionSettings = msgspec.field(default_factory=RetentionSettings)

    def kept_depth(self) -> KeptDepth:
        """Return what is stored of whole books.

        Raises:
            ValueError: `depth` says nothing that we know.
        """
        return KeptDepth.parse(self.depth)
