"""`Book` against a plain dict that is sorted whenever it is read."""

import copy
import pickle

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from market.book import FEWEST_KEPT, REFILL, WIDEST, WINDOW, Book
from market.errors import BookError
from market.events import BookDelta, BookSnapshot, Level
from tests.drawn_examples import examples

ticks = st.integers(min_value=1, max_value=400)
sizes = st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0])
levels = st.lists(st.tuples(ticks.map(lambda tick: tick / 100), sizes), max_size=30)
counts = st.integers(min_value=1, max_value=WINDOW + 40)


def ladder(first: int, count: int, step: int, size: float = 1.0) -> list[Level]:
    """Levels at neighbouring prices, in hundredths, from `first` on."""
    ticks_ = range(first, first + count * step, step)
    return [(tick / 100, size) for tick in ticks_ if tick > 0]


class PlainBook:
    """The model: two dicts, sorted on every read."""

    def __init__(self) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}

    @staticmethod
    def set(side: dict[float, float], changes: list[Level]) -> None:
        for price, size in changes:
            if size:
                side[price] = size
            else:
                side.pop(price, None)

    def sorted_bids(self) -> list[Level]:
        return sorted(self.bids.items(), reverse=True)

    def sorted_asks(self) -> list[Level]:
        return sorted(self.asks.items())


def best_bid(book: Book) -> float | None:
    bids, _ = book.top(1)
    return bids[0][0] if bids else None


def check(book: Book, model: PlainBook) -> None:
    bids, asks = model.sorted_bids(), model.sorted_asks()
    for depth in (1, REFILL):
        assert book.top(depth) == (bids[:depth], asks[:depth])
    assert book.is_crossed == bool(bids and asks and bids[0][0] >= asks[0][0])
    assert book.levels() == (model.bids, model.asks)
    assert len(book) == len(bids) + len(asks)
    for side in (book._bids, book._asks):
        assert side.window == sorted(side.held, reverse=side.is_bid)[: len(side.window)]
        assert len(side.window) <= WIDEST


class BookMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.book = Book()
        self.model = PlainBook()
        self.sequence = 0
        self.is_empty = True

    def change(self, bids: list[Level], asks: list[Level]) -> None:
        self.sequence += 1
        assert self.book.change(bids, asks, sequence=self.sequence)
        self.model.set(self.model.bids, bids)
        self.model.set(self.model.asks, asks)

    @rule(bids=counts, asks=counts, gap=st.integers(min_value=1, max_value=3))
    def replace_by_a_deep_book(self, bids: int, asks: int, gap: int) -> None:
        self.replace(ladder(300, bids, -gap), ladder(301, asks, gap))

    @rule(bids=levels, asks=levels)
    def replace_by_any_book(self, bids: list[Level], asks: list[Level]) -> None:
        self.replace(list(dict(bids).items()), list(dict(asks).items()))

    def replace(self, bids: list[Level], asks: list[Level]) -> None:
        self.sequence += 1
        self.book.replace(bids, asks, sequence=self.sequence)
        self.model = PlainBook()
        self.model.set(self.model.bids, bids)
        self.model.set(self.model.asks, asks)
        self.is_empty = False

    @rule()
    def clear(self) -> None:
        self.book.clear()
        self.model = PlainBook()
        self.is_empty = True

    @precondition(lambda self: self.is_empty)
    @rule(bids=levels, asks=levels)
    def refuse_a_delta_before_a_snapshot(self, bids: list[Level], asks: list[Level]) -> None:
        with pytest.raises(BookError, match="before the snapshot"):
            self.book.change(bids, asks, sequence=self.sequence + 1)

    @precondition(lambda self: not self.is_empty)
    @rule(bids=levels, asks=levels)
    def change_any_levels(self, bids: list[Level], asks: list[Level]) -> None:
        self.change(bids, asks)

    @precondition(lambda self: not self.is_empty)
    @rule(count=counts, adds=levels, in_one_message=st.booleans())
    def lose_the_best(self, count: int, adds: list[Level], *, in_one_message: bool) -> None:
        bids = [(price, 0.0) for price, _ in self.model.sorted_bids()[:count]]
        asks = [(price, 0.0) for price, _ in self.model.sorted_asks()[:count]]
        if in_one_message:
            self.change(bids + adds, asks + adds)
        else:
            for level in bids:
                self.change([level], [])
            for level in asks:
                self.change([], [level])

    @precondition(lambda self: not self.is_empty)
    @rule(first=ticks, count=counts, size=sizes)
    def change_neighbours(self, first: int, count: int, size: float) -> None:
        self.change(ladder(first, count, -1, size), ladder(first, count, 1, size))

    @precondition(lambda self: not self.is_empty)
    @rule(bids=levels, asks=levels, age=st.integers(min_value=0, max_value=3))
    def ignore_an_old_delta(self, bids: list[Level], asks: list[Level], age: int) -> None:
        if self.sequence > age:
            assert not self.book.change(bids, asks, sequence=self.sequence - age)

    @rule(depth=st.integers(min_value=1, max_value=WINDOW))
    def read_deeper_than_the_window_promises(self, depth: int) -> None:
        bids, asks = self.model.sorted_bids(), self.model.sorted_asks()
        assert self.book.top(depth) == (bids[:depth], asks[:depth])

    @precondition(lambda self: not self.is_empty)
    @rule()
    def survive_a_pickle(self) -> None:
        self.book = pickle.loads(pickle.dumps(self.book))  # noqa: S301 - our own bytes

    @invariant()
    def equals_the_model(self) -> None:
        check(self.book, self.model)
        assert self.book.is_empty == self.is_empty
        if not self.is_empty:
            assert self.book.sequence == self.sequence


BookMachine.TestCase.settings = settings(examples(20), stateful_step_count=30)
TestBookAgainstModel = BookMachine.TestCase


@given(start=levels, changes=st.lists(levels, max_size=20), final=levels)
def test_a_snapshot_and_its_deltas_equal_the_final_snapshot(
    start: list[Level], changes: list[list[Level]], final: list[Level]
) -> None:
    walked, direct = Book(), Book()
    walked.replace(start, start, sequence=1)
    for number, change in enumerate(changes, start=2):
        walked.change(change, change, sequence=number)
    target = {price: size for price, size in final if size}
    bids, asks = walked.levels()
    walked.change(
        [*((price, 0.0) for price in bids if price not in target), *target.items()],
        [*((price, 0.0) for price in asks if price not in target), *target.items()],
        sequence=100,
    )
    direct.replace(list(target.items()), list(target.items()), sequence=100)
    assert walked.levels() == direct.levels()
    assert walked.top(REFILL) == direct.top(REFILL)


@given(start=levels, changes=st.lists(levels, max_size=10))
def test_one_delta_equals_the_same_levels_one_by_one(
    start: list[Level], changes: list[list[Level]]
) -> None:
    at_once, singly = Book(), Book()
    at_once.replace(start, start, sequence=0)
    singly.replace(start, start, sequence=0)
    joined = [level for change in changes for level in change]
    at_once.change(joined, joined, sequence=0)
    for level in joined:
        singly.change([level], [level], sequence=0)
    assert at_once.levels() == singly.levels()
    assert at_once.top(REFILL) == singly.top(REFILL)


def deep_book() -> tuple[Book, PlainBook]:
    book, model = Book(), PlainBook()
    bids, asks = ladder(1000, 200, -1), ladder(1001, 200, 1)
    book.replace(bids, asks, sequence=1)
    model.set(model.bids, bids)
    model.set(model.asks, asks)
    return book, model


def test_the_window_is_drawn_again_when_the_best_levels_go() -> None:
    book, model = deep_book()
    for _ in range(WINDOW - REFILL + 1):
        bids, asks = book.top(1)
        bid, ask = (bids[0][0], 0.0), (asks[0][0], 0.0)
        book.change([bid], [ask], sequence=0)
        model.set(model.bids, [bid])
        model.set(model.asks, [ask])
        check(book, model)


def test_a_deep_read_of_a_thinned_window_is_whole() -> None:
    book, model = deep_book()
    book.change(ladder(1000, 40, -1, 0.0), ladder(1001, 30, 1, 0.0), sequence=0)
    model.set(model.bids, ladder(1000, 40, -1, 0.0))
    model.set(model.asks, ladder(1001, 30, 1, 0.0))
    for depth in (24, 25, 35, WINDOW):
        bids, asks = model.sorted_bids(), model.sorted_asks()
        assert book.top(depth) == (bids[:depth], asks[:depth])
    check(book, model)


def test_a_message_may_take_the_whole_window_and_add_below_it() -> None:
    book, model = deep_book()
    bids = [*ladder(1000, WINDOW + 5, -1, 0.0), (9.0, 3.0), (8.005, 1.0), (0.01, 1.0)]
    asks = [*ladder(1001, WINDOW + 5, 1, 0.0), (11.0, 3.0), (12.005, 1.0), (99.0, 1.0)]
    book.change(bids, asks, sequence=2)
    model.set(model.bids, bids)
    model.set(model.asks, asks)
    check(book, model)


def test_a_level_below_a_thinned_window_waits_outside_it() -> None:
    book, model = deep_book()
    thin = ladder(1000, 30, -1, 0.0)
    book.change(thin, [], sequence=0)
    book.change([(9.365, 7.0)], [], sequence=0)  # just below the window, above what is outside
    model.set(model.bids, [*thin, (9.365, 7.0)])
    check(book, model)
    rest = ladder(970, 30, -1, 0.0)
    book.change(rest, [], sequence=0)
    model.set(model.bids, rest)
    check(book, model)
    assert best_bid(book) == 9.40


def test_removed_levels_are_not_kept_for_ever() -> None:
    book, model = deep_book()
    for start in range(2_000, 22_000, 100):
        gone = ladder(start, 100, 1, 0.0)  # removals of what was never there
        book.change([], gone, sequence=0)
    check(book, model)
    assert len(book._asks.held) <= FEWEST_KEPT + 100


def test_a_market_that_moves_on_leaves_nothing_behind() -> None:
    book = Book()
    book.replace(ladder(1000, 200, -1), ladder(1001, 200, 1), sequence=1)
    for tick in range(1001, 6001):  # up by a tick: the best ask goes, a bid comes in its place
        book.change(
            [(tick / 100, 1.0), ((tick - 200) / 100, 0.0)],
            [(tick / 100, 0.0), ((tick + 200) / 100, 1.0)],
            sequence=0,
        )
        assert book.top(1) == ([(tick / 100, 1.0)], [((tick + 1) / 100, 1.0)])
    assert len(book) == 400
    assert max(len(book._bids.held), len(book._asks.held)) <= FEWEST_KEPT


def test_one_message_may_empty_a_side_and_fill_it_again() -> None:
    book, model = deep_book()
    bids = [*ladder(1000, 200, -1, 0.0), *ladder(700, 80, -1)]
    book.change(bids, [], sequence=2)
    model.set(model.bids, bids)
    check(book, model)
    book.change(ladder(700, 80, -1, 0.0), [], sequence=3)
    assert best_bid(book) is None
    assert not book.is_crossed
    book.change([(5.0, 1.0)], [], sequence=4)
    assert book.top(1) == ([(5.0, 1.0)], [(10.01, 1.0)])


def test_bids_fall_and_asks_rise_whatever_the_order_they_came_in() -> None:
    book = Book()
    book.replace([(1.0, 1.0), (3.0, 1.0), (2.0, 1.0)], [(6.0, 1.0), (4.0, 1.0)], sequence=1)
    assert book.top(10) == ([(3.0, 1.0), (2.0, 1.0), (1.0, 1.0)], [(4.0, 1.0), (6.0, 1.0)])


def test_levels_of_size_zero_in_a_snapshot_are_no_levels() -> None:
    book = Book()
    book.replace([(1.0, 0.0), (0.5, 2.0)], [(2.0, 0.0)], sequence=1)
    assert book.levels() == ({0.5: 2.0}, {})


def test_removing_a_level_that_is_not_there_changes_nothing() -> None:
    book = Book()
    book.replace([(1.0, 1.0)], [(2.0, 1.0)], sequence=1)
    assert book.change([(0.9, 0.0), (1.5, 0.0)], [(2.1, 0.0), (1.5, 0.0)], sequence=2)
    assert book.levels() == ({1.0: 1.0}, {2.0: 1.0})


def test_the_last_size_of_a_price_in_one_message_counts() -> None:
    book = Book()
    book.replace([], [], sequence=1)
    book.change([(1.0, 1.0), (1.0, 0.0), (1.0, 3.0)], [(2.0, 1.0), (2.0, 0.0)], sequence=2)
    assert book.levels() == ({1.0: 3.0}, {})


@pytest.mark.parametrize("sequence", [6, 7], ids=["older", "same"])
def test_a_delta_that_is_no_news_is_left_out(sequence: int) -> None:
    book = Book()
    book.replace([(1.0, 1.0)], [], sequence=7)
    assert not book.change([(1.0, 0.0)], [], sequence=sequence)
    assert best_bid(book) == 1.0
    assert book.sequence == 7


def test_a_venue_without_update_ids_sends_zero_and_is_always_news() -> None:
    book = Book()
    book.replace([(1.0, 1.0)], [], sequence=0)
    assert book.change([(1.0, 2.0)], [], sequence=0)
    assert book.change([(1.0, 3.0)], [], sequence=0)
    assert book.top(1) == ([(1.0, 3.0)], [])


def snapshot(sequence: int, bid: float = 1.0) -> BookSnapshot:
    return BookSnapshot(
        instrument="binance:BTC-USDT",
        ts_event=0,
        ts_recv=0,
        bids=[(bid, 1.0)],
        asks=[],
        sequence=sequence,
    )


def delta(sequence: int, size: float = 5.0) -> BookDelta:
    return BookDelta(
        instrument="binance:BTC-USDT",
        ts_event=0,
        ts_recv=0,
        bids=[(1.0, size)],
        asks=[],
        sequence=sequence,
    )


def test_events_are_applied_by_what_they_are() -> None:
    book = Book()
    with pytest.raises(BookError, match="before the snapshot"):
        book.apply(delta(1))
    assert book.apply(snapshot(10))
    assert not book.apply(delta(10))
    assert book.apply(delta(11))
    assert book.top(1) == ([(1.0, 5.0)], [])


@pytest.mark.parametrize(
    ("sequence", "taken"),
    [(9, False), (10, True), (11, True), (0, True)],
    ids=["older", "same", "newer", "without a number"],
)
def test_a_second_connections_snapshot_replaces_only_what_is_not_newer(
    sequence: int, *, taken: bool
) -> None:
    book = Book()
    book.apply(snapshot(10))
    assert book.apply(snapshot(sequence, bid=2.0)) is taken
    assert best_bid(book) == (2.0 if taken else 1.0)


def test_a_cleared_book_takes_an_older_snapshot() -> None:
    book = Book()
    book.apply(snapshot(10))
    book.clear()
    assert book.is_empty
    assert (len(book), book.sequence) == (0, 0)
    assert book.apply(snapshot(3))
    assert book.sequence == 3


def test_an_empty_book_is_not_crossed_and_has_no_best() -> None:
    book = Book()
    assert not book.is_crossed
    assert (book.is_empty, book.sequence) == (True, 0)
    assert book.top(10) == ([], [])


@pytest.mark.parametrize(
    ("ask", "crossed"),
    [(9.99, True), (10.0, True), (10.01, False)],
    ids=["over", "locked", "apart"],
)
def test_a_book_whose_sides_meet_is_crossed(ask: float, *, crossed: bool) -> None:
    book = Book()
    book.replace([(10.0, 1.0)], [(ask, 1.0)], sequence=1)
    assert book.is_crossed is crossed


@pytest.mark.parametrize("depth", [0, -1, WINDOW + 1])
def test_a_depth_that_no_window_holds_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 64"):
        Book().top(depth)


def test_what_was_read_does_not_change_with_the_book() -> None:
    book, _ = deep_book()
    best, held = book.top(REFILL), book.levels()
    kept = copy.deepcopy((best, held))
    book.change(ladder(1000, 20, -1, 0.0), ladder(1001, 20, 1, 9.0), sequence=2)
    assert (best, held) == kept
    held[0].clear()
    assert len(book) == 380
