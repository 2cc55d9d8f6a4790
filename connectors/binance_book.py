"""Binance's messages of books, and what they make of one instrument's book.

The numbered steps are those of the docstring of `connectors.binance`.
"""

from typing import Annotated

import msgspec

from connectors.contract import Request, Told, caught_up
from market.events import BookDelta, BookSnapshot, FeedGap, Level
from market.instruments import Instrument
from market.intervals import SECOND

REFETCH_AFTER = 3600 * SECOND
RETRY_FIRST = SECOND
RETRY_MOST = 32 * SECOND
REFUSALS_BELIEVED = 3
"""So many tries without a snapshot, the last of them refused: the venue has no such symbol."""
KEPT_UPDATES = 20_000
KEPT_BEFORE_ASKING = 100
"""A snapshot that is asked for later is newer than all but the last of them."""
LATE_BOOKS = 20
"""Books or updates with lower ids, in a row, that are no late ones: the ids began anew."""
MICROSECONDS = 9_000_000_000_000
"""A time from here on counts microseconds, below it milliseconds."""

Price = Annotated[float, msgspec.Meta(gt=0, lt=1e18)]
_Size = Annotated[float, msgspec.Meta(ge=0, lt=1e18)]
Time = Annotated[int, msgspec.Meta(gt=0, lt=9 * 10**15)]  # in ns it fits 63 bits either way
Id = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]


class Depth(msgspec.Struct, tag_field="e", tag="depthUpdate"):
    """{"e":"depthUpdate","E":1672515782136,"s":"BNBBTC","U":157,"u":160,
    "b":[["0.0024","10"]],"a":[["0.0026","100"]]}"""  # noqa: D205, D209, D415

    E: Time
    s: str
    U: Id
    u: Id
    b: list[tuple[Price, _Size]]
    a: list[tuple[Price, _Size]]


class Snapshot(msgspec.Struct):
    """{"lastUpdateId":1027024,"bids":[["4.0","431.0"]],"asks":[["4.00000200","12.0"]]}"""  # noqa: D415

    lastUpdateId: Id  # noqa: N815
    bids: list[tuple[Price, _Size]]
    asks: list[tuple[Price, _Size]]


_Told = list[Told]


class BookRule:
    """The book rule for one instrument.

    `kept` holds the updates that a first snapshot must be joined with, or, while the book lives
    on, those that a later snapshot may not know yet. `id` outlives the book: no snapshot that is
    older than what was told before is taken for the book.
    """

    __slots__ = (
        "failures",
        "fetch_at",
        "fetched_at",
        "heard",
        "id",
        "instrument",
        "is_live",
        "is_refused",
        "kept",
        "late",
        "late_id",
        "request",
    )

    def __init__(self, instrument: Instrument, request: Request) -> None:
        self.instrument = instrument.id
        self.request = request
        self.id = 0
        self.is_live = False
        self.is_refused = False
        """REST goes on refusing a snapshot, so that nobody should wait for one."""
        self.kept: list[tuple[Depth, int]] = []
        self.fetch_at: int | None = None  # None: there is no need, or the answer is on its way
        self.fetched_at = 0
        self.heard = 0
        """Our clock at the last update."""
        self.failures = 0
        self.late = 0
        self.late_id = 0

    def update(self, update: Depth, now: int) -> Told | None:
        """Steps 1 and 6: keep an update, or make it a delta; a gap starts again."""
        self.heard = now
        if update.u <= self.id:
            return self._late(update, now)
        self.late = 0
        if not self.is_live:
            self._keep(update, now)
            if len(self.kept) == 1:
                self.fetch_at = now
            return None
        if self.id + 1 < update.U:
            missing = f"sequence: expected U <= {self.id + 1}, got {update.U}"
            gap = self.restart(missing, now)
            self._keep(update, now)
            return gap
        self.id = update.u
        if self.fetched_at == 0:
            self._keep(update, now)
        return self._delta(update, now)

    def _late(self, update: Depth, now: int) -> Told | None:
        """Leave an old update out, but not all there are: then the ids began anew.

        Their ids rise then; one that is told again and again means nothing.
        """
        if self.late and update.u <= self.late_id:
            return None
        self.late_id = update.u
        self.late += 1
        if self.late < LATE_BOOKS:
            return None
        self.id = self.late = 0
        gap = self.restart("the update ids began anew", now) if self.is_live else None
        self._keep(update, now)
        self.fetch_at = now
        return gap

    def restart(self, reason: str, now: int) -> FeedGap:
        """Forget the book and ask for another at once, one not older than what was told."""
        self.is_live = False
        self.kept = []
        self.fetch_at = now
        return FeedGap(instrument=self.instrument, ts_recv=now, reason=reason, channel="book")

    def asked(self) -> None:
        """A snapshot has been asked for; a book that lives on keeps from here on (step 8)."""
        self.fetch_at = None
        if self.is_live:
            self.kept = []
            self.fetched_at = 0

    def snapshot(self, snapshot: Snapshot, venue_time: int, now: int) -> _Told:
        """Steps 3 to 5: join the snapshot and the kept updates, or ask again.

        REST gives no time: the stream's at that moment stands for it, or `venue_time`.
        """
        last = following = snapshot.lastUpdateId
        newer = []
        if self.kept:
            venue_time = nanoseconds(self.kept[0][0].E)
        for update, received in self.kept:
            if update.u <= last:
                venue_time = nanoseconds(update.E)
            elif following + 1 < update.U:  # too old, or a hole among the kept ones
                return self._unfit(last, now)
            elif update.u > following:
                newer.append((update, received))
                following = update.u
        if following < self.id:  # older than what was told already
            return self._unfit(last, now)
        self.fetched_at = now
        self.fetch_at = None
        self.failures = 0
        self.is_refused = False
        self.kept = []
        if self.is_live:
            bids, asks = dict(snapshot.bids), dict(snapshot.asks)
            for update, _ in newer:
                bids.update(update.b)
                asks.update(update.a)
            self.id = following
            return [self._snapshot(list(bids.items()), list(asks.items()), venue_time, now)]
        self.is_live = True
        self.id = last
        told: _Told = [self._snapshot(snapshot.bids, snapshot.asks, venue_time, now)]
        self.id = following
        told += [self._delta(update, received) for update, received in newer]
        return caught_up(told)

    def _unfit(self, last: int, now: int) -> _Told:
        """Ask again: at once when that was wanted before the answer came."""
        self.kept = [] if self.is_live else [pair for pair in self.kept if pair[0].u > last]
        if self.fetch_at is None:
            self.retry(now)
        return []

    def retry(self, now: int) -> None:
        """Ask again after a wait that doubles."""
        self.fetch_at = now + min(RETRY_FIRST << min(self.failures, 6), RETRY_MOST)
        self.failures += 1

    def refused(self, reason: str, now: int) -> _Told:
        """REST will not give a snapshot: ask again later, and say so when that goes on."""
        self.retry(now)
        if self.is_live or self.is_refused or self.failures < REFUSALS_BELIEVED:
            return []
        self.is_refused = True
        return [FeedGap(instrument=self.instrument, ts_recv=now, reason=reason, channel="book")]

    def _keep(self, update: Depth, now: int) -> None:
        self.kept.append((update, now))
        most = KEPT_UPDATES if self.fetch_at is None else KEPT_BEFORE_ASKING
        if len(self.kept) > most:
            del self.kept[: most // 2]

    def _snapshot(
        self, bids: list[Level], asks: list[Level], venue_time: int, now: int
    ) -> BookSnapshot:
        return BookSnapshot(
            instrument=self.instrument,
            ts_event=venue_time,
            ts_recv=now,
            bids=bids,
            asks=asks,
            sequence=self.id,
        )

    def _delta(self, update: Depth, now: int) -> BookDelta:
        return BookDelta(
            instrument=self.instrument,
            ts_event=nanoseconds(update.E),
            ts_recv=now,
            bids=update.b,
            asks=update.a,
            sequence=update.u,
        )


class PartialBook:
    """The best levels of one instrument, whole in each message: nothing to join or to miss."""

    __slots__ = ("_late", "heard", "id", "instrument", "is_live")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument.id
        self.id = 0
        self.heard = 0
        self.is_live = False
        self._late = 0

    def take(self, book: Snapshot, venue_time: int, now: int) -> _Told:
        """Take a message; one that is not newer than what was told is dropped."""
        self.heard = now
        number = book.lastUpdateId
        told: _Told = []
        if number < self.id:
            self._late += 1
            if self._late < LATE_BOOKS:
                return []
            told = [self.restart(f"update ids began anew: {number} after {self.id}", now)]
        elif number == self.id and self.is_live:
            return []
        self._late = 0
        self.id = number
        self.is_live = True
        snapshot = BookSnapshot(
            instrument=self.instrument,
            ts_event=venue_time,
            ts_recv=now,
            bids=book.bids,
            asks=book.asks,
            sequence=number,
        )
        return [*told, snapshot]

    def restart(self, reason: str, now: int) -> FeedGap:
        """Forget the book; the next message has it again."""
        self.is_live = False
        return FeedGap(instrument=self.instrument, ts_recv=now, reason=reason, channel="book")


def nanoseconds(ts: int) -> int:
    """Read a time that is milliseconds, or microseconds where the address asked for them."""
    return ts * 1_000_000 if ts < MICROSECONDS else ts * 1_000
