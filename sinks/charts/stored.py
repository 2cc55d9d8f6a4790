"""Pictures of what the store has: of an instrument at a time, and of an alert.

An alert is worth more than its picture: whatever is missing (the library, the database, the bars),
the log says so and the alert goes without one.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, tzinfo

import msgspec
import psycopg
from psycopg.conninfo import make_conninfo

from filters.alerts import Alert
from filters.places import Place
from filters.signals import PREFIX as POSITION
from indicators.catalogue import KINDS
from indicators.names import IndicatorNameError, parse
from indicators.support_resistance import FARTHEST_RANK
from market.events import Bar, State
from market.intervals import SECOND, Interval
from sinks.charts.chart import Chart, Mark, Wall
from sinks.charts.contents import (
    BARS_SHOWN,
    DAY,
    bars_wanted,
    book_names,
    canonical_names,
    chart_of,
    wants_midnight,
)
from sinks.charts.drawing import MISSING, draw, is_available
from sinks.charts.other_bars import by_place
from sinks.insertion import moment
from sinks.nanoseconds import ns_of
from sinks.secret import Secret
from sinks.store_connection import complete, connect
from sinks.stored_bars import read_bars

BARS_AFTER = 15
"""Bars shown after the moment of an alert, where there are some already."""
USUAL_INTERVAL = "1m"
"""Of the bars behind what happens in the book, where these are stored."""
PATIENCE = "2s"
"""What a question to the database may take before the alert goes without a picture."""
BAR_PATIENCE_S = 1.5
"""How much later than an alert its bar may be stored."""
BAR_POLL_S = 0.05
BOOK_AGE_S = 60
"""A book that is older than this says nothing of a wall's size."""
OLDEST = 3
"""Bars that are further back than this many times what is shown are left out."""

_DISTANCE = "_distance_bps"
_WALLS = tuple(
    name
    for name, kind in KINDS.items()
    if kind.reads == "depth" and kind.outputs[0].shown == "price"
)

log = logging.getLogger(__name__)


class _Book(msgspec.Struct, frozen=True):
    """The best levels, as they were stored last: price to size, and the price between the best."""

    sizes: Mapping[float, float]
    mid: float


class AlertPictures:
    """Draws pictures of alerts from the store. Any thread may ask.

    Args:
        dsn: address of the database.
        zone: of the times on a picture.
    """

    def __init__(self, dsn: Secret, *, zone: tzinfo = UTC) -> None:
        self._dsn = dsn
        self._zone = zone
        self._is_available = is_available()
        if not self._is_available:
            log.warning("alerts go without pictures: %s", MISSING)

    def warm_up(self) -> None:
        """Load the library and its fonts, some seconds of work, before the first alert waits."""
        if self._is_available:
            nothing = Bar(
                instrument="",
                interval=USUAL_INTERVAL,
                start=0,
                end=60 * SECOND,
                open=1.0,
                high=1.0,
                low=1.0,
                close=1.0,
                volume=0.0,
                buy_volume=0.0,
                notional=0.0,
                count=0,
            )
            draw(chart_of([nothing], [], symbol="", venue=""))

    def picture(self, alert: Alert) -> bytes | None:
        """Return a PNG of the market around an alert, or None when there is nothing to draw."""
        if not self._is_available:
            return None
        try:
            with self._session() as connection:
                chart = chart_of_alert(connection, alert)
            return None if chart is None else draw(chart, zone=self._zone)
        except psycopg.Error as error:
            reason = str(error).strip()
        except ValueError as error:  # a stored number that no indicator takes
            reason = str(error)
        log.warning("an alert goes without a picture", extra={"key": alert.key, "reason": reason})
        return None

    def picture_of(self, key: str) -> bytes | None:
        """Return the picture of a stored alert by its key, or None as `picture`."""
        if not self._is_available:
            return None
        try:
            with self._session() as connection:
                alert = read_alert(connection, key)
                if alert is not None:
                    _await_bar(connection, alert)
        except psycopg.Error as error:
            reason = str(error).strip()
            log.warning("an alert goes without a picture", extra={"key": key, "reason": reason})
            return None
        return None if alert is None else self.picture(alert)

    def _session(self) -> psycopg.Connection:
        """Open a connection that does not keep an alert waiting."""
        connection = connect(make_conninfo(complete(self._dsn.reveal()), connect_timeout="2"))
        connection.execute(f"SET statement_timeout = '{PATIENCE}'")
        return connection


def _await_bar(connection: psycopg.Connection, alert: Alert) -> None:
    """Wait until the bar that fired is stored: an alert is committed at once, bars a little later.

    No longer than `BAR_PATIENCE_S` after the alert: some bars are never stored.
    """
    venue, _, symbol = alert.series.partition(":")
    latest = alert.ts_fired + int(BAR_PATIENCE_S * SECOND)
    while alert.interval and time.time_ns() < latest:
        row = connection.execute(
            'SELECT FROM bars WHERE venue = %s AND symbol = %s AND "interval" = %s AND "end" = %s',
            (venue, symbol, alert.interval, moment(alert.ts_event)),
        ).fetchone()
        if row is not None:
            return
        time.sleep(BAR_POLL_S)


def read_alert(connection: psycopg.Connection, key: str) -> Alert | None:
    """Return a stored alert, or None when there is none of this key."""
    row = connection.execute(
        f"SELECT key, spec, spec_hash, venue, symbol, interval, {ns_of('time')},"
        f' {ns_of("fired_at")}, severity, text, "values", targets'
        " FROM alerts WHERE key = %s",
        (key,),
    ).fetchone()
    if row is None:
        return None
    return Alert(
        key=row[0],
        spec=row[1],
        spec_hash=row[2],
        series=f"{row[3]}:{row[4]}",
        interval=row[5],
        ts_event=row[6],
        ts_fired=row[7],
        severity=row[8],
        text=row[9],
        values=msgspec.convert(row[10], dict[str, float | None]),
        targets=tuple(row[11]),
    )


def chart_of_alert(connection: psycopg.Connection, alert: Alert) -> Chart | None:
    """Return the picture of an alert: bars up to its moment and a few after it, what it looked at.

    Returns:
        None when no bar of that time is stored.

    Raises:
        psycopg.Error: whatever the database says.
    """
    interval = alert.interval or interval_near(connection, alert.series, alert.ts_event)
    if interval is None:
        return None
    said = alert.text if alert.text.startswith(alert.spec) else f"{alert.spec}: {alert.text}"
    return read_chart(
        connection,
        alert.series,
        interval,
        [name for name in alert.values if not name.startswith(POSITION)],
        mark=Mark(ts=alert.ts_event, severity=alert.severity),
        known={name: alert.values[name] for name in alert.values if not name.startswith(POSITION)},
        headline=said,
    )


def read_chart(
    connection: psycopg.Connection,
    instrument: str,
    interval: str,
    names: Sequence[str],
    *,
    since: int | None = None,
    until: int | None = None,
    count: int = BARS_SHOWN,
    mark: Mark | None = None,
    known: Mapping[str, float | None] | None = None,
    headline: str = "",
) -> Chart | None:
    """Return the picture of an instrument's stored bars.

    Args:
        connection: to a database with our tables.
        instrument: id, `"binance:BTC-USDT"`.
        interval: of the bars.
        names: of indicators and of a bar's own fields.
        since: start of the first bar shown, ns UTC; else `count` bars are shown.
        until: where the last one ends at the latest, ns UTC; else a few after the mark, or now.
        count: bars shown before the mark, or up to `until`.
        mark: the moment it is about.
        known: values at that moment, of the book's indicators too.
        headline: what the picture says, one line.

    Returns:
        None when no bar of that time is stored.

    Raises:
        psycopg.Error: whatever the database says.
        ValueError: a stored number is one that no indicator takes.
    """
    before = until if mark is None else mark.ts
    first, last = _reach(connection, instrument, interval, before, since=since, count=count)
    if first is None or last is None:
        return None
    length = _length(interval)
    if since is None and length:
        first = max(first, last - OLDEST * count * length)
    past, _ = _reach(connection, instrument, interval, first, since=None, count=bars_wanted(names))
    begin = first if past is None else min(past, first)
    if wants_midnight(names):
        begin = min(begin, first - first % DAY)
    if until is None:
        until = _end_after(connection, instrument, interval, last)
    bars = read_bars(connection, instrument, interval, start=begin, end=until)
    if not any(bar.start >= first for bar in bars):
        return None
    at = _marked(bars, last)
    venue, _, symbol = instrument.partition(":")
    return chart_of(
        bars,
        names,
        symbol=symbol,
        venue=venue,
        since=first,
        stored=_book_values(
            connection, instrument, interval, book_names(names), since=first, until=until
        ),
        others=_other_bars(connection, instrument, interval, names, since=first, until=until),
        walls=_walls(connection, instrument, at, known or {}, mark),
        mark=mark,
        known=known,
        headline=headline,
        state=_state(connection, instrument, at, canonical_names(names)),
    )


def interval_near(connection: psycopg.Connection, instrument: str, ts: int) -> str | None:
    """Return the interval of the bars to draw for a moment in the book, None if there are none.

    It is the one nearest to a minute of which a bar ended in the day before.
    """
    usual = _length(USUAL_INTERVAL)
    there = [name for name in stored_intervals(connection, instrument) if _length(name)]
    for name in sorted(there, key=lambda each: (abs(_length(each) - usual), each)):
        _, last = _reach(connection, instrument, name, ts, since=None, count=1)
        if last is not None and last > ts - DAY:
            return name
    return None


def stored_intervals(connection: psycopg.Connection, instrument: str) -> list[str]:
    """Return the intervals of which an instrument has bars."""
    venue, _, symbol = instrument.partition(":")
    # From one interval to the next by the key: a DISTINCT would read every bar.
    rows = connection.execute(
        "WITH RECURSIVE found AS ("
        ' SELECT min("interval") AS name FROM bars'
        " WHERE venue = %(venue)s AND symbol = %(symbol)s"
        ' UNION ALL SELECT (SELECT min("interval") FROM bars WHERE venue = %(venue)s'
        ' AND symbol = %(symbol)s AND "interval" > found.name) FROM found'
        " WHERE found.name IS NOT NULL)"
        " SELECT name FROM found WHERE name IS NOT NULL ORDER BY name",
        {"venue": venue, "symbol": symbol},
    )
    return [name for (name,) in rows]


def _reach(
    connection: psycopg.Connection,
    instrument: str,
    interval: str,
    before: int | None,
    *,
    since: int | None,
    count: int,
) -> tuple[int | None, int | None]:
    """Return where the first of the last `count` bars starts, and where the last one ends."""
    venue, _, symbol = instrument.partition(":")
    row = connection.execute(
        f"SELECT {ns_of('min(start)')}, {ns_of('max(ends)')} FROM (SELECT start,"
        ' "end" AS ends FROM bars WHERE venue = %(venue)s AND symbol = %(symbol)s'
        ' AND "interval" = %(interval)s'
        ' AND (%(before)s::timestamptz IS NULL OR "end" <= %(before)s)'
        " AND (%(since)s::timestamptz IS NULL OR start >= %(since)s)"
        " ORDER BY start DESC LIMIT %(count)s) AS newest",
        {
            "venue": venue,
            "symbol": symbol,
            "interval": interval,
            "before": None if before is None else moment(before),
            "since": None if since is None else moment(since),
            "count": None if since is not None else count,
        },
    ).fetchone()
    return (None, None) if row is None else (row[0], row[1])


def _end_after(connection: psycopg.Connection, instrument: str, interval: str, end: int) -> int:
    """Return where the bars end that are shown after a moment."""
    venue, _, symbol = instrument.partition(":")
    row = connection.execute(
        f'SELECT {ns_of("max(ends)")} FROM (SELECT "end" AS ends FROM bars'
        ' WHERE venue = %s AND symbol = %s AND "interval" = %s AND start >= %s'
        " ORDER BY start LIMIT %s) AS following",
        (venue, symbol, interval, moment(end), BARS_AFTER),
    ).fetchone()
    return end if row is None or row[0] is None else max(end, row[0])


def _marked(bars: Sequence[Bar], end: int) -> Bar:
    """Return the bar that ends there; it was read, unless it was replaced meanwhile."""
    return next((bar for bar in reversed(bars) if bar.end <= end), bars[-1])


def _other_bars(
    connection: psycopg.Connection,
    instrument: str,
    interval: str,
    names: Sequence[str],
    *,
    since: int,
    until: int,
) -> dict[Place, list[Bar]]:
    """Return the other bars that names look at, with those before that indicators want."""
    found: dict[Place, list[Bar]] = {}
    for place, theirs in by_place(names)[1].items():
        series, length = place.seen_from(instrument, interval)
        count = bars_wanted(theirs) + 1  # one more: it is shown until the next one ends
        begin, _ = _reach(connection, series, length, since, since=None, count=count)
        begin = since if begin is None else begin
        if wants_midnight(theirs):
            begin = min(begin, since - since % DAY)
        found[place] = read_bars(connection, series, length, start=begin, end=until)
    return found


def _book_values(
    connection: psycopg.Connection,
    instrument: str,
    interval: str,
    names: Sequence[str],
    *,
    since: int,
    until: int,
) -> dict[str, dict[int, float]]:
    venue, _, symbol = instrument.partition(":")
    told: dict[str, dict[int, float]] = {}
    if not names:
        return told
    rows = connection.execute(
        f"SELECT name, {ns_of('time')}, value FROM features WHERE venue = %s AND symbol = %s"
        ' AND "interval" = %s AND name = ANY(%s) AND time >= %s AND time < %s'
        " AND value IS NOT NULL",
        (venue, symbol, interval, list(names), moment(since), moment(until)),
    )
    for name, start, value in rows:
        told.setdefault(name, {})[start] = value
    return told


def _state(connection: psycopg.Connection, instrument: str, bar: Bar, names: Sequence[str]) -> str:
    """Return the truth state of what was computed at a bar; empty where nothing was stored."""
    venue, _, symbol = instrument.partition(":")
    rows = connection.execute(
        "SELECT DISTINCT state FROM features WHERE venue = %s AND symbol = %s"
        ' AND "interval" = %s AND name = ANY(%s) AND time = %s',
        (venue, symbol, bar.interval, list(names), moment(bar.start)),
    ).fetchall()
    states = sorted(state for (state,) in rows)
    others = [state for state in states if state != State.LIVE.value]
    return ", ".join(others) if others else "".join(states[:1])


def _walls(
    connection: psycopg.Connection,
    instrument: str,
    bar: Bar,
    known: Mapping[str, float | None],
    mark: Mark | None,
) -> list[Wall]:
    """Return the walls that were told at the bar, and those that the alert itself tells."""
    ts = bar.end if mark is None else mark.ts
    venue, _, symbol = instrument.partition(":")
    names = [f"{name}({rank})" for name in _WALLS for rank in range(1, FARTHEST_RANK + 1)]
    rows = connection.execute(
        'SELECT name, value FROM features WHERE venue = %s AND symbol = %s AND "interval" = %s'
        " AND time = %s AND name = ANY(%s) AND value IS NOT NULL",
        (venue, symbol, bar.interval, moment(bar.start), names),
    )
    book = _book(connection, instrument, ts)
    found = {(price, name.startswith("support")) for name, price in rows}
    found |= set(_told_walls(known, bar.close if book is None else book.mid))
    walls: dict[tuple[float, bool], Wall] = {}
    for price, is_support in sorted(found):
        at, size = price, None
        if book is not None:
            # A distance in basis points gives the price but for its last digits.
            near = min(book.sizes, key=lambda level: abs(level - price))
            if abs(near - price) <= 1e-6 * price:
                at, size = near, book.sizes[near]
        walls[at, is_support] = Wall(price=at, is_support=is_support, size=size)
    return list(walls.values())


def _told_walls(known: Mapping[str, float | None], mid: float) -> Iterable[tuple[float, bool]]:
    """Return price and side of the walls among an alert's values."""
    for name, value in known.items():
        if value is None:
            continue
        try:
            kind = parse(name).kind
        except IndicatorNameError:
            continue
        is_support = kind.startswith("support")
        if kind in _WALLS:
            yield value, is_support
        elif kind.removesuffix(_DISTANCE) in _WALLS:
            yield mid * (1 + (-value if is_support else value) / 10_000), is_support


def _book(connection: psycopg.Connection, instrument: str, ts: int) -> _Book | None:
    venue, _, symbol = instrument.partition(":")
    row = connection.execute(
        "SELECT bid_prices, bid_sizes, ask_prices, ask_sizes FROM book_tops WHERE venue = %s"
        " AND symbol = %s AND time > %s AND time <= %s ORDER BY time DESC LIMIT 1",
        (venue, symbol, moment(max(ts - BOOK_AGE_S * SECOND, 0)), moment(ts)),
    ).fetchone()
    if row is None or not row[0] or not row[2]:
        return None
    bids, asks = dict(zip(row[0], row[1], strict=True)), dict(zip(row[2], row[3], strict=True))
    return _Book({**bids, **asks}, (row[0][0] + row[2][0]) / 2)


def _length(interval: str) -> int:
    """Return the length of a bar, ns; 0 for bars of ticks or volume."""
    try:
        return Interval.parse(interval).length
    except ValueError:
        return 0
