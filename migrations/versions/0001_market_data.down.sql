DROP TABLE gaps;
DROP TABLE outbox;
DROP TABLE alerts;
DROP TABLE features;
DROP TABLE bars;
DROP TABLE book_tops;
DROP TABLE trades;
DROP TABLE instruments;
