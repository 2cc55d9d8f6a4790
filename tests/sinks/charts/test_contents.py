"""What is on a picture: TA-Lib's values, in the place that the catalogue declares."""

import numpy as np
import pytest
import talib

from indicators.catalogue import KINDS
from indicators.names import usage
from sinks.charts.chart import Chart, Mark, Pane
from sinks.charts.contents import (
    MOST_PANES,
    bars_wanted,
    book_names,
    chart_of,
    last_of,
    wants_midnight,
)
from tests.sinks.charts.chart_bars import bar, walk

BARS = walk(200)
CLOSES = np.array([each.close for each in BARS])


def drawn(*names: str, shown: int = 60, **more: object) -> Chart:
    fields = {"symbol": "BTC-USDT", "venue": "binance", "since": BARS[-shown].start, **more}
    return chart_of(BARS, names, **fields)  # type: ignore[arg-type]  # a test names what it changes


def line(pane: Pane, label: str) -> list[float | None]:
    (found,) = [each.values for each in pane.lines if each.label == label]
    return list(found)


def test_values_are_those_of_talib_over_all_bars_and_the_last_are_shown() -> None:
    chart = drawn("rsi", "macd.hist", "bb.lower")
    assert len(chart.bars) == 60
    rsi, macd = chart.panes
    assert line(rsi, "") == pytest.approx(talib.RSI(CLOSES, 14)[-60:].tolist())
    theirs = talib.MACD(CLOSES, 12, 26, 9)
    for label, values in zip(("line", "signal", "hist"), theirs, strict=True):
        assert line(macd, label) == pytest.approx(values[-60:].tolist())
    (bands,) = chart.layers
    upper, middle, lower = talib.BBANDS(CLOSES, 20, 2, 2)
    for label, values in (("upper", upper), ("middle", middle), ("lower", lower)):
        assert line(bands, label) == pytest.approx(values[-60:].tolist(), rel=1e-9)


def test_each_kind_is_where_its_declaration_puts_it() -> None:
    chart = drawn("rsi(14)", "stoch(14,3,3).k", "ema(20)", "ao", "vwap", "bar_vwap")
    assert [pane.title for pane in chart.panes] == ["rsi(14)", "stoch(14,3,3)", "ao(5,34)"]
    assert [pane.title for pane in chart.layers] == ["ema(20)", "bar_vwap"]
    rsi, stoch, ao = chart.panes
    assert (rsi.least, rsi.most, rsi.guides) == (0.0, 100.0, (30.0, 70.0))
    assert [each.label for each in stoch.lines] == ["k", "d"]
    assert (ao.least, ao.lines[0].shown) == (None, "bars")


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_kind_is_drawn_or_named(kind: object) -> None:
    name = usage(KINDS[kind.name])  # type: ignore[attr-defined]  # a kind
    chart = drawn(name)
    titles = {pane.title for pane in (*chart.layers, *chart.panes)}
    rare = all(output.is_rare for output in KINDS[name.partition("(")[0]].outputs)
    assert rare or name in titles or any(name in each for each in chart.left_out)


def test_what_an_indicator_looks_at_is_drawn_with_its_threshold() -> None:
    rsi, crosses = drawn("crosses(rsi(7),35)").panes
    assert (rsi.title, rsi.guides) == ("rsi(7)", (35.0,))
    assert crosses.title == "crosses(rsi(7),35)"


def test_a_share_of_the_bands_has_a_pane_and_brings_the_bands() -> None:
    assert not drawn("bollinger(20,2)").panes
    chart = drawn("bollinger(20,2).percent_b")
    assert [pane.title for pane in chart.layers] == ["bollinger(20,2)"]
    assert [each.label for each in chart.panes[0].lines] == ["percent_b"]


def test_of_a_library_what_is_far_from_the_price_is_no_price() -> None:
    chart = drawn("pta.supertrend(7,3)", "talib.ema(10)", "talib.atr(14)")
    assert [pane.title for pane in chart.layers] == ["pta.supertrend(7,3)", "talib.ema(10)"]
    assert "talib.atr(14)" in [pane.title for pane in chart.panes]
    assert [each.label for each in chart.panes[0].lines] == ["supertd"]


def test_what_has_no_room_no_value_or_is_not_known_is_named() -> None:
    many = [f"rsi({period})" for period in range(5, 12)]
    chart = drawn(*many, "sma(5000)", "no.such(3)", "BTC-USDT@15m: rsi(14)", "close")
    assert len(chart.panes) == MOST_PANES
    assert chart.left_out == (
        "no room: rsi(9), rsi(10), rsi(11)",
        "no value: sma(5000)",
        "not known here: no.such(3), BTC-USDT@15m: rsi(14)",
    )


def test_what_was_known_at_the_moment_is_drawn_where_its_past_is_not_stored() -> None:
    mark = Mark(ts=BARS[4].end)
    known = {"rsi(14)": 28.5, "sma(3)": 1.0, "macd(12,26,9).hist": None}
    bars = BARS[:8]
    chart = chart_of(
        bars, ["rsi(14)", "sma(3)", "macd.hist"], symbol="A-B", venue="x", mark=mark, known=known
    )
    (rsi,) = chart.panes
    assert line(rsi, "") == [None] * 4 + [28.5] + [None] * 3
    # What the bars give themselves stays.
    (sma,) = chart.layers
    assert line(sma, "")[4] == pytest.approx(talib.SMA(CLOSES[:8], 3)[4])
    assert chart.left_out == ("no value: macd(12,26,9)",)
    early = chart_of(
        bars, ["rsi(14)"], symbol="A-B", venue="x", mark=Mark(ts=bars[0].start - 1), known=known
    )
    assert early.panes == ()


def test_values_of_the_book_are_those_that_were_stored() -> None:
    stored = {"book.imbalance(10)": {BARS[-2].start: 0.25}}
    (pane,) = drawn("book.imbalance", shown=3, stored=stored).panes
    assert pane.lines[0].values == (None, 0.25, None)
    assert (pane.least, pane.most) == (-1.0, 1.0)


def test_bars_that_may_lack_trades_are_told() -> None:
    assert drawn().state == ""
    some = chart_of(walk(10, gap={3}, partial={0}), [], symbol="A-B", venue="x")
    assert some.state == "2 of 10 bars may lack trades"
    assert drawn(state="stale").state == "stale"


def test_the_past_that_indicators_want_is_known() -> None:
    assert bars_wanted([]) == 0
    assert bars_wanted(["sma(20)", "close", "book.imbalance"]) == 20
    assert bars_wanted(["ema(5000)"]) == 1000
    assert wants_midnight(["vwap"])
    assert not wants_midnight(["rsi"])
    assert book_names(["rsi", "book.imbalance", "support(1)"]) == [
        "book.imbalance(10)",
        "support(1)",
    ]


def test_the_last_bars_keep_their_values() -> None:
    whole = drawn("rsi(14)", "ema(9)")
    cut = last_of(whole, 7)
    assert cut.bars == whole.bars[-7:]
    assert cut.panes[0].lines[0].values == whole.panes[0].lines[0].values[-7:]
    assert cut.layers[0].lines[0].values == whole.layers[0].lines[0].values[-7:]


def test_no_bars_are_refused() -> None:
    with pytest.raises(ValueError, match="no bars"):
        chart_of([bar(0, 1.0, 2.0)], [], symbol="A-B", venue="x", since=2**62)
