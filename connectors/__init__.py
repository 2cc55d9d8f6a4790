"""Exchanges in: one file a venue, and what carries its messages to the flow."""

from connectors.binance import Binance
from connectors.bitstamp import Bitstamp
from connectors.bybit import Bybit
from connectors.contract import Venue
from connectors.htx import Htx
from connectors.massive import Massive

VENUES: dict[str, Venue] = {
    venue.name: venue for venue in (Binance(), Bitstamp(), Bybit(), Htx(), Massive())
}
"""Every venue that Candlewax speaks with, by name."""

__all__ = ["VENUES"]
