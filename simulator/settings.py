"""How a simulator is run."""

import msgspec

DEFAULT_KEY = "simulated-key"
DEFAULT_TOKEN = "100200300:simulated-bot-token"  # noqa: S105 - only the fake Bot API takes it


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of a simulator on real sockets.

    Attributes:
        host: address to listen on; loopback, for it has no protection whatever.
        port: of websocket and REST; 0 takes a free one.
        venues: which of `simulator.dialects.DIALECTS`; empty for all of them.
        seed: what all chance comes from.
        symbols: what is traded, in any usual spelling; empty for the whole default market.
        script: price moves, walls, and faults if it has any: a file, or the name of a shipped
            one; empty for none.
        faults: what goes wrong besides: the same.
        rate: multiplies trades and book changes a second.
        wait_for_client: the market opens, and scripts begin, with the first subscriber.
        depth_interval_ms: between two messages of a fast depth stream; the venue's is 100.
        max_age_s: seconds after which a connection is cut; the venue's is a day.
        weight_per_minute: REST weight that may be used in a minute.
        tick_ms: between two turns of the market.
        key: the key that venues with keys accept.
        backlog_bytes: what may wait for a slow client before it is cut.
        telegram: also serve the fake Telegram Bot API.
        telegram_port: of that; 0 takes a free one.
        token: the bot token that it accepts.
    """

    host: str = "127.0.0.1"
    port: int = 0
    venues: tuple[str, ...] = ()
    seed: int = 1
    symbols: tuple[str, ...] = ()
    script: str = ""
    faults: str = ""
    rate: float = 1.0
    wait_for_client: bool = False
    depth_interval_ms: int = 100
    max_age_s: float = 86_400.0
    weight_per_minute: int = 6000
    tick_ms: int = 10
    key: str = DEFAULT_KEY
    backlog_bytes: int = 8 * 1024 * 1024
    telegram: bool = False
    telegram_port: int = 0
    token: str = DEFAULT_TOKEN


class Addresses(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a running simulator is to be found.

    Attributes:
        websocket: base address, `ws://127.0.0.1:PORT`; a venue's is this, `/` and its name.
        rest: base address, `http://127.0.0.1:PORT`; the same.
        telegram: base address of the fake Bot API, empty when it is not served; a client's base
            URL is this and `/bot`.
    """

    websocket: str
    rest: str
    telegram: str = ""

    def websocket_of(self, venue: str) -> str:
        """Return the base address of a venue's streams."""
        return f"{self.websocket}/{venue}"

    def rest_of(self, venue: str) -> str:
        """Return the base address of a venue's REST interface."""
        return f"{self.rest}/{venue}"
