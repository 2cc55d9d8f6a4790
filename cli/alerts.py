"""`candlewax alerts`: what was fired, and what became of it."""

import getpass
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import App, Parameter

from cli import options
from cli.options import Config
from market.errors import ConfigError
from market.intervals import SECOND

if TYPE_CHECKING:
    from sinks.outbox_report import Told

ROWS = 20

app = App(name="alerts", help="Show what was fired, and what became of it.")


@app.default
def alerts(
    *,
    since: Annotated[
        str, Parameter(help="From when: a length of time back, as 2h, or 2026-11-20T08:00.")
    ] = "",
    rows: Annotated[int, Parameter(help="The newest so many rows; 0 for all.")] = ROWS,
    json: Annotated[bool, Parameter(help="One JSON object.", negative=())] = False,
    config: Config = None,
) -> int:
    """Show the newest alerts, and for each target how many are in which state.

    The states of a target add up to what was fired at it.
    """
    from sinks.outbox_report import counts_by_target, newest

    start = options.moment("--since", since, time.time_ns()) if since else None
    if rows < 0:
        raise ConfigError(f"--rows {rows}: expected 0 or more")
    with options.stored(config, "alerts") as connection:
        found = newest(connection, since=start, limit=rows)
        targets = counts_by_target(connection, since=start)
    if json:
        shown = {
            "alerts": found,
            "targets": {
                name: {"fired": sum(sums.values()), **sums} for name, sums in targets.items()
            },
        }
        print(msgspec.json.encode(shown).decode())
    else:
        _print(found, targets)
    return 0


@app.command
def ack(number: int, /, *, config: Config = None) -> int:
    """Say that you have taken note of an alert: it is not told to a second target then.

    Parameters
    ----------
    number
        Number of the alert, as `candlewax alerts` shows it.
    """
    from sinks.acknowledgements import acknowledge, carried_keys

    with options.stored(config, "alerts ack") as connection:
        keys = carried_keys(connection, number)
        if not keys:
            raise ConfigError(f"{number}: no such alert; `candlewax alerts` shows their numbers")
        new = acknowledge(connection, keys, by=getpass.getuser(), now=time.time_ns())
    print(f"acknowledged {len(new)} of {len(keys)}" if new else "was acknowledged before")
    return 0


def _end_text(fired: datetime, ended_at: int) -> str:
    ended = datetime.fromtimestamp(ended_at / SECOND, UTC)
    return f"{ended:%H:%M:%S}" if ended.date() == fired.date() else f"{ended:%Y-%m-%d %H:%M:%S}"


def _print(found: "list[Told]", targets: dict[str, dict[str, int]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not targets:
        print("no alerts")
        return
    console = Console() if sys.stdout.isatty() else Console(width=240, no_color=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("number", "fired (UTC)", "over", "severity", "target", "state", "acknowledged"):
        table.add_column(name, no_wrap=True)
    table.add_column("text")
    for row in found:
        at = datetime.fromtimestamp(row.fired_at / SECOND, UTC)
        over = "" if row.ended_at is None else _end_text(at, row.ended_at)
        state = row.state if row.carried_by is None else f"{row.state} in {row.carried_by}"
        text = " ".join(row.text.split())
        why = f" ({row.error})" if row.error and row.state not in ("sent", "digested") else ""
        table.add_row(
            *(str(row.id), f"{at:%Y-%m-%d %H:%M:%S}", over, row.severity, row.target, state),
            row.acked_by or "",
            Text(text + why),
        )
    console.print(table)
    sums = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    sums.add_column("target")
    states = list(next(iter(targets.values())))
    for name in ("fired", *states):
        sums.add_column(name, justify="right", no_wrap=True)
    for name, counted in targets.items():
        sums.add_row(name, f"{sum(counted.values()):,}", *(f"{counted[one]:,}" for one in states))
    console.print(sums)
