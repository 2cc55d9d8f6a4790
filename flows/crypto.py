"""The live flow: `python -m bytewax.run flows.crypto`.

Importing this opens nothing; Bytewax calls `flow`, which joins the real parts.
"""

import atexit
import logging
import os
import sys
import time
from functools import partial
from pathlib import Path

import msgspec
from bytewax.dataflow import Dataflow

from connectors import VENUES
from connectors.helm import Helm
from connectors.live_source import FeedSource
from connectors.venue_feeds import VenueFeeds
from filters.specs import DEFAULT_TARGET, SpecsChanged
from flows import configuration, logs
from flows.alert_delivery import make_sender, stored_pictures
from flows.bot_services import bot_services
from flows.cluster import Cluster
from flows.configuration import Configuration
from flows.embedded import Embedded
from flows.home import Home
from flows.instruments import list_instruments, resolve, unknown_venue
from flows.kept_files import prune_home
from flows.metrics import serve_metrics
from flows.output import Output
from flows.past import StoredPast, VenuePast
from flows.pipeline import build
from flows.primary_venues import primary_venues
from flows.recorded_settings import recorded_settings
from flows.routing import Routes
from flows.row_placement import row_placement
from flows.spec_difference import SpecDifferences
from flows.spec_homes import KNOWN, SpecHomes
from flows.spec_watch import SpecWatch, first_set
from flows.standings import Standings
from flows.status import StatusFile, Tally
from flows.stopping import Stopping
from flows.symbol_market import SymbolMarket
from flows.venue_keys import key_for
from flows.warm_up import WarmUp
from market.errors import ConfigError
from market.events import LeftOpen
from market.instruments import Instrument
from sinks.gap_ledger import open_gaps
from sinks.insertion import insert
from sinks.notices import notify
from sinks.redaction import Redactor
from sinks.retention import RetentionJob
from sinks.rows import instrument_row, pack, unpack
from sinks.secret import Secret
from sinks.spool_database import EMBEDDED, bind, name_of
from sinks.store_connection import RETRIABLE, complete, connect
from sinks.stored_specs import StoredSpecs
from sinks.tables import TABLES
from sinks.timescale import TimescaleSink

DRAIN_S = 1.0
"""How long the sender goes on with alerts that are due when the flow has ended."""

log = logging.getLogger(__name__)


def flow() -> Dataflow:
    """Join the configured venues, the store and the sender of alerts to one dataflow.

    A mistake in the configuration ends the program with exit code 2 and a message.
    """
    try:
        return _flow()
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - it is for a person
        raise SystemExit(2) from None


def _flow() -> Dataflow:
    settings = configuration.load()
    output = Output.of(os.environ)
    redactor = Redactor(settings.secrets)
    logs.configure(settings.settings.log, redactor, file=settings.log_file)
    home = Home.of(os.environ)
    cluster = Cluster.of(sys.argv[1:], os.environ)
    routes = Routes(settings)
    # What is wrong in the files is told before anything is started.
    SpecHomes(settings.specs_folder, None, check=routes.check).read()
    stopping = Stopping()
    stopping.install()
    embedded = Embedded.enter(settings, home, cluster, command="python -m bytewax.run flows.crypto")
    atexit.register(embedded.stop)
    redactor.add(embedded.database_url)
    if settings.settings.store.spool_bytes:
        told = settings.database_url
        bind(home.spool, EMBEDDED if told is None else name_of(told.reveal()))
    listed: set[str] = set()
    feeds = list(_feeds(settings, embedded, listed))
    symbols = tuple(sorted({one.symbol for each in feeds for one in each.instruments}))
    followed = tuple(one.id for each in feeds for one in each.instruments)
    homes = SpecHomes(
        settings.specs_folder,
        StoredSpecs(embedded.database_url),
        check=routes.check,
        known=msgspec.structs.replace(
            KNOWN,
            symbols=frozenset(listed),
            followed=frozenset(symbols),
            series=frozenset(followed),
        ),
    )
    specs = first_set(homes)
    helm = Helm()
    records = any(feed.record for feed in settings.settings.feeds.values())
    primary = primary_venues(settings.settings.primary, followed)
    source = FeedSource(
        feeds,
        controls=[
            recorded_settings(settings.settings.market),
            msgspec.json.encode(
                SpecsChanged(
                    generation=specs.generation,
                    specs=specs.specs,
                    symbols=symbols,
                    primary=primary,
                )
            ),
            *_left_open(embedded.database_url, feeds),
        ],
        helm=helm,
        stopping=stopping.flag,
        recording=partial(_recording, home.recordings, time.time_ns()) if records else None,
        dead_letters=home.dead,
    )
    serve_metrics(settings.settings.serving.metrics_port, cluster.process)
    venues = VenuePast(feeds)
    warm_up = WarmUp(
        stored=StoredPast(embedded.database_url).bars,
        candles=venues.fetch,
        tells_sides=venues.tells_sides,
        tell=partial(helm.tell, kind="history"),
    )
    warm_up.start()
    atexit.register(warm_up.stop)
    watch = SpecWatch(
        homes,
        specs,
        tell=helm.tell_specs,
        symbols=symbols,
        dsn=embedded.database_url,
        changed=SpecDifferences(embedded.database_url, followed, primary).changed,
        trouble=partial(_tell_operators, embedded.database_url, routes(DEFAULT_TARGET)),
    )
    watch.start()
    atexit.register(watch.stop)
    tally = Tally(
        lambda: [drain.counts for drain in source.drains],
        reads=lambda instrument: any(drain.has_told(instrument) for drain in source.drains),
        past=lambda: warm_up.progress,
        specs=lambda: (watch.current.generation, watch.current.problem),
    )
    status = StatusFile(home.status / f"flow-{cluster.process}.json", tally)
    status.start()
    atexit.register(status.close)
    standings = Standings(home.status / f"specs-{cluster.process}.json")
    standings.start()
    atexit.register(standings.close)
    sender = make_sender(
        settings,
        embedded.database_url,
        sys.stdout,
        services=bot_services(settings, home, homes, embedded.database_url, routes.check),
        picture=stored_pictures(settings, embedded.database_url),
        mutes_file=home.mutes,
    )
    sender.start()
    atexit.register(sender.stop)
    retention = RetentionJob(
        embedded.database_url,
        settings.settings.store.retention.days,
        also=partial(prune_home, home, settings.settings.store.retention),
    )
    retention.start()
    atexit.register(retention.stop)
    return build(
        source,
        new_market=partial(
            SymbolMarket,
            settings.settings.market,
            wants_tops="books" in output.kinds,
            wants_events="events" in output.kinds,
            kept_depth=settings.settings.store.kept_depth(),
        ),
        resync=helm.resync,
        tally=tally,
        history=warm_up.wish,
        noted=standings.note,
        route=routes,
        store=TimescaleSink(
            embedded.database_url.reveal(),
            settings.settings.store,
            place=row_placement(settings.settings.store.partitions, cluster.workers),
            spool=home.spool,
            closed=partial(sender.stop, drain_s=DRAIN_S),
        ),
        lines=output.sink(),
        kinds=output.kinds,
    )


def _feeds(settings: Configuration, embedded: Embedded, symbols: set[str]) -> list[VenueFeeds]:
    """Ask every venue what it trades, and refuse what it does not before anything is subscribed.

    `symbols` gets all that are listed.
    """
    feeds = []
    for name, wanted in settings.settings.feeds.items():
        venue = VENUES.get(name)
        if venue is None:
            raise unknown_venue(name, VENUES)
        rest_url = embedded.rest_url(name)
        key = key_for(venue, wanted, settings.keys)
        listed = list_instruments(venue, rest_url, key=key)
        symbols.update(one.symbol for one in listed)
        instruments = resolve(wanted.symbols, listed, venue=name)
        _store_instruments(embedded.database_url, instruments)
        feeds.append(
            VenueFeeds(
                venue,
                instruments,
                websocket_url=embedded.websocket_url(name),
                rest_url=rest_url,
                options=wanted.venue_options(),
                key=key,
            )
        )
    if not any(each.instruments for each in feeds):
        raise ConfigError("no symbols to follow: name some in [feeds.<venue>] symbols")
    return feeds


def _left_open(dsn: Secret, feeds: list[VenueFeeds]) -> list[bytes]:
    """Tell the flow which rows of the gap ledger an earlier run has left open.

    Raises:
        ConfigError: the database is away.
    """
    followed = [one.id for each in feeds for one in each.instruments]
    try:
        with connect(complete(dsn.reveal())) as connection:
            gaps = open_gaps(connection, followed)
    except RETRIABLE as error:
        raise ConfigError(
            f"the database does not tell its gaps: {str(error).strip()}; start it, or correct"
            " DATABASE_URL, or leave it unset to use the embedded PostgreSQL"
        ) from None
    return [
        msgspec.json.encode(
            LeftOpen(instrument=name, gaps=tuple(gap for gap in gaps if gap.instrument == name))
        )
        for name in dict.fromkeys(gap.instrument for gap in gaps)
    ]


def _store_instruments(dsn: Secret, instruments: list[Instrument]) -> None:
    """Keep what the venue says of each instrument; the rows are few and known before any other.

    Raises:
        ConfigError: the database is away, or does not take them.
    """
    rows = unpack(pack("instruments", [instrument_row(one) for one in instruments]))
    try:
        with connect(complete(dsn.reveal())) as connection, connection.transaction():
            insert(connection, TABLES["instruments"], rows)
    except RETRIABLE as error:
        raise ConfigError(
            f"the database does not take the list of instruments: {str(error).strip()}; start it, "
            "or correct DATABASE_URL, or leave it unset to use the embedded PostgreSQL"
        ) from None


def _tell_operators(dsn: Secret, targets: tuple[str, ...], key: str, text: str) -> None:
    if not notify(dsn, key, text, targets=targets, now=time.time_ns()):
        log.warning("operators are not told: the database is away", extra={"notice": key})


def _recording(folder: Path, began: int, worker: int) -> Path:
    """Name a worker's recording: several recordings of one run sort together."""
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(began // 1_000_000_000))
    return folder / f"{at}-{worker}.jsonl.gz"
