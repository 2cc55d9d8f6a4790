"""`python -m simulator`: simulated venues on real sockets, until it is told to end.

The first line on standard output is one JSON object with the addresses.
"""

import argparse
import ctypes
import logging
import math
import os
import signal
import sys
import threading

import msgspec

from market.errors import ConfigError
from simulator.server import run_server
from simulator.settings import Addresses, SimulatorSettings

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG


def main(arguments: list[str] | None = None) -> int:
    """Run a simulator; return the exit code: 0, or 2 when something written is wrong."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("websockets").setLevel(logging.WARNING)  # it tells of every handshake
    if options.die_with_parent:
        _die_with_parent(os.getppid())
    if options.until_stdin_closes:
        threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        run_server(_settings(options), ready=_print_addresses)
    except ConfigError as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(
            f"simulator: cannot listen on {options.host}: {error.strerror or error}; "
            "give another --port, or 0 for a free one\n"
        )
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    defaults = SimulatorSettings()
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--host", default=defaults.host, help="address to listen on")
    parser.add_argument("--port", type=_port, default=0, help="websocket and REST; 0: a free one")
    parser.add_argument("--venues", default="", help="comma separated; default: all")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of all chance")
    parser.add_argument("--symbols", default="", help="comma separated; default: the whole market")
    parser.add_argument("--script", default="", help="moves, walls, faults: a file, or a name")
    parser.add_argument("--faults", default="", help="faults: a file, or a shipped script's name")
    parser.add_argument("--rate", type=_positive, default=1.0, help="multiplies trades and changes")
    parser.add_argument(
        "--wait-for-client", action="store_true", help="open the market for the first subscriber"
    )
    parser.add_argument(
        "--depth-interval-ms", type=int, default=defaults.depth_interval_ms,
        help="of fast depth streams; the venue's is 100",
    )  # fmt: skip
    parser.add_argument(
        "--max-age-s", type=_positive, default=defaults.max_age_s, help="of a connection"
    )
    parser.add_argument("--weight", type=int, default=defaults.weight_per_minute, help="REST")
    parser.add_argument("--key", default=defaults.key, help="that venues with keys accept")
    parser.add_argument("--telegram", action="store_true", help="also serve a fake Telegram")
    parser.add_argument("--telegram-port", type=_port, default=0, help="of that; 0: a free one")
    parser.add_argument("--token", default=defaults.token, help="that the fake Telegram accepts")
    parser.add_argument("--die-with-parent", action="store_true", help="Linux only")
    parser.add_argument("--until-stdin-closes", action="store_true")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65_536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 0 to 65535")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (number > 0 and math.isfinite(number)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _settings(options: argparse.Namespace) -> SimulatorSettings:
    return SimulatorSettings(
        host=options.host,
        port=options.port,
        seed=options.seed,
        venues=tuple(venue for venue in options.venues.split(",") if venue),
        symbols=tuple(symbol for symbol in options.symbols.split(",") if symbol),
        script=options.script,
        faults=options.faults,
        rate=options.rate,
        wait_for_client=options.wait_for_client,
        depth_interval_ms=options.depth_interval_ms,
        max_age_s=options.max_age_s,
        weight_per_minute=options.weight,
        key=options.key,
        telegram=options.telegram,
        telegram_port=options.telegram_port,
        token=options.token,
    )


def _print_addresses(addresses: Addresses) -> None:
    sys.stdout.write(msgspec.json.encode(addresses).decode() + "\n")
    sys.stdout.flush()


def _die_with_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM when the thread that started us ends."""
    if not sys.platform.startswith("linux"):
        raise SystemExit("simulator: --die-with-parent needs Linux; use --until-stdin-closes")
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit(0)  # it ended before we could ask


def _end_with_input() -> None:
    # Not through `sys.stdin`: its lock, held by a thread that waits, is fatal to an exit.
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
