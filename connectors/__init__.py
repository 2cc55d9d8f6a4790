"""Exchanges in: one file a venue, and what carries its messages to the flow."""

from connectors.binance import Binance
from connectors.contract import Venue

VENUES: dict[str, Venue] = {venue.name: venue for venue in (Binance(),)}
"""Every venue that Candlewax speaks with, by name."""

__all__ = ["VENUES"]
