"""`candlewax gaps`: when data may be missing, and why."""

import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from cli import options
from cli.options import Config
from market.causes import cause_of
from market.errors import ConfigError
from market.intervals import SECOND

if TYPE_CHECKING:
    from sinks.gap_ledger import LedgerRow

ROWS = 50

Named = Annotated[
    tuple[str, ...],
    Parameter(converter=options.comma_separated, n_tokens=1, negative=()),
]


class Total(msgspec.Struct):
    """What the intervals of one cause come to.

    Attributes:
        cause: the reason without its numbers.
        gaps: intervals.
        open: those that last.
        seconds: their lengths together; those that last count up to now.
    """

    cause: str
    gaps: int = 0
    open: int = 0
    seconds: float = 0.0


def gaps(
    *,
    since: Annotated[
        str, Parameter(help="From when: a length of time back, as 2h, or 2026-11-20T08:00.")
    ] = "",
    symbol: Annotated[Named, Parameter(help="Only these, in any spelling.")] = (),
    venue: Annotated[Named, Parameter(help="Only these.")] = (),
    rows: Annotated[int, Parameter(help="The newest so many rows; 0 for all.")] = ROWS,
    json: Annotated[bool, Parameter(help="One JSON object, with every row.", negative=())] = False,
    config: Config = None,
) -> int:
    """Show the gap ledger: when data may be missing, and why.

    Totals are of every interval that was asked for, also of those that are not shown. Intervals of
    one instrument may overlap: a connection ends while a book is being fetched.
    """
    from flows import configuration
    from flows.embedded import Embedded
    from flows.home import Home

    now = time.time_ns()
    start = options.moment("--since", since, now) if since else None
    if rows < 0:
        raise ConfigError(f"--rows {rows}: expected 0 or more")
    told = configuration.load(config, os.environ)
    store = Embedded.attach(told, Home.of(os.environ), command="candlewax gaps", migrate=False)
    try:
        found = _read(store.database_url.reveal(), start, symbol, venue)
    finally:
        store.stop()
    totals = _totals(found, now)
    if json:
        shown = {"gaps": [_facts(row, now) for row in found], "totals": totals}
        print(msgspec.json.encode(shown).decode())
    else:
        _print(found[-rows:] if rows else found, len(found), totals, now, since)
    return 0


def _read(
    address: str, since: int | None, symbols: Sequence[str], venues: Sequence[str]
) -> list["LedgerRow"]:
    from migrations.session import connect
    from sinks.gap_ledger import is_there, known_instruments, read_gaps

    with connect(address) as connection:
        if not is_there(connection):
            raise ConfigError("the database has no tables yet: `candlewax db upgrade` makes them")
        known = known_instruments(connection)
        venues = [name.lower() for name in venues]
        there = sorted({instrument.venue for instrument in known})
        for name in venues:
            if name not in there:
                listed = ", ".join(there) or "none"
                raise ConfigError(f"--venue {name}: nothing of it was stored; there is {listed}")
        instruments = [one.id for name in symbols for one in known.resolve(name)]
        return read_gaps(
            connection,
            since=since,
            venues=venues,
            instruments=instruments if symbols else None,
        )


def _seconds(row: "LedgerRow", now: int) -> float:
    return max(0, (now if row.ended is None else row.ended) - row.started) / SECOND


def _totals(found: Sequence["LedgerRow"], now: int) -> list[Total]:
    totals: dict[str, Total] = {}
    for row in found:
        cause = cause_of(row.reason)
        total = totals.setdefault(cause, Total(cause))
        total.gaps += 1
        total.open += row.ended is None
        total.seconds += _seconds(row, now)
    return sorted(totals.values(), key=lambda total: (-total.seconds, total.cause))


def _facts(row: "LedgerRow", now: int) -> dict[str, object]:
    return {
        "venue": row.venue,
        "symbol": row.symbol,
        "channel": row.channel,
        "from": _iso(row.started),
        "to": None if row.ended is None else _iso(row.ended),
        "seconds": round(_seconds(row, now), 3),
        "cause": cause_of(row.reason),
        "reason": row.reason,
    }


def _iso(ns: int) -> str:
    return datetime.fromtimestamp(ns / SECOND, UTC).isoformat(timespec="milliseconds")


def _print(
    shown: Sequence["LedgerRow"], count: int, totals: Sequence[Total], now: int, since: str
) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not count:
        print("no gaps" + (f" since {since}" if since else ""))
        return
    # Elsewhere than on a terminal nothing is cut: the reasons are what one looks for.
    console = Console() if sys.stdout.isatty() else Console(width=240, no_color=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("from (UTC)", "to"):
        table.add_column(name, no_wrap=True)
    table.add_column("seconds", justify="right", no_wrap=True)
    for name in ("venue", "symbol", "channel"):
        table.add_column(name, no_wrap=True)
    table.add_column("cause")
    for row in shown:
        ended = Text("open", style="red") if row.ended is None else Text(_short(row.ended))
        table.add_row(
            _short(row.started),
            ended,
            f"{_seconds(row, now):,.1f}",
            Text(row.venue or "-"),
            Text(row.symbol or "-"),
            row.channel,
            Text(row.reason),
        )
    console.print(table)
    if len(shown) < count:
        print(f"the newest {len(shown)} of {count}; `--rows 0` shows all")
        print()
    sums = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    sums.add_column("total of cause")
    for name in ("gaps", "open", "seconds"):
        sums.add_column(name, justify="right", no_wrap=True)
    for total in totals:
        sums.add_row(
            Text(total.cause), f"{total.gaps:,}", f"{total.open:,}", f"{total.seconds:,.1f}"
        )
    sums.add_section()
    sums.add_row(
        "all",
        f"{count:,}",
        f"{sum(total.open for total in totals):,}",
        f"{sum(total.seconds for total in totals):,.1f}",
    )
    console.print(sums)


def _short(ns: int) -> str:
    return datetime.fromtimestamp(ns / SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
