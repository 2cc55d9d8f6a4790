"""`candlewax simulate`: the simulator alone, on real sockets."""

import math
import sys
from typing import Annotated

import msgspec
from cyclopts import Parameter

from cli.options import comma_separated
from market.errors import ConfigError

HIGHEST_PORT = 65_535


def simulate(
    *,
    port: Annotated[int, Parameter(help="Of websocket and REST; 0 takes a free one.")] = 0,
    symbol: Annotated[
        tuple[str, ...],
        Parameter(
            help="Trade this symbol and only those named; may be given several times.",
            converter=comma_separated,
            n_tokens=1,
            negative=(),
        ),
    ] = (),
    venues: Annotated[
        tuple[str, ...],
        Parameter(
            help="Simulate these venues, comma separated; all of them by default.",
            converter=comma_separated,
            n_tokens=1,
            negative=(),
        ),
    ] = (),
    seed: Annotated[int, Parameter(help="What all chance comes from.")] = 1,
    script: Annotated[str, Parameter(help="Moves, walls, faults: a file, or a name.")] = "demo",
    faults: Annotated[str, Parameter(help="More faults: a file, or a name.")] = "",
    rate: Annotated[float, Parameter(help="Multiplies trades and book changes.")] = 1.0,
    telegram: Annotated[bool, Parameter(help="Serve a fake Telegram too.", negative=())] = False,
    telegram_port: Annotated[int, Parameter(help="Of that; 0 takes a free one.")] = 0,
) -> int:
    """Run simulated venues, and a fake Telegram if asked, until Ctrl-C.

    The first line on standard output is one JSON object with the addresses; put them into the
    configuration, each with / and the venue's name behind it, as feeds.VENUE.websocket_url and
    rest_url, and telegram.base_url plus /bot.
    """
    import logging

    for option, number in (("--port", port), ("--telegram-port", telegram_port)):
        if not 0 <= number <= HIGHEST_PORT:
            raise ConfigError(f"{option} {number}: expected 0 to {HIGHEST_PORT}")
    if not (rate > 0 and math.isfinite(rate)):
        raise ConfigError(f"--rate {rate:g}: expected a number above 0")

    from simulator.server import run_server
    from simulator.settings import Addresses, SimulatorSettings

    def ready(addresses: Addresses) -> None:
        print(msgspec.json.encode(addresses).decode(), flush=True)
        print("the simulator runs; Ctrl-C ends it", file=sys.stderr)

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    settings = SimulatorSettings(
        port=port,
        venues=venues,
        symbols=symbol,
        seed=seed,
        script=script,
        faults=faults,
        rate=rate,
        telegram=telegram,
        telegram_port=telegram_port,
    )
    try:
        run_server(settings, ready=ready)
    except OSError as error:
        raise ConfigError(
            f"--port {port}: cannot listen there: {error.strerror or error}; "
            "leave it out for a free one"
        ) from error
    return 0
