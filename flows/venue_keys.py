"""The user's keys for venues that ask for one."""

from collections.abc import Mapping

from connectors.contract import Venue
from connectors.settings import VenueSettings
from market.errors import ConfigError
from simulator.settings import DEFAULT_KEY
from sinks.secret import Secret, read_secret


def read_key(venue: Venue, environ: Mapping[str, str]) -> Secret | None:
    """Return the user's key for a venue; None where none is set, or none is needed.

    Args:
        venue: row of `connectors.VENUES`.
        environ: where to look for its `key_names`, each also with `_FILE`; the first that is set.

    Raises:
        ConfigError: a name and its `_FILE` are both set, the file cannot be read, or what is set
            can be no key.
    """
    for name in venue.key_names:
        key = read_secret(name, environ)
        if key is None:
            continue
        text = key.reveal()
        # It is put between the quotes of a login as it is.
        if not (text.isascii() and text.isprintable()) or set(text) & set('"\\'):
            raise ConfigError(f"{name}: not a key: it has quotes or other such characters")
        return key
    return None


def key_for(venue: Venue, wanted: VenueSettings, keys: Mapping[str, Secret]) -> str:
    """Return the key that a feed sends; empty where the venue wants none.

    Args:
        venue: row of `connectors.VENUES`.
        wanted: the feed's settings; the built-in simulator never sees the user's own key.
        keys: the user's, by venue.

    Raises:
        ConfigError: the venue needs a key and there is none.
    """
    if not venue.key_names:
        return ""
    if wanted.simulated:
        return DEFAULT_KEY
    key = keys.get(venue.name)
    if key is None:
        names = " or ".join(venue.key_names)
        raise ConfigError(
            f"{venue.name} needs a key: set {names}, or put it into a file and name that in"
            f" {venue.key_names[0]}_FILE"
        )
    return key.reveal()
