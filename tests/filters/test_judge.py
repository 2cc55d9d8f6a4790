"""What may be meant, but probably is not."""

import pytest

from filters.judge import MOST_HISTORY, Known
from filters.spec_reader import read
from flows import bar_series

SPEC = """
version: 1
filters:
  - id: x
    source: {stream: bar, symbols: [%s], interval: 1m, venues: [%s]}
    when: %s
"""


def warnings(
    when: str, *, symbols: str = "BTC-USDT", venue: str = "binance", known: Known | None = None
) -> list[str]:
    reading = read([("x.yaml", SPEC % (symbols, venue, when))], known)
    return [str(warning).split("\n")[0] for warning in reading.warnings]


@pytest.mark.parametrize(
    "when",
    [
        "rsi < 30 and rsi > 70",
        "rsi < 30 and (close > 5 and rsi >= 30)",
        "[rsi == 30, rsi > 40]",
        "{any: [close > 5, {all: [rsi > 70, rsi < 70]}]}",
        "not (rsi <= 30 and rsi > 30)",
    ],
)
def test_two_things_that_cannot_be_at_once(when: str) -> None:
    (told,) = warnings(when)
    assert told.startswith("x.yaml:6:11: 'rsi(14)' cannot be ")


@pytest.mark.parametrize(
    "when",
    [
        "rsi < 30 or rsi > 70",
        "rsi <= 30 and rsi >= 30",
        "rsi > 30 and rsi(7) < 20",
        "20 < rsi < 30",
    ],
)
def test_what_can_be_is_not_warned_of(when: str) -> None:
    assert warnings(when) == []


def test_an_indicator_longer_than_the_kept_past() -> None:
    (told,) = warnings("close > sma(6000)")
    assert told == (
        "x.yaml:6:19: 'sma(6000)' has its first value after 6000 bars, and 5000 of the past are"
        " kept at most: it says nothing for the first 1000m"
    )
    assert warnings("close > sma(5000)") == []
    (told,) = warnings("rsi(14)@1h > 50", known=Known(history=10))
    assert "'rsi(14)@1h'" in told


def test_the_kept_past_is_the_one_of_the_flow() -> None:
    assert MOST_HISTORY == bar_series.MOST_HISTORY


def test_a_symbol_that_no_venue_lists() -> None:
    known = Known(symbols=frozenset({"BTC-USDT", "ETH-USDT"}), venues=frozenset({"binance"}))
    (told,) = warnings("close > 5", symbols="BTC-USDT, BTC-USD", known=known)
    assert told == "x.yaml:5:47: no venue lists 'BTC-USD'; did you mean 'BTC-USDT'?"
    (told,) = warnings("close > close@ETH-USD", known=known)
    assert told.startswith("x.yaml:6:25: ")
    assert "no venue lists 'ETH-USD'; did you mean 'ETH-USDT'?" in told
    assert warnings("close > 5", symbols='"*-USDT"', known=known) == []
    (told,) = warnings("close > 5", symbols='"*-EUR"', known=known)
    assert "no venue lists '*-EUR'" in told


FOLLOWED = Known(
    followed=frozenset({"BTC-USDT", "ETH-USDT"}),
    series=frozenset({"binance:BTC-USDT", "bybit:ETH-USDT"}),
)


@pytest.mark.parametrize(
    ("place", "known", "words"),
    [
        ("ETH-USDT", FOLLOWED, ""),
        ("bybit:ETH-USDT", FOLLOWED, ""),
        ("ETH-USD", FOLLOWED, "'ETH-USD' is not followed, so it waits for ever; did you mean"),
        ("binance:ETH-USDT", FOLLOWED, "'binance:ETH-USDT' is not followed, so it waits for ever"),
        ("bybit:ETH-USDT", Known(followed=frozenset({"BTC-USDT"})), "'ETH-USDT' is not followed"),
        ("15m", Known(followed=frozenset({"BTC-USDT"})), ""),
    ],
)
def test_other_bars_that_nobody_follows(place: str, known: Known, words: str) -> None:
    told = warnings(f"close > ema@{place}", known=known)
    assert len(told) == bool(words)
    assert all(each.startswith(f"x.yaml:6:23: 'ema(20)@{place}': {words}") for each in told)


def test_a_symbol_of_the_source_that_is_not_followed() -> None:
    known = Known(followed=frozenset({"ETH-USDT"}))
    (told,) = warnings("close > 1", known=known)
    assert told.startswith("x.yaml:5:37: 'BTC-USDT' is not followed")
    # A running flow knows what is listed: there a spec of symbols to come is right.
    assert warnings("close > 1", known=FOLLOWED) == []
    listed = Known(followed=frozenset({"ETH-USDT"}), symbols=frozenset({"BTC-USDT"}))
    assert warnings("close > 1", known=listed) == []


def test_a_venue_that_there_is_not() -> None:
    known = Known(venues=frozenset({"binance", "bybit"}))
    (told,) = warnings("close > 5", venue="binanse", known=known)
    assert told == "x.yaml:5:71: venue 'binanse' is not known; did you mean 'binance'?"
    assert warnings("close > 5", venue="merged", known=known) == []
    (told,) = warnings("[close > 5, close > close@binanse:ETH-USDT]", known=known)
    assert told == (
        "x.yaml:6:37: 'close@binanse:ETH-USDT': venue 'binanse' is not known; did you mean"
        " 'binance'?"
    )


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ("close@ETH-USD > 1", "x.yaml:6:17"),
        ("{any: [close > 1, {ETH-USD@15m: close > 2}]}", "x.yaml:6:30"),
        ("close > 1\n    until: close@ETH-USD > 1", "x.yaml:7:18"),
        ('close > 1\n    notify: [{to: default, message: "is {close@ETH-USD}"}]', "x.yaml:7:48"),
        ("close > 1\n    until: close@  ETH-USD > 1", "x.yaml:7:20"),
    ],
)
def test_a_warning_of_another_symbol_stands_where_it_is_written(keys: str, place: str) -> None:
    (told,) = warnings(keys, known=Known(symbols=frozenset({"BTC-USDT"})))
    assert told.startswith(f"{place}: 'close@ETH-USD")


@pytest.mark.parametrize(
    ("now", "more", "words"),
    [
        (1_798_675_200_000_000_000, "", "x.yaml:7:14: expires: this time is past"),
        (1_798_675_199_999_999_999, "", ""),
        (None, "", ""),
        (1_798_675_200_000_000_000, "\n    enabled: false", ""),
    ],
)
def test_a_filter_that_has_expired(now: int | None, more: str, words: str) -> None:
    told = warnings(f"close > 5\n    expires: 2026-12-31{more}", known=Known(now=now))
    assert len(told) == bool(words)
    assert not words or told[0].startswith(words)


STRATEGY = """
version: 1
filters:
  - id: x
    source: {stream: bar, symbols: [BTC-USDT], interval: 1m}
    strategy: {entry: close > 1, exit: %s, risk: {stop: %s}}
"""


@pytest.mark.parametrize(
    ("leaves", "stop", "words"),
    [
        ("rsi > 70 and rsi < 30", "2%", "x.yaml:6:40: 'rsi(14)' cannot be "),
        ("close < sma(6000)", "2%", "x.yaml:6:48: 'sma(6000)' has its first value after 6000"),
        ("rsi > 70", "atr(6000)*2", "x.yaml:6:63: 'atr(6000)' has its first value after 6001"),
        ("rsi > 70", "atr(14)*2", ""),
    ],
)
def test_the_exit_and_the_stop_of_a_strategy_are_judged_too(
    leaves: str, stop: str, words: str
) -> None:
    reading = read([("x.yaml", STRATEGY % (leaves, stop))])
    told = [str(warning).split("\n")[0] for warning in reading.warnings]
    assert len(told) == bool(words)
    assert not words or told[0].startswith(words)


@pytest.mark.parametrize(
    ("side", "stop", "target", "words"),
    [
        ("short", "support", "5%", ["stop: 'support(1)' lies below the price, and the stop of a"]),
        ("short", "support(2) - 1%", "5%", ["stop: 'support(2) - 1%' lies below"]),
        ("long", "resistance", "5%", ["stop: 'resistance(1)' lies above the price"]),
        ("long", "2%", "support", ["target: 'support(1)' lies below the price, and the target of"]),
        ("short", "support", "resistance + 1%", ["stop: ", "target: 'resistance(1) + 1%' lies"]),
        ("short", "resistance + 0.1%", "support", []),
        ("long", "support - 0.1%", "resistance", []),
        ("short", "support + 5%", "2%", []),
        ("short", "close + 5%", "atr*2", []),
    ],
)
def test_a_stop_or_target_on_the_wrong_side_of_the_price(
    side: str, stop: str, target: str, words: list[str]
) -> None:
    text = STRATEGY % ("close < 1", f"{stop}, target: {target}")
    reading = read([("x.yaml", text.replace("strategy: {", f"strategy: {{side: {side}, "))])
    told = [warning.message for warning in reading.warnings]
    assert len(told) == len(words)
    assert all(each.startswith(begin) for each, begin in zip(told, words, strict=True))
