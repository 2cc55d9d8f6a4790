"""The benchmark of previews looks at every bar that it says."""

from bench.preview import fill, took


def test_every_bar_of_every_symbol_is_looked_at(fresh_database: str) -> None:
    series = fill(fresh_database, 2, 0.25)
    assert series == ["binance:C0-USDT", "binance:C1-USDT"]
    told = took(fresh_database, series, 0.25)
    assert told.bars == 2 * 360
    assert told.fired > 0
    assert told.seconds > 0
