from pathlib import Path

import pytest

from connectors import VENUES
from connectors.settings import VenueSettings
from flows.venue_keys import key_for, read_key
from market.errors import ConfigError
from simulator.settings import DEFAULT_KEY
from sinks.secret import Secret
from tests.connectors.scripted_venue import ScriptedVenue


class Closed(ScriptedVenue):
    name = "closed"
    key_names = ("CLOSED_KEY", "OLD_CLOSED_KEY")  # type: ignore[assignment]


REAL = VenueSettings(symbols=("BTC-USD",))
SIMULATED = VenueSettings(symbols=("BTC-USD",), simulated=True)


def test_most_venues_need_no_key() -> None:
    assert read_key(VENUES["binance"], {"CLOSED_KEY": "x"}) is None
    assert key_for(VENUES["binance"], REAL, {"binance": Secret("x")}) == ""


def test_the_first_key_that_is_set_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from a file\n")
    both = {"CLOSED_KEY": "new", "OLD_CLOSED_KEY": "old"}
    for environ, key in (
        (both, "new"),
        ({"OLD_CLOSED_KEY": "old"}, "old"),
        ({"CLOSED_KEY_FILE": str(file), "OLD_CLOSED_KEY": "old"}, "from a file"),
    ):
        found = read_key(Closed(), environ)
        assert found is not None
        assert key_for(Closed(), REAL, {"closed": found}) == key


def test_a_missing_key_is_told_with_its_names() -> None:
    assert read_key(Closed(), {"CLOSED_KEY": ""}) is None
    words = "closed needs a key: set CLOSED_KEY or OLD_CLOSED_KEY, or .* CLOSED_KEY_FILE"
    with pytest.raises(ConfigError, match=words):
        key_for(Closed(), REAL, {})


def test_the_simulator_never_sees_the_users_key() -> None:
    assert key_for(Closed(), SIMULATED, {"closed": Secret("real")}) == DEFAULT_KEY
