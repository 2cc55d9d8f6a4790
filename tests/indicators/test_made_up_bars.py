"""The market that libraries are measured on is one, and always the same."""

import numpy as np

from indicators.made_up_bars import made_up, standing_still


def test_its_bars_are_bars() -> None:
    made = made_up(5000)
    for name in ("open", "high", "low", "close", "volume"):
        assert made[name].shape == (5000,)
        assert np.isfinite(made[name]).all()
        assert (made[name] >= 0).all()
    assert (made["high"] >= np.maximum(made["open"], made["close"])).all()
    assert (made["low"] <= np.minimum(made["open"], made["close"])).all()
    assert (made["open"][1:] == made["close"][:-1]).all()


def test_it_goes_up_and_down_and_stays_where_prices_are() -> None:
    close = made_up(50_000)["close"]
    assert 10 < close.min() < 95
    assert 105 < close.max() < 1000
    assert 0.4 < (np.diff(close) > 0).mean() < 0.6


def test_it_is_the_same_every_time() -> None:
    first, second = made_up(100), made_up(100)
    assert all((first[name] == second[name]).all() for name in first)


def test_a_market_that_stands_still_has_one_price_and_no_volume() -> None:
    made = standing_still(3)
    assert made["high"].tolist() == made["low"].tolist() == [100.0] * 3
    assert made["volume"].tolist() == [0.0] * 3
