"""Which connections follow a venue's symbols, and which worker opens them."""

from collections.abc import Mapping, Sequence

from connectors.contract import FeedDescription, Venue
from connectors.placement import owner_of
from market.errors import ConfigError
from market.instruments import Instrument


class VenueFeeds:
    """What to follow at one venue: its instruments and how to reach it.

    Raises:
        ConfigError: more instruments than the connections that the venue allows can carry.
    """

    def __init__(
        self,
        venue: Venue,
        instruments: Sequence[Instrument],
        *,
        websocket_url: str = "",
        rest_url: str = "",
        options: Mapping[str, int | str | bool] | None = None,
        key: str = "",
    ) -> None:
        self.venue = venue
        self.key = key
        self.instruments = tuple(instruments)
        self.websocket_url = websocket_url or venue.websocket_url
        self.rest_url = rest_url or venue.rest_url
        self.options = dict(options or {})
        allowed = venue.connections_at_once
        needed = len(self._split(self.instruments))
        if allowed and needed > allowed:
            most = venue.instruments_per_connection * (allowed // len(venue.channel_groups))
            raise ConfigError(
                f"{venue.name}: {len(self.instruments)} symbols need {needed} connections and the"
                f" venue allows {allowed}; name at most {most}"
            )

    def descriptions(self, worker: int, worker_count: int) -> list[FeedDescription]:
        """Return the feeds of one worker: the symbols it owns, split by the venue's limits.

        Where a venue limits the connections of an account, one worker of the cluster opens them
        for all symbols; what belongs to other workers crosses to them.
        """
        if self.venue.connections_at_once:
            opens = owner_of(self.venue.name, worker_count) == worker
            return self._split(self.instruments) if opens else []
        return self._split(
            [
                instrument
                for instrument in self.instruments
                if owner_of(instrument.symbol, worker_count) == worker
            ]
        )

    def _split(self, instruments: Sequence[Instrument]) -> list[FeedDescription]:
        """Spread instruments over connections, one for each group of channels."""
        most = self.venue.instruments_per_connection
        groups = self.venue.channel_groups
        return [
            FeedDescription(
                venue=self.venue.name,
                instruments=tuple(instruments[at : at + most]),
                websocket_url=self.websocket_url,
                rest_url=self.rest_url,
                options=self.options,
                channels=group if len(groups) > 1 else (),
            )
            for at in range(0, len(instruments), most)
            for group in groups
        ]
