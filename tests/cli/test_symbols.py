"""`candlewax symbols`, in this process against the simulator and once from outside."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.main import main
from connectors import VENUES
from simulator.server import simulator_in_thread
from simulator.settings import DEFAULT_KEY, Addresses, SimulatorSettings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWAX_CONFIG", "CANDLEWAX_HOME"):
        monkeypatch.delenv(name, raising=False)
    for venue in VENUES.values():
        for name in venue.key_names:
            monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def addresses() -> Iterator[Addresses]:
    with simulator_in_thread(SimulatorSettings()) as running:
        yield running


@pytest.mark.parametrize("venue", sorted(VENUES))
def test_every_venue_of_the_simulator_lists_its_symbols(
    venue: str,
    addresses: Addresses,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in VENUES[venue].key_names:
        monkeypatch.setenv(name, DEFAULT_KEY)
    assert main(["symbols", venue, "--rest-url", addresses.rest_of(venue), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    found = {one["symbol"]: one for one in listed}
    assert len(found) == len(listed) >= 20, "all pages"
    assert found["BTC-USDT"]["venue"] == venue
    assert sorted(found) == [one["symbol"] for one in listed]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("eth/btc", {"ETH-BTC"}),
        ("ETHBTC", {"ETH-BTC"}),
        ("*-BTC", {"ETH-BTC"}),
        ("eth", {"ETH-BTC", "ETH-USDT"}),
        ("eth-??c", {"ETH-BTC"}),
    ],
)
def test_a_pattern_chooses(
    pattern: str,
    expected: set[str],
    addresses: Addresses,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = addresses.rest_of("binance")
    assert main(["symbols", "binance", pattern, "--rest-url", url]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["symbol", "native", "tick", "step"]
    found = {line.split()[0] for line in lines}
    assert expected <= found
    if "?" in pattern or "/" in pattern or pattern == "ETHBTC":
        assert found == expected


def test_names_that_are_near_are_told_when_nothing_matches(
    addresses: Addresses, capsys: pytest.CaptureFixture[str]
) -> None:
    url = addresses.rest_of("bybit")
    assert main(["symbols", "bybit", "btcusdx", "--rest-url", url]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: unknown symbol 'btcusdx' at bybit; did you mean BTC-USD")
    assert main(["symbols", "bybit", "QQ*", "--rest-url", url]) == 2


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["symbols", "binanse"], "binanse: unknown venue; did you mean 'binance'?"),
        (["symbols", "htx", "--rest-url", "http://127.0.0.1:1"], "set feeds.htx.rest_url"),
        (["symbols", "htx", "--simulated", "--rest-url", "http://x"], "say one of them"),
        (["symbols"], "requires an argument"),
        (["symbols", "massive"], "massive needs a key: set MASSIVE_API_KEY"),
    ],
)
def test_a_mistake_is_told(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert expected in capsys.readouterr().err


def test_the_command_works_from_outside_with_no_network(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "cli.main", "symbols", "massive", "btc", "--simulated"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 0, ended.stderr
    assert "BTC-USDT" in ended.stdout
