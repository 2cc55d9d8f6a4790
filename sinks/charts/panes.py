"""The parts of a picture: candles, columns, lines, guides, walls and the mark.

Across, an axes counts bars (`Times`); upwards it goes from 0 to 1, and a `Scale` says which values
these are.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from market.events import Bar
from sinks.charts import look
from sinks.charts.chart import Line, Mark, Pane, Wall
from sinks.charts.scale import Scale, is_drawable, price_text, short_text
from sinks.charts.times import Times, length_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HALF_BODY = 0.36
NEAR = 0.003
"""A wall or a layer this share of the price away is on the picture, however flat the market is."""
REACH = 0.6
"""One that is farther away is, within this share of the candles' height."""
LEAST_BODY_PX = 2.0
WALL_ROOM = 0.09

Corners = list[tuple[float, float]]


def price_scale(bars: Sequence[Bar], layers: Sequence[Pane], walls: Sequence[Wall]) -> Scale:
    """Return the scale of the candles and of what lies near them."""
    prices = [each for bar in bars for each in (bar.high, bar.low) if is_drawable(each)]
    low, high = min(prices, default=0.0), max(prices, default=0.0)
    room = max(REACH * (high - low), NEAR * abs(high))
    others = [value for layer in layers for line in layer.lines for value in line.values]
    others += [wall.price for wall in walls]
    near = [each for each in others if each is not None and low - room <= each <= high + room]
    # Walls are written beside their lines, those of bids below, those of asks above.
    supports = sum(wall.is_support for wall in walls)
    return Scale.around(
        (low, high, *near),
        above=0.09 + WALL_ROOM * (len(walls) - supports),
        below=0.06 + WALL_ROOM * supports,
    )


def pane_scale(pane: Pane) -> Scale:
    """Return the scale of a pane below the price: its bounds, or its values and guides."""
    if pane.least is not None and pane.most is not None:
        return Scale.around((pane.least, pane.most), above=0.06, below=0.06)
    values = [each for line in pane.lines for each in line.values if each is not None]
    if any(line.shown == "bars" for line in pane.lines):
        values.append(0.0)
    return Scale.around((*values, *pane.guides), above=0.1, below=0.1)


def draw_candles(axes: "Axes", times: Times, scale: Scale) -> None:
    """Draw the bars; what may lack trades is hatched and faded."""
    from matplotlib.collections import LineCollection, PolyCollection  # noqa: PLC0415 - an extra

    least = LEAST_BODY_PX / max(axes.bbox.height, 1.0)
    for is_up in (True, False):
        for is_whole in (True, False):
            wicks: list[Corners] = []
            bodies: list[Corners] = []
            for x, bar in zip(times.places, times.bars, strict=True):
                if (bar.close >= bar.open, not (bar.partial or bar.gap)) != (is_up, is_whole):
                    continue
                if not all(map(is_drawable, (bar.open, bar.high, bar.low, bar.close))):
                    continue
                wicks.append([(x, scale.place(bar.low)), (x, scale.place(bar.high))])
                ends = sorted((scale.place(bar.open), scale.place(bar.close)))
                thicker = max(least - (ends[1] - ends[0]), 0.0) / 2
                bodies.append(_box(x, ends[0] - thicker, ends[1] + thicker))
            colour = look.UP if is_up else look.DOWN
            alpha = 1.0 if is_whole else 0.7
            axes.add_collection(
                LineCollection(wicks, colors=colour, linewidths=look.points(2.2), alpha=alpha),
                autolim=False,
            )
            axes.add_collection(
                PolyCollection(
                    bodies,
                    facecolors=colour if is_whole else look.PANE,
                    edgecolors=colour,
                    linewidths=0 if is_whole else look.points(1.5),
                    hatch=None if is_whole else "////",
                    alpha=alpha,
                    zorder=3,
                ),
                autolim=False,
            )


def draw_volume(axes: "Axes", times: Times) -> Scale:
    """Draw what was traded, in the colour of the candle; return its scale."""
    volumes = [bar.volume if is_drawable(bar.volume) else 0.0 for bar in times.bars]
    most = max(volumes, default=0.0)
    scale = Scale(0.0, most * 1.06 if most > 0 else 1.0)
    _columns(
        axes,
        times,
        [scale.place(each) if each > 0 else None for each in volumes],
        base=0.0,
        colour=lambda number: _colour(times.bars[number]),
        is_faded=lambda number: times.bars[number].partial or times.bars[number].gap,
    )
    return scale


def draw_lines(
    axes: "Axes", times: Times, scale: Scale, pane: Pane, colours: Sequence[str]
) -> None:
    """Draw a pane's lines and columns, and what lies between the outer ones of a layer."""
    if len(pane.lines) > 1 and all(line.shown == "price" for line in pane.lines):
        _fill(axes, times, scale, pane.lines, colours[0])
    for number, line in enumerate(pane.lines):
        if line.shown == "bars":
            _signed_columns(axes, times, scale, line)
            continue
        is_middle = line.shown == "price" and 0 < number < len(pane.lines) - 1
        _line(axes, times, scale, line, colours[number % len(colours)], is_thin=is_middle)


def draw_guides(axes: "Axes", scale: Scale, pane: Pane) -> None:
    """Draw the lines that a value is held against, and zero where values lie on both its sides."""
    values = [each for line in pane.lines for each in line.values if each is not None]
    has_both = any(each > 0 for each in values) and any(each < 0 for each in values)
    for guide in (*pane.guides, *((0.0,) if has_both and 0.0 not in pane.guides else ())):
        if scale.holds(guide):
            axes.axhline(
                scale.place(guide),
                color=look.DIM,
                linewidth=look.points(1.6),
                linestyle=(0, (5, 4)) if guide else "-",
                alpha=0.8 if guide else 0.45,
                zorder=1.5,
            )
    if len(pane.guides) == 2 and pane.lines[0].shown == "line":
        low, high = (scale.place(each) for each in pane.guides)
        axes.axhspan(low, high, color=look.DIM, alpha=0.07, linewidth=0, zorder=1)


def draw_holes(axes: "Axes", times: Times, *, says: bool) -> None:
    """Shade where no bars are; say for how long where there is room."""
    pixels = axes.bbox.width / (times.right - times.left)
    for hole in times.holes:
        axes.axvspan(hole.left, hole.right, color=look.HOLE, alpha=0.13, linewidth=0, zorder=0.5)
        if says and (hole.right - hole.left) * pixels >= look.LABEL_PX * 1.2:
            text = look.write(
                axes,
                ((hole.left + hole.right) / 2 - times.left) / (times.right - times.left),
                0.5,
                f"no bars for {length_text(hole.length)}",
                pixels=look.LABEL_PX - 3,
                colour=look.DIM,
                across="center",
                up="center",
            )
            text.set_rotation(90)


def draw_walls(
    axes: "Axes",
    scale: Scale,
    walls: Sequence[Wall],
    price: float,
    *,
    unit: str,
    below_mark: bool,
) -> None:
    """Draw the prices at which much size rests, the largest thickest, with price and size."""
    height = max(axes.bbox.height, 1.0)
    largest = max((wall.size for wall in walls if wall.size is not None), default=0.0)
    row = (look.LABEL_PX + 10) / height
    highest = 1.0 - row * (1.7 if below_mark else 0.6)
    for is_support in (True, False):
        taken: float | None = None
        own = [wall for wall in walls if wall.is_support == is_support and is_drawable(wall.price)]
        # The nearest one has its label at its line; the others make room for it.
        for wall in sorted(own, key=lambda wall: abs(wall.price - price)):
            colour = look.UP if is_support else look.DOWN
            at = min(max(scale.place(wall.price), 0.0), 1.0)
            is_on = scale.holds(wall.price)
            if is_on:
                share = wall.size / largest if wall.size is not None and largest > 0 else 0.3
                axes.axhline(
                    at,
                    color=colour,
                    linewidth=look.points(2.5 + 6.0 * share),
                    alpha=0.75,
                    zorder=2.5,
                )
            label = at - row * 0.62 if is_support else at + row * 0.62
            label = min(max(label, row * 0.6), highest)
            if taken is not None:
                label = min(label, taken - row) if is_support else max(label, taken + row)
            if not row * 0.5 < label <= highest + 1e-9:
                continue
            taken = label
            text = f"{'support' if is_support else 'resistance'} {price_text(wall.price)}"
            if wall.size is not None:
                text += f" · {short_text(wall.size)} {unit}".rstrip()
            if not is_on and price > 0:
                arrow = "▼" if is_support else "▲"
                text = f"{arrow} {text} ({100 * (wall.price / price - 1):+.2f} %)"
            look.write(
                axes,
                0.008,
                label,
                look.fitted(text, look.LABEL_PX, axes.bbox.width * 0.9),
                colour=colour,
                box=look.PANE,
            )


def draw_mark(axes: "Axes", times: Times, mark: Mark) -> None:
    """Draw the moment that a picture is about, as a line through a pane."""
    axes.axvline(
        times.place(mark.ts),
        color=look.SEVERITIES.get(mark.severity, look.TEXT),
        linewidth=look.points(2.4),
        linestyle=(0, (4, 3)),
        alpha=0.9,
        zorder=2,
    )


def draw_spot(axes: "Axes", x: float, y: float, colour: str) -> None:
    """Draw a ring around a value at the marked moment."""
    axes.plot(
        [x],
        [y],
        marker="o",
        markersize=look.points(22),
        markerfacecolor="none",
        markeredgecolor=colour,
        markeredgewidth=look.points(4),
        linestyle="none",
        zorder=8,
        clip_on=False,
    )


def _line(
    axes: "Axes", times: Times, scale: Scale, line: Line, colour: str, *, is_thin: bool
) -> None:
    xs: list[float] = []
    ys: list[float] = []
    alone: list[tuple[float, float]] = []
    for run in _runs(times, line.values):
        if len(run) == 1:
            alone.append((run[0][0], scale.place(run[0][1])))
            continue
        xs += [x for x, _ in run] + [run[-1][0]]
        ys += [scale.place(value) for _, value in run] + [float("nan")]
    axes.plot(
        xs, ys,
        color=colour,
        linewidth=look.points(2.0 if is_thin else 3.2),
        alpha=0.7 if is_thin else 1.0,
        drawstyle="steps-mid" if line.is_stepped else "default",
        zorder=4,
    )  # fmt: skip
    if alone:
        axes.plot(
            [x for x, _ in alone],
            [y for _, y in alone],
            color=colour,
            marker="o",
            markersize=look.points(7),
            markeredgewidth=0,
            linestyle="none",
            zorder=4,
        )


def _fill(axes: "Axes", times: Times, scale: Scale, lines: Sequence[Line], colour: str) -> None:
    rows = list(zip(*(line.values for line in lines), strict=True))
    outer = [
        (min(known), max(known)) if (known := [v for v in row if is_drawable(v)]) else None
        for row in rows
    ]
    low: list[float | None] = [None if each is None else each[0] for each in outer]
    high: list[float | None] = [None if each is None else each[1] for each in outer]
    for below, above in zip(_runs(times, low), _runs(times, high), strict=True):
        axes.fill_between(
            [x for x, _ in below],
            [scale.place(value) for _, value in below],
            [scale.place(value) for _, value in above],
            color=colour,
            alpha=0.10,
            linewidth=0,
            zorder=1,
        )


def _runs(times: Times, values: Sequence[float | None]) -> Iterator[list[tuple[float, float]]]:
    """Return stretches of values side by side: a hole or a missing value ends one."""
    run: list[tuple[float, float]] = []
    for x, value in zip(times.places, values, strict=True):
        if not is_drawable(value):
            if run:
                yield run
            run = []
            continue
        if run and x - run[-1][0] > 1:
            yield run
            run = []
        run.append((x, value))
    if run:
        yield run


def _signed_columns(axes: "Axes", times: Times, scale: Scale, line: Line) -> None:
    known = [each if is_drawable(each) else 0.0 for each in line.values]
    shrinks = [False, *(abs(after) < abs(before) for before, after in pairwise(known))]
    _columns(
        axes,
        times,
        [scale.place(each) if is_drawable(each) else None for each in line.values],
        base=scale.place(0.0),
        colour=lambda number: look.UP if known[number] >= 0 else look.DOWN,
        is_faded=lambda number: shrinks[number],
    )


def _columns(
    axes: "Axes",
    times: Times,
    tops: Sequence[float | None],
    *,
    base: float,
    colour: Callable[[int], str],
    is_faded: Callable[[int], bool],
) -> None:
    from matplotlib.collections import PolyCollection  # noqa: PLC0415 - an extra

    drawn = [
        (number, _box(x, base, top))
        for number, (x, top) in enumerate(zip(times.places, tops, strict=True))
        if top is not None
    ]
    for faded in (False, True):
        chosen = [(number, box) for number, box in drawn if is_faded(number) == faded]
        axes.add_collection(
            PolyCollection(
                [box for _, box in chosen],
                facecolors=[colour(number) for number, _ in chosen],
                linewidths=0,
                alpha=0.45 if faded else 0.9,
                zorder=2.2,
            ),
            autolim=False,
        )


def _box(x: float, bottom: float, top: float) -> Corners:
    left, right = x - HALF_BODY, x + HALF_BODY
    return [(left, bottom), (left, top), (right, top), (right, bottom)]


def _colour(bar: Bar) -> str:
    return look.UP if bar.close >= bar.open else look.DOWN
