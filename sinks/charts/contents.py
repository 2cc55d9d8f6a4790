"""What comes on a picture: which values, computed over which bars, and where each of them belongs.

Where a value belongs is what its indicator declares (`indicators.kinds.Output`): `shown` tells
prices from lines and columns, values of one indicator and one unit share a pane, its bounds and
guides are the pane's. Names that are not known here, or that have no value, are named below.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

import msgspec

from filters.fields import BAR_FIELDS
from filters.places import Place
from indicators.beginning import whole_after
from indicators.contract import BarIndicator
from indicators.kinds import Output, Shown
from indicators.names import (
    IndicatorName,
    IndicatorNameError,
    create_for_bars,
    every_output,
    output_of,
    parse,
)
from indicators.series import BAR_VALUES
from market.events import Bar
from sinks.charts.chart import Chart, Line, Mark, Pane, Wall
from sinks.charts.other_bars import OtherBars, by_place, stepped
from sinks.charts.scale import is_drawable

BARS_SHOWN = 90
MOST_PANES = 4
WIDEST_BOUNDS = 1000.0
"""Bounds farther apart than this protect a number, they are no scale to draw."""
DAY = 86_400 * 1_000_000_000
LONGEST_PAST = 1000
"""Bars before the first one shown that are read for the sake of indicators, at most."""

Stored = Mapping[str, Mapping[int, float]]
"""Values that are not computed from bars, by name and by the bar's start."""

_SEEN_ANYWAY = frozenset(("open", "high", "low", "close", "volume"))
_AMONG_PRICES = frozenset(("bar_vwap",))
_PRICES = frozenset(("open", "high", "low", "close"))


class _Value(msgspec.Struct, frozen=True):
    """One value to draw: of which indicator, declared how, over the bars shown, of which bars."""

    group: str
    title: str
    output: Output
    values: tuple[float | None, ...]
    place: Place | None = None


def chart_of(
    bars: Sequence[Bar],
    names: Iterable[str],
    *,
    symbol: str,
    venue: str,
    since: int = 0,
    stored: Stored | None = None,
    others: OtherBars | None = None,
    walls: Sequence[Wall] = (),
    mark: Mark | None = None,
    known: Mapping[str, float | None] | None = None,
    headline: str = "",
    state: str = "",
) -> Chart:
    """Return the picture of these bars with these indicators.

    Args:
        bars: oldest first; the ones before `since` only give indicators their past.
        names: of indicators and of a bar's own fields; of several outputs all those are drawn that
            share the scale of the one that is named.
        symbol: `"BTC-USDT"`.
        venue: `"binance"`, or empty.
        since: start of the first bar shown, ns UTC.
        stored: values of the book's indicators.
        others: other bars that names look at (`rsi(14)@15m`), with those that give them a past.
        walls: lines at prices.
        mark: the moment it is about.
        known: values at that moment, drawn where the bars give none: their past is not stored.
        headline: what the picture says, one line.
        state: truth state for people; where it is empty, the bars' own marks tell it.

    Raises:
        ValueError: no bar is left to show, or one has a number that no indicator takes.
    """
    shown = tuple(bar for bar in bars if bar.start >= since)
    if not shown:
        raise ValueError("no bars to draw")
    own, elsewhere = by_place(names)
    wanted, unknown = _wanted(own)
    silent: list[str] = []
    told: set[str] = set()
    computed = _computed(bars, [each for each in wanted if isinstance(each, IndicatorName)])
    begin = len(bars) - len(shown)
    values: list[_Value] = []
    for each in wanted:
        if isinstance(each, str):
            values.append(_field(each, shown))
            continue
        if each.reads == "bar":
            line = tuple(computed[each.text][begin:])
            if mark is not None and not any(map(is_drawable, line)):
                line = _with_known(line, shown, mark.ts, (known or {}).get(each.text))
                told.update([each.indicator] if any(map(is_drawable, line)) else ())
        else:
            at = (stored or {}).get(each.text, {})
            line = tuple(at.get(bar.start) for bar in shown)
        output = output_of(each)
        if any(map(is_drawable, line)):
            values.append(_Value(each.indicator, each.indicator, output, line))
        elif not output.is_rare:
            silent.append(each.indicator)
    for place, theirs in elsewhere.items():
        found, lacking, not_known = _of_others(theirs, place, (others or {}).get(place, ()), shown)
        values += found
        silent += lacking
        unknown += not_known
    layers, panes = _placed(values, [bar.close for bar in shown], _thresholds(wanted))
    reasons = {
        "no room": [pane.title for pane in panes[MOST_PANES:]],
        "no value": [name for name in silent if name not in told],
        "not known here": unknown,
    }
    return Chart(
        symbol=symbol,
        venue=venue,
        interval=shown[0].interval,
        bars=shown,
        layers=tuple(layers),
        panes=tuple(panes[:MOST_PANES]),
        walls=tuple(walls),
        left_out=tuple(
            f"{reason}: {', '.join(dict.fromkeys(listed))}"
            for reason, listed in reasons.items()
            if listed
        ),
        mark=mark,
        headline=headline,
        state=state or _state(shown),
    )


def _with_known(
    line: tuple[float | None, ...], bars: Sequence[Bar], ts: int, value: float | None
) -> tuple[float | None, ...]:
    """Return an empty line with the value that was known at `ts`, where that bar is there."""
    at = next((place for place, bar in enumerate(bars) if bar.start < ts <= bar.end), None)
    if at is None or not is_drawable(value):
        return line
    return (*line[:at], value, *line[at + 1 :])


def last_of(chart: Chart, count: int) -> Chart:
    """Return a picture of the last bars only."""
    replace = msgspec.structs.replace

    def cut(pane: Pane) -> Pane:
        lines = (replace(line, values=line.values[-count:]) for line in pane.lines)
        return replace(pane, lines=tuple(lines))

    return replace(
        chart,
        bars=chart.bars[-count:],
        layers=tuple(map(cut, chart.layers)),
        panes=tuple(map(cut, chart.panes)),
    )


def bars_wanted(names: Iterable[str]) -> int:
    """Return how many bars before the first one shown these indicators want, at most 1,000."""
    indicators = [each for each in _wanted(names)[0] if isinstance(each, IndicatorName)]
    return max(
        (_past(each) for each in indicators if each.reads == "bar"),
        default=0,
    )


def wants_midnight(names: Iterable[str]) -> bool:
    """Tell whether one of these indicators wants every bar since 00:00 UTC."""
    return any(
        isinstance(each, IndicatorName) and each.since_midnight for each in _wanted(names)[0]
    )


def canonical_names(names: Iterable[str]) -> list[str]:
    """Return the canonical names of the indicators among these, of all values that are drawn."""
    return [each.text for each in _wanted(names)[0] if isinstance(each, IndicatorName)]


def book_names(names: Iterable[str]) -> list[str]:
    """Return the canonical names of those that are not computed from bars."""
    return [
        each.text
        for each in _wanted(names)[0]
        if isinstance(each, IndicatorName) and each.reads != "bar"
    ]


def _past(name: IndicatorName) -> int:
    return min(whole_after(create_for_bars(name)), LONGEST_PAST)


def _wanted(names: Iterable[str]) -> tuple[list[IndicatorName | str], list[str]]:
    """Return what to draw, each once, a bar's fields as plain words; and what is not known here."""
    wanted: dict[str, IndicatorName | str] = {}
    unknown: list[str] = []
    for name in names:
        if name in _SEEN_ANYWAY:
            continue
        if name in BAR_FIELDS:
            wanted[name] = name
            continue
        try:
            parsed = parse(name)
        except IndicatorNameError:
            unknown.append(name)
            continue
        # What an indicator looks at says more than that it crossed: it comes first.
        for inner in (*_inner(parsed), parsed):
            for each in _family(inner):
                wanted[each.text] = each
    return list(wanted.values()), unknown


def _inner(name: IndicatorName) -> list[IndicatorName]:
    """Return the indicators that a name is computed from, innermost first."""
    found: list[IndicatorName] = []
    for each in name.arguments:
        if isinstance(each, IndicatorName) and each.kind not in BAR_VALUES:
            found += [*_inner(each), each]
    return found


def _family(name: IndicatorName) -> list[IndicatorName]:
    """Return the values that are drawn with one: those of its scale, and those among the prices."""
    if not name.output:
        every = every_output(name)
        # Bands are meant by their name; their width has a pane when it is named itself.
        return [each for each in every if output_of(each).shown == "price"] or every
    own = output_of(name)
    every = every_output(msgspec.structs.replace(name, output=""))
    return [
        each
        for each in every
        if each == name
        or (
            not output_of(each).is_rare
            and (output_of(each).shown == "price" or _scale(output_of(each)) == _scale(own))
        )
    ]


def _scale(output: Output) -> tuple[str, float | None, float | None, bool]:
    return output.unit, output.least, output.most, output.shown == "price"


def _computed(bars: Sequence[Bar], names: Iterable[IndicatorName]) -> dict[str, list[float | None]]:
    """Return every value of these indicators of bars, by canonical name."""
    of_bars = [name for name in names if name.reads == "bar"]
    made: dict[str, BarIndicator] = {}
    for name in of_bars:
        if name.indicator not in made:
            made[name.indicator] = create_for_bars(name)
    told: dict[str, list[float | None]] = {name.text: [] for name in of_bars}
    for bar in bars:
        for indicator in made.values():
            indicator.update(bar)
        for name in of_bars:
            told[name.text].append(made[name.indicator].values[name.place])
    return told


def _of_others(
    names: Sequence[str], place: Place, bars: Sequence[Bar], shown: Sequence[Bar]
) -> tuple[list[_Value], list[str], list[str]]:
    """Return the values of other bars, the names of those without any, and what is not known."""
    fields = [name for name in names if name in _SEEN_ANYWAY]
    wanted, unknown = _wanted(names)
    computed = _computed(bars, [each for each in wanted if isinstance(each, IndicatorName)])
    found: list[_Value] = []
    silent: list[str] = []
    for each in (*fields, *wanted):
        if isinstance(each, str):
            value = _field(each, bars)
        else:
            line = tuple(computed.get(each.text, ()))
            value = _Value(each.indicator, each.indicator, output_of(each), line)
        line = stepped(shown, bars, value.values) if value.values else ()
        name = f"{value.title}{place.text}"
        if any(map(is_drawable, line)):
            found.append(_Value(name, name, value.output, line, place))
        elif not value.output.is_rare:
            silent.append(name)
    return found, silent, [f"{name}{place.text}" for name in unknown]


def _field(name: str, bars: Sequence[Bar]) -> _Value:
    field = BAR_FIELDS[name]
    least, most = field.range
    is_price = name in _AMONG_PRICES or name in _PRICES
    output = Output("", field.unit, least, most, shown="price" if is_price else "line")
    return _Value(name, name, output, tuple(field.read(bar) for bar in bars))


def _thresholds(wanted: Iterable[IndicatorName | str]) -> dict[str, tuple[float, ...]]:
    """Return numbers that an indicator is held against: those of `crosses(rsi(14),35)`."""
    found: dict[str, tuple[float, ...]] = {}
    for name in wanted:
        if isinstance(name, str) or not name.arguments:
            continue
        first, *others = name.arguments
        numbers = tuple(float(each) for each in others if not isinstance(each, IndicatorName))
        if isinstance(first, IndicatorName) and name.kind in ("crosses", "zone"):
            found[first.indicator] = found.get(first.indicator, ()) + numbers
    return found


def _placed(
    values: Sequence[_Value], closes: Sequence[float], thresholds: Mapping[str, tuple[float, ...]]
) -> tuple[list[Pane], list[Pane]]:
    """Return what lies on the price, and the panes below it."""
    groups: dict[tuple[str, bool, object], list[_Value]] = {}
    for value in values:
        is_of_other_symbol = value.place is not None and value.place.symbol != ""
        among_prices = (
            value.output.shown == "price" and not is_of_other_symbol and _is_near(value, closes)
        )
        key = (value.group, among_prices, None if among_prices else _scale(value.output))
        groups.setdefault(key, []).append(value)
    layers: list[Pane] = []
    panes: list[Pane] = []
    for (_, is_price, _), members in groups.items():
        first = members[0].output
        bounded = (
            first.least is not None
            and first.most is not None
            and first.most - first.least <= WIDEST_BOUNDS
        )
        pane = Pane(
            title=members[0].title,
            lines=tuple(
                Line(
                    label=each.output.name,
                    values=each.values,
                    shown="price" if is_price else _below(each.output),
                    is_stepped=each.place is not None and each.place.interval != "",
                )
                for each in members
            ),
            guides=() if is_price else (thresholds.get(members[0].group) or first.guides),
            least=first.least if bounded else None,
            most=first.most if bounded else None,
            unit=first.unit,
        )
        (layers if is_price else panes).append(pane)
    return layers, panes


def _below(output: Output) -> Shown:
    return "bars" if output.shown == "bars" else "line"


def _is_near(value: _Value, closes: Sequence[float]) -> bool:
    """Tell whether what a library calls a price is one: it may be a width or a direction too."""
    if value.output.unit == "quote currency":
        return True
    apart = [
        abs(each - close) / close
        for each, close in zip(value.values, closes, strict=True)
        if each is not None and close > 0
    ]
    return bool(apart) and median(apart) < 0.5


def _state(bars: Sequence[Bar]) -> str:
    lacking = sum(bar.gap or bar.partial for bar in bars)
    return f"{lacking} of {len(bars)} bars may lack trades" if lacking else ""
