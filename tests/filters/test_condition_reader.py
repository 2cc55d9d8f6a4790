"""The ways to write a condition: short, long, named, of other bars; they mean the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.places import Place, PlaceError, parse_place
from filters.spec_reader import read_specs
from filters.specs import Spec

HEAD = """
version: 1
define:
  oversold: rsi(14) < 30
  washed_out: [oversold, volume > 10]
filters:
  - id: x
    source: {stream: bar, symbols: [BTC-USDT], interval: 1m}
    when: %s
"""


def when(text: str, head: str = HEAD) -> str:
    spec: Spec
    (spec,) = read_specs([("x.yaml", head % text)])
    return spec.when


SAME = [
    ("{field: rsi(14), op: lt, value: 30}", "rsi < 30"),
    ("{field: rsi(14), op: '<=', value: 30}", "rsi <= 30"),
    ("{field: close, op: gt, value: ema(20)}", "close > ema(20)"),
    ("{field: rsi(14), op: between, value: [20, 30]}", "rsi between 20 and 30"),
    ("{field: rsi(14), op: between, value: [20, 30]}", "20 <= rsi and rsi <= 30"),
    ("{field: count, op: in, value: [1, 2, 3]}", "count in (1, 2, 3)"),
    ("{field: count, op: in, value: [1, 2, 3]}", "count in [1, 2, 3]"),
    ("{field: count, op: in, value: 4}", "count == 4"),
    ("{field: close, op: crosses_above, value: 70000}", "close crosses_above 70_000"),
    ("{field: close, op: crosses, value: ema(20)}", "close crosses ema"),
    ("70000 crosses_below close", "close crosses_above 70000"),
    ("ema(20) crosses_below close", "ema crosses_below close"),
    ("close crosses ema", "close crosses_above ema or close crosses_below ema"),
    (
        "{field: close, op: changes_by_pct, value: 2, within: 5m}",
        "close changes_by_pct >= 2 within 5m",
    ),
    (
        "{field: close, op: changes_by_pct, value: -2, within: 3 bars}",
        "close changes_by_pct <= -2 within 3 bars",
    ),
    (
        "{field: close, op: moves_by_pct, value: 2, within: 300s}",
        "close changes_by_pct >= 2 within 5m or close changes_by_pct <= -2 within 5m",
    ),
    ("oversold", "rsi < 30"),
    ("not oversold or washed_out", "not rsi < 30 or (rsi < 30 and volume > 10)"),
    ("{all: [oversold, {field: close, op: gt, value: 5}]}", "rsi < 30 and close > 5"),
    ("{BTC-USDT@15m: rsi < 30}", "rsi@BTC-USDT@15m < 30"),
    ("{'@15m': [rsi < 30, close > ema(20)]}", "rsi@15m < 30 and close@15m > ema@15m"),
    ("{15m: {any: [rsi < 30, close@1h > 5]}}", "rsi@15m < 30 or close@1h > 5"),
    ("{'bybit:BTC-USDT': {field: close, op: gt, value: 5}}", "close@bybit:BTC-USDT > 5"),
    ("{not: {not: rsi < 30}}", "rsi < 30"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_two_ways_to_write_the_same(one: str, other: str) -> None:
    assert when(one) == when(f'"{other}"')


def test_the_canonical_text_is_what_travels() -> None:
    text = "rsi@BTC-USDT@15m crosses_above 30 and talib.adx(14) > 25 and macd.hist > 0"
    assert when(text) == (
        "rsi(14)@BTC-USDT@15m crosses_above 30 and talib.adx(14) > 25 and macd(12,26,9).hist > 0"
    )


@given(value=st.floats(-1e9, 1e9), op=st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"]))
def test_numbers_of_the_long_form_come_through_exactly(value: float, op: str) -> None:
    sign = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}[op]
    long = when(f"{{field: change_bps, op: {op}, value: {value!r}}}")
    assert long == when(f'"change_bps {sign} {value!r}"')


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("15m", Place("", "15m")),
        ("BTC-USDT", Place("BTC-USDT")),
        ("BTC-USDT@1h", Place("BTC-USDT", "1h")),
        ("bybit:BTC-USDT@100tick", Place("BTC-USDT", "100tick", "bybit")),
        ("1INCH-USDT", Place("1INCH-USDT")),
    ],
)
def test_a_place_is_read_and_printed(text: str, place: Place) -> None:
    assert parse_place(text) == place
    assert place.text == f"@{text}"


@pytest.mark.parametrize(
    "text", ["", "btc-usdt", "BTCUSDT", "BTC-USDT@", "@15m", "a b", "15", "0m"]
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(PlaceError):
        parse_place(text)


def test_the_other_series_is_seen_from_the_own_one() -> None:
    own = ("bybit:ETH-USDT", "1m")
    assert parse_place("15m").seen_from(*own) == ("bybit:ETH-USDT", "15m")
    assert parse_place("BTC-USDT").seen_from(*own) == ("bybit:BTC-USDT", "1m")
    assert parse_place("htx:BTC-USDT@1h").seen_from(*own) == ("htx:BTC-USDT", "1h")
