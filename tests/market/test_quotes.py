"""A quote as a book."""

from market.events import Quote
from market.quotes import as_book


def test_a_quote_is_a_book_of_one_level_a_side() -> None:
    quote = Quote(
        instrument="massive:BTC-USD", ts_event=5, ts_recv=7, bid=99.0, bid_size=0.5, ask=101.0,
        ask_size=2.0, exchange="1",
    )  # fmt: skip
    book = as_book(quote)
    assert (book.bids, book.asks) == ([(99.0, 0.5)], [(101.0, 2.0)])
    assert (book.instrument, book.ts_event, book.ts_recv) == ("massive:BTC-USD", 5, 7)
    assert book.sequence == 0
    assert not book.catching_up


def test_a_side_that_is_empty_has_no_level() -> None:
    quote = Quote(
        instrument="massive:BTC-USD", ts_event=5, ts_recv=7, bid=None, bid_size=0.0, ask=None,
        ask_size=0.0,
    )  # fmt: skip
    assert (as_book(quote).bids, as_book(quote).asks) == ([], [])
