"""The true book of one instrument, in ticks and steps, and a copy of it at any update id."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import msgspec

from market.events import Level
from simulator.listings import Listing


class Print(msgspec.Struct, frozen=True, gc=False):
    """A trade happened.

    Attributes:
        symbol: `"BTC-USDT"`.
        ts: ns UTC.
        trade_id: one more than the symbol's trade before.
        price: ticks.
        size: steps.
        buyer_took: the aggressor bought.
    """

    symbol: str
    ts: int
    trade_id: int
    price: int
    size: int
    buyer_took: bool


class LevelChange(msgspec.Struct, frozen=True, gc=False):
    """A level of the true book changed.

    Attributes:
        symbol: `"BTC-USDT"`.
        ts: ns UTC.
        update_id: one more than the symbol's change before.
        is_bid: which side.
        price: ticks.
        size: steps that the level has now; 0: it is gone.
    """

    symbol: str
    ts: int
    update_id: int
    is_bid: bool
    price: int
    size: int


Change = Print | LevelChange
"""What happens in the market."""


class Ladder:
    """One side: sizes by price, and the prices in ascending order."""

    __slots__ = ("prices", "sizes")

    def __init__(self) -> None:
        self.prices: list[int] = []
        self.sizes: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self.prices)

    def put(self, price: int, size: int) -> None:
        """Set a level; size 0 removes it, whether it is there or not."""
        if size:
            if price not in self.sizes:
                insort(self.prices, price)
            self.sizes[price] = size
        elif self.sizes.pop(price, 0):
            del self.prices[bisect_left(self.prices, price)]

    def levels(self) -> Iterator[tuple[int, int]]:
        """Yield price and size, the lowest price first."""
        return ((price, self.sizes[price]) for price in self.prices)


class BookCopy(msgspec.Struct, frozen=True):
    """All levels of one book at one moment, in quote and base currency.

    `bids` fall, `asks` rise. Numbers are those that a client reads from decimal text.
    """

    symbol: str
    update_id: int
    bids: list[Level]
    asks: list[Level]


class TrueBook:
    """Both sides of one instrument.

    Args:
        listing: what a tick and a step are.
        update_id: of the last change before this book.
    """

    def __init__(self, listing: Listing, update_id: int) -> None:
        self.listing = listing
        self.update_id = update_id
        self.bids = Ladder()
        self.asks = Ladder()

    @property
    def best_bid(self) -> int | None:
        """Highest bid in ticks, None when there is none."""
        return self.bids.prices[-1] if self.bids.prices else None

    @property
    def best_ask(self) -> int | None:
        """Lowest ask in ticks, None when there is none."""
        return self.asks.prices[0] if self.asks.prices else None

    def apply(self, change: LevelChange) -> None:
        """Take one change."""
        (self.bids if change.is_bid else self.asks).put(change.price, change.size)
        self.update_id = change.update_id

    def undoing(self, change: LevelChange) -> LevelChange:
        """Return what brings this book back once it has taken the change."""
        side = self.bids if change.is_bid else self.asks
        size = side.sizes.get(change.price, 0)
        return LevelChange(
            change.symbol, change.ts, self.update_id, change.is_bid, change.price, size
        )

    def copy(self) -> BookCopy:
        """Return all levels as numbers."""
        return BookCopy(
            symbol=self.listing.symbol,
            update_id=self.update_id,
            bids=self._numbers(self.bids)[::-1],
            asks=self._numbers(self.asks),
        )

    def duplicate(self) -> "TrueBook":
        """Return another book with the same levels."""
        other = TrueBook(self.listing, self.update_id)
        for ours, theirs in ((self.bids, other.bids), (self.asks, other.asks)):
            theirs.prices = list(ours.prices)
            theirs.sizes = dict(ours.sizes)
        return other

    def _numbers(self, side: Ladder) -> list[Level]:
        ticks, steps, sizes = self.listing.ticks, self.listing.steps, side.sizes
        return [(price / ticks, sizes[price] / steps) for price in side.prices]


class TrueBookHistory:
    """What the true book was when it had a given update id.

    A client lags by latency and by the venue's rhythm; this says what it ought to have. It keeps
    the changes after the last id that was asked for, so ask in rising order, and ask often.

    Args:
        book: the true book now; it is copied.
    """

    def __init__(self, book: TrueBook) -> None:
        self._book = book.duplicate()
        self._later: deque[LevelChange] = deque()

    def record(self, changes: Iterable[LevelChange]) -> None:
        """Remember changes of this symbol."""
        self._later.extend(changes)

    def at(self, update_id: int) -> TrueBook:
        """Return the book as it was after this update; do not change it.

        Raises:
            ValueError: an id that is later than the last change, or was passed already.
        """
        while self._book.update_id < update_id and self._later:
            self._book.apply(self._later.popleft())
        if self._book.update_id != update_id:
            raise ValueError(f"no book at update {update_id}: it is at {self._book.update_id}")
        return self._book

    def knows(self, update_id: int) -> bool:
        """Tell whether `at` has an answer for this update id."""
        last = self._later[-1].update_id if self._later else self._book.update_id
        return self._book.update_id <= update_id <= last

    def find(self, is_it: Callable[[TrueBook], bool]) -> TrueBook | None:
        """Return the first book, from the last one told on, that `is_it`; do not change it.

        None when there is none; the changes are then still there.
        """
        book = self._book
        undo: list[LevelChange] = []
        while not is_it(book):
            if len(undo) == len(self._later):
                for change in reversed(undo):
                    book.apply(change)
                return None
            change = self._later[len(undo)]
            undo.append(book.undoing(change))
            book.apply(change)
        for _ in undo:
            self._later.popleft()
        return book
