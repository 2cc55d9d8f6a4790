"""What is kept of a book gives the same book again, and shows where something is missing."""

from hypothesis import given
from hypothesis import strategies as st

from market.book import Book
from market.book_updates import BookUpdates
from market.events import BookDelta, BookSnapshot, BookTop, BookUpdate, Level, State
from market.intervals import SECOND
from market.kept_depth import CHECKPOINT_S, KeptDepth

NAME = "binance:BTC-USDT"
LEVELS = st.lists(
    st.tuples(st.integers(1, 30).map(float), st.integers(0, 3).map(float)), max_size=6
)


def message(
    sequence: int, bids: list[Level], asks: list[Level], *, is_whole: bool, at: int = 0
) -> BookSnapshot | BookDelta:
    kind = BookSnapshot if is_whole else BookDelta
    return kind(instrument=NAME, ts_event=at, ts_recv=at, bids=bids, asks=asks, sequence=sequence)


def top(sequence: int, at: int) -> BookTop:
    return BookTop(
        instrument=NAME, ts_event=at, ts_recv=at, bids=[], asks=[], spread=None, imbalance=None,
        sequence=sequence, state=State.LIVE,
    )  # fmt: skip


def built(updates: list[BookUpdate]) -> tuple[dict[float, float], dict[float, float]]:
    """A plain model: dicts, and the chain must hold."""
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    last: int | None = None
    for update in updates:
        if update.is_whole:
            bids.clear()
            asks.clear()
        else:
            assert update.prev_sequence == last
        for side, levels in ((bids, update.bids), (asks, update.asks)):
            side.update(levels)
        last = update.sequence
    return tuple({p: s for p, s in side.items() if s} for side in (bids, asks))  # type: ignore[return-value]


@given(st.lists(st.tuples(LEVELS, LEVELS, st.integers(0, 9), st.integers(0, 400)), min_size=1))
def test_any_messages_can_be_built_again_with_checkpoints_between(
    drawn: list[tuple[list[Level], list[Level], int, int]],
) -> None:
    book, log = Book(), BookUpdates(KeptDepth.parse("all"))
    updates: list[BookUpdate] = []
    now = 0
    for sequence, (bids, asks, kind, seconds) in enumerate(drawn, 1):
        now += seconds * SECOND
        event = message(sequence, bids, asks, is_whole=book.is_empty or kind == 0, at=now)
        book.apply(event)
        updates.append(log.message(event, now))
        kept = log.beat(top(sequence, now), book, now)
        if kept is not None:
            updates.append(kept)
        if kind == 1:
            book.clear()
            log.broke()
    if not book.is_empty:
        assert built(updates) == book.levels()
    assert len({(each.ts_event, each.sequence, each.is_whole) for each in updates}) == len(updates)


def test_a_whole_book_is_kept_on_round_moments_and_after_a_gap() -> None:
    log, book = BookUpdates(KeptDepth.parse("snapshots 60s")), Book()
    book.replace([(1.0, 2.0), (1.5, 1.0)], [(3.0, 1.0), (2.0, 1.0)], sequence=7)
    kept = {}
    for second in range(50, 190):
        if second == 100:
            log.broke()
        update = log.beat(top(second, second * SECOND), book, second * SECOND)
        if update is not None:
            kept[second] = update
    assert list(kept) == [50, 60, 100, 120, 180]
    assert kept[50].bids == [(1.5, 1.0), (1.0, 2.0)]
    assert kept[50].asks == [(2.0, 1.0), (3.0, 1.0)]
    assert all(each.is_whole and each.prev_sequence is None for each in kept.values())


def test_a_book_that_did_not_change_since_is_not_kept_twice() -> None:
    log, book = BookUpdates(KeptDepth.parse("all")), Book()
    log.message(message(1, [], [], is_whole=True), 0)
    assert log.beat(top(1, 0), book, CHECKPOINT_S * SECOND) is None
    log.message(message(2, [], [], is_whole=False), 0)
    assert log.beat(top(2, 0), book, 2 * CHECKPOINT_S * SECOND) is not None


def test_a_venue_without_numbers_gets_our_clock_and_never_the_same_twice() -> None:
    log = BookUpdates(KeptDepth.parse("all"))
    numbers = [log.message(message(0, [], [], is_whole=True), at).sequence for at in (5, 5, 5, 9)]
    assert numbers == [5, 6, 7, 9]


def test_a_restored_book_goes_on_with_its_chain() -> None:
    log = BookUpdates(KeptDepth.parse("all"))
    log.resume(41)
    assert log.message(message(42, [], [], is_whole=False), 0).prev_sequence == 41
