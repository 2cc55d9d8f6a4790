DROP VIEW bars_1h;
DROP VIEW bars_15m;
DROP VIEW bars_5m;
DROP VIEW alerts_today;
DROP VIEW latest_book;
DROP VIEW latest_bars;
DROP TABLE book_updates;
