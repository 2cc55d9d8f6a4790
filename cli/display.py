"""What a run shows while it runs: a live page on a terminal, plain lines elsewhere."""

import sys
import time
from collections import deque
from typing import TextIO

from cli.status import spooled
from flows.status import BookLine, FlowStatus

LINE_EVERY_S = 2.0
PAGE_EVERY_S = 0.5
RATE_OVER_S = 5.0
SHOWN_ALERTS = 6


class Rates:
    """How fast counters grow, over the last few seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, FlowStatus]] = deque()

    def add(self, now: float, status: FlowStatus) -> None:
        """Note the counters at `now`, in seconds of any clock that does not jump."""
        self._samples.append((now, status))
        while now - self._samples[0][0] > RATE_OVER_S and len(self._samples) > 2:
            self._samples.popleft()

    def of(self, name: str) -> float:
        """Return how much the counter `name` grows in a second."""
        if len(self._samples) < 2:
            return 0.0
        (first, before), (last, after) = self._samples[0], self._samples[-1]
        # Less than before: the processes have been started again.
        grown = max(0, _count(after, name) - _count(before, name))
        return grown / max(last - first, 1e-9)


def _count(status: FlowStatus, name: str) -> int:
    if name == "rows":
        return sum(status.rows.values())
    value = getattr(status, name)
    return value if isinstance(value, int) else 0


class PlainDisplay:
    """A line every two seconds, a line for each alert.

    Args:
        stream: where the lines go.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rates = Rates()
        self._next = 0.0
        self._alerts = 0

    def __enter__(self) -> "PlainDisplay":  # noqa: PYI034  the display is never subclassed
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.flush()

    def say(self, text: str) -> None:
        """Print a line."""
        print(text, file=self._stream, flush=True)

    def show(self, status: FlowStatus, seconds: float) -> None:
        """Tell what has changed, if it is time to."""
        now = time.monotonic()
        new = status.alerts - self._alerts
        if new > 0:
            for text in status.last_alerts[-new:]:
                self.say(f"ALERT  {text}")
        self._alerts = status.alerts
        if now < self._next:
            return
        self._next = now + LINE_EVERY_S
        self._rates.add(now, status)
        self.say(
            f"{seconds:6.1f} s  trades {status.trades} ({self._rates.of('trades'):.0f}/s)  "
            f"book updates {status.book_updates} ({self._rates.of('book_updates'):.0f}/s)  "
            f"bars {status.bars}  features {status.features}  rows {_count(status, 'rows')}  "
            f"alerts {status.alerts}  gaps {status.gaps}{_past(status, '  ')}"
            f"{_spooled(status, '  ')}"
        )
        for name, book in status.books.items():
            self.say(
                f"          {name:18} bid {_price(book.bid):>12}  ask {_price(book.ask):>12}  "
                f"{book.state}"
            )


class LiveDisplay:
    """A page that changes in place, for a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._rates = Rates()
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._next = 0.0

    def __enter__(self) -> "LiveDisplay":  # noqa: PYI034  the display is never subclassed
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def say(self, text: str) -> None:
        """Print a line above the page."""
        self._live.console.print(text, markup=False, highlight=False)

    def show(self, status: FlowStatus, seconds: float) -> None:
        """Draw the page again, if it is time to."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + PAGE_EVERY_S
        self._rates.add(now, status)
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        counts = Table.grid(padding=(0, 3))
        names = ("trades", "book_updates", "bars", "features", "rows", "alerts", "gaps")
        counts.add_row(*(Text(name.replace("_", " "), style="dim") for name in names))
        counts.add_row(*(Text(f"{_count(status, name):,}", style="bold") for name in names))
        counts.add_row(*(Text(f"{self._rates.of(name):,.0f}/s", style="dim") for name in names))
        books = Table(expand=False)
        books.add_column("book")
        for name in ("bid", "ask", "spread", "imbalance"):
            books.add_column(name, justify="right")
        books.add_column("state")
        for name, book in status.books.items():
            books.add_row(name, *_cells(book), _state(book.state))
        alerts = Text("\n".join(status.last_alerts[-SHOWN_ALERTS:]) or "none yet")
        self._live.update(
            Group(
                Text(
                    f"candlewax · {seconds:.0f} s{_past(status, ' · ')}"
                    f"{_spooled(status, ' · ')} · Ctrl-C ends it",
                    style="bold",
                ),
                counts,
                books,
                Text("alerts", style="dim"),
                alerts,
            ),
            refresh=True,
        )


def _past(status: FlowStatus, before: str) -> str:
    """Say how far the loading of the past is, while it goes on."""
    done, wanted = status.past
    return f"{before}past loaded {done} of {wanted}" if done < wanted else ""


def _spooled(status: FlowStatus, before: str) -> str:
    """Say how many rows wait for the database, while there are some."""
    waiting = spooled(status)
    unsafe = sum(spool.unsafe for spool in status.spools.values())
    told = f", {unsafe} of them not for sure: it fails to sync" if unsafe else ""
    return f"{before}on the disk {waiting}{told}" if waiting else ""


def _state(state: str) -> str:
    style = {"live": "green", "warming": "yellow"}.get(state, "red")
    return f"[{style}]{state}[/]"


def _price(price: float | None) -> str:
    return "-" if price is None else f"{price:.10g}"


def _cells(book: BookLine) -> tuple[str, ...]:
    imbalance = "-" if book.imbalance is None else f"{book.imbalance:+.2f}"
    return _price(book.bid), _price(book.ask), _price(book.spread), imbalance


def for_stream(stream: TextIO, *, plain: bool) -> PlainDisplay | LiveDisplay:
    """Return a page for a terminal, and lines for everything else.

    Args:
        stream: where plain lines go.
        plain: lines in any case.
    """
    if plain or not sys.stdout.isatty():
        return PlainDisplay(stream)
    return LiveDisplay()
