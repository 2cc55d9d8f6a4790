"""Recordings through the very objects that made them."""

import logging
from collections.abc import Mapping

import msgspec

from connectors.contract import Told, Venue
from connectors.feed import Feed, decode_description
from connectors.recording import Record
from market.errors import RecordingError

log = logging.getLogger(__name__)


class Playback:
    """Tells recorded records to feeds, which are made as their first connection opens.

    Args:
        venues: `connectors.VENUES`.
        path: of the recording, for messages.
    """

    def __init__(self, venues: Mapping[str, Venue], *, path: str = "") -> None:
        self._venues = venues
        self._path = path
        self._feeds: dict[str, Feed] = {}

    def take(self, record: Record) -> list[Told]:
        """Take one record and return what it tells.

        Raises:
            RecordingError: an `open` record that does not say what the connection was for, or a
                `control` record that is none.
        """
        if not record.conn:
            return []
        feed = self._feeds.get(record.feed)
        if record.kind == "open":
            feed = self._opened(record, feed)
        if feed is None:
            return []  # before its first connection a feed has nothing to tell
        failure = feed.last_failure
        try:
            told = feed.take(record)
        except msgspec.DecodeError as wrong:
            raise RecordingError(f"{record.kind} record: {wrong}", path=self._path) from wrong
        if feed.last_failure is not failure and feed.last_failure is not None:
            name, error = feed.last_failure
            log.info("recorded connection failed", extra={"conn": name, "reason": str(error)})
        feed.outgoing()  # the answers are in the recording
        feed.superseded()
        feed.failures()
        return told

    def _opened(self, record: Record, feed: Feed | None) -> Feed:
        """Return the feed that a connection belongs to; what it is for may have changed."""
        try:
            description = decode_description(record.body)
        except msgspec.DecodeError as error:
            raise RecordingError(f"open record: {error}", path=self._path) from error
        venue = self._venues.get(description.venue)
        if venue is None:
            known = ", ".join(sorted(self._venues))
            raise RecordingError(
                f"unknown venue {description.venue!r}; known are {known}", path=self._path
            )
        if feed is None:
            feed = self._feeds[record.feed] = Feed(record.feed, venue, description)
        feed.description = description
        return feed
