-- Whole books, as far as store.depth asks for them.

CREATE TABLE book_updates (
    venue         text        NOT NULL,
    symbol        text        NOT NULL,
    time          timestamptz NOT NULL,
    sequence      bigint      NOT NULL,
    kind          text        NOT NULL,
    prev_sequence bigint,
    bid_prices    float8[]    NOT NULL,
    bid_sizes     float8[]    NOT NULL,
    ask_prices    float8[]    NOT NULL,
    ask_sizes     float8[]    NOT NULL,
    received_at   timestamptz NOT NULL,
    PRIMARY KEY (venue, symbol, time, sequence, kind)
);
COMMENT ON TABLE book_updates IS 'Whole books and their changes, as far as store.depth asks.';
COMMENT ON COLUMN book_updates.venue IS 'Lower-case name of the venue.';
COMMENT ON COLUMN book_updates.symbol IS 'BASE-QUOTE.';
COMMENT ON COLUMN book_updates.time IS 'The venue''s time.';
COMMENT ON COLUMN book_updates.sequence IS 'The venue''s update id; our clock in ns where it has none.';
COMMENT ON COLUMN book_updates.kind IS 'snapshot: the whole book; delta: changed levels, size 0 removes one.';
COMMENT ON COLUMN book_updates.prev_sequence IS 'Sequence of the update before; null for a snapshot.';
COMMENT ON COLUMN book_updates.bid_prices IS 'In the quote asset.';
COMMENT ON COLUMN book_updates.bid_sizes IS 'In the base asset, one for each of bid_prices.';
COMMENT ON COLUMN book_updates.ask_prices IS 'In the quote asset.';
COMMENT ON COLUMN book_updates.ask_sizes IS 'In the base asset, one for each of ask_prices.';
COMMENT ON COLUMN book_updates.received_at IS 'When we had it, by our clock.';
