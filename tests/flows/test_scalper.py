"""The shipped scalper over a market whose walls and dips are known: virtual time, real frames.

BTC-USDT falls onto a wall of bids that holds, and comes back. ETH-USDT falls onto one that is
traded through. In a second market a wall of asks stands in the way back.
"""

from pathlib import Path

import msgspec
import pytest

from filters.alerts import Alert
from filters.load import read_place
from flows.symbol_filters import SymbolFilters
from tests.end_to_end.wire_recording import SECOND, START, record_wire

ROOT = Path(__file__).parents[2]
SCRIPT = """\
moves:
  - {symbol: BTC-USDT, at: 100s, kind: dip, depth: 0.5%, fall: 10s, hold: 1s, recover: 30s}
  - {symbol: ETH-USDT, at: 100s, kind: dip, depth: 0.5%, fall: 10s, hold: 40s, recover: 30s}
walls:
  - {symbol: BTC-USDT, side: bid, bps: 60, size: 150, from: 20s, until: 230s}
  - {symbol: ETH-USDT, side: bid, bps: 55, size: 150, from: 20s, until: 125s, end: traded}
"""


RESISTED = """\
moves:
  - {symbol: BTC-USDT, at: 100s, kind: dip, depth: 0.5%, fall: 10s, hold: 25s, recover: 200s}
walls:
  - {symbol: BTC-USDT, side: bid, bps: 60, size: 150, from: 20s, until: 300s}
  - {symbol: BTC-USDT, side: ask, bps: 8, size: 150, from: 112s, until: 300s}
"""
"""It falls by 50 basis points; from 112 s on a wall of asks is at 42 below where it was."""


@pytest.fixture(scope="module")
def alerts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Alert]]:
    """Signals by symbol."""
    return signals(tmp_path_factory.mktemp("scalper"), SCRIPT, 160)


def signals(folder: Path, text: str, length: int) -> dict[str, list[Alert]]:
    script = folder / "script.yaml"
    script.write_text(text)
    (spec,) = read_place(ROOT / "filters" / "specs" / "scalper.yaml").specs
    run = record_wire(
        folder / "wire.jsonl.gz",
        seconds=length,
        symbols=("BTC-USDT", "ETH-USDT"),
        specs=(msgspec.structs.replace(spec, is_enabled=True, tests=()),),
        script=str(script),
    )
    filters: dict[str, SymbolFilters] = {}
    told: dict[str, list[Alert]] = {}
    for symbol, output in run.outputs:
        one = filters.setdefault(symbol, SymbolFilters())
        told.setdefault(symbol, []).extend(one.advance([output]).alerts)
    return told


def seconds(alert: Alert) -> float:
    """Return when a signal came, in seconds of the script."""
    return (alert.ts_event - START) / SECOND


def number(alert: Alert, name: str) -> float:
    found = alert.values[f"position.{name}"]
    assert found is not None
    return found


def test_it_enters_while_the_price_falls_onto_the_wall_and_leaves_on_the_way_back(
    alerts: dict[str, list[Alert]],
) -> None:
    entry, leave = alerts["BTC-USDT"]
    assert (entry.signal, leave.signal) == ("entry", "exit")
    assert 105 <= seconds(entry) <= 118
    wall = entry.values["support_distance_bps(1)"]
    assert wall is not None
    assert 5 <= wall <= 25
    base = 64_000.0
    assert number(entry, "stop") == pytest.approx(base * (1 - 0.0060) * (1 - 0.0003), rel=1e-4)
    assert base * (1 - 0.0055) < number(entry, "entry") < base * (1 - 0.0030)
    assert seconds(entry) < seconds(leave) <= 142
    assert number(leave, "profit") > 0


def test_it_is_stopped_when_the_wall_is_traded_through(alerts: dict[str, list[Alert]]) -> None:
    entry, leave = alerts["ETH-USDT"][:2]
    assert (entry.signal, leave.signal) == ("entry", "stop")
    assert 105 <= seconds(entry) <= 124
    assert 125 <= seconds(leave) <= 137
    assert number(leave, "price") <= number(entry, "stop")
    risked = (number(entry, "entry") - number(entry, "stop")) * number(entry, "size")
    assert -3 * risked < number(leave, "profit") < 0


def test_it_leaves_at_a_wall_of_asks(tmp_path: Path) -> None:
    entry, leave = signals(tmp_path, RESISTED, 180)["BTC-USDT"][:2]
    assert 105 <= seconds(entry) <= 118
    assert leave.signal == "exit"
    assert 135 <= seconds(leave) <= 175
    (reached, *_) = leave.clauses
    assert reached.text == "resistance_distance_bps(1) <= 3"
    assert reached.holds
    assert number(leave, "price") == pytest.approx(64_000 * (1 - 0.0042), rel=4e-4)


def test_nothing_is_entered_before_the_dip_or_far_from_a_wall(
    alerts: dict[str, list[Alert]],
) -> None:
    for told in alerts.values():
        for alert in told:
            if alert.signal == "entry":
                assert seconds(alert) > 100
                distance = alert.values["support_distance_bps(1)"]
                assert distance is not None
                assert distance <= 25
