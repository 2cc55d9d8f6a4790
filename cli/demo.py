"""`candlewax demo`: everything at once, with no network, no key and no set-up."""

import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter

from cli import options
from cli.emitted import Emitted
from cli.options import Config, Digest, Emit, Out, Processes

if TYPE_CHECKING:
    from flows.composition import Run
    from flows.supervisor import Supervisor

NOT_USED = ("DATABASE_URL", "TELEGRAM_BOT_TOKEN")
WITHOUT = tuple(name + end for name in NOT_USED for end in ("", "_FILE"))
"""A demo's trades and alerts are invented: they reach no real database and no chat."""

OWN = {"CANDLEWAX__ALERTS__TARGETS": "console", "CANDLEWAX__STORE__REQUIRE_TIMESCALEDB": "false"}
"""Settings that would ask for what the demo leaves out."""

START_LIMIT_S = 60.0
TAIL_LINES = 20


def demo(
    *,
    for_: Annotated[str, Parameter(name="--for", help="End by itself, as in 30s.")] = "",
    json: Annotated[bool, Parameter(help="End with one line of JSON.", negative=())] = False,
    plain: Annotated[bool, Parameter(help="Lines instead of a live page.", negative=())] = False,
    processes: Processes = 1,
    record: Annotated[bool, Parameter(help="Record what comes in.", negative=())] = False,
    config: Config = None,
    emit: Emit = (),
    out: Out = None,
    digest: Digest = False,
) -> int:
    """Show everything at work: simulated exchange, books, bars, indicators, alerts, database.

    Needs no network and no key, and uses neither DATABASE_URL nor TELEGRAM_BOT_TOKEN. Ctrl-C ends
    it; a second demo adds rows to the same embedded database.
    """
    from flows.composition import Run
    from flows.settings import DEMO_SYMBOLS

    limit_s = options.seconds(for_) if for_ else None
    options.check_processes(processes)
    feed = {"symbols": DEMO_SYMBOLS, "simulated": True, "record": record}
    feeds = options.feeds_variable({"binance": feed})
    with Emitted(emit, out, digest=digest) as lines:
        # A simulated market begins anew each time: what was remembered of the last one is wrong.
        what = Run(
            command="candlewax demo",
            processes=processes,
            recover=False,
            environ={**feeds, **OWN, **lines.environ},
            without=WITHOUT,
        )
        return Show(limit_s=limit_s, json=json, plain=plain).run(what, config, lines)


class Show:
    """A run on display.

    Args:
        limit_s: seconds of data after which it ends; None for no end.
        json: the last line is a JSON object.
        plain: lines and no page, on a terminal too.
    """

    def __init__(self, *, limit_s: float | None, json: bool, plain: bool) -> None:
        self._limit_s = limit_s
        self._json = json
        self._plain = plain
        self._began = 0.0
        self._until = 0.0

    def run(self, what: "Run", config: Path | None, lines: Emitted) -> int:
        """Run until the end and tell what it came to."""
        from cli import display, status
        from flows import composition, configuration, logs
        from flows.home import Home
        from sinks.redaction import Redactor

        settings = configuration.load(config, what.settled(os.environ))
        home = Home.of(os.environ)
        home.make()
        log_file = home.logs / "demo.log"
        stream = sys.stderr if self._json else sys.stdout
        with log_file.open("wb") as words, log_file.open("a", encoding="utf-8") as own_words:
            redactor = Redactor(settings.secrets)
            logs.configure(settings.settings.log, redactor, stream=own_words)
            shown = display.for_stream(stream, plain=self._plain or self._json)
            set_here = [name for name in what.without if os.environ.get(name)]
            if set_here:
                print(f"not used by a demo: {', '.join(set_here)}", file=stream)
            print(f"starting; what the processes say goes to {log_file}", file=stream, flush=True)
            started = time.monotonic()
            with shown:

                def turn(_: "Supervisor") -> bool:
                    now = time.monotonic()
                    told = status.read(home.status)
                    if not self._began and told.trades:
                        self._began = now
                    elapsed = now - self._began if self._began else 0.0
                    shown.show(told, elapsed)
                    self._until = now
                    if self._limit_s is None:
                        return True
                    if not self._began:
                        return now - started < START_LIMIT_S + self._limit_s
                    return elapsed < self._limit_s

                code = composition.run(what, settings, home, turn=turn, output=words)
        told = status.read(home.status)
        elapsed = self._until - self._began if self._began else 0.0
        if code:
            _tell_tail(log_file.read_text(encoding="utf-8", errors="replace").splitlines())
        summary = status.summary(told, elapsed)
        told_digest = lines.tell()
        if self._json:
            if told_digest:
                summary["digest"] = told_digest
            print(msgspec.json.encode(summary).decode(), flush=True)
        else:
            _tell_end(summary, home.path)
        if self._limit_s is not None and not self._began and not code:
            print("error: no data came; see the log above", file=sys.stderr)
            return 1
        return code


def _tell_tail(lines: list[str]) -> None:
    errors = [line for line in lines if line.startswith("error: ")]
    for line in errors or lines[-TAIL_LINES:]:
        print(line, file=sys.stderr)


def _tell_end(summary: dict[str, object], home: Path) -> None:
    counted: Iterable[str] = (
        f"{name.replace('_', ' ')} {value}"
        for name, value in summary.items()
        if isinstance(value, int | float)
    )
    print("  ".join(counted))
    print(f"all ended; rows are kept in {home}: see `candlewax db status`")
