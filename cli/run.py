"""`candlewax run`: a flow under supervision, in one process or several."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli import options
from cli.emitted import Emitted
from cli.options import Config, Digest, Emit, Out, Processes
from market.errors import ConfigError

if TYPE_CHECKING:
    from flows.composition import Run

Venue = Annotated[str, Parameter(name="--venue", help="Only this venue, as in binance.")]
Symbols = Annotated[
    tuple[str, ...],
    Parameter(
        name="--symbol",
        help="Follow this symbol and only those named; may be given several times.",
        converter=options.comma_separated,
        n_tokens=1,
        negative=(),
    ),
]
Simulated = Annotated[
    bool | None,
    Parameter(
        name="--simulated",
        negative="--real",
        help="Talk to the built-in simulator, or to the real venue.",
    ),
]


def run(
    *,
    venue: Venue = "",
    symbol: Symbols = (),
    simulated: Simulated = None,
    config: Config = None,
    processes: Processes = 1,
    record: Annotated[bool, Parameter(help="Record what comes in.", negative=())] = False,
    emit: Emit = (),
    out: Out = None,
    digest: Digest = False,
) -> int:
    """Run until Ctrl-C, with recovery on; what dies is started again.

    Without --venue and --symbol the configuration file decides what is followed. A venue named
    here is the real one unless --simulated is given too.
    """
    from flows.composition import Run

    if emit and out is None:
        raise ConfigError(
            "--emit needs --out FILE: a run goes on, so lines cannot wait for its end"
        )
    feeds = chosen_feeds(venue, symbol, simulated=simulated, config=config, record=record)
    with Emitted(emit, out, digest=digest) as lines:
        what = Run(command="candlewax run", processes=processes, environ={**feeds, **lines.environ})
        code = supervise(what, config)
        lines.tell()
    return code


def supervise(what: "Run", config: Config) -> int:
    """Run on our own terminal, with our own log."""
    from flows import composition, configuration, logs
    from flows.home import Home
    from sinks.redaction import Redactor

    options.check_processes(what.processes)
    told = configuration.load(config, what.settled(os.environ))
    redactor = Redactor(told.secrets)
    logs.configure(told.settings.log, redactor, file=told.log_file)

    def started(_: object) -> None:
        for name, feed in told.settings.feeds.items():
            kind = "simulated" if feed.simulated else "the real venue"
            print(f"{name} ({kind}): {', '.join(feed.symbols)}", file=sys.stderr, flush=True)

    return composition.run(what, told, Home.of(os.environ), started=started)


def chosen_feeds(
    venue: str,
    symbols: tuple[str, ...],
    *,
    simulated: bool | None,
    config: Config,
    record: bool,
) -> dict[str, str]:
    """Return the variable for what the options choose; none when they choose nothing.

    Raises:
        ConfigError: an unknown venue, or symbols for more than one venue.
    """
    if not (venue or symbols or record or simulated is not None):
        return {}
    import msgspec

    from connectors import VENUES
    from flows import configuration
    from flows.settings import DEMO_SYMBOLS

    if venue and venue not in VENUES:
        raise ConfigError(f"--venue {venue}: unknown{configuration.near(venue, sorted(VENUES))}")
    known = configuration.load(config).settings.feeds
    if symbols and not venue and len(known) != 1:
        raise ConfigError(f"--symbol: say which --venue of {', '.join(known)} is meant")
    feeds: dict[str, dict[str, object]] = {}
    for name in [venue] if venue else list(known):
        feed = msgspec.to_builtins(known[name]) if name in known else {"symbols": DEMO_SYMBOLS}
        if venue:
            feed["simulated"] = False
        if symbols:
            feed["symbols"] = symbols
        if simulated is not None:
            feed["simulated"] = simulated
        if record:
            feed["record"] = True
        feeds[name] = feed
    return options.feeds_variable(feeds)
