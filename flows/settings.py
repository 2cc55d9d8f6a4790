"""What a person may set: one section for each room of the program.

Every room defines its own Struct; this file puts them side by side. How a file and the
environment become these Structs is in `flows.configuration`. Secrets are never part of them: they
come from variables of their own only (`DATABASE_URL`, `TELEGRAM_BOT_TOKEN`, `SMTP_PASSWORD`,
`WEBHOOK_SECRET`, a venue's key).
"""

from typing import Annotated, Literal

import msgspec

from connectors.settings import VenueSettings
from market.activity import Activity, parse_bar_length
from market.empty_bars import EmptyBars
from market.intervals import Interval
from sinks.alert_settings import AlertSettings, TelegramSettings
from sinks.email_settings import EmailSettings
from sinks.settings import StoreSettings
from sinks.webhook_settings import WebhookSettings

DEMO_SYMBOLS = ("BTC-USDT", "ETH-USDT", "ETH-BTC")
"""What the demo streams."""

Level = Literal["debug", "info", "warning", "error"]


class MarketSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is computed for every symbol.

    Attributes:
        bar_intervals: lengths of the bars that are built: times (`1m`), or an activity (`100tick`,
            `2.5volume`, `1000000dollar`).
        empty_bars: what is said of a time in which nothing was traded: `none`, or `flat` for a bar
            at the last close, as some venues have it.
        merged_intervals: bars of each symbol over all its venues, of these times; each is in
            `bar_intervals` too.
        features: indicators of every bar, by their names in the catalogue.
        depth: levels a side of the book that are shown and stored; 1 to 64.
        stale_after_s: seconds without a message after which a book is `stale`.
        primary: venues: a filter that names none looks at the first of them that follows the
            symbol; those that are left out come after, in the order of `[feeds]`.
    """

    bar_intervals: tuple[str, ...] = ("1s", "1m")
    empty_bars: EmptyBars = EmptyBars.NONE
    merged_intervals: tuple[str, ...] = ()
    features: tuple[str, ...] = ("rsi(14)", "ema(20)")
    depth: Annotated[int, msgspec.Meta(ge=1, le=64)] = 10
    stale_after_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    primary: tuple[str, ...] = ()

    def lengths(self) -> tuple[Interval | Activity, ...]:
        """Return the bar lengths.

        Raises:
            ValueError: one of them is none.
        """
        return tuple(map(parse_bar_length, self.bar_intervals))

    def merged(self) -> tuple[Interval, ...]:
        """Return the lengths of the bars over all venues.

        Raises:
            ValueError: one of them is none, or is not built at each venue.
        """
        for text in self.merged_intervals:
            if text not in self.bar_intervals:
                raise ValueError(f"{text!r} is not in market.bar_intervals")
        return tuple(map(Interval.parse, self.merged_intervals))


class FilterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where filter specs come from.

    Attributes:
        folder: folder of YAML files, from the folder of the configuration file; empty for the
            specs that come with the program.
    """

    folder: str = ""


class ServingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is offered to other programs.

    Attributes:
        metrics_port: each flow process offers Prometheus metrics at `/metrics` of this port plus
            its number in the cluster, on the loopback interface only; 0 for none.
    """

    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65_000)] = 0


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is logged, how and where.

    Attributes:
        level: the least severity that is told.
        levels: other levels for components, by module: `{"connectors" = "debug"}`.
        format: `console` for people, `json` for one JSON object a line, `auto` for `console` on a
            terminal and `json` elsewhere.
        file: JSON lines are added to this file too, from the folder of the configuration file;
            empty for none.
    """

    level: Level = "info"
    levels: dict[str, Level] = {}
    format: Literal["auto", "console", "json"] = "auto"
    file: str = ""


def demo_feeds() -> dict[str, VenueSettings]:
    """Return the feeds of the embedded demo: a simulated Binance."""
    return {"binance": VenueSettings(symbols=DEMO_SYMBOLS, simulated=True)}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set; the defaults are the embedded demo.

    Attributes:
        feeds: what is read from which venue, by the venue's name.
        market: what is computed for every symbol.
        store: how rows reach the database.
        filters: where filter specs come from.
        alerts: how alerts are delivered.
        telegram: which chats there are, and who may command the bot.
        email: which mailboxes there are.
        webhook: which programs are told of alerts.
        serving: what is offered to other programs.
        log: what is logged.
    """

    feeds: dict[str, VenueSettings] = msgspec.field(default_factory=demo_feeds)
    market: MarketSettings = msgspec.field(default_factory=MarketSettings)
    store: StoreSettings = msgspec.field(default_factory=StoreSettings)
    filters: FilterSettings = msgspec.field(default_factory=FilterSettings)
    alerts: AlertSettings = msgspec.field(default_factory=AlertSettings)
    telegram: TelegramSettings = msgspec.field(default_factory=TelegramSettings)
    email: EmailSettings = msgspec.field(default_factory=EmailSettings)
    webhook: WebhookSettings = msgspec.field(default_factory=WebhookSettings)
    serving: ServingSettings = msgspec.field(default_factory=ServingSettings)
    log: LogSettings = msgspec.field(default_factory=LogSettings)

    @property
    def primary(self) -> tuple[str, ...]:
        """All venues that are read, the one that speaks for a symbol first."""
        named = (name for name in self.market.primary if name in self.feeds)
        return tuple(dict.fromkeys((*named, *self.feeds)))
