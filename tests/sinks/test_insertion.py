"""A row that comes twice is one row, and an older version never wins."""

from datetime import UTC, datetime

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinks.insertion import Written, insert, insert_alerts, insert_loss, moment
from sinks.rows import Cell
from sinks.tables import TABLES
from tests.drawn_examples import examples

MINUTE = 60_000_000_000
START = 1_732_112_220_000_000_000


def trade(number: int) -> list[Cell]:
    name = str(number)
    return ["binance", "BTC-USDT", START + number * 1000, name, 1.5, 2.0, "buy", START]


def bar(minute: int, revision: int, close: float) -> list[Cell]:
    start = START + minute * MINUTE
    return [
        *("binance", "BTC-USDT", "1m", start, start + MINUTE, 1.0, 9.0, 0.5, close, 4.0, 1.0, 6.0),
        *(1.5, 3, revision, False, False),
    ]


def alert(key: str, targets: list[str]) -> list[Cell]:
    return [
        *(key, "dip", "abc", "binance", "BTC-USDT", "1m", START, START + 5, "info", "it fell"),
        *({"rsi(14)": 21.5, "odd": float("nan"), "ema(9)": None}, targets),
        *(
            True,
            '[{"text":"rsi(14) < 30","value":21.5,"threshold":30.0,"holds":true}]',
            "entry",
            '{"desk":"spot"}',
        ),
    ]


def rows_of(connection: psycopg.Connection, query: str) -> list[tuple[object, ...]]:
    return connection.execute(query).fetchall()


def test_times_are_exact_to_the_microsecond() -> None:
    ns = 1_732_112_223_123_456_789
    assert moment(ns) == datetime(2024, 11, 20, 14, 17, 3, 123456, tzinfo=UTC)


@settings(examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ns=st.integers(min_value=0, max_value=4_000_000_000_000_000_000))
def test_copy_stores_the_microsecond_it_was_given(database: str, ns: int) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("SET timezone = 'Asia/Kolkata'")
        row: list[Cell] = ["v", "S", ns, "1", 1.0, 1.0, "buy", ns]
        insert(connection, TABLES["trades"], [row])
        ((event, received, us),) = rows_of(
            connection, "SELECT time, received_at, extract(epoch FROM time) * 1000000 FROM trades"
        )
        assert event == received == moment(ns)
        assert us == ns // 1000
        connection.rollback()


def test_a_known_trade_among_new_ones_costs_none_of_them(database: str) -> None:
    with psycopg.connect(database) as connection:
        first = insert(connection, TABLES["trades"], [trade(number) for number in range(10)])
        assert first == Written(10, 0, 0)
        again = insert(connection, TABLES["trades"], [trade(number) for number in range(5, 20)])
        assert again == Written(10, 0, 5)
        # Twice in one transaction through the staging table: it must not remember the first.
        assert insert(connection, TABLES["trades"], [trade(3), trade(20)]) == Written(1, 0, 1)
        assert rows_of(connection, "SELECT count(*) FROM trades") == [(21,)]


def test_the_same_trade_twice_in_one_batch_is_one_row(database: str) -> None:
    with psycopg.connect(database) as connection:
        rows = [trade(1), trade(2), trade(1)]
        assert insert(connection, TABLES["trades"], rows) == Written(2, 0, 1)


def test_a_book_top_keeps_its_levels_and_its_holes(database: str) -> None:
    with psycopg.connect(database) as connection:
        row: list[Cell] = [
            *("binance", "BTC-USDT", START, START + 1000, 7, [99.0, 98.0], [1.0, 2.0], [], []),
            *(None, None, "stale"),
        ]
        insert(connection, TABLES["book_tops"], [row])
        found = rows_of(
            connection, "SELECT bid_prices, bid_sizes, ask_prices, spread, state FROM book_tops"
        )
        assert found == [([99.0, 98.0], [1.0, 2.0], [], None, "stale")]


def test_an_older_revision_never_wins(database: str) -> None:
    with psycopg.connect(database) as connection:
        table = TABLES["bars"]
        assert insert(connection, table, [bar(0, 1, 10.0)]) == Written(1, 0, 0)
        assert insert(connection, table, [bar(0, 0, 99.0)]) == Written(0, 0, 1)
        assert insert(connection, table, [bar(0, 1, 99.0)]) == Written(0, 0, 1)
        assert insert(connection, table, [bar(0, 2, 20.0), bar(1, 0, 5.0)]) == Written(1, 1, 0)
        found = rows_of(connection, "SELECT close, revision FROM bars ORDER BY start")
        assert found == [(20.0, 2), (5.0, 0)]


@settings(examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=8),
        min_size=1,
        max_size=5,
    )
)
def test_however_revisions_arrive_the_first_of_the_newest_stays(
    database: str, batches: list[list[tuple[int, int]]]
) -> None:
    best: dict[int, tuple[int, float]] = {}
    number = 0
    with psycopg.connect(database) as connection:
        total = 0
        for batch in batches:
            rows = []
            for minute, revision in batch:
                number += 1
                rows.append(bar(minute, revision, float(number)))
                if minute not in best or revision > best[minute][0]:
                    best[minute] = (revision, float(number))
            done = insert(connection, TABLES["bars"], rows)
            assert done.new + done.updated + done.known == len(rows)
            total += done.new
        found = rows_of(connection, "SELECT start, revision, close FROM bars ORDER BY start")
        assert found == [
            (moment(START + minute * MINUTE), *best[minute]) for minute in sorted(best)
        ]
        assert total == len(best)
        connection.rollback()


def test_a_feature_that_warms_up_has_no_value(database: str) -> None:
    with psycopg.connect(database) as connection:
        table = TABLES["features"]
        row: list[Cell] = ["binance", "BTC-USDT", "1m", "rsi(14)", START, None, "warming", 0]
        insert(connection, table, [row])
        newer: list[Cell] = ["binance", "BTC-USDT", "1m", "rsi(14)", START, 55.0, "live", 1]
        assert insert(connection, table, [newer]) == Written(0, 1, 0)
        assert rows_of(connection, "SELECT value, state FROM features") == [(55.0, "live")]


def test_a_gap_closes_once(database: str) -> None:
    with psycopg.connect(database) as connection:
        table = TABLES["gaps"]
        opened: list[Cell] = ["binance", "BTC-USDT", "all", START, None, "connection lost"]
        closed: list[Cell] = [*opened[:4], START + 5000, "connection lost"]
        later: list[Cell] = [*opened[:4], START + 9000, "connection lost"]
        assert insert(connection, table, [opened]) == Written(1, 0, 0)
        assert insert(connection, table, [opened, closed]) == Written(0, 1, 1)
        assert insert(connection, table, [opened]) == Written(0, 0, 1)
        assert insert(connection, table, [later]) == Written(0, 0, 1)
        assert rows_of(connection, "SELECT ended_at FROM gaps") == [(moment(START + 5000),)]


def test_an_instrument_follows_the_venues_list(database: str) -> None:
    with psycopg.connect(database) as connection:
        table = TABLES["instruments"]
        row: list[Cell] = ["binance", "BTC-USDT", "BTCUSDT", "BTC", "USDT", 0.1, 0.001, "spot"]
        finer: list[Cell] = [*row[:5], 0.01, 0.001, "spot"]
        assert insert(connection, table, [row]) == Written(1, 0, 0)
        assert insert(connection, table, [row]) == Written(0, 0, 1)
        assert insert(connection, table, [row, finer]) == Written(0, 1, 1)
        assert rows_of(connection, "SELECT tick FROM instruments") == [(0.01,)]


def test_an_alert_makes_one_message_for_each_target_and_wakes_the_sender(database: str) -> None:
    with (
        psycopg.connect(database, autocommit=True) as listener,
        psycopg.connect(database) as connection,
    ):
        listener.execute("LISTEN candlewax_outbox")
        rows = [alert("a", ["console", "telegram/main"]), alert("b", [])]
        assert insert_alerts(connection, rows, notify=True) == Written(2, 0, 0)
        assert insert_alerts(connection, rows, notify=True) == Written(0, 0, 2)
        connection.commit()
        found = rows_of(
            connection, "SELECT alert_key, target, severity, text, state, attempts FROM outbox"
        )
        assert found == [
            ("a", "console", "info", "it fell", "pending", 0),
            ("a", "telegram/main", "info", "it fell", "pending", 0),
        ]
        found = rows_of(connection, 'SELECT key, "values", targets, time FROM alerts ORDER BY 1')
        assert found[0] == (
            "a",
            {"rsi(14)": 21.5, "odd": None, "ema(9)": None},
            ["console", "telegram/main"],
            moment(START),
        )
        assert [note.channel for note in listener.notifies(timeout=5, stop_after=1)] == [
            "candlewax_outbox"
        ]


def test_an_alert_that_an_older_version_spooled_is_stored(database: str) -> None:
    with psycopg.connect(database) as connection:
        insert_alerts(
            connection,
            [alert("new", []), alert("old", [])[:12], alert("older", [])[:14]],
            notify=True,
        )
        found = rows_of(
            connection,
            "SELECT key, chart, clauses, signal, labels FROM alerts ORDER BY 1",
        )
    clause = {"text": "rsi(14) < 30", "value": 21.5, "threshold": 30.0, "holds": True}
    assert found == [
        ("new", True, [clause], "entry", {"desk": "spot"}),
        ("old", False, [], "", {}),
        ("older", True, [clause], "", {}),
    ]


def test_a_stored_replay_sends_nothing(database: str) -> None:
    with psycopg.connect(database) as connection:
        insert_alerts(connection, [alert("a", ["console"])], notify=False)
        assert rows_of(connection, "SELECT count(*) FROM alerts") == [(1,)]
        assert rows_of(connection, "SELECT count(*) FROM outbox") == [(0,)]


def test_two_losses_in_one_microsecond_are_two_rows(database: str) -> None:
    with psycopg.connect(database) as connection:
        for reason in ("store: 1 rows of trades lost", "store: 2 rows of trades lost"):
            insert_loss(connection, started=START, ended=START + 5000, reason=reason)
        found = rows_of(
            connection, "SELECT venue, symbol, channel, started_at FROM gaps ORDER BY started_at"
        )
        assert found == [
            ("", "", "store", moment(START)),
            ("", "", "store", moment(START + 1000)),
        ]


def test_a_time_must_be_a_number(database: str) -> None:
    with psycopg.connect(database) as connection:
        wrong = bar(0, 0, 1.0)
        wrong[3] = "now"
        with pytest.raises(TypeError, match="a time is an int"):
            insert(connection, TABLES["bars"], [wrong])
