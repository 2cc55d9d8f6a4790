"""The pictures themselves, decoded by Pillow: what stands where, and that nothing makes one fail.

Where a price stands is read off the picture's own labels: two of them give the scale.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import matplotlib as mpl
import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from market.errors import ConfigError
from market.events import Bar
from sinks.charts import drawing, look
from sinks.charts.chart import Chart, Line, Mark, Pane, Wall
from sinks.charts.contents import chart_of
from sinks.charts.drawing import draw, figure_of
from tests.drawn_examples import examples
from tests.sinks.charts.chart_bars import MINUTE, START, bar, walk

ROOT = Path(drawing.__file__).parent.parent.parent
BARS = [bar(number, 100.0 + (number % 2) * 4, 104.0 - (number % 2) * 4) for number in range(12)]
"""Up, down, up, down, between 100 and 104."""

Pixels = npt.NDArray[np.uint8]


def chart(bars: list[Bar] = BARS, **more: object) -> Chart:
    fields = {"symbol": "BTC-USDT", "venue": "binance", "interval": "1m", "bars": tuple(bars)}
    return Chart(**{**fields, **more})  # type: ignore[arg-type]  # a test names what it changes


@lru_cache(maxsize=4)
def pixels(png: bytes) -> Pixels:
    with Image.open(BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))


def tick_scale(axes: Axes) -> tuple[float, float]:
    """Return what one unit of price is in axes heights, and the price at the bottom."""
    ticks = [text for text in axes.texts if text.get_gid() == "tick"]
    low, high = min(ticks, key=_height), max(ticks, key=_height)
    values = [float(each.get_text().replace(",", "")) for each in (low, high)]
    unit = (_height(high) - _height(low)) / (values[1] - values[0])
    return unit, values[0] - _height(low) / unit


def _height(text: object) -> float:
    return float(text.get_position()[1])  # type: ignore[attr-defined]  # a text


def panes_of(figure: Figure) -> list[Axes]:
    return figure.axes[1:]  # the first one holds letters


def colour_at(png: bytes, figure: Figure, axes: Axes, x: float, y: float) -> tuple[int, ...]:
    """The colour at a bar's number and a share of the pane's height."""
    right, up = axes.transData.transform((x, y))
    image = pixels(png)
    return tuple(int(each) for each in image[round(image.shape[0] - up), round(right)])


def rgb(colour: str) -> tuple[int, ...]:
    return tuple(round(255 * part) for part in to_rgb(colour))


def test_it_is_as_wide_as_a_phone_likes_it_and_tall_for_many_panes() -> None:
    one = Pane(title="x", lines=(Line(label="", values=(1.0,) * 12),))
    for panes, height in (((), 1080), ((one,), 1080), ((one, one), 1350)):
        assert pixels(draw(chart(panes=panes))).shape == (height, 1080, 3)


def test_a_candle_stands_at_the_price_that_the_labels_say() -> None:
    png, figure = draw(chart()), figure_of(chart(), UTC)
    price = panes_of(figure)[0]
    unit, bottom = tick_scale(price)
    for number in range(12):
        body = rgb(look.UP if number % 2 == 0 else look.DOWN)
        for inside in (100.2, 102.0, 103.8):
            spot = colour_at(png, figure, price, number, (inside - bottom) * unit)
            assert spot == body
        for beside in (99.5, 104.7):
            spot = colour_at(png, figure, price, number + 0.2, (beside - bottom) * unit)
            assert spot != body


def test_volume_has_the_colour_of_its_candle() -> None:
    png, figure = draw(chart()), figure_of(chart(), UTC)
    volume = panes_of(figure)[1]
    up = colour_at(png, figure, volume, 6, 0.05)
    down = colour_at(png, figure, volume, 5, 0.05)
    assert up[1] > 2 * up[0]
    assert down[0] > 2 * down[1]


def test_bars_that_may_lack_trades_are_not_filled() -> None:
    bars = [*BARS[:11], msgspec.structs.replace(BARS[11], gap=True)]
    figure = figure_of(chart(bars), UTC)
    price = panes_of(figure)[0]
    unit, bottom = tick_scale(price)
    image = pixels(draw(chart(bars)))

    def share(number: int) -> float:
        left, low = price.transData.transform((number - 0.2, (100.5 - bottom) * unit))
        right, high = price.transData.transform((number + 0.2, (103.5 - bottom) * unit))
        tall = image.shape[0]
        body = image[round(tall - high) : round(tall - low), round(left) : round(right)]
        return float((body == rgb(look.DOWN)).all(axis=2).mean())

    assert share(9) == 1.0
    assert share(11) < 0.2


@pytest.mark.parametrize(("is_support", "colour"), [(True, look.UP), (False, look.DOWN)])
def test_a_wall_is_a_line_at_its_price(is_support: bool, colour: str) -> None:
    at = 99.0 if is_support else 105.5
    walled = chart(walls=(Wall(price=at, is_support=is_support, size=12.5),))
    png, figure = draw(walled), figure_of(walled, UTC)
    price = panes_of(figure)[0]
    unit, bottom = tick_scale(price)
    found = colour_at(png, figure, price, 11.7, (at - bottom) * unit)
    assert found == pytest.approx(rgb(colour), abs=60)
    words = " ".join(text.get_text() for text in price.texts)
    assert f"{'support' if is_support else 'resistance'} {at:g} · 12.5 BTC" in words


def test_the_moment_is_marked_through_all_panes() -> None:
    lines = (Line(label="", values=tuple(float(each) for each in range(12))),)
    pane = Pane(title="x", lines=lines)
    mark = Mark(ts=BARS[7].end, severity="critical")
    plain, marked = (draw(chart(panes=(pane,), mark=each)) for each in (None, mark))
    figure = figure_of(chart(panes=(pane,), mark=mark), UTC)
    image, before = pixels(marked), pixels(plain)
    for axes in panes_of(figure):
        x = round(axes.transData.transform((7, 0))[0])
        box = axes.bbox
        rows = slice(round(1080 - box.y1), round(1080 - box.y0))
        column = image[rows, x - 1 : x + 2]
        hits = np.abs(column.astype(int) - rgb(look.SEVERITIES["critical"])).sum(axis=2) < 60
        assert hits.any(axis=1).mean() > 0.3
        other = round(axes.transData.transform((3.5, 0))[0])
        assert (image[rows, other] == before[rows, other]).all()


def test_a_value_stands_between_its_guides() -> None:
    pane = Pane(
        title="rsi(14)",
        lines=(Line(label="", values=(20.0,) * 12),),
        guides=(30.0, 70.0),
        least=0.0,
        most=100.0,
    )
    drawn = chart(panes=(pane,))
    png, figure = draw(drawn), figure_of(drawn, UTC)
    axes = panes_of(figure)[2]
    unit, bottom = tick_scale(axes)
    assert colour_at(png, figure, axes, 5, (20.0 - bottom) * unit) == rgb(look.LINES[0])
    assert colour_at(png, figure, axes, 5, (50.0 - bottom) * unit) != rgb(look.LINES[0])


def test_a_hole_in_the_data_is_a_hole_in_the_picture() -> None:
    bars = [each for number, each in enumerate(BARS) if number not in (4, 5, 6)]
    png, figure = draw(chart(bars)), figure_of(chart(bars), UTC)
    price = panes_of(figure)[0]
    shade = colour_at(png, figure, price, 5.9, 0.93)
    assert shade not in (rgb(look.UP), rgb(look.DOWN), rgb(look.PANE))
    assert colour_at(png, figure, price, 7, 0.5) == rgb(look.DOWN)


def test_the_head_says_where_when_and_how_true() -> None:
    told = chart(
        mark=Mark(ts=START + 12 * MINUTE),
        state="stale",
        headline="my-spec: " + "many words " * 40,
        left_out=("no room: cci(20)",),
    )
    words = [text.get_text() for text in figure_of(told, ZoneInfo("Asia/Kathmandu")).axes[0].texts]
    assert {"BTC-USDT", "binance · 1m", "stale", "100", "no room: cci(20)"} <= set(words)
    assert "fired 21 Sep 2026 20:12:00 +0545 · 14:27:00 UTC" in words
    assert sum("many words" in word for word in words) == 2
    assert any(word.endswith("…") for word in words)


def test_the_same_data_gives_the_same_bytes_also_elsewhere() -> None:
    code = (
        "import hashlib; from sinks.charts.contents import chart_of; "
        "from sinks.charts.drawing import draw; "
        "from tests.sinks.charts.chart_bars import walk; "
        "c = chart_of(walk(60), ['rsi', 'bb'], symbol='A-B', venue='x'); "
        "print(hashlib.sha256(draw(c)).hexdigest())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "MPLBACKEND": "svg"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1


def test_the_users_matplotlib_settings_change_nothing() -> None:
    drawn = chart_of(walk(60), ["rsi", "bb", "macd"], symbol="A-B", venue="x")
    plain = draw(drawn)
    with mpl.rc_context(
        {
            "axes.facecolor": "white",
            "font.family": "serif",
            "font.size": 3,
            "lines.linewidth": 9,
            "axes.grid": True,
            "figure.autolayout": True,
            "savefig.dpi": 30,
            "patch.edgecolor": "red",
            "text.color": "red",
        }
    ):
        assert draw(drawn) == plain


def test_threads_draw_what_one_alone_draws() -> None:
    charts = [
        chart_of(walk(30, seed=seed), ["rsi", "bb"], symbol=f"A{seed}-B", venue="x")
        for seed in range(3)
    ]
    alone = [draw(each) for each in charts]
    assert len(set(alone)) == 3
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(draw, charts)) == alone


NUMBERS = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 1e-12, 0.00000123, 98765.4, 1e15, 1e300, -1e300]),
    st.floats(allow_nan=True, allow_infinity=True),
)
TEXTS = st.text(max_size=60)


@st.composite
def odd_charts(draw_value: st.DrawFn) -> Chart:
    """Draw a chart of anything that a Chart may hold, and of some that it should not."""
    count = draw_value(st.integers(1, 9))
    starts = draw_value(
        st.lists(st.integers(0, 2**62), min_size=count, max_size=count, unique=True)
    )
    if draw_value(st.booleans()):
        starts = [START + each * MINUTE for each in range(count)]
    bars = []
    for start in sorted(starts):
        opened, close, high, low, volume = (draw_value(NUMBERS) for _ in range(5))
        bars.append(
            bar(
                0,
                opened,
                close,
                start=start,
                end=start + MINUTE,
                high=high,
                low=low,
                volume=volume,
                interval=draw_value(st.sampled_from(["1m", "100t", "1w", ""])),
                gap=draw_value(st.booleans()),
            )
        )
    values = st.lists(st.one_of(st.none(), NUMBERS), min_size=count, max_size=count).map(tuple)
    lines = st.builds(
        Line, label=TEXTS, values=values, shown=st.sampled_from(["line", "bars", "price"])
    )
    some_lines = st.lists(lines, min_size=1, max_size=3).map(tuple)
    panes = st.builds(
        Pane, title=TEXTS, lines=some_lines, guides=st.lists(NUMBERS, max_size=2).map(tuple)
    )
    walls = st.builds(
        Wall, price=NUMBERS, is_support=st.booleans(), size=st.one_of(st.none(), NUMBERS)
    )
    marks = st.builds(Mark, ts=st.integers(0, 2**62), label=TEXTS, severity=TEXTS)
    return chart(
        bars,
        symbol=draw_value(TEXTS),
        venue=draw_value(TEXTS),
        layers=tuple(draw_value(st.lists(panes, max_size=2))),
        panes=tuple(draw_value(st.lists(panes, max_size=2))),
        walls=tuple(draw_value(st.lists(walls, max_size=4))),
        left_out=tuple(draw_value(st.lists(TEXTS, max_size=2))),
        mark=draw_value(st.one_of(st.none(), marks)),
        headline=draw_value(TEXTS),
        state=draw_value(TEXTS),
    )


def test_a_band_of_which_one_side_is_no_number_is_drawn() -> None:
    sides = ((1.0, 2.0, 3.0), (float("inf"), 4.0, None), (None, float("nan"), 1e300))
    layer = Pane(
        title="x", lines=tuple(Line(label="", values=each, shown="price") for each in sides)
    )
    assert draw(chart(BARS[:3], layers=(layer,), panes=(layer,)))


@settings(examples(8), suppress_health_check=list(HealthCheck))
@given(odd_charts())
def test_odd_data_still_gives_a_picture(odd: Chart) -> None:
    assert pixels(draw(odd)).shape[1] == 1080


@pytest.mark.parametrize("price", [0.00000123, 98765.4, 1e-9, 123_456_789.0])
def test_tiny_and_huge_prices_are_written_in_full(price: float) -> None:
    bars = walk(30, price=price)
    figure = figure_of(chart(bars), UTC)
    unit, bottom = tick_scale(panes_of(figure)[0])
    low, high = min(each.low for each in bars), max(each.high for each in bars)
    assert 0 < (low - bottom) * unit < (high - bottom) * unit < 1
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]  # theirs
    for text in panes_of(figure)[0].texts:
        right = text.get_window_extent(renderer).x1
        assert right <= 1080


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"candlewax\[charts\]"):
        draw(chart())


def test_a_price_that_hardly_moved_is_not_told_as_less_than_nothing() -> None:
    bars = [bar(0, 64_002.0, 64_002.0), bar(1, 64_002.0, 64_001.9)]
    words = [text.get_text() for text in figure_of(chart(bars), UTC).axes[0].texts]
    assert "+0.00 % in 2 min" in words
