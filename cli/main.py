"""The `candlewax` command: what it offers, and what an error looks like.

A mistake of a person is told in one line on standard error and ends with exit code 2; a traceback
means a bug of ours. Each command lives in a file of its own and loads what it needs when it runs.
"""

import sys
from collections.abc import Sequence
from importlib.metadata import version

from cyclopts import App, CycloptsError

from cli.options import INTERRUPTED
from market.errors import ConfigError, MarketError, RecordingError

FAILED = 1
USER_MISTAKE = 2

app = App(
    name="candlewax",
    help="Streaming market data: verified order books, bars, indicators and alerts.",
    version=lambda: version("candlewax"),
    suppress_keyboard_interrupt=False,
)
COMMANDS = {
    "init": ("cli.init:init", "Write a configuration file and an example filter spec."),
    "demo": ("cli.demo:demo", "Show everything at work, with no network and no key."),
    "run": ("cli.run:run", "Run until Ctrl-C, with recovery on."),
    "record": ("cli.record:record", "Run and keep every frame in a recording."),
    "replay": ("cli.replay:replay", "Play recordings again through the same flow."),
    "symbols": ("cli.symbols:symbols", "List what a venue trades."),
    "simulate": ("cli.simulate:simulate", "Run the simulated exchange alone."),
    "indicators": ("cli.indicators:app", "List indicators; compute them over a file of bars."),
    "chart": ("cli.chart:chart", "Draw bars and indicators as a picture."),
    "filters": ("cli.filters:app", "Check and list filter specs."),
    "alerts": ("cli.alerts:app", "Show what was fired, and what became of it."),
    "telegram": ("cli.telegram:app", "Connect a Telegram bot."),
    "gaps": ("cli.gaps:gaps", "Show when data may be missing, and why."),
    "backfill": ("cli.backfill:backfill", "Store a venue's candles where bars are missing."),
    "export": ("cli.export:export", "Write rows of the store to a CSV, Parquet or Arrow file."),
    "import": ("cli.import_:import_", "Store what recordings and exported CSV files hold."),
    "db": ("cli.database:app", "Look after the database."),
    "config": ("cli.config:app", "Show the configuration."),
    "doctor": ("cli.doctor:doctor", "Say what could keep Candlewax from working here."),
}
"""Name to where the command is, loaded when it is called, and what it does."""

for _name, (_place, _help) in COMMANDS.items():
    app.command(_place, name=_name, help=_help)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program's name; this process's own when not given.

    Returns:
        The exit code.
    """
    tokens = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _refuse(_words(error))
    except (ConfigError, RecordingError) as error:
        return _refuse(str(error))
    except MarketError as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Who read our output has gone; keep the interpreter from writing to it once more.
        sys.stdout = None
        return FAILED
    return code if isinstance(code, int) else 0


def _words(error: CycloptsError) -> str:
    command = " ".join(("candlewax", *(error.command_chain or ())))
    return f"{error}\nsee `{command} --help`"


def _refuse(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)
    return USER_MISTAKE


if __name__ == "__main__":
    sys.exit(main())
