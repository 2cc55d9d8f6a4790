"""What is on a picture of a market: plain data, with nothing of how it is drawn."""

import msgspec

from indicators.kinds import Shown
from market.events import Bar


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One value along the bars.

    Attributes:
        label: what it is called, `"macd(12,26,9).hist"`, or `".hist"` beside others of its kind.
        values: one for each bar; None where there is none.
        shown: how it is drawn; `"price"` is a line among the candles.
        is_stepped: it is of bars of another length, and stays as it is between two of them.
    """

    label: str
    values: tuple[float | None, ...]
    shown: Shown = "line"
    is_stepped: bool = False


class Pane(msgspec.Struct, frozen=True, kw_only=True):
    """Values of one scale: a pane of their own below the price, or a layer on it.

    Attributes:
        title: name of the indicator.
        lines: at least one.
        guides: values with a line of their own, as 30 and 70 for the RSI.
        least: lower end of the scale; None where the values decide.
        most: upper end, as `least`.
        unit: for people.
    """

    title: str
    lines: tuple[Line, ...]
    guides: tuple[float, ...] = ()
    least: float | None = None
    most: float | None = None
    unit: str = ""


class Wall(msgspec.Struct, frozen=True, kw_only=True):
    """A price at which much size rests.

    Attributes:
        price: quote currency.
        is_support: bids below the price; else asks above it.
        size: base currency; None where it is not known.
    """

    price: float
    is_support: bool
    size: float | None = None


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """The moment that a picture is about.

    Attributes:
        ts: venue's time, ns UTC: the end of the bar that fired, or the book message's.
        label: one word for it, `"fired"`.
        severity: `info`, `warning` or `critical`; its colour.
    """

    ts: int
    label: str = "fired"
    severity: str = "warning"


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """One picture.

    Attributes:
        symbol: `"BTC-USDT"`, or the name of a file.
        venue: `"binance"`; empty where there is none.
        interval: of the bars.
        bars: oldest first; at least one.
        layers: drawn on the price.
        panes: below it, each with a scale of its own.
        walls: lines at prices of the book.
        left_out: what was asked for and is not on it, for people: `"no room: cci(20)"`.
        mark: what it is about, if anything.
        headline: first line of the alert; empty for none.
        state: truth state for people, `"live"`; empty where it is not known.
    """

    symbol: str
    venue: str
    interval: str
    bars: tuple[Bar, ...]
    layers: tuple[Pane, ...] = ()
    panes: tuple[Pane, ...] = ()
    walls: tuple[Wall, ...] = ()
    left_out: tuple[str, ...] = ()
    mark: Mark | None = None
    headline: str = ""
    state: str = ""
