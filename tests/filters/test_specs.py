"""Specs as plain data: they travel, and their hash says whether they mean the same."""

import pickle

import msgspec
import pytest

from filters.spec_reader import read_specs
from filters.specs import Notify, Source, Spec, SpecsChanged, describe, hash_of, in_force
from filters.trees import duration_text

WHOLE = """
version: 1
filters:
  - id: whole
    title: Everything there is
    source: {stream: bar, symbols: ["BTC-*", ETH-USDT], interval: 5m, venues: [binance]}
    when:
      - rsi < 30
      - any:
          - book.imbalance > 0.2
          - not: {all: [close > ema(20), volume > 1]}
    for: 3 bars
    cooldown: 15m
    severity: critical
    labels: {desk: spot, level: 1}
    notify:
      - to: telegram/main
        message: |
          {symbol}
          {close}
"""


def read(text: str) -> Spec:
    (spec,) = read_specs([("specs.yaml", text)])
    return spec


def test_every_key_is_read() -> None:
    assert read(WHOLE) == Spec(
        id="whole",
        title="Everything there is",
        source=Source(
            stream="bar",
            symbols=("BTC-*", "ETH-USDT"),
            interval="5m",
            venues=("binance",),
        ),
        when=(
            "rsi(14) < 30 and (book.imbalance(10) > 0.2 or not (close > ema(20) and volume > 1))"
        ),
        hold_bars=3,
        cooldown=900_000_000_000,
        severity="critical",
        labels={"desk": "spot", "level": "1"},
        notify=(Notify(to="telegram/main", message="{symbol}\n{close}"),),
    )


def test_what_is_left_out_has_a_default() -> None:
    spec = read(
        "version: 1\nfilters:\n"
        "  - {id: x, source: {stream: book, symbols: BTC-USDT}, when: spread > 1}"
    )
    assert spec.targets == ("default",)
    assert spec.template is None
    assert (spec.hold_bars, spec.hold, spec.cooldown, spec.severity) == (1, 0, 0, "info")


@pytest.mark.parametrize(
    ("written", "hold_bars", "hold_s"),
    [("1 bar", 1, 0), ("3 bars", 3, 0), ("3bars", 3, 0), ("90s", 1, 90), ("2h", 1, 7200)],
)
def test_for_is_bars_or_a_time(written: str, hold_bars: int, hold_s: int) -> None:
    spec = read(WHOLE.replace("3 bars", written))
    assert (spec.hold_bars, spec.hold) == (hold_bars, hold_s * 1_000_000_000)


def test_a_change_of_specs_survives_json_msgpack_and_pickle() -> None:
    change = SpecsChanged(generation=3, specs=(read(WHOLE),))
    assert msgspec.json.decode(msgspec.json.encode(change), type=SpecsChanged) == change
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(change), type=SpecsChanged) == change
    assert pickle.loads(pickle.dumps(change)) == change  # noqa: S301
    assert msgspec.json.decode(msgspec.json.encode(change))["type"] == "SpecsChanged"


def test_the_hash_follows_the_meaning_and_not_the_writing() -> None:
    spec = read(WHOLE)
    again = WHOLE.replace("- rsi < 30", "- 30 > rsi( 14 )  # oversold").replace("15m", "900s")
    again = again.replace("{desk: spot, level: 1}", '{level: "1", desk: spot}')
    assert hash_of(read(again)) == hash_of(spec)
    assert len(hash_of(spec)) == 12
    for old, new in [
        ("rsi < 30", "rsi < 31"),
        ("15m", "16m"),
        ("3 bars", "2 bars"),
        ("critical", "info"),
        ("5m, venues", "1m, venues"),
        ("spot", "futures"),
        ("{close}", "{open}"),
    ]:
        assert hash_of(read(WHOLE.replace(old, new))) != hash_of(spec), old


def test_the_hash_is_the_same_today_as_when_states_were_written() -> None:
    assert hash_of(read(WHOLE)) == "7a0eeb140fdf"


def test_what_it_needs_is_named_once() -> None:
    assert read(WHOLE).fields == ("rsi(14)", "book.imbalance(10)", "close", "ema(20)", "volume")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (90, "90s"), (120, "2m"), (3600, "1h"), (172_800, "2d")]
)
def test_a_duration_is_told_in_its_largest_whole_unit(seconds: int, text: str) -> None:
    assert duration_text(seconds * 1_000_000_000) == text


def test_a_spec_is_described_for_people() -> None:
    assert describe(read(WHOLE)) == (
        "whole: Everything there is (critical)\n"
        "  looks at  every 5m bar of BTC-*, ETH-USDT at binance\n"
        "  when      rsi(14) < 30 and (book.imbalance(10) > 0.2"
        " or not (close > ema(20) and volume > 1))\n"
        "  for       3 bars\n"
        "  cooldown  15m\n"
        "  labels    desk=spot, level=1\n"
        "  tells     telegram/main"
    )


OLD = (
    '{"type":"SpecsChanged","generation":1,"specs":[{"id":"dip","title":"Sharp dip","source":'
    '{"stream":"bar","symbols":["BTC-USDT"],"interval":"1s","venues":[]},"when":"rsi(14) < 15",'
    '"hold_bars":1,"hold":0,"cooldown":60000000000,"severity":"warning","labels":{},'
    '"notify":[{"to":"default","message":"{symbol} dips"}]}]}'
)
"""As a recording of the first version has it."""


def test_an_old_recording_still_reads() -> None:
    (spec,) = msgspec.json.decode(OLD, type=SpecsChanged).specs
    assert (spec.is_enabled, spec.trigger, spec.until, spec.tests) == (True, "", "", ())
    again = read(
        "version: 1\nfilters:\n  - {id: dip, title: Sharp dip, when: rsi < 15, cooldown: 60s,"
        " severity: warning, source: {stream: bar, symbols: [BTC-USDT], interval: 1s},"
        ' notify: [{to: default, message: "{symbol} dips"}]}'
    )
    assert again == spec
    assert hash_of(again) == hash_of(spec)


MORE = """    until: rsi > 40
    trigger: every
    once: true
    expires: 2030-01-01T12:00Z
    missing: reset
"""


def test_the_later_keys_are_part_of_the_meaning_and_described() -> None:
    spec = read(WHOLE + MORE)
    hashes = {hash_of(spec)}
    for line in MORE.splitlines(keepends=True):
        hashes.add(hash_of(read(WHOLE + MORE.replace(line, ""))))
    assert len(hashes) == 6
    told = describe(spec)
    for words in ("until     rsi(14) > 40", "expires   2030-01-01T12:00Z", "missing   reset"):
        assert words in told


def test_tests_and_being_switched_off_are_no_part_of_the_meaning() -> None:
    off = "    enabled: false\n    tests: [{given: {rsi: 20, close: [1]}, fires: []}]\n"
    spec = read(WHOLE.replace("book.imbalance > 0.2", "volume > 5") + off)
    same = read(WHOLE.replace("book.imbalance > 0.2", "volume > 5"))
    assert spec != same
    assert hash_of(spec) == hash_of(same)
    assert "switched off" in describe(spec)
    assert in_force([spec, same]) == (same,)
    assert in_force([msgspec.structs.replace(spec, is_enabled=True)]) == (same,)


@pytest.mark.parametrize("text", ["2261-12-31T23:59:59Z", "1970-01-01T00:00:01Z"])
def test_the_first_and_the_last_expiry_can_be_shown_recorded_and_hashed(text: str) -> None:
    source = "{stream: book, symbols: [BTC-USDT]}"
    file = f"version: 1\nfilters: [{{id: x, source: {source}, when: mid > 1, expires: {text}}}]"
    [spec] = read_specs([("x.yaml", file)])
    assert f"expires   {text}" in describe(spec)
    change = SpecsChanged(generation=1, specs=(spec,))
    assert msgspec.json.decode(msgspec.json.encode(change), type=SpecsChanged) == change
    assert hash_of(spec)
