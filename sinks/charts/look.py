"""Colours, sizes and letters of a picture, chosen for a phone held at arm's length."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.font_manager import FontProperties
    from matplotlib.ft2font import FT2Font
    from matplotlib.text import Text

WIDTH = 1080
HEIGHT = 1080
TALL_HEIGHT = 1350
DPI = 100

BACKGROUND = "#0f141b"
PANE = "#141b24"
GRID = "#26313e"
TEXT = "#e6ebf1"
DIM = "#93a1b1"
UP = "#26a69a"
DOWN = "#ef5350"
LINES = ("#6fc3ff", "#ff9e57", "#c792ea", "#9fe0a8", "#f5d76e")
LAYERS = ("#5aa9ff", "#f5b942", "#c792ea", "#7fdbca", "#ff8f6b")
HOLE = "#8492a6"
SEVERITIES = {"info": "#b4a7ff", "warning": "#ffc145", "critical": "#ff4d6d"}

TITLE_PX = 50
HEAD_PX = 29
LABEL_PX = 27
MARGIN_PX = 26
GAP_PX = 14

_UNKNOWN = "\N{WHITE SQUARE}"


def points(pixels: float) -> float:
    """Return a size in points."""
    return pixels * 72 / DPI


@lru_cache(maxsize=2)
def font(*, bold: bool = False) -> "FontProperties":
    """Return the font that comes with matplotlib: the same letters on every machine."""
    from matplotlib.font_manager import FontProperties  # noqa: PLC0415 - an extra

    return FontProperties(fname=str(_file(bold=bold)))


def width_of(text: str, pixels: float, *, bold: bool = False) -> float:
    """Return how wide a text is, in pixels."""
    letters = _letters(bold=bold)
    letters.set_size(points(pixels), DPI)
    letters.set_text(text, 0.0)
    return letters.get_width_height()[0] / 64


def printable(text: str) -> str:
    """Return a text on one line, with a square for what the font has no letter for."""
    known = _letters(bold=False).get_charmap()
    one_line = " ".join(text.split())
    return "".join(letter if ord(letter) in known else _UNKNOWN for letter in one_line)


def fitted(text: str, pixels: float, room: float, *, bold: bool = False) -> str:
    """Return a text that is no wider than the room, its end cut off where it has to be."""
    text = printable(text[:1000])
    if width_of(text, pixels, bold=bold) <= room:
        return text
    fits, cut = 0, len(text)
    while fits + 1 < cut:
        middle = (fits + cut) // 2
        if width_of(text[:middle].rstrip() + "…", pixels, bold=bold) <= room:
            fits = middle
        else:
            cut = middle
    return text[:fits].rstrip() + "…"


def wrapped(text: str, pixels: float, room: float, *, lines: int, bold: bool = False) -> list[str]:
    """Return a text on so many lines at most, parted between words where there are any."""
    words = printable(text[:1000]).split()
    told: list[str] = []
    while words and len(told) < lines - 1:
        count = len(words)
        while count > 1 and width_of(" ".join(words[:count]), pixels, bold=bold) > room:
            count -= 1
        told.append(fitted(" ".join(words[:count]), pixels, room, bold=bold))
        words = words[count:]
    if words:
        told.append(fitted(" ".join(words), pixels, room, bold=bold))
    return told


def write(
    axes: "Axes",
    x: float,
    y: float,
    text: str,
    *,
    pixels: float = LABEL_PX,
    colour: str = TEXT,
    bold: bool = False,
    across: str = "left",
    up: str = "center_baseline",
    box: str = "",
    alpha: float = 0.75,
) -> "Text":
    """Write a text at shares of the axes; `box` is the colour behind it."""
    return axes.text(
        x,
        y,
        text,
        transform=axes.transAxes,
        fontproperties=font(bold=bold),
        fontsize=points(pixels),
        color=colour,
        ha=across,
        va=up,
        parse_math=False,
        zorder=9,
        bbox={"boxstyle": "square,pad=0.12", "fc": box, "ec": "none", "alpha": alpha}
        if box
        else None,
    )


def _file(*, bold: bool) -> Path:
    import matplotlib as mpl  # noqa: PLC0415 - an extra

    return Path(mpl.get_data_path(), "fonts/ttf", f"DejaVuSans{'-Bold' if bold else ''}.ttf")


@lru_cache(maxsize=2)
def _letters(*, bold: bool) -> "FT2Font":
    from matplotlib.ft2font import FT2Font  # noqa: PLC0415 - an extra

    return FT2Font(str(_file(bold=bold)))
