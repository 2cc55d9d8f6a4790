"""`candlewax chart`: bars and indicators as a picture."""

import os
import sys
import time
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cyclopts import Parameter

from cli import options
from cli.options import Config
from market.errors import ConfigError

if TYPE_CHECKING:
    import psycopg

    from sinks.charts.chart import Chart

INDICATORS = ("bollinger(20,2)", "rsi(14)", "macd(12,26,9)")
MOST_BARS = 400
"""More than this are narrower than a candle can be seen."""


class Span(msgspec.Struct, frozen=True):
    """What was asked for: from when and until when, ns UTC; None for as many bars as fit."""

    since: int | None
    until: int | None


def chart(
    symbol: Annotated[str, Parameter(help="Symbol, in any spelling; not with --bars.")] = "",
    /,
    *,
    venue: Annotated[str, Parameter(help="Venue, where several were stored.")] = "",
    interval: Annotated[str, Parameter(help="Of the bars: 1s, 5m, 1h.")] = "1m",
    indicators: Annotated[
        tuple[str, ...],
        Parameter(
            help="What to draw, as in 'rsi(14)' 'macd'; a bar's fields too.",
            consume_multiple=True,
            negative=(),
        ),
    ] = INDICATORS,
    last: Annotated[str, Parameter(help="A length of time up to now, as 3h.")] = "",
    from_: Annotated[
        str,
        Parameter(name="--from", help="From when: 2026-11-20, 2026-11-20T08:00, or back as 2h."),
    ] = "",
    to: Annotated[str, Parameter(help="Until when, as --from.")] = "",
    bars: Annotated[
        Path | None, Parameter(help="CSV of bars, as `indicators compute` reads; not the store.")
    ] = None,
    timezone: Annotated[
        str, Parameter(help="Of the times, as in Europe/Berlin; this machine's when not given.")
    ] = "",
    out: Annotated[Path, Parameter(help="PNG file to write.")],
    config: Config = None,
) -> int:
    """Draw bars and indicators as a picture of 1080 pixels width, as alerts have it.

    Shows the last 90 bars unless told how many; at most 400.
    """
    from cli.indicators import over_bars, parsed
    from filters.fields import BAR_FIELDS
    from sinks.charts.drawing import MISSING, draw, is_available

    if not is_available():
        raise ConfigError(MISSING)
    if out.suffix.lower() != ".png":
        raise ConfigError(f"--out {out}: expected the name of a PNG file, as in chart.png")
    if (bars is None) == (not symbol):
        raise ConfigError(
            "name a symbol, or a file with --bars"
            if bars is None
            else f"{symbol}: a symbol and --bars: say one of them"
        )
    for name in indicators:
        if name not in BAR_FIELDS:
            (parsed if bars is None else over_bars)(name)
    now = time.time_ns()
    span = _span(last, from_, to, now)
    zone = _zone(timezone)
    if bars is not None:
        picture = _of_file(bars, indicators, span, last)
    else:
        picture = _of_store(symbol, venue, interval, indicators, span=span, config=config)
    picture = _within(picture)
    try:
        out.write_bytes(draw(picture, zone=zone))
    except OSError as error:
        raise ConfigError(f"--out {out}: {(error.strerror or 'not writable').lower()}") from None
    for note in picture.left_out:
        print(f"note: {note}", file=sys.stderr)
    print(f"{out}: {picture.symbol} {picture.interval}, {len(picture.bars)} bars")
    return 0


def _span(last: str, from_: str, to: str, now: int) -> Span:
    if last and (from_ or to):
        raise ConfigError("--last, or --from and --to: say one of them")
    if last:
        return Span(now - int(options.seconds(last) * 1e9), None)
    since = options.moment("--from", from_, now) if from_ else None
    until = options.moment("--to", to, now) if to else None
    if since is not None and since >= (now if until is None else until):
        raise ConfigError(f"--from {from_} is not before {f'--to {to}' if to else 'now'}")
    return Span(since, until)


def _zone(name: str) -> tzinfo:
    if not name:
        own = datetime.now().astimezone().tzinfo
        assert own is not None  # noqa: S101 - `astimezone` gives one
        return own
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ConfigError(f"--timezone {name}: no such zone: write one as Europe/Berlin") from None


def _of_file(path: Path, names: tuple[str, ...], span: Span, last: str) -> "Chart":
    from cli.bars_file import read_bars
    from sinks.charts.contents import BARS_SHOWN, chart_of

    read = [row.bar for row in read_bars(path).rows]
    if span.until is not None:
        read = [bar for bar in read if bar.end <= span.until]
    since = span.since
    if read and last:  # of a file, the last hours are its own
        since = read[-1].end - int(options.seconds(last) * 1e9)
    if read and since is None:
        since = read[-BARS_SHOWN:][0].start
    if since is None or not any(bar.start >= since for bar in read):
        raise ConfigError(f"{path}: no bars of that time")
    try:
        return chart_of(read, names, symbol=path.stem, venue="", since=since)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def _of_store(
    symbol: str,
    venue: str,
    interval: str,
    names: tuple[str, ...],
    *,
    span: Span,
    config: Path | None,
) -> "Chart":
    from flows import configuration
    from flows.embedded import Embedded
    from flows.home import Home
    from migrations.session import connect
    from sinks.charts.stored import read_chart

    told = configuration.load(config, os.environ)
    store = Embedded.attach(told, Home.of(os.environ), command="candlewax chart", migrate=False)
    try:
        with connect(store.database_url.reveal()) as connection:
            instrument = _instrument(connection, symbol, venue, interval)
            try:
                found = read_chart(
                    connection, instrument, interval, names, since=span.since, until=span.until
                )
            except ValueError as error:
                raise ConfigError(f"{instrument}: {error}") from None
    finally:
        store.stop()
    if found is None:
        raise ConfigError(f"{instrument}: no {interval} bars of that time are stored")
    return found


def _instrument(connection: "psycopg.Connection", symbol: str, venue: str, interval: str) -> str:
    """Return the one instrument that is meant and has such bars."""
    from sinks.charts.stored import stored_intervals
    from sinks.gap_ledger import is_there, known_instruments

    if not is_there(connection):
        raise ConfigError("the database has no tables yet: `candlewax db upgrade` makes them")
    found = known_instruments(connection).resolve(symbol, venue=venue)
    there = {one.id: stored_intervals(connection, one.id) for one in found}
    chosen = sorted(name for name, intervals in there.items() if interval in intervals)
    if len(chosen) > 1:
        venues = ", ".join(name.partition(":")[0] for name in chosen)
        raise ConfigError(f"{symbol} is stored of {venues}: say which with --venue")
    if not chosen:
        others = sorted({each for intervals in there.values() for each in intervals})
        one = found[0]
        fetch = f"candlewax backfill {one.venue} {one.symbol} --from 2h"
        raise ConfigError(
            f"{symbol}: no {interval} bars are stored"
            + (f"; there are {', '.join(others)}" if others else f"; `{fetch}` fetches some")
        )
    return chosen[0]


def _within(picture: "Chart") -> "Chart":
    """Return the newest part of a picture of more bars than can be seen."""
    over = len(picture.bars) - MOST_BARS
    if over <= 0:
        return picture
    print(
        f"note: of {len(picture.bars):,} bars the last {MOST_BARS} are drawn; a longer --interval"
        " shows more",
        file=sys.stderr,
    )
    from sinks.charts.contents import last_of

    return last_of(picture, MOST_BARS)
