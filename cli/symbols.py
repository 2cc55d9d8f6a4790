"""`candlewax symbols`: what a venue trades."""

import contextlib
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from cli.options import Config
from market.errors import ConfigError, UnknownInstrumentError

if TYPE_CHECKING:
    from market.instruments import Instrument, InstrumentList


def symbols(
    venue: Annotated[str, Parameter(help="Venue, as in binance.")],
    pattern: Annotated[
        str, Parameter(help="Only these: a part of the name as in btc, or with * as in 'BTC-*'.")
    ] = "",
    /,
    *,
    simulated: Annotated[
        bool, Parameter(help="Ask the built-in simulator, not the venue.", negative=())
    ] = False,
    rest_url: Annotated[
        str, Parameter(help="Base address to ask; else the configured one, else the venue's own.")
    ] = "",
    json: Annotated[bool, Parameter(help="Print one JSON list.", negative=())] = False,
    config: Config = None,
) -> int:
    """List what a venue trades now, one line each: symbol, the venue's own name, tick and step."""
    if simulated and rest_url:
        raise ConfigError("--simulated and --rest-url: say one of them")
    with _listed(venue, rest_url, simulated=simulated, config=config) as known:
        found = _matching(known, pattern, venue)
    found.sort(key=lambda one: one.symbol)
    if json:
        print(msgspec.json.encode(found).decode())
        return 0
    rows = [(one.symbol, one.native, _step(one.tick), _step(one.step)) for one in found]
    rows.insert(0, ("symbol", "native", "tick", "step"))
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, wide, strict=False))
        print("  ".join((*cells, row[3])).rstrip())
    return 0


@contextlib.contextmanager
def _listed(
    name: str, rest_url: str, *, simulated: bool, config: Config
) -> "Iterator[InstrumentList]":
    from connectors import VENUES
    from connectors.settings import VenueSettings
    from flows import configuration
    from flows.instruments import list_instruments
    from flows.venue_keys import key_for, read_key

    venue = VENUES.get(name)
    if venue is None:
        raise ConfigError(f"{name}: unknown venue{configuration.near(name, sorted(VENUES))}")
    feed = configuration.load(config).settings.feeds.get(name, VenueSettings())
    if not rest_url and not simulated and not feed.simulated:
        rest_url = feed.rest_url
    wanted = msgspec.structs.replace(feed, simulated=simulated)
    own = None if simulated else read_key(venue, os.environ)
    key = key_for(venue, wanted, {name: own} if own is not None else {})
    if not simulated:
        yield list_instruments(venue, rest_url, key=key)
        return

    from simulator.server import simulator_in_thread
    from simulator.settings import SimulatorSettings

    with simulator_in_thread(SimulatorSettings(venues=(name,))) as addresses:
        yield list_instruments(venue, addresses.rest_of(name), key=key)


def _matching(known: "InstrumentList", pattern: str, venue: str) -> "list[Instrument]":
    wanted = pattern.upper()
    if "*" in wanted or "?" in wanted:
        found = [
            one
            for one in known
            if fnmatchcase(one.symbol.upper(), wanted) or fnmatchcase(one.native.upper(), wanted)
        ]
    else:
        plain = _plain(wanted)
        found = [one for one in known if plain in _plain(one.symbol) or plain in _plain(one.native)]
    if not found:
        near = known.near(pattern, venue=venue) if len(known) else ()
        raise UnknownInstrumentError(pattern, venue=venue, near=near)
    return found


def _plain(name: str) -> str:
    return "".join(letter for letter in name.upper() if letter.isalnum())


def _step(number: float) -> str:
    """Write a step as venues do, without an exponent; empty where it is unknown."""
    return f"{number:.12f}".rstrip("0").rstrip(".") if number else ""
