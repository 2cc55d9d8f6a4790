-- Updates of books, and views for people. Plain PostgreSQL 14 or newer.

CREATE TABLE book_updates (
    venue         text        NOT NULL,
    symbol        text        NOT NULL,
    time          timestamptz NOT NULL,
    sequence      bigint      NOT NULL,
    kind          text        NOT NULL CHECK (kind IN ('snapshot', 'delta')),
    prev_sequence bigint,
    bid_prices    float8[]    NOT NULL,
    bid_sizes     float8[]    NOT NULL,
    ask_prices    float8[]    NOT NULL,
    ask_sizes     float8[]    NOT NULL,
    received_at   timestamptz NOT NULL,
    PRIMARY KEY (venue, symbol, time, sequence, kind)
);
COMMENT ON TABLE book_updates IS 'Whole books and their changes, from which a book can be built again; store.depth says how many.';
COMMENT ON COLUMN book_updates.venue IS 'Lower-case name of the venue.';
COMMENT ON COLUMN book_updates.symbol IS 'BASE-QUOTE.';
COMMENT ON COLUMN book_updates.time IS 'The venue''s time of the update.';
COMMENT ON COLUMN book_updates.sequence IS 'The venue''s update id; our clock in ns where it has none.';
COMMENT ON COLUMN book_updates.kind IS 'snapshot: the whole book; delta: the levels that changed.';
COMMENT ON COLUMN book_updates.prev_sequence IS 'The sequence that a delta follows on; null for a snapshot.';
COMMENT ON COLUMN book_updates.bid_prices IS 'In the quote asset.';
COMMENT ON COLUMN book_updates.bid_sizes IS 'The new size in the base asset, one for each of bid_prices; 0 removes the level.';
COMMENT ON COLUMN book_updates.ask_prices IS 'In the quote asset.';
COMMENT ON COLUMN book_updates.ask_sizes IS 'The new size in the base asset, one for each of ask_prices; 0 removes the level.';
COMMENT ON COLUMN book_updates.received_at IS 'When we had it, by our clock.';

-- One probe of a key for each series, whatever the number of rows: `SELECT DISTINCT ON` would read
-- all of them. The lengths of bars are found by stepping from one to the next in the key.
CREATE VIEW latest_bars AS
SELECT bar.*
FROM (SELECT venue, symbol FROM instruments
      UNION ALL
      SELECT DISTINCT 'merged' AS venue, symbol FROM instruments) AS series
CROSS JOIN LATERAL (
    WITH RECURSIVE lengths AS (
        (SELECT b."interval" FROM bars AS b
         WHERE b.venue = series.venue AND b.symbol = series.symbol
         ORDER BY b."interval" LIMIT 1)
        UNION ALL
        SELECT (SELECT b."interval" FROM bars AS b
                WHERE b.venue = series.venue AND b.symbol = series.symbol
                  AND b."interval" > lengths."interval"
                ORDER BY b."interval" LIMIT 1)
        FROM lengths WHERE lengths."interval" IS NOT NULL
    )
    SELECT "interval" FROM lengths WHERE "interval" IS NOT NULL
) AS length
CROSS JOIN LATERAL (
    SELECT * FROM bars AS b
    WHERE b.venue = series.venue AND b.symbol = series.symbol
      AND b."interval" = length."interval"
    ORDER BY b.start DESC LIMIT 1
) AS bar;
COMMENT ON VIEW latest_bars IS 'The newest bar of each instrument and interval, and of each symbol over all venues.';

CREATE VIEW latest_book AS
SELECT top.venue, top.symbol, top.time, top.bid_prices[1] AS bid, top.bid_sizes[1] AS bid_size,
       top.ask_prices[1] AS ask, top.ask_sizes[1] AS ask_size, top.spread, top.imbalance, top.state,
       top.bid_prices, top.bid_sizes, top.ask_prices, top.ask_sizes, top.sequence, top.received_at
FROM (SELECT venue, symbol FROM instruments
      UNION ALL
      SELECT DISTINCT 'merged' AS venue, symbol FROM instruments) AS series
CROSS JOIN LATERAL (
    SELECT * FROM book_tops AS t
    WHERE t.venue = series.venue AND t.symbol = series.symbol
    ORDER BY t.time DESC LIMIT 1
) AS top;
COMMENT ON VIEW latest_book IS 'The newest row of book_tops of each instrument.';
COMMENT ON COLUMN latest_book.bid IS 'Best bid; null when there is none.';
COMMENT ON COLUMN latest_book.ask IS 'Best ask; null when there is none.';

CREATE VIEW alerts_today AS
SELECT fired_at, severity, spec, venue, symbol, "interval", text, "values", time, targets, key
FROM alerts
WHERE fired_at >= date_trunc('day', now(), 'UTC')
ORDER BY fired_at DESC;
COMMENT ON VIEW alerts_today IS 'What fired since midnight UTC, the newest first.';

CREATE VIEW bars_5m AS
SELECT venue, symbol, date_bin('5 minutes', start, '2000-01-01 00:00:00+00') AS start,
       date_bin('5 minutes', start, '2000-01-01 00:00:00+00') + interval '5 minutes' AS "end",
       (array_agg(open ORDER BY start))[1] AS open, max(high) AS high, min(low) AS low,
       (array_agg(close ORDER BY start DESC))[1] AS close, sum(volume) AS volume,
       sum(buy_volume) AS buy_volume, sum(notional) AS notional,
       coalesce(sum(notional) / nullif(sum(volume), 0), (array_agg(close ORDER BY start DESC))[1])
           AS vwap,
       sum(count) AS count, bool_or(partial) AS partial, bool_or(gap) AS gap,
       count(*) AS minutes
FROM bars
WHERE "interval" = '1m'
GROUP BY venue, symbol, date_bin('5 minutes', start, '2000-01-01 00:00:00+00');
COMMENT ON VIEW bars_5m IS 'Bars of 5 minutes, made of the stored bars of one minute; the newest may still grow.';
COMMENT ON COLUMN bars_5m.minutes IS 'How many bars of one minute it is made of; minutes without a trade have none.';

CREATE VIEW bars_15m AS
SELECT venue, symbol, date_bin('15 minutes', start, '2000-01-01 00:00:00+00') AS start,
       date_bin('15 minutes', start, '2000-01-01 00:00:00+00') + interval '15 minutes' AS "end",
       (array_agg(open ORDER BY start))[1] AS open, max(high) AS high, min(low) AS low,
       (array_agg(close ORDER BY start DESC))[1] AS close, sum(volume) AS volume,
       sum(buy_volume) AS buy_volume, sum(notional) AS notional,
       coalesce(sum(notional) / nullif(sum(volume), 0), (array_agg(close ORDER BY start DESC))[1])
           AS vwap,
       sum(count) AS count, bool_or(partial) AS partial, bool_or(gap) AS gap,
       count(*) AS minutes
FROM bars
WHERE "interval" = '1m'
GROUP BY venue, symbol, date_bin('15 minutes', start, '2000-01-01 00:00:00+00');
COMMENT ON VIEW bars_15m IS 'Bars of 15 minutes, made of the stored bars of one minute; the newest may still grow.';
COMMENT ON COLUMN bars_15m.minutes IS 'How many bars of one minute it is made of; minutes without a trade have none.';

CREATE VIEW bars_1h AS
SELECT venue, symbol, date_bin('1 hour', start, '2000-01-01 00:00:00+00') AS start,
       date_bin('1 hour', start, '2000-01-01 00:00:00+00') + interval '1 hour' AS "end",
       (array_agg(open ORDER BY start))[1] AS open, max(high) AS high, min(low) AS low,
       (array_agg(close ORDER BY start DESC))[1] AS close, sum(volume) AS volume,
       sum(buy_volume) AS buy_volume, sum(notional) AS notional,
       coalesce(sum(notional) / nullif(sum(volume), 0), (array_agg(close ORDER BY start DESC))[1])
           AS vwap,
       sum(count) AS count, bool_or(partial) AS partial, bool_or(gap) AS gap,
       count(*) AS minutes
FROM bars
WHERE "interval" = '1m'
GROUP BY venue, symbol, date_bin('1 hour', start, '2000-01-01 00:00:00+00');
COMMENT ON VIEW bars_1h IS 'Bars of 1 hour, made of the stored bars of one minute; the newest may still grow.';
COMMENT ON COLUMN bars_1h.minutes IS 'How many bars of one minute it is made of; minutes without a trade have none.';
