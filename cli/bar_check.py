"""`candlewax db check --bars`: the stored bars against the stored trades."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from cli import options
from market.errors import ConfigError

if TYPE_CHECKING:
    from migrations.bar_check import BarCheck, Difference

SHOWN = 50
"""So many differences are told; all are counted."""
NUMBER = ".12g"


def check_bars(address: str, since: int, keep_days: Mapping[str, float]) -> int:
    """Hold bars to trades and say what came of it; return the exit code.

    Args:
        address: of the database.
        since: of no earlier bar, ns UTC.
        keep_days: how long rows stay, by table.

    Raises:
        ConfigError: the database went away, or refuses.
    """
    import psycopg

    from migrations.bar_check import check_bars as run
    from migrations.session import connect

    with connect(address) as connection, _progress() as report:
        try:
            check = run(connection, since=since, keep_days=keep_days, most=SHOWN, report=report)
        except psycopg.Error as error:
            raise ConfigError(f"the database does not do it: {str(error).strip()}") from None
    for difference in check.differences:
        print(f"bad   {words(difference)}")
    if check.bars:
        print(f"bad   {check.bars:,} of {check.held:,} bars are not what the stored trades make")
        if len({(one.venue, one.symbol, one.interval, one.start) for one in check.differences}) < (
            check.bars
        ):
            print(f"      only the first {len(check.differences)} differences are told")
    elif not check.held:
        print(
            "note  no bar could be held to stored trades; those of the last two minutes never are"
        )
    else:
        print(
            f"ok    {check.held:,} bars of {check.series:,} series are what the stored trades make"
        )
    for line in _left_out(check):
        print(f"      {line}")
    return 1 if check.bars else 0


def words(difference: "Difference") -> str:
    """Say a difference for people.

    Example:
        >>> from migrations.bar_check import Difference
        >>> from migrations.bar_of_trades import Unlike
        >>> words(Difference("binance", "BTC-USDT", "1m", 0, Unlike("close", 2.5, 2.0)))
        'binance BTC-USDT 1m 1970-01-01T00:00:00+00:00 close: 2.5 in the bar, 2 by the trades'
    """
    bar = f"{difference.venue} {difference.symbol} {difference.interval}"
    place = f"{bar} {options.iso(difference.start)}"
    column, ours, made = (
        difference.unlike.column,
        difference.unlike.bar,
        difference.unlike.trades,
    )
    if column == "bar":
        return f"{place}: no bar, and {made:,.0f} trades"
    if column == "trades":
        return f"{place}: {ours:,.0f} trades in the bar, and none stored"
    return f"{place} {column}: {ours:{NUMBER}} in the bar, {made:{NUMBER}} by the trades"


def _left_out(check: "BarCheck") -> Iterator[str]:
    if check.without_trades:
        yield f"{check.without_trades:,} series have no trades of their own and were not looked at"
    if check.apart:
        yield f"{check.apart:,} bars are marked partial or gap, or are the venue's own: left out"
    if check.excused:
        yield (
            f"{check.excused:,} bars differ, or there is none, where trades may not have been seen "
            "by the gap ledger: `candlewax gaps`"
        )
    if check.unseen:
        yield (
            f"{check.unseen:,} bars have trades that are not stored, or there is none, as where "
            "the flow did not run; if it did, trades or bars are lost"
        )
    if check.stale:
        yield (
            f"{check.stale:,} bars are right, and the continuous aggregates are not: "
            "`candlewax db upgrade`"
        )


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, disable=not sys.stderr.isatty(), transient=True) as shown:
        task = shown.add_task("bars by day and interval", total=None)
        yield lambda done, of: shown.update(task, total=of, completed=done)
