"""Parts of the live flow that need no flow; `tests/end_to_end` runs the whole."""

import psycopg
import pytest

from flows.crypto import _store_instruments
from market.errors import ConfigError
from market.instruments import Instrument
from sinks.secret import Secret

BTC = Instrument(venue="binance", symbol="BTC-USDT", native="BTCUSDT", base="BTC", quote="USDT")


def test_instruments_are_kept(database: str) -> None:
    _store_instruments(Secret(database), [BTC])
    with psycopg.connect(database) as connection:
        found = connection.execute("SELECT venue, symbol FROM instruments").fetchall()
    assert found == [("binance", "BTC-USDT")]


def test_a_database_that_is_away_is_told_in_words() -> None:
    with pytest.raises(ConfigError, match="not take the list of instruments") as told:
        _store_instruments(Secret("postgresql://me:s3cret@127.0.0.1:1/nowhere"), [BTC])
    assert "s3cret" not in str(told.value)


def test_a_malformed_address_is_told_in_words() -> None:
    with pytest.raises(ConfigError, match="malformed"):
        _store_instruments(Secret("me:s3cret@somewhere"), [BTC])
