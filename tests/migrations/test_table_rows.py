"""Rows counted and estimated, against tables whose rows are known."""

import psycopg
import pytest

from migrations.table_rows import EXACT_BYTES, RowCount, count_rows, list_tables

FILL = """
INSERT INTO trades SELECT 'v', 'A-B', now() - n * interval '1 minute', n::text, 1, 1, 'buy', now()
FROM generate_series(1, 20000) AS n;
INSERT INTO instruments VALUES ('v', 'A-B', 'AB', 'A', 'B', 0, 0, 'spot');
"""
MORE = """
INSERT INTO trades SELECT 'v', 'A-B', now() - n * interval '1 minute', 'b' || n, 1, 1, 'buy', now()
FROM generate_series(1, 10000) AS n;
"""


def test_all_tables_are_listed_and_nothing_else(fresh_database: str) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute('CREATE TABLE "Mine, too" (number int)')
        assert list_tables(connection) == [
            *("trades", "book_tops", "book_updates", "bars", "features"),
            *("Mine, too", "alert_acks", "alert_endings", "alert_mutes", "alerts"),
            *("filter_generations", "filter_specs", "gaps", "instruments", "outbox"),
            "telegram_polls",
        ]
        assert count_rows(connection, [("Mine, too", 0)]) == {
            "Mine, too": RowCount(0, is_exact=True)
        }


def test_small_tables_are_counted_and_large_ones_estimated(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(FILL.encode())
        connection.execute("ANALYZE trades")
        sizes = [("trades", EXACT_BYTES + 1), ("instruments", EXACT_BYTES)]
        counts = count_rows(connection, sizes)
        assert counts["instruments"] == RowCount(1, is_exact=True)
        assert not counts["trades"].is_exact
        assert counts["trades"].rows == pytest.approx(20_000, rel=0.05)
        connection.execute(MORE.encode())
        grown = count_rows(connection, sizes)
        assert grown["trades"].rows == pytest.approx(30_000, rel=0.1)
        assert count_rows(connection, sizes, exact=True)["trades"] == RowCount(
            30_000, is_exact=True
        )


def test_an_estimate_has_a_tilde() -> None:
    assert str(RowCount(1_234_567, is_exact=True)) == "1,234,567"
    assert str(RowCount(1_234_567, is_exact=False)) == "~1,234,567"
