"""Specs tried on a recording fire what they fired while it was made."""

from pathlib import Path

import pytest

from connectors import VENUES
from filters.spec_reader import read_specs
from flows.preview import preview, variants
from flows.preview_recording import preview_recording
from flows.settings import MarketSettings
from flows.symbol_filters import SymbolFilters
from market.events import Bar
from tests.end_to_end.wire_recording import START, WireRun, record_wire

SPECS = read_specs(
    [
        (
            "tried.yaml",
            """\
version: 1
filters:
  - id: dip
    source: {stream: bar, interval: 1s, symbols: [BTC-USDT, ETH-USDT]}
    when: rsi(14) < 25
    cooldown: 10s
  - id: lopsided
    source: {stream: book, symbols: ["*"]}
    when: imbalance(10) > 0.2
    cooldown: 5s
  - id: bought
    source: {stream: trade, symbols: [BTC-USDT]}
    when: side == buy
    trigger: every
    cooldown: 2s
""",
        )
    ]
)
SETTINGS = MarketSettings()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> WireRun:
    return record_wire(
        tmp_path_factory.mktemp("recorded") / "wire.jsonl.gz", seconds=45, specs=SPECS
    )


@pytest.fixture(scope="module")
def fired(run: WireRun) -> dict[str, list[str]]:
    """Keys of the alerts while the recording was made, by spec."""
    filters: dict[str, SymbolFilters] = {}
    keys: dict[str, list[str]] = {spec.id: [] for spec in SPECS}
    for symbol, output in run.outputs:
        for asker, routed in output.for_filters(symbol):
            for alert in filters.setdefault(asker, SymbolFilters()).advance([routed]).alerts:
                keys[alert.spec].append(alert.key)
    return keys


def test_each_spec_fires_as_it_did(run: WireRun, fired: dict[str, list[str]]) -> None:
    tried = [variants(spec, ()) for spec in SPECS]
    found, problems = preview_recording(tried, [run.path], VENUES, SETTINGS)
    assert problems == []
    for (told,) in found:
        assert told.fired == len(fired[told.spec]) > 0
        assert {each.key for each in told.fires} == set(fired[told.spec])
        assert all(each.price is not None for each in told.fires)


def test_stored_bars_of_the_recording_fire_the_same(
    run: WireRun, fired: dict[str, list[str]]
) -> None:
    stored: dict[tuple[str, str], dict[int, Bar]] = {}
    for _, output in run.outputs:
        for bar in output.bars:
            stored.setdefault((bar.instrument, bar.interval), {})[bar.start] = bar

    def read(instrument: str, interval: str, start: int, end: int) -> list[Bar]:
        bars = stored.get((instrument, interval), {})
        return [bar for at, bar in sorted(bars.items()) if start <= at and bar.end <= end]

    series = sorted({instrument for instrument, _ in stored})
    (told,) = preview({"": SPECS[0]}, series, read, START - 10**9, START + 10**12, warms_up=False)
    assert {each.key for each in told.fires} == set(fired["dip"])


def test_variants_and_a_choice_of_series(run: WireRun) -> None:
    tried = [variants(SPECS[0], ["rsi(14) < 1", "rsi(14) < 25.0"])]
    is_btc = "binance:BTC-USDT".__eq__
    ((as_is, varied),), _ = preview_recording(
        tried, [run.path], VENUES, SETTINGS, series=is_btc, horizons=(10**9,)
    )
    assert list(as_is.by_series) == ["binance:BTC-USDT"]
    assert as_is.fired > varied.fired == 0
    assert as_is.returns[0].count == as_is.fired


def test_what_is_no_recording_is_told(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text("not a record\n")
    _, problems = preview_recording([variants(SPECS[0], ())], [wrong], VENUES, SETTINGS)
    (problem,) = problems
    assert "wrong.jsonl" in problem
