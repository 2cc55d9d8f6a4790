from collections.abc import Callable, Iterator

import psycopg
import pytest

from market.errors import ConfigError
from sinks.insertion import insert_alerts
from sinks.telegram.names import MOST, followed_symbol, spec_or_symbol, spelled_symbol
from tests.fakes.killed_flow import alert_cells
from tests.fakes.outbox_rows import empty


@pytest.fixture(scope="module")
def outbox_database(make_whole_database: Callable[[], str]) -> str:
    return make_whole_database()


@pytest.fixture
def connection(outbox_database: str) -> Iterator[psycopg.Connection]:
    empty(outbox_database)
    with psycopg.connect(outbox_database, autocommit=True) as connection:
        connection.execute("TRUNCATE instruments")
        yield connection


def follow(connection: psycopg.Connection, *symbols: str) -> None:
    for symbol in symbols:
        base, quote = symbol.split("-")
        connection.execute(
            "INSERT INTO instruments (venue, symbol, native, base, quote, tick, step, kind)"
            " VALUES ('binance', %s, %s, %s, %s, 0.01, 0.01, 'spot')",
            (symbol, base + quote, base, quote),
        )


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("btcusdt", "BTC-USDT"),
        ("btc/usdt", "BTC-USDT"),
        ("Binance:btcusdt", "binance:BTC-USDT"),
        ("doge-usdt", "DOGE-USDT"),
        ("Bybit:doge-usdt", "bybit:DOGE-USDT"),
    ],
)
def test_any_usual_spelling_is_understood(
    connection: psycopg.Connection, word: str, meant: str
) -> None:
    follow(connection, "BTC-USDT")
    assert spelled_symbol(connection, word) == meant


def test_what_is_not_followed_is_told_with_what_is(connection: psycopg.Connection) -> None:
    with pytest.raises(ConfigError, match=r"^'doge' is not followed; none is followed$"):
        followed_symbol(connection, "doge")
    follow(connection, *(f"A{number}-USDT" for number in range(MOST + 2)))
    with pytest.raises(ConfigError, match=r"followed are A0-USDT, .*, A7-USDT and 2 more$"):
        followed_symbol(connection, "doge")
    assert followed_symbol(connection, "a3usdt") == "A3-USDT"


def test_a_spec_comes_before_a_symbol_of_its_name(connection: psycopg.Connection) -> None:
    follow(connection, "BTC-USDT")
    assert spec_or_symbol(connection, "btcusdt", ["btcusdt"]) == ("btcusdt", None)
    assert spec_or_symbol(connection, "btcusdt", []) == (None, "BTC-USDT")


def test_what_fired_once_has_a_name_for_ever(connection: psycopg.Connection) -> None:
    with connection.transaction():
        insert_alerts(connection, [alert_cells(1, now=10**18, targets=["console"])], notify=True)
    assert spec_or_symbol(connection, "burst", []) == ("burst", None)
    assert spec_or_symbol(connection, "eth-usdt", []) == (None, "ETH-USDT")
    with pytest.raises(ConfigError, match="did you mean walls"):
        spec_or_symbol(connection, "wals", ["walls"])
