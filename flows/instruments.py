"""The venues' lists of instruments, and what a person's symbols mean in them."""

import logging
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import httpx

from connectors.contract import Venue
from connectors.transport import explain_status, fetch, http_client
from market.errors import ConfigError, VenueProtocolError
from market.instruments import Instrument, InstrumentList

MOST_PAGES = 100
"""A list that is longer goes round in circles."""

log = logging.getLogger(__name__)


def list_instruments(venue: Venue, rest_url: str = "", *, key: str = "") -> InstrumentList:
    """Fetch what a venue trades now, page by page.

    Args:
        venue: row of `connectors.VENUES`.
        rest_url: base address; empty for the venue's own.
        key: sent in a header, to this address only; empty where the venue wants none.

    Raises:
        ConfigError: the list cannot be had; the text says why and what to do.
    """
    base = rest_url or venue.rest_url
    url = venue.instruments_url(base)
    seen: set[str] = set()
    instruments: list[Instrument] = []
    with http_client() as client:
        if key:
            client.headers["Authorization"] = f"Bearer {key}"
        while url:
            seen.add(url)
            body = _page(venue, client, url)
            try:
                instruments += venue.read_instruments(body)
            except VenueProtocolError as error:
                raise ConfigError(
                    f"{venue.name}: {url} does not look like the venue's list of instruments:"
                    f" {error}"
                ) from error
            url = _following(venue.more_instruments_url(body), base)
            if url in seen or len(seen) >= MOST_PAGES:
                raise ConfigError(
                    f"{venue.name}: the list of instruments has no end: {len(seen)} pages, and"
                    f" {url} would be next; try again later"
                )
    log.info("instruments listed", extra={"venue": venue.name, "instruments": len(instruments)})
    return InstrumentList(instruments)


def _page(venue: Venue, client: httpx.Client, url: str) -> bytes:
    answer = fetch(client, url)
    if answer.status == 200:
        return answer.body
    if answer.status in {401, 403} and venue.key_names:
        raise ConfigError(
            f"{venue.name}: HTTP {answer.status} from {url}: the key was refused, or its plan does"
            f" not hold this; correct {' or '.join(venue.key_names)}"
        )
    said = explain_status(answer.status) or answer.body[:200].decode(errors="replace")
    if answer.wait_s:
        said += f"; it may be asked again in {answer.wait_s:.0f} s"
    status = f"HTTP {answer.status}, " if answer.status else ""
    raise ConfigError(
        f"{venue.name}: cannot fetch the list of instruments from {url}: {status}{said}; check"
        f" the network, or set feeds.{venue.name}.rest_url"
    )


def _following(address: str, base: str) -> str:
    """Return the next page's address at the host that was asked: no other one sees the key."""
    if not address:
        return ""
    parts = urlsplit(address)
    return f"{base}{parts.path}" + (f"?{parts.query}" if parts.query else "")


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
