"""A recording that is kept, and what it says: a change of either is seen in review.

`tests/golden/replay` holds forty seconds of a simulated market with a dip and a lost connection.
`CANDLEWAX_UPDATE_GOLDEN=recording` makes the recording anew, `=answers` only what it says.
"""

import os
from pathlib import Path
from threading import Event

import pytest
from bytewax.testing import run_main

from connectors import VENUES
from connectors.recording import Recording
from connectors.replay_source import ReplaySource
from filters.load import load_specs
from flows.emission import KINDS, LineSink
from flows.output import digest_of, lines_of
from flows.pipeline import build
from flows.recorded_settings import market_of
from flows.status import Tally
from flows.symbol_market import SymbolMarket
from tests.end_to_end.flow_runs import ROOT
from tests.end_to_end.wire_recording import record_wire

GOLDEN = ROOT / "tests" / "golden" / "replay"
RECORDING = GOLDEN / "recording.jsonl.gz"
ANSWERS = GOLDEN / "answers.jsonl"
DIGEST = GOLDEN / "digest.txt"
SHOWN = (b'{"kind":"bars"', b'{"kind":"features"', b'{"kind":"alerts"')
UPDATE = os.environ.get("CANDLEWAX_UPDATE_GOLDEN", "")


def replayed(out: Path) -> Path:
    """Replay the recording through the whole graph; return the file of what it says."""
    market = market_of([RECORDING])
    assert market is not None
    flow = build(
        ReplaySource([RECORDING], VENUES, stopping=Event()),
        new_market=lambda: SymbolMarket(market, wants_tops=True, wants_events=True),
        resync=lambda _instrument, _reason: None,
        tally=Tally(list),
        lines=LineSink(out),
        kinds=frozenset(KINDS),
    )
    run_main(flow)  # type: ignore[no-untyped-call]
    return out


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if UPDATE == "recording":
        RECORDING.unlink(missing_ok=True)
        specs = load_specs(ROOT / "filters" / "specs")
        record_wire(
            RECORDING, seconds=40, symbols=("BTC-USDT",), specs=specs, faults="cut", rate=0.6
        )
    path = replayed(tmp_path_factory.mktemp("golden") / "out.jsonl")
    if UPDATE:
        ANSWERS.write_bytes(b"".join(shown(path)))
        DIGEST.write_text(digest_of(path) + "\n")
    return path


def shown(path: Path) -> list[bytes]:
    """The lines that are kept whole."""
    return [line for line in lines_of(path) if line.startswith(SHOWN)]


def test_bars_features_and_alerts_are_the_kept_ones(out: Path) -> None:
    assert shown(out) == list(lines_of(ANSWERS))
    assert any(line.startswith(b'{"kind":"alerts"') for line in shown(out))


def test_the_past_is_in_it_and_put_bars_right(out: Path) -> None:
    assert "history" in {record.kind for record in Recording(RECORDING)}
    lines = shown(out)
    assert any(line.startswith(b'{"kind":"bars"') and b'"revision":1' in line for line in lines)


def test_events_and_books_are_the_kept_ones(out: Path) -> None:
    assert digest_of(out) == DIGEST.read_text().strip()
