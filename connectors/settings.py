"""What a person may set for a venue."""

import msgspec


class VenueSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[feeds.<venue>]` table.

    Attributes:
        symbols: what to follow, in any usual spelling.
        simulated: talk to the built-in simulator and not to the venue.
        websocket_url: base address of the streams; empty for the venue's own.
        rest_url: base address of the REST interface; empty for the venue's own.
        record: write every frame to a recording.
        max_age_s: replace a connection before it is this old, in seconds; 0 for the venue's limit.
        options: the venue's own settings; its page in `docs/venues` lists them.
    """

    symbols: tuple[str, ...] = ()
    simulated: bool = False
    websocket_url: str = ""
    rest_url: str = ""
    record: bool = False
    max_age_s: int = 0
    options: dict[str, int | str | bool] = {}

    def venue_options(self) -> dict[str, int | str | bool]:
        """Return what the venue's protocol is told: its own settings and `max_age_s`."""
        return {**self.options, **({"max_age_s": self.max_age_s} if self.max_age_s else {})}
