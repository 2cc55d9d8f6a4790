"""`candlewax record`: keep what a venue sends."""

import os
import sys

from cli.options import Config, Processes
from cli.run import Simulated, Symbols, Venue, chosen_feeds, supervise


def record(
    *,
    venue: Venue = "",
    symbol: Symbols = (),
    simulated: Simulated = None,
    config: Config = None,
    processes: Processes = 1,
) -> int:
    """Run as `candlewax run` does and write every frame to a recording, until Ctrl-C.

    Recordings go to recordings/ in the state folder; `candlewax replay` plays them again.
    """
    from flows.composition import Run
    from flows.home import Home

    environ = chosen_feeds(venue, symbol, simulated=simulated, config=config, record=True)
    print(f"recording to {Home.of(os.environ).recordings}", file=sys.stderr)
    return supervise(Run(command="candlewax record", processes=processes, environ=environ), config)
