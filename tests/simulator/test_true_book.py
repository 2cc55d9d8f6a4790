import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.listings import LISTINGS
from simulator.true_book import Ladder, LevelChange, TrueBook, TrueBookHistory

LISTING = LISTINGS[0]
CHANGES = st.lists(st.tuples(st.booleans(), st.integers(1, 9), st.integers(0, 3)), max_size=60)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), max_size=60))
def test_a_ladder_is_a_dict_with_its_prices_in_order(puts: list[tuple[int, int]]) -> None:
    ladder, plain = Ladder(), {}
    for price, size in puts:
        ladder.put(price, size)
        plain[price] = size
        plain = {key: value for key, value in plain.items() if value}
        assert list(ladder.levels()) == sorted(plain.items())


def changes_of(rows: list[tuple[bool, int, int]]) -> list[LevelChange]:
    return [
        LevelChange("BTC-USDT", index, 101 + index, is_bid, price if is_bid else price + 10, size)
        for index, (is_bid, price, size) in enumerate(rows)
    ]


@given(CHANGES, st.data())
def test_history_gives_the_book_of_any_later_update(
    rows: list[tuple[bool, int, int]], data: st.DataObject
) -> None:
    book = TrueBook(LISTING, 100)
    history = TrueBookHistory(book)
    copies = [book.copy()]
    for change in changes_of(rows):
        book.apply(change)
        history.record([change])
        copies.append(book.copy())
    asked = data.draw(st.lists(st.integers(0, len(rows)), max_size=5).map(sorted))
    for index in asked:
        assert history.at(100 + index).copy() == copies[index]


def test_history_refuses_what_it_does_not_know() -> None:
    book = TrueBook(LISTING, 100)
    history = TrueBookHistory(book)
    history.record(changes_of([(True, 5, 1)]))
    with pytest.raises(ValueError, match="102"):
        history.at(102)
    with pytest.raises(ValueError, match="100"):
        history.at(100)


def test_a_copy_tells_numbers_best_levels_first() -> None:
    book = TrueBook(LISTING, 1)
    book.bids.put(6400000, 100000)
    book.bids.put(6399999, 1)
    book.asks.put(6400001, 250000)
    copy = book.copy()
    assert copy.bids == [(64000.0, 1.0), (63999.99, 0.00001)]
    assert copy.asks == [(64000.01, 2.5)]
    assert (book.best_bid, book.best_ask) == (6400000, 6400001)


@given(CHANGES, st.integers(0, 60))
def test_a_book_that_is_looked_for_is_found_or_nothing_has_happened(
    rows: list[tuple[bool, int, int]], wanted: int
) -> None:
    book = TrueBook(LISTING, 100)
    history = TrueBookHistory(book)
    for change in changes_of(rows):
        book.apply(change)
        history.record([change])
    copies = []
    found = history.find(lambda one: bool(copies.append(one.copy())))  # type: ignore[func-returns-value]
    assert found is None
    assert [copy.update_id for copy in copies] == [100 + index for index in range(len(rows) + 1)]
    found = history.find(lambda one: one.update_id == 100 + wanted)
    if wanted > len(rows):
        assert found is None
        wanted = 0
    else:
        assert found is not None
        assert found.copy() == copies[wanted]
    for later in range(wanted, len(rows) + 1):
        assert history.at(100 + later).copy() == copies[later]
