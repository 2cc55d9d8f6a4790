"""A quote as the book that it shows: one level a side."""

from market.events import BookSnapshot, Quote


def as_book(quote: Quote) -> BookSnapshot:
    """Return the whole book that a quote is; it has no sequence number.

    Example:
        >>> quote = Quote(instrument="massive:BTC-USD", ts_event=1, ts_recv=2, bid=99.0,
        ...     bid_size=0.5, ask=None, ask_size=0.0)
        >>> as_book(quote).bids, as_book(quote).asks
        ([(99.0, 0.5)], [])
    """
    return BookSnapshot(
        instrument=quote.instrument,
        ts_event=quote.ts_event,
        ts_recv=quote.ts_recv,
        bids=[] if quote.bid is None else [(quote.bid, quote.bid_size)],
        asks=[] if quote.ask is None else [(quote.ask, quote.ask_size)],
        sequence=0,
    )
