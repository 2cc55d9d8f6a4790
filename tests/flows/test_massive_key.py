"""Massive's key: from the environment, and never shown."""

from pathlib import Path

import pytest

from connectors import VENUES
from connectors.settings import VenueSettings
from flows import configuration
from flows.venue_keys import key_for, read_key
from market.errors import ConfigError
from sinks.redaction import Redactor
from sinks.secret import Secret

MASSIVE = VENUES["massive"]
REAL = VenueSettings(symbols=("BTC-USD",))


@pytest.mark.parametrize("name", ["MASSIVE_API_KEY", "POLYGON_API_KEY"])
def test_a_key_comes_from_either_variable_or_its_file(name: str, tmp_path: Path) -> None:
    assert read_key(MASSIVE, {name: "abc123"}) == Secret("abc123")
    file = tmp_path / "key"
    file.write_text("from-a-file\n")
    assert read_key(MASSIVE, {f"{name}_FILE": str(file)}) == Secret("from-a-file")
    assert read_key(MASSIVE, {}) is None


@pytest.mark.parametrize("key", ['ab"c', "a\\b", "a\nb", "ключ"])
def test_what_cannot_be_a_key_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ConfigError, match="MASSIVE_API_KEY: not a key") as caught:
        read_key(MASSIVE, {"MASSIVE_API_KEY": key})
    assert key not in str(caught.value)


def test_a_missing_key_names_both_variables() -> None:
    with pytest.raises(ConfigError, match="MASSIVE_API_KEY or POLYGON_API_KEY"):
        key_for(MASSIVE, REAL, {})


def test_the_configuration_holds_keys_of_its_feeds_only_and_shows_none(tmp_path: Path) -> None:
    file = tmp_path / "candlewax.toml"
    file.write_text('[feeds.massive]\nsymbols = ["BTC-USD"]\n')
    told = configuration.load(file, {"POLYGON_API_KEY": "abc-123-secret"})
    assert told.keys == {"massive": Secret("abc-123-secret")}
    assert "abc-123-secret" not in repr(told)
    assert Redactor(told.secrets).redact("login abc-123-secret") == "login ***"
    file.write_text('[feeds.binance]\nsymbols = ["BTC-USDT"]\n')
    assert configuration.load(file, {"POLYGON_API_KEY": "abc-123-secret"}).keys == {}
