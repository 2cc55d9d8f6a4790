"""Sizes and growth, against tables whose rows are known."""

import psycopg
import pytest

from migrations.table_sizes import LONGEST_DAYS, TableSize, days_left, read_sizes

FILL = """
INSERT INTO instruments VALUES ('v', 'A-B', 'AB', 'A', 'B', 0, 0, 'spot');
INSERT INTO trades SELECT 'v', 'A-B', now() - n * interval '1 minute', n::text, 1, 1, 'buy', now()
FROM generate_series(0, 2880) AS n;
INSERT INTO bars SELECT 'v', 'A-B', '1m', now() - n * interval '1 minute', now(),
    1, 1, 1, 1, 1, 1, 1, 1, 1, 0, false, false
FROM generate_series(0, 1440) AS n;
INSERT INTO features SELECT 'v', 'A-B', '1m', 'rsi(14)', now() - n * interval '1 minute', 1,
    'live', 0
FROM generate_series(0, 720) AS n;
INSERT INTO book_tops SELECT 'v', 'A-B', now() - n * interval '1 second', now(), n,
    '{}', '{}', '{}', '{}', 1, 0, 'live'
FROM generate_series(0, 10) AS n;
"""


def test_the_size_of_a_day_is_the_size_of_all_by_the_days_it_spans(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(FILL.encode())
        sizes = {size.table: size for size in read_sizes(connection, {"trades": 30})}
    for table, days in {"trades": 2.0, "bars": 1.0, "features": 0.5}.items():
        size = sizes[table]
        assert size.span_days == pytest.approx(days)
        assert size.day_size == pytest.approx(size.size / days)
        assert size.size > 2880 * days * 20
    assert sizes["book_tops"].day_size is None  # ten seconds say nothing of a day
    assert sizes["book_updates"].span_days is None
    assert sizes["trades"].keep_days == 30
    assert sizes["bars"].keep_days == 0
    assert {"instruments", "alerts", "outbox", "gaps", "filter_specs"} < set(sizes)


def size(day_size: float | None, *, span: float | None, keep: float) -> TableSize:
    return TableSize(table="t", size=0, span_days=span, day_size=day_size, keep_days=keep)


def test_days_are_counted_until_the_disk_is_full() -> None:
    for_ever = size(10.0, span=5, keep=0)
    assert days_left([for_ever], 100) == 11  # ten fill it, the eleventh is too much
    assert days_left([for_ever], 99) == 10
    assert days_left([for_ever], 0) == 1
    assert days_left([for_ever], 10 * LONGEST_DAYS) is None


def test_what_goes_when_it_is_due_fills_no_disk() -> None:
    bounded = size(10.0, span=5, keep=30)
    assert days_left([bounded], 250) is None
    assert days_left([bounded], 249) == 25
    assert days_left([size(10.0, span=31, keep=30)], 0) is None


def test_tables_add_up() -> None:
    both = [size(10.0, span=5, keep=30), size(1.0, span=5, keep=0)]
    # 250 bytes of the first at most, then a byte a day of the second.
    assert days_left(both, 300) == 51
    assert days_left([size(None, span=None, keep=0)], 0) is None
