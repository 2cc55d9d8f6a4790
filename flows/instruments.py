"""The venues' lists of instruments, and what a person's symbols mean in them."""

import logging
from collections.abc import Mapping, Sequence

from connectors.contract import Venue
from connectors.transport import explain_status, fetch, http_client
from market.errors import ConfigError, VenueProtocolError
from market.instruments import Instrument, InstrumentList

log = logging.getLogger(__name__)


def list_instruments(venue: Venue, rest_url: str = "") -> InstrumentList:
    """Fetch what a venue trades now.

    Args:
        venue: row of `connectors.VENUES`.
        rest_url: base address; empty for the venue's own.

    Raises:
        ConfigError: the list cannot be had; the text says why and what to do.
    """
    url = venue.instruments_url(rest_url or venue.rest_url)
    with http_client() as client:
        answer = fetch(client, url)
    if answer.status != 200:
        said = explain_status(answer.status) or answer.body[:200].decode(errors="replace")
        status = f"HTTP {answer.status}, " if answer.status else ""
        raise ConfigError(
            f"{venue.name}: cannot fetch the list of instruments from {url}: {status}{said}; check"
            f" the network, or set feeds.{venue.name}.rest_url"
        )
    try:
        instruments = venue.read_instruments(answer.body)
    except VenueProtocolError as error:
        raise ConfigError(
            f"{venue.name}: {url} does not look like the venue's list of instruments: {error}"
        ) from error
    log.info("instruments listed", extra={"venue": venue.name, "instruments": len(instruments)})
    return InstrumentList(instruments)


def resolve(names: Sequence[str], known: InstrumentList, *, venue: str) -> list[Instrument]:
    """Return the instruments that a person's symbols mean, each once.

    Raises:
        UnknownInstrumentError: a name that the venue does not list; nothing is subscribed then.
    """
    found: dict[str, Instrument] = {}
    for name in names:
        for instrument in known.resolve(name, venue=venue):
            found[instrument.id] = instrument
    return list(found.values())


def unknown_venue(name: str, venues: Mapping[str, Venue]) -> ConfigError:
    """Say that there is no such venue."""
    return ConfigError(f"unknown venue {name!r}; known are {', '.join(sorted(venues))}")
