-- Tables of the store. Plain PostgreSQL 14 or newer: what only TimescaleDB has is in storage.py.
--
-- Times are timestamptz: the venue's time unless a column is named received_at or says otherwise.
-- Keys are natural, so that a row that comes twice is one row. Every key holds the time column,
-- and nothing refers to a table that may become a hypertable: TimescaleDB asks for both.

CREATE TABLE instruments (
    venue  text   NOT NULL,
    symbol text   NOT NULL,
    native text   NOT NULL,
    base   text   NOT NULL,
    quote  text   NOT NULL,
    tick   float8 NOT NULL,
    step   float8 NOT NULL,
    kind   text   NOT NULL,
    PRIMARY KEY (venue, symbol)
);
COMMENT ON TABLE instruments IS 'What is traded where, as the venue lists it.';
COMMENT ON COLUMN instruments.venue IS 'Lower-case name of the venue.';
COMMENT ON COLUMN instruments.symbol IS 'BASE-QUOTE, spelled the same at every venue.';
COMMENT ON COLUMN instruments.native IS 'The venue''s own spelling.';
COMMENT ON COLUMN instruments.base IS 'Asset that is bought and sold.';
COMMENT ON COLUMN instruments.quote IS 'Asset that prices are told in.';
COMMENT ON COLUMN instruments.tick IS 'Smallest step of a price in the quote asset; 0 when not known.';
COMMENT ON COLUMN instruments.step IS 'Smallest step of a size in the base asset; 0 when not known.';
COMMENT ON COLUMN instruments.kind IS 'spot.';

CREATE TABLE trades (
    venue       text        NOT NULL,
    symbol      text        NOT NULL,
    time        timestamptz NOT NULL,
    trade_id    text        NOT NULL,
    price       float8      NOT NULL,
    size        float8      NOT NULL,
    side        text        NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (venue, symbol, time, trade_id)
);
COMMENT ON TABLE trades IS 'Every trade, once.';
COMMENT ON COLUMN trades.venue IS 'Lower-case name of the venue.';
COMMENT ON COLUMN trades.symbol IS 'BASE-QUOTE.';
COMMENT ON COLUMN trades.time IS 'When the venue says that it happened.';
COMMENT ON COLUMN trades.trade_id IS 'The venue''s id of the trade.';
COMMENT ON COLUMN trades.price IS 'In the quote asset.';
COMMENT ON COLUMN trades.size IS 'In the base asset.';
COMMENT ON COLUMN trades.side IS 'The aggressor''s: buy or sell.';
COMMENT ON COLUMN trades.received_at IS 'When we had it, by our clock.';

CREATE TABLE book_tops (
    venue       text        NOT NULL,
    symbol      text        NOT NULL,
    time        timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    sequence    bigint      NOT NULL,
    bid_prices  float8[]    NOT NULL,
    bid_sizes   float8[]    NOT NULL,
    ask_prices  float8[]    NOT NULL,
    ask_sizes   float8[]    NOT NULL,
    spread      float8,
    imbalance   float8,
    state       text        NOT NULL,
    PRIMARY KEY (venue, symbol, time)
);
COMMENT ON TABLE book_tops IS 'Best levels of a book: one row a second, and one at each alert.';
COMMENT ON COLUMN book_tops.venue IS 'Lower-case name of the venue.';
COMMENT ON COLUMN book_tops.symbol IS 'BASE-QUOTE.';
COMMENT ON COLUMN book_tops.time IS 'The venue''s time: of the second that the row was kept for, or of the message that an alert fired on.';
COMMENT ON COLUMN book_tops.received_at IS 'When we had that message, by our clock.';
COMMENT ON COLUMN book_tops.sequence IS 'The venue''s update id; 0 where it has none.';
COMMENT ON COLUMN book_tops.bid_prices IS 'Best first, falling, in the quote asset.';
COMMENT ON COLUMN book_tops.bid_sizes IS 'In the base asset, one for each of bid_prices.';
COMMENT ON COLUMN book_tops.ask_prices IS 'Best first, rising, in the quote asset.';
COMMENT ON COLUMN book_tops.ask_sizes IS 'In the base asset, one for each of ask_prices.';
COMMENT ON COLUMN book_tops.spread IS 'Best ask less best bid; null unless both are there.';
COMMENT ON COLUMN book_tops.imbalance IS '(bid size - ask size) / (bid size + ask size), -1 to 1.';
COMMENT ON COLUMN book_tops.state IS 'live, warming, stale, resyncing or suspect.';

CREATE TABLE bars (
    venue      text        NOT NULL,
    symbol     text        NOT NULL,
    "interval" text        NOT NULL,
    start      timestamptz NOT NULL,
    "end"      timestamptz NOT NULL,
    open       float8      NOT NULL,
    high       float8      NOT NULL,
    low        float8      NOT NULL,
    close      float8      NOT NULL,
    volume     float8      NOT NULL,
    buy_volume float8      NOT NULL,
    notional   float8      NOT NULL,
    vwap       float8      NOT NULL,
    count      integer     NOT NULL,
    revision   integer     NOT NULL,
    partial    boolean     NOT NULL,
    gap        boolean     NOT NULL,
    PRIMARY KEY (venue, symbol, "interval", start)
);
COMMENT ON TABLE bars IS 'Closed bars; a correction replaces its bar and counts up revision.';
COMMENT ON COLUMN bars.venue IS 'Lower-case name of the venue.';
COMMENT ON COLUMN bars.symbol IS 'BASE-QUOTE.';
COMMENT ON COLUMN bars."interval" IS 'Length as people write it: 1s, 5m, 1h.';
COMMENT ON COLUMN bars.start IS 'First moment of the bar, the venue''s time.';
COMMENT ON COLUMN bars."end" IS 'First moment after the bar.';
COMMENT ON COLUMN bars.open IS 'Price of the first trade.';
COMMENT ON COLUMN bars.high IS 'Highest price.';
COMMENT ON COLUMN bars.low IS 'Lowest price.';
COMMENT ON COLUMN bars.close IS 'Price of the last trade.';
COMMENT ON COLUMN bars.volume IS 'Sum of sizes, in the base asset.';
COMMENT ON COLUMN bars.buy_volume IS 'The part of volume whose aggressor bought.';
COMMENT ON COLUMN bars.notional IS 'Sum of price times size, in the quote asset.';
COMMENT ON COLUMN bars.vwap IS 'notional / volume; the close when nothing traded.';
COMMENT ON COLUMN bars.count IS 'Number of trades.';
COMMENT ON COLUMN bars.revision IS '0 as closed; one more for each correction by a late trade.';
COMMENT ON COLUMN bars.partial IS 'Our first bar: it began before we did.';
COMMENT ON COLUMN bars.gap IS 'Trades may be missing.';

CREATE TABLE features (
    venue      text        NOT NULL,
    symbol     text        NOT NULL,
    "interval" text        NOT NULL,
    name       text        NOT NULL,
    time       timestamptz NOT NULL,
    value      float8,
    state      text        NOT NULL,
    revision   integer     NOT NULL,
    PRIMARY KEY (venue, symbol, "interval", name, time)
);
COMMENT ON TABLE features IS 'What the indicators say, a row for each closed bar.';
COMMENT ON COLUMN features.venue IS 'Lower-case name of the venue.';
COMMENT ON COLUMN features.symbol IS 'BASE-QUOTE.';
COMMENT ON COLUMN features."interval" IS 'Of the bars that it is computed from.';
COMMENT ON COLUMN features.name IS 'Name and parameters: rsi(14).';
COMMENT ON COLUMN features.time IS 'Start of the bar.';
COMMENT ON COLUMN features.value IS 'In the indicator''s own unit; null while it warms up.';
COMMENT ON COLUMN features.state IS 'live, warming, stale, resyncing or suspect.';
COMMENT ON COLUMN features.revision IS 'Revision of the bar that it follows from.';

CREATE TABLE alerts (
    key        text        NOT NULL PRIMARY KEY,
    spec       text        NOT NULL,
    spec_hash  text        NOT NULL,
    venue      text        NOT NULL,
    symbol     text        NOT NULL,
    "interval" text        NOT NULL,
    time       timestamptz NOT NULL,
    fired_at   timestamptz NOT NULL,
    severity   text        NOT NULL,
    text       text        NOT NULL,
    "values"   jsonb       NOT NULL,
    targets    text[]      NOT NULL
);
CREATE INDEX alerts_fired_at ON alerts (fired_at);
COMMENT ON TABLE alerts IS 'Every time that a spec fired, once.';
COMMENT ON COLUMN alerts.key IS 'Spec, hash of its content, series, interval and moment.';
COMMENT ON COLUMN alerts.spec IS 'Id of the spec.';
COMMENT ON COLUMN alerts.spec_hash IS 'Hash of the spec''s content when it fired.';
COMMENT ON COLUMN alerts.venue IS 'Lower-case name of the venue.';
COMMENT ON COLUMN alerts.symbol IS 'BASE-QUOTE.';
COMMENT ON COLUMN alerts."interval" IS 'Of the bar it fired on; empty for a book.';
COMMENT ON COLUMN alerts.time IS 'The venue''s time of what it fired on.';
COMMENT ON COLUMN alerts.fired_at IS 'Our time of the event that made it fire.';
COMMENT ON COLUMN alerts.severity IS 'info, warning or critical.';
COMMENT ON COLUMN alerts.text IS 'The message, as people read it.';
COMMENT ON COLUMN alerts."values" IS 'Fields that the condition looked at, with their values then.';
COMMENT ON COLUMN alerts.targets IS 'Names of the targets that it goes to.';

CREATE TABLE outbox (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_key       text        NOT NULL,
    target          text        NOT NULL,
    severity        text        NOT NULL,
    text            text        NOT NULL,
    fired_at        timestamptz NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    state           text        NOT NULL DEFAULT 'pending' CHECK (state IN (
        'pending', 'sending', 'sent', 'digested', 'suppressed', 'expired', 'failed', 'unknown'
    )),
    attempts        integer     NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    attempted_at    timestamptz,
    finished_at     timestamptz,
    error           text,
    message_id      text,
    UNIQUE (alert_key, target)
);
CREATE INDEX outbox_pending ON outbox (next_attempt_at, id) WHERE state = 'pending';
COMMENT ON TABLE outbox IS 'Messages to send: a row for each alert and target.';
COMMENT ON COLUMN outbox.id IS 'Order in which they came.';
COMMENT ON COLUMN outbox.alert_key IS 'alerts.key.';
COMMENT ON COLUMN outbox.target IS 'Name of the target.';
COMMENT ON COLUMN outbox.severity IS 'info, warning or critical.';
COMMENT ON COLUMN outbox.text IS 'The message, as people read it.';
COMMENT ON COLUMN outbox.fired_at IS 'Our time of the event that made it fire.';
COMMENT ON COLUMN outbox.created_at IS 'When this row was made, the database''s clock.';
COMMENT ON COLUMN outbox.state IS 'pending, sending, or how it ended.';
COMMENT ON COLUMN outbox.attempts IS 'How often sending was begun.';
COMMENT ON COLUMN outbox.next_attempt_at IS 'Not to be sent before.';
COMMENT ON COLUMN outbox.attempted_at IS 'When the last attempt began.';
COMMENT ON COLUMN outbox.finished_at IS 'When its state became final.';
COMMENT ON COLUMN outbox.error IS 'What the last attempt was answered.';
COMMENT ON COLUMN outbox.message_id IS 'The target''s id of the message.';

CREATE TABLE gaps (
    venue      text        NOT NULL,
    symbol     text        NOT NULL,
    channel    text        NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    reason     text        NOT NULL,
    PRIMARY KEY (venue, symbol, channel, started_at)
);
CREATE INDEX gaps_started_at ON gaps (started_at);
COMMENT ON TABLE gaps IS 'Intervals in which data may be missing, by our clock.';
COMMENT ON COLUMN gaps.venue IS 'Lower-case name of the venue; empty when the store lost rows.';
COMMENT ON COLUMN gaps.symbol IS 'BASE-QUOTE; empty when the store lost rows.';
COMMENT ON COLUMN gaps.channel IS 'all, book, trade, or store: rows that could not be kept.';
COMMENT ON COLUMN gaps.started_at IS 'First moment that may be missing.';
COMMENT ON COLUMN gaps.ended_at IS 'When data flowed again; null while it does not.';
COMMENT ON COLUMN gaps.reason IS 'Why, for people.';
