"""What people mean by the names that they write to the bot."""

import difflib
from collections.abc import Collection

import psycopg

from market.errors import ConfigError, UnknownInstrumentError
from sinks.gap_ledger import known_instruments

MOST = 8
"""Symbols that an answer lists."""


def spelled_symbol(connection: psycopg.Connection, word: str) -> str:
    """Return a symbol, or an instrument's id, in its usual spelling: `btcusdt` is `BTC-USDT`.

    One that nobody follows comes back in capitals: it may have been followed once.
    """
    venue, colon, name = word.rpartition(":")
    try:
        found = known_instruments(connection).resolve(word)
    except UnknownInstrumentError:
        return f"{venue.lower()}{colon}{name.upper()}"
    return found[0].id if colon else found[0].symbol


def followed_symbol(connection: psycopg.Connection, word: str) -> str:
    """Return the symbol that is followed and meant.

    Raises:
        ConfigError: none is; says which there are.
    """
    known = known_instruments(connection)
    try:
        return known.resolve(word)[0].symbol
    except UnknownInstrumentError as error:
        if error.near or error.ambiguous:
            raise
        symbols = sorted({one.symbol for one in known})
        more = "" if len(symbols) <= MOST else f" and {len(symbols) - MOST} more"
        there = f"followed are {', '.join(symbols[:MOST])}{more}" if symbols else "none is followed"
        raise ConfigError(f"{word!r} is not followed; {there}") from None


def spec_or_symbol(
    connection: psycopg.Connection, word: str, specs: Collection[str]
) -> tuple[str | None, str | None]:
    """Return the spec, or else the symbol, that is meant; the other is None.

    Args:
        connection: any.
        word: as somebody wrote it.
        specs: ids of those that are watched; one that ever fired counts, too.

    Raises:
        ConfigError: there is neither; says what was perhaps meant.
    """
    found = connection.execute("SELECT DISTINCT spec, symbol FROM alerts").fetchall()
    ids = {*specs, *(str(spec) for spec, _ in found)}
    if word in ids:
        return word, None
    known = known_instruments(connection)
    try:
        return None, known.resolve(word)[0].symbol
    except UnknownInstrumentError:
        symbols = {str(symbol) for _, symbol in found}
        if word.upper() in symbols:
            return None, word.upper()
    names = {name.lower(): name for name in (*ids, *symbols, *(one.symbol for one in known))}
    near = [names[one] for one in difflib.get_close_matches(word.lower(), names, n=3, cutoff=0.7)]
    meant = f"; did you mean {', '.join(near)}?" if near else "; /rules lists the specs"
    raise ConfigError(f"there is no spec and no symbol {word!r}{meant}")
