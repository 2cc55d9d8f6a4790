"""`candlewax filters positions`: what strategies hold on paper."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from cli.options import Config
from market.errors import ConfigError

if TYPE_CHECKING:
    from sinks.positions import PaperPosition


def positions(
    *,
    json: Annotated[bool, Parameter(help="One JSON object.", negative=())] = False,
    config: Config = None,
) -> int:
    """Show what strategies hold on paper, and what they have come to. No order is sent anywhere."""
    from flows import configuration
    from flows.embedded import Embedded
    from flows.home import Home
    from sinks.gap_ledger import is_there
    from sinks.positions import read_positions
    from sinks.store_connection import complete, connect

    told = configuration.load(config, os.environ)
    home = Home.of(os.environ)
    store = Embedded.attach(told, home, command="candlewax filters positions", migrate=False)
    try:
        with connect(complete(store.database_url.reveal())) as connection:
            if not is_there(connection):
                raise ConfigError("the database has no tables yet: `candlewax db upgrade`")
            found = read_positions(connection)
    finally:
        store.stop()
    if json:
        print(msgspec.json.encode({"positions": found}).decode())
        return 0
    if not found:
        print("no strategy has given a signal yet", file=sys.stderr)
    for each in found:
        print(_line(each))
    return 0


def _line(position: "PaperPosition") -> str:
    closed = f"{position.closed} closed ({position.won} won), {position.realised:+,.2f}"
    name = f"{position.spec}  {position.series} {position.interval}".rstrip()
    if not position.is_open:
        return f"{name}: flat; {closed}"
    target = "" if position.target is None else f", target {position.target:.10g}"
    return (
        f"{name}: {position.side} {position.size:.6g} at {position.entry:.10g}, now"
        f" {position.price:.10g} ({position.profit:+,.2f}), stop {position.stop:.10g}{target};"
        f" {closed}"
    )
