"""A recording through the same flow: `candlewax replay`, or `python -m bytewax.run flows.replay`.

What to replay is in `$CANDLEWAX_REPLAY`, as JSON. Nothing is stored and nothing is sent unless it
says so.
"""

import atexit
import logging
import os
import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Annotated

import msgspec
from bytewax.dataflow import Dataflow

from connectors import VENUES
from connectors.replay_source import ReplaySource
from filters.load import load_specs
from filters.specs import DEFAULT_TARGET, SpecsChanged
from flows import configuration, logs
from flows.cluster import Cluster
from flows.embedded import prepare_database
from flows.home import Home
from flows.output import Output
from flows.pipeline import build
from flows.recorded_settings import market_of, primary_of, symbols_of
from flows.routing import Routes
from flows.status import StatusFile, Tally
from flows.stopping import Stopping
from flows.symbol_market import SymbolMarket
from market.errors import ConfigError, RecordingError
from market.kept_depth import KeptDepth
from sinks.redaction import Redactor
from sinks.secret import Secret
from sinks.timescale import TimescaleSink

log = logging.getLogger(__name__)

VARIABLE = "CANDLEWAX_REPLAY"


class ReplayOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to replay and how.

    Attributes:
        files: recordings; several are read as one, by time.
        specs: folder of filter specs to use in place of the recorded ones.
        store: address of the database to store into; empty for none.
        notify: give alerts to the sender, as a live flow does.
        speed: times real time; 0 for as fast as it goes.
        batch: records taken together.
        own_market: use the configured `[market]` section and not the recorded one.
        alerts: store alerts that fire, and the books that they fired on.
    """

    files: tuple[str, ...]
    specs: str = ""
    store: str = ""
    notify: bool = False
    speed: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    batch: Annotated[int, msgspec.Meta(ge=1)] = 500
    own_market: bool = False
    alerts: bool = True

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "ReplayOptions":
        """Read what the command line asked for.

        Raises:
            ConfigError: it asked for nothing, or in words that we do not know.
        """
        told = environ.get(VARIABLE)
        if not told:
            raise ConfigError(
                f"nothing to replay: use `candlewax replay FILE`, which sets {VARIABLE}"
            )
        try:
            options = msgspec.json.decode(told, type=cls)
        except msgspec.DecodeError as error:
            raise ConfigError(f"{VARIABLE}: {error}; `candlewax replay` sets it") from error
        if not options.files:
            raise ConfigError(f"{VARIABLE}: no files to replay; use `candlewax replay FILE`")
        return options


def flow() -> Dataflow:
    """Join a recording, the flow's steps and what was asked for to one dataflow."""
    try:
        return _flow()
    except (ConfigError, RecordingError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - it is for a person
        raise SystemExit(2) from None


def _flow() -> Dataflow:
    options = ReplayOptions.of(os.environ)
    output = Output.of(os.environ)
    settings = configuration.load()
    redactor = Redactor(settings.secrets)
    if options.store:
        redactor.add(Secret(options.store))
    logs.configure(settings.settings.log, redactor, file=settings.log_file)
    paths = [Path(name) for name in options.files]
    recorded = market_of(paths)  # in any case: it reads the beginning of every file
    market = recorded if recorded and not options.own_market else settings.settings.market
    if options.store:
        prepare_database(options.store, settings.settings.store)
    stopping = Stopping()
    stopping.install()
    source = ReplaySource(
        paths,
        VENUES,
        batch=options.batch,
        speed=options.speed,
        controls=_controls(options, paths),
        stopping=stopping.flag,
    )
    tally = Tally(
        lambda: [drain.counts for drain in source.drains],
        source.problems,
        reads=lambda instrument: any(drain.has_told(instrument) for drain in source.drains),
        share_read=source.share_read,
    )
    cluster = Cluster.of(sys.argv[1:], os.environ)
    status = StatusFile(Home.of(os.environ).status / f"flow-{cluster.process}.json", tally)
    status.start()
    atexit.register(status.close)
    return build(
        source,
        new_market=partial(
            SymbolMarket,
            market,
            wants_tops="books" in output.kinds,
            wants_events="events" in output.kinds,
            keeps_books=True,
            kept_depth=(settings.settings.store.kept_depth() if options.store else KeptDepth()),
        ),
        resync=_no_resync,
        tally=tally,
        route=_forgiving(Routes(settings)) if options.notify else _as_named,
        store=(
            TimescaleSink(
                options.store, settings.settings.store, notify=options.notify, patient=True
            )
            if options.store
            else None
        ),
        lines=output.sink(),
        kinds=output.kinds,
        stores_alerts=options.alerts,
    )


def _controls(options: ReplayOptions, paths: list[Path]) -> list[bytes] | None:
    """Return the specs to use in place of the recorded ones."""
    if not options.specs:
        return None
    specs = load_specs(Path(options.specs))
    changed = SpecsChanged(
        generation=1, specs=specs, symbols=symbols_of(paths), primary=primary_of(paths)
    )
    return [msgspec.json.encode(changed)]


def _as_named(target: str) -> tuple[str, ...]:
    return (target,)


def _forgiving(routes: Routes) -> Callable[[str], tuple[str, ...]]:
    """Send what is for a target of the recorded configuration to the default one of this."""

    def route(target: str) -> tuple[str, ...]:
        try:
            return routes(target)
        except ConfigError as error:
            log.warning("recorded target is not configured", extra={"reason": str(error)})
            return routes(DEFAULT_TARGET)

    return cache(route)


def _no_resync(_instrument: str, _reason: str) -> None:
    """What a resync led to is in the recording already."""
