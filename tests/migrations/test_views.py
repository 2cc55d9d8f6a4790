"""The views show what a straight reading of the tables shows, and read little for it."""

import json
from collections.abc import Iterator

import psycopg
import pytest

FILL = """
INSERT INTO instruments SELECT v, s || '-USDT', s, s, 'USDT', 0, 0, 'spot'
FROM unnest(ARRAY['binance', 'bybit', 'silent']) v, unnest(ARRAY['BTC', 'ETH']) s;

INSERT INTO bars SELECT v, 'BTC-USDT', l, at, at + len, 100 + n % 7, 110 + n % 11, 90 - n % 5,
    101 + n % 3, n % 13, 1, 100 * (n % 13), 100, n % 17, 0, n = 3, n = 5
FROM unnest(ARRAY['binance', 'bybit', 'merged']) v,
    (VALUES ('1s', interval '1 second'), ('1m', interval '1 minute')) AS lengths (l, len),
    generate_series(0, 4000) n,
    LATERAL (SELECT '2026-01-02 00:03+00'::timestamptz + n * len AS at) AS times
WHERE n % 9 <> 4;

INSERT INTO book_tops SELECT v, 'BTC-USDT',
    '2026-01-02 00:00+00'::timestamptz + n * interval '1 second', now(), n,
    ARRAY[100.0, 99], ARRAY[1.0, 2],
    CASE WHEN n = 4000 AND v = 'bybit' THEN '{}' ELSE ARRAY[101.0] END, ARRAY[3.0], 1, 0, 'live'
FROM unnest(ARRAY['binance', 'bybit']) v, generate_series(0, 4000) n;

INSERT INTO alerts SELECT 'k' || n, 'dip', 'h', 'binance', 'BTC-USDT', '1m', now(),
    date_trunc('day', now(), 'UTC') + interval '6 hours' * n, 'info', 'x', '{}', '{console}'
FROM generate_series(-4, 3) n;

ANALYZE bars, book_tops, alerts, instruments;
"""
SAME_BARS = """
SELECT venue, symbol, "interval", start FROM latest_bars EXCEPT
(SELECT DISTINCT ON (venue, symbol, "interval") venue, symbol, "interval", start FROM bars
 ORDER BY venue, symbol, "interval", start DESC)
"""


@pytest.fixture
def filled(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(FILL.encode())
        yield connection


def rows_of(connection: psycopg.Connection, query: str) -> list[tuple[object, ...]]:
    return connection.execute(query.encode()).fetchall()


def rows_read(connection: psycopg.Connection, query: str) -> int:
    """Return how many rows a query reads from tables and indexes."""
    ((plan,),) = rows_of(connection, f"EXPLAIN (ANALYZE, FORMAT JSON) {query}")
    whole = plan if isinstance(plan, list) else json.loads(str(plan))

    def read(node: dict[str, object]) -> float:
        below = node.get("Plans", [])
        assert isinstance(below, list)
        own = 0.0
        if "Scan" in str(node["Node Type"]) and "Relation Name" in node:
            rows = node["Actual Rows"]
            removed = node.get("Rows Removed by Filter", 0)
            loops = node["Actual Loops"]
            assert isinstance(rows, int | float)
            assert isinstance(removed, int | float)
            assert isinstance(loops, int | float)
            own = (rows + removed) * loops
        return own + sum(read(each) for each in below)

    return round(read(whole[0]["Plan"]))


def test_the_newest_bar_of_every_series_is_shown(filled: psycopg.Connection) -> None:
    shown = rows_of(filled, "SELECT count(*) FROM latest_bars")
    assert shown == rows_of(
        filled, 'SELECT count(*) FROM (SELECT DISTINCT venue, symbol, "interval" FROM bars) AS s'
    )
    assert shown == [(6,)]
    assert rows_of(filled, SAME_BARS) == []


def test_the_newest_book_of_every_instrument_is_shown(filled: psycopg.Connection) -> None:
    assert rows_of(
        filled, "SELECT venue, sequence, bid, bid_size, ask, ask_size FROM latest_book ORDER BY 1"
    ) == [
        ("binance", 4000, 100.0, 1.0, 101.0, 3.0),
        ("bybit", 4000, 100.0, 1.0, None, 3.0),
    ]


def test_the_alerts_of_today_are_shown_the_newest_first(filled: psycopg.Connection) -> None:
    assert rows_of(filled, "SELECT key FROM alerts_today") == [("k3",), ("k2",), ("k1",), ("k0",)]


@pytest.mark.parametrize(("view", "minutes"), [("bars_5m", 5), ("bars_15m", 15), ("bars_1h", 60)])
def test_longer_bars_are_what_the_minutes_make(
    view: str, minutes: int, filled: psycopg.Connection
) -> None:
    """Computed once more here, bar by bar."""
    first = rows_of(
        filled,
        "SELECT extract(epoch FROM start)::bigint, open, high, low, close, volume, buy_volume, "
        "notional, count, partial, gap FROM bars WHERE \"interval\" = '1m' AND venue = 'binance' "
        "ORDER BY start",
    )
    expected: dict[int, list[tuple[float, ...]]] = {}
    for start, *rest in first:
        assert isinstance(start, int)
        numbers = tuple(float(str(int(n) if isinstance(n, bool) else n)) for n in rest)
        expected.setdefault(start // (60 * minutes) * 60 * minutes, []).append(numbers)
    found = rows_of(
        filled,
        'SELECT extract(epoch FROM start)::bigint, extract(epoch FROM "end")::bigint, open, high,'
        " low, close, volume, buy_volume, notional, count, partial::int, gap::int, minutes, vwap"
        f" FROM {view} WHERE venue = 'binance' AND symbol = 'BTC-USDT' ORDER BY start",
    )
    assert len(found) == len(expected)
    for row, (start, bars) in zip(found, expected.items(), strict=True):
        columns = list(zip(*bars, strict=True))
        volume, notional = sum(columns[4]), sum(columns[6])
        assert [float(str(cell)) for cell in row] == [
            start,
            start + 60 * minutes,
            bars[0][0],
            max(columns[1]),
            min(columns[2]),
            bars[-1][3],
            volume,
            sum(columns[5]),
            notional,
            sum(columns[7]),
            max(columns[8]),
            max(columns[9]),
            len(bars),
            notional / volume if volume else bars[-1][3],
        ]


@pytest.mark.parametrize(
    ("query", "most"),
    [
        ("SELECT * FROM latest_bars", 60),
        ("SELECT * FROM latest_book", 30),
        ("SELECT * FROM alerts_today", 60),
        ("SELECT * FROM bars_5m WHERE venue = 'binance' AND symbol = 'BTC-USDT'", 4001),
    ],
)
def test_a_view_reads_little(query: str, most: int, filled: psycopg.Connection) -> None:
    """A probe of the key for each series, not the table: it stays quick when the table is large."""
    assert rows_read(filled, query) <= most


def test_views_are_explained(filled: psycopg.Connection) -> None:
    assert (
        rows_of(
            filled,
            "SELECT relname FROM pg_class WHERE relkind = 'v' AND obj_description(oid) IS NULL "
            "AND relnamespace = 'public'::regnamespace",
        )
        == []
    )
