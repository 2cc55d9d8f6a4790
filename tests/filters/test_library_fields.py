"""A spec may name what a library computes."""

import pytest

from filters.fields import FieldError, range_of, resolve
from filters.spec_reader import read_specs
from filters.spec_set_error import SpecSetError


def test_a_function_of_a_library_is_a_field_of_bars() -> None:
    assert resolve("talib.adx", "bar") == "talib.adx(14)"
    assert resolve("talib.macd(12,26,9).macdhist", "bar") == "talib.macd(12,26,9).macdhist"
    assert resolve("pta.supertrend(7, 3).supertd", "bar") == "pta.supertrend(7,3).supertd"
    assert range_of("talib.adx(14)") == (0.0, 100.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("talib.adxx(14)", "no indicator 'talib.adxx'; did you mean 'talib.adx'?"),
        ("talib.mavp", "no indicator 'talib.mavp': it wants a period for every bar"),
        ("talib.macd", "'talib.macd(12,26,9)' has several values: say which"),
    ],
)
def test_a_wrong_one_is_told(text: str, message: str) -> None:
    with pytest.raises(FieldError) as caught:
        resolve(text, "bar")
    assert message in caught.value.message


def test_a_spec_may_compare_it() -> None:
    text = """\
version: 1
filters:
  - id: trend
    source: {stream: bar, symbols: [BTC-USDT], interval: 1m}
    when: talib.adx(14) > 25 and talib.macd(12,26,9).macdhist > 0
    notify: [{to: default, message: "{talib.adx(14):.1f}"}]
"""
    (spec,) = read_specs([("trend.yaml", text)])
    assert spec.id == "trend"
    wrong = text.replace("talib.adx(14) >", "talib.adxx(14) >")
    with pytest.raises(SpecSetError) as caught:
        read_specs([("trend.yaml", wrong)])
    assert "trend.yaml:5:11: no indicator 'talib.adxx'; did you mean 'talib.adx'?" in str(
        caught.value
    )
