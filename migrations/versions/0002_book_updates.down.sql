DROP TABLE book_updates;
