"""A picture as a PNG, for a phone: `draw`.

Drawn with matplotlib's `Figure`, without pyplot and without the user's matplotlib settings, so that
the same data gives the same bytes. matplotlib is an extra: without it `draw` says what to install.
"""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING

from market.errors import ConfigError
from sinks.charts import look, panes
from sinks.charts.chart import Chart, Pane
from sinks.charts.scale import Scale, is_drawable, price_text, short_text
from sinks.charts.times import MONTHS, Times, length_text, local

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING = "pictures need matplotlib: pip install 'candlewax[charts]'"

_PRICE_SHARE = 4.2
_VOLUME_SHARE = 0.8
_PANE_SHARE = 1.3
_STRIP_PX = look.LABEL_PX + 13
_FOOT_PX = look.LABEL_PX + 24
_MOST_TICK_LETTERS = 17
_PRICE_TICKS = 8

# matplotlib's fonts and caches are shared; two pictures at a time would gain nothing anyway.
_lock = threading.Lock()


def is_available() -> bool:
    """Tell whether the library that draws is installed."""
    return find_spec("matplotlib") is not None


def draw(chart: Chart, *, zone: tzinfo = UTC) -> bytes:
    """Return a picture as a PNG, 1080 pixels wide. Any thread may call it.

    Args:
        chart: what is on it.
        zone: of the times on it; the head says UTC too.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    if not is_available():
        raise ConfigError(MISSING)
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - an extra

    with _lock:
        target = BytesIO()
        figure = figure_of(chart, zone)
        canvas = FigureCanvasAgg(figure)
        canvas.print_png(target, metadata={"Software": None})  # type: ignore[no-untyped-call]  # theirs
        # A figure and what is on it hold each other, and the pixels. The flow looks for such cycles
        # rarely: without this each picture keeps eight megabytes until then.
        canvas.renderer = None
        figure.clear()
        return target.getvalue()


def figure_of(chart: Chart, zone: tzinfo) -> "Figure":
    """Return the picture before it is turned into pixels; not for several threads at once."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    height = look.TALL_HEIGHT if len(chart.panes) > 1 else look.HEIGHT
    figure = Figure(
        figsize=(look.WIDTH / look.DPI, height / look.DPI),
        dpi=look.DPI,
        facecolor=look.BACKGROUND,
    )
    figure.set_layout_engine("none")  # whatever the user's settings say
    return _Picture(chart, zone, figure, height).figure


class _Picture:
    """Draws one chart on one figure, from the head down."""

    def __init__(self, chart: Chart, zone: tzinfo, figure: "Figure", height: int) -> None:
        self.chart = chart
        self.zone = zone
        self.figure = figure
        self.height = height
        self.times = Times(chart.bars)
        self.marked = None if chart.mark is None else self.times.bar_at(chart.mark.ts)
        self.ticks = self.times.ticks(zone)
        self.price = panes.price_scale(chart.bars, chart.layers, chart.walls)
        self.below = [panes.pane_scale(pane) for pane in chart.panes]
        self.letters = self._axes(0, height, look.WIDTH, height, is_plain=True)
        self.right = look.WIDTH - look.MARGIN_PX - self._widest_tick()
        self._draw_panes(self._draw_head())

    @property
    def _told(self) -> int:
        """The bar whose values are told: the marked one, else the last."""
        return self.marked if self.marked is not None else len(self.chart.bars) - 1

    @property
    def _base(self) -> str:
        """The currency that sizes are in, where the symbol tells it."""
        base, dash, _ = self.chart.symbol.partition("-")
        return look.printable(base)[:8] if dash and self.chart.venue else ""

    @property
    def _mark_colour(self) -> str:
        mark = self.chart.mark
        return look.TEXT if mark is None else look.SEVERITIES.get(mark.severity, look.TEXT)

    def _draw_head(self) -> float:
        """Write symbol, price, venue, state and times; return how far down they go."""
        chart, room = self.chart, look.WIDTH - 2 * look.MARGIN_PX
        told = chart.bars[self._told]
        price = price_text(told.close)
        y = look.MARGIN_PX + look.TITLE_PX * 0.5
        used = look.width_of(price, look.TITLE_PX, bold=True) + 2 * look.GAP_PX
        symbol = look.fitted(chart.symbol, look.TITLE_PX, max(room - used, 200.0), bold=True)
        self._write(look.MARGIN_PX, y, symbol, pixels=look.TITLE_PX, bold=True)
        colour = look.UP if told.close >= told.open else look.DOWN
        self._write(
            look.WIDTH - look.MARGIN_PX,
            y,
            price,
            pixels=look.TITLE_PX,
            bold=True,
            colour=colour,
            across="right",
        )
        y += look.TITLE_PX * 0.5 + look.HEAD_PX * 0.85
        change = self._change()
        used = look.width_of(change, look.HEAD_PX) + 2 * look.GAP_PX
        place = " · ".join(part for part in (chart.venue, chart.interval) if part)
        place = look.fitted(place, look.HEAD_PX, max(room - used, 200.0))
        self._write(look.MARGIN_PX, y, place, pixels=look.HEAD_PX, colour=look.DIM)
        if chart.state:
            at = look.width_of(f"{place} · ", look.HEAD_PX) + look.GAP_PX / 2
            state = look.fitted(chart.state, look.HEAD_PX, max(room - used - at, 60.0), bold=True)
            self._write(
                look.MARGIN_PX + at,
                y,
                state,
                pixels=look.HEAD_PX,
                bold=True,
                colour=look.UP if chart.state == "live" else look.SEVERITIES["warning"],
            )
        self._write(
            look.WIDTH - look.MARGIN_PX,
            y,
            change,
            pixels=look.HEAD_PX,
            across="right",
            colour=_change_colour(change),
        )
        y += look.HEAD_PX * 1.35
        self._write(look.MARGIN_PX, y, self._when(), pixels=look.HEAD_PX, colour=look.DIM)
        if chart.headline:
            for line in look.wrapped(chart.headline, look.HEAD_PX, room, lines=2, bold=True):
                y += look.HEAD_PX * 1.35
                self._write(
                    look.MARGIN_PX,
                    y,
                    line,
                    pixels=look.HEAD_PX,
                    bold=True,
                    colour=self._mark_colour,
                )
        return y + look.HEAD_PX * 0.75

    def _change(self) -> str:
        """Say how far the price went, from the first bar shown to the one that is told."""
        first, last = self.chart.bars[0], self.chart.bars[self._told]
        if not (first.open > 0 and is_drawable(first.open) and is_drawable(last.close)):
            return ""
        change = 100 * (last.close / first.open - 1)
        change = 0.0 if abs(change) < 0.005 else change  # no "-0.00"
        size = f"{change:+.2f}" if abs(change) < 10_000 else f"{change:+.1e}"
        return f"{size} % in {length_text(max(last.end - first.start, 0))}"

    def _when(self) -> str:
        """Say the moment, in the zone of the picture and in UTC."""
        mark = self.chart.mark
        ts = self.chart.bars[-1].end if mark is None else mark.ts
        word = "until" if mark is None else mark.label
        own, utc = local(ts, self.zone), local(ts, UTC)
        date = f"{own.day} {MONTHS[own.month - 1]} {own.year}"
        text = f"{word} {date} {own:%H:%M:%S} {own.tzname()}"
        if own.utcoffset():
            text += f" · {_day_too(own, utc)}{utc:%H:%M:%S} UTC"
        return look.fitted(text, look.HEAD_PX, look.WIDTH - 2 * look.MARGIN_PX)

    def _draw_panes(self, top: float) -> None:
        chart = self.chart
        foot = _FOOT_PX + (look.LABEL_PX * 1.3 if chart.left_out else 0)
        shares = (_PRICE_SHARE, _VOLUME_SHARE, *(_PANE_SHARE,) * len(chart.panes))
        free = self.height - top - foot - _STRIP_PX * len(shares)
        for number, share in enumerate(shares):
            tall = free * share / sum(shares)
            strip = top + _STRIP_PX / 2 + 3
            axes = self._axes(look.MARGIN_PX, top + _STRIP_PX + tall, self.right, tall)
            if number == 0:
                self._draw_price(axes, strip)
            elif number == 1:
                self._draw_volume(axes, strip)
            else:
                self._draw_pane(axes, strip, chart.panes[number - 2], self.below[number - 2])
            top += _STRIP_PX + tall
        self._draw_foot(top)

    def _draw_price(self, axes: "Axes", strip: float) -> None:
        chart, scale = self.chart, self.price
        self._grid(axes, scale, ticks=_PRICE_TICKS)
        panes.draw_holes(axes, self.times, says=True)
        panes.draw_candles(axes, self.times, scale)
        told: list[tuple[str, str]] = []
        for number, layer in enumerate(chart.layers):
            colour = look.LAYERS[number % len(look.LAYERS)]
            panes.draw_lines(axes, self.times, scale, layer, (colour,))
            told.append((layer.title, colour))
        self._legend(strip, [("price", look.DIM), *told])
        last = chart.bars[self._told].close
        if is_drawable(last):
            panes.draw_walls(
                axes,
                scale,
                chart.walls,
                last,
                unit=self._base,
                below_mark=chart.mark is not None,
            )
        self._tag(axes, scale, chart.bars[-1].close)
        if chart.mark is None:
            return
        panes.draw_mark(axes, self.times, chart.mark)
        if self.marked is not None and is_drawable(last):
            at = self.times.places[self.marked]
            panes.draw_spot(axes, at, scale.place(last), self._mark_colour)
        self._mark_label(axes)

    def _mark_label(self, axes: "Axes") -> None:
        """Name the marked moment at the top of its line, inside the pane."""
        mark = self.chart.mark
        if mark is None:
            return
        text = look.printable(f"{mark.label} {local(mark.ts, self.zone):%H:%M}")
        half = look.width_of(text, look.LABEL_PX, bold=True) / 2 / axes.bbox.width + 0.012
        x = (self.times.place(mark.ts) - self.times.left) / (self.times.right - self.times.left)
        look.write(
            axes,
            min(max(x, half), 1 - half),
            1 - 0.6 * look.LABEL_PX / axes.bbox.height,
            text,
            bold=True,
            colour=look.BACKGROUND,
            across="center",
            box=self._mark_colour,
            alpha=0.95,
        )

    def _draw_volume(self, axes: "Axes", strip: float) -> None:
        self._grid(axes, None)
        panes.draw_holes(axes, self.times, says=False)
        scale = panes.draw_volume(axes, self.times)
        for tick in scale.ticks(2):
            if tick.value > 0:
                self._tick(axes, scale.place(tick.value), short_text(tick.value))
        if self.chart.mark is not None:
            panes.draw_mark(axes, self.times, self.chart.mark)
        volume = self.chart.bars[self._told].volume
        said = f"{short_text(volume)} {self._base}".strip() if is_drawable(volume) else ""
        self._legend(strip, [("volume", look.DIM), (said, look.TEXT)])

    def _draw_pane(self, axes: "Axes", strip: float, pane: Pane, scale: Scale) -> None:
        self._grid(axes, None)
        panes.draw_holes(axes, self.times, says=False)
        panes.draw_guides(axes, scale, pane)
        panes.draw_lines(axes, self.times, scale, pane, look.LINES)
        values = [guide for guide in pane.guides if scale.holds(guide)]
        told = [(each, short_text(each)) for each in values]
        if not told:
            told = [(tick.value, short_text(tick.value)) for tick in scale.ticks(3)]
        for value, text in told:
            self._tick(axes, scale.place(value), text)
        legend = [(pane.title, look.TEXT if len(pane.lines) > 1 else self._of_line(pane, 0))]
        for number, line in enumerate(pane.lines):
            now = line.values[self._told]
            said = short_text(now) if is_drawable(now) else "?"
            legend.append((f"{line.label} {said}".strip(), self._of_line(pane, number)))
        self._legend(strip, legend)
        if self.chart.mark is None:
            return
        panes.draw_mark(axes, self.times, self.chart.mark)
        now = pane.lines[0].values[self._told]
        if self.marked is not None and is_drawable(now) and len(pane.lines) == 1:
            at = self.times.places[self.marked]
            panes.draw_spot(axes, at, scale.place(now), self._mark_colour)

    @staticmethod
    def _of_line(pane: Pane, number: int) -> str:
        is_column = pane.lines[number].shown == "bars"
        return look.TEXT if is_column else look.LINES[number % len(look.LINES)]

    def _draw_foot(self, top: float) -> None:
        width = self.times.right - self.times.left
        for place, text in self.ticks:
            share = (place - self.times.left) / width
            half = look.width_of(text, look.LABEL_PX) / 2
            at = look.MARGIN_PX + share * (self.right - look.MARGIN_PX)
            at = min(max(at, half + 4), look.WIDTH - half - 4)
            y = top + look.LABEL_PX * 0.8
            self._write(at, y, text, colour=look.DIM, across="center")
        if self.chart.left_out:
            text = " · ".join(self.chart.left_out)
            text = look.fitted(text, look.LABEL_PX - 3, look.WIDTH - 2 * look.MARGIN_PX)
            y = self.height - look.LABEL_PX * 0.9
            self._write(look.MARGIN_PX, y, text, pixels=look.LABEL_PX - 3, colour=look.DIM)

    def _grid(self, axes: "Axes", scale: Scale | None, ticks: int = 0) -> None:
        for place, _ in self.ticks:
            axes.axvline(place, color=look.GRID, linewidth=look.points(1.4), zorder=0.6)
        if scale is None:
            return
        close = self.chart.bars[-1].close
        tag = scale.place(close) if is_drawable(close) else 2.0
        for tick in scale.ticks(ticks):
            at = scale.place(tick.value)
            axes.axhline(at, color=look.GRID, linewidth=look.points(1.4), zorder=0.6)
            self._tick(axes, at, tick.text, beside=tag)

    def _tick(self, axes: "Axes", at: float, text: str, *, beside: float = 2.0) -> None:
        """Write a number beside the scale, unless the tag stands there."""
        if not 0 <= at <= 1:
            return
        height = axes.bbox.height
        at = min(max(at, 0.3 * look.LABEL_PX / height), 1 - 0.3 * look.LABEL_PX / height)
        if abs(at - beside) * height < look.LABEL_PX * 1.35:
            return
        x = 1 + 0.5 * look.GAP_PX / axes.bbox.width
        look.write(axes, x, at, text, colour=look.DIM).set_gid("tick")

    def _tag(self, axes: "Axes", scale: Scale, close: float) -> None:
        """Write the last price beside the scale, on its own colour."""
        if not is_drawable(close):
            return
        last = self.chart.bars[-1]
        colour = look.UP if last.close >= last.open else look.DOWN
        at = scale.place(close)
        axes.axhline(
            at, color=colour, linewidth=look.points(1.5), linestyle=(0, (1, 2)), zorder=1.4
        )
        x = 1 + 0.5 * look.GAP_PX / axes.bbox.width
        look.write(
            axes, x, at, self._tag_text(), bold=True, colour=look.BACKGROUND, box=colour, alpha=1
        )

    def _tag_text(self) -> str:
        close = self.chart.bars[-1].close
        text = price_text(close)
        return text if len(text) <= _MOST_TICK_LETTERS else f"{close:.6g}"

    def _widest_tick(self) -> float:
        """Return the pixels that the numbers at the right take."""
        texts = [tick.text for tick in self.price.ticks(_PRICE_TICKS)] + ["100.0k"]
        widths = [look.width_of(text, look.LABEL_PX) for text in texts]
        widths.append(look.width_of(self._tag_text(), look.LABEL_PX, bold=True))
        return max(widths) + look.GAP_PX / 2

    def _legend(self, y: float, parts: Sequence[tuple[str, str]]) -> None:
        """Write words side by side, as many as there is room for."""
        x: float = look.MARGIN_PX
        for text, colour in parts:
            room = look.WIDTH - look.MARGIN_PX - x
            if room < 3 * look.LABEL_PX:
                return
            shown = look.fitted(text, look.LABEL_PX, room)
            self._write(x, y, shown, colour=colour)
            x += look.width_of(shown, look.LABEL_PX) + 1.4 * look.GAP_PX

    def _write(
        self,
        x: float,
        y: float,
        text: str,
        *,
        pixels: float = look.LABEL_PX,
        colour: str = look.TEXT,
        bold: bool = False,
        across: str = "left",
    ) -> None:
        """Write at pixels from the left and from the top."""
        look.write(
            self.letters,
            x / look.WIDTH,
            1 - y / self.height,
            text,
            pixels=pixels,
            colour=colour,
            bold=bold,
            across=across,
        )

    def _axes(
        self, left: float, bottom: float, right: float, tall: float, *, is_plain: bool = False
    ) -> "Axes":
        """Make an axes at pixels from the left and from the top."""
        axes = self.figure.add_axes(
            (
                left / look.WIDTH,
                1 - bottom / self.height,
                (right - left) / look.WIDTH,
                tall / self.height,
            ),
            facecolor="none" if is_plain else look.PANE,
            autoscale_on=False,
        )
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        if not is_plain:
            axes.set_xlim(self.times.left, self.times.right)
            axes.set_ylim(0.0, 1.0)
        return axes


def _change_colour(change: str) -> str:
    if change.startswith(("+0.00 ", "-0.00 ")):
        return look.DIM
    return look.DOWN if change.startswith("-") else look.UP


def _day_too(own: datetime, utc: datetime) -> str:
    """Return the day in UTC where it is another one."""
    return "" if own.date() == utc.date() else f"{utc.day} {MONTHS[utc.month - 1]} "
