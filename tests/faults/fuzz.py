"""A million book updates under drawn faults: `make fuzz`, or `python -m tests.faults.fuzz`.

Every run is a minute of virtual time: one venue, three symbols, a new seed, a handful of drawn
faults and a quarter of a minute without any at the end. After every book message a book that is
called live is compared with the venue's true one. The last line is

    updates=N faults=N marked=N live_share=P undetected=N

`marked` counts how often a book was called not live, `live_share` is the share of the time outside
the faults' windows (and two seconds after each) in which books were live, `undetected` counts
books that were called live and were not the venue's. The exit code is 0 when nothing was
undetected, nothing was marked without a fault, and every book was live at the end of its run.
"""

import argparse
import itertools
import multiprocessing
import random
import sys
import time
from collections.abc import Iterator

import msgspec

from connectors import VENUES
from connectors.drain import FlowEvent
from market.book import Book
from market.events import Quote, State
from simulator.dialects import DIALECTS
from simulator.faults import Window, can, read_faults
from tests.faults.feed_client import SECOND, START, SYMBOLS, WHOLE_BOOKS, Rig, is_same

UPDATES = 1_000_000
SECONDS = 60
QUIET_FROM = 42
"""No fault begins later: by the end every book must be live again."""
GRACE = 2 * SECOND
FAULTS = (3, 8)
RATES = (1.0, 3.0)
WAVE = 10
"""Runs a process does before more are handed out: a pool takes all that it is given."""

KINDS: dict[str, tuple[str, ...]] = {
    "corrupt": ("count: 1", "count: 3, channel: depth, symbol: {symbol}"),
    "cross": ("symbol: {symbol}",),
    "cut": ("", "code: 1012"),
    "delay": ("channel: depth, symbol: {symbol}, for: 2s, delay: 1s",),
    "drop": ("channel: depth, count: 1", "channel: depth, symbol: {symbol}, count: 3", "count: 4"),
    "duplicate": ("count: 5", "channel: depth, symbol: {symbol}, count: 2"),
    "freeze": ("for: 3s", "for: 8s, http: true"),
    "freeze_channel": ("channel: depth, symbol: {symbol}, for: 6s",),
    "jump": ("symbol: {symbol}",),
    "reorder": ("channel: depth, count: 1", "count: 3"),
    "shutdown": ("grace: 3s",),
    "slow_snapshot": ("for: 6s, delay: 3s",),
    "stale_snapshot": ("for: 5s",),
    "truncate": ("count: 1",),
    "unknown": ("count: 3",),
}
"""What is drawn, as scripts write it; the rest is silence of minutes, and
`test_every_venue` has it."""


FOR_ALL = frozenset({"corrupt", "truncate"})
"""What is no message breaks its connection, and with it all symbols."""


class Told(msgspec.Struct):
    """What runs have shown.

    Attributes:
        updates: book messages that were looked at.
        faults: how many there were.
        marked: times that a book was called not live.
        misplaced: those of them that no fault explains.
        undetected: looks at a book called live that was not the venue's.
        not_live: books that were not live at the end.
        live: ns in which books were live outside the windows.
        outside: ns outside the windows.
        words: what went wrong, to be run again.
    """

    updates: int = 0
    faults: int = 0
    marked: int = 0
    misplaced: int = 0
    undetected: int = 0
    not_live: int = 0
    live: float = 0.0
    outside: float = 0.0
    words: list[str] = []

    def add(self, other: "Told") -> None:
        """Take in what another has shown."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def is_good(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.undetected or self.misplaced or self.not_live)

    def line(self) -> str:
        """Return the last line."""
        share = self.live / self.outside if self.outside else 0.0
        return (
            f"updates={self.updates} faults={self.faults} marked={self.marked}"
            f" live_share={share:.4f} undetected={self.undetected}"
        )


def draw(chooser: random.Random, venue: str) -> str:
    """Write a script of faults."""
    lines = []
    for _ in range(chooser.randint(*FAULTS)):
        kind = chooser.choice(sorted(KINDS))
        options = chooser.choice(KINDS[kind]).format(symbol=chooser.choice(SYMBOLS))
        at = chooser.randint(50, QUIET_FROM * 10) / 10
        lines.append(
            f"  - {{at: {at}s, kind: {kind}, venue: {venue}{', ' if options else ''}{options}}}"
        )
    return "faults:\n" + "\n".join(lines) + "\n"


def run(task: tuple[str, int]) -> Told:
    """Run one venue with one seed."""
    venue, seed = task
    chooser = random.Random(f"{venue}:{seed}")
    script = draw(chooser, venue)
    rate = chooser.uniform(*RATES)
    faults = read_faults(script, "drawn")
    rig = Rig(faults, venue=venue, seed=seed, rate=rate, latency=chooser.randint(0, 60) * 1_000_000)
    told = Told(faults=sum(1 for fault in faults if can(fault.kind, rig.dialect)))
    _count(rig, venue, told)
    rig.run_for(SECONDS)
    for symbol in rig.client.markets:
        _judge(rig, symbol, told)
    if not told.is_good:
        told.words.append(f"--venue {venue} --seed {seed} --runs 1\n{script}")
    return told


def _count(rig: Rig, venue: str, told: Told) -> None:
    """Count in the place of asserting."""
    client = rig.client
    advance = client._advance

    def look(symbol: str) -> None:
        told.updates += 1
        if client.state(symbol) is not State.LIVE:
            return
        truth = client.truth[symbol]
        truth.looked += 1
        is_thorough = truth.looked % 20 == 0
        book: Book = client.book(symbol)
        true = rig.true_book(symbol, book, is_thorough=is_thorough)
        if (
            true is None
            or (venue in WHOLE_BOOKS and len(book) != len(true.bids) + len(true.asks))
            or (is_thorough and not is_same(book, true))
        ):
            told.undetected += 1

    def look_at_quotes(symbol: str, event: FlowEvent, now: int) -> None:
        advance(symbol, event, now)
        if isinstance(event, Quote):
            told.updates += 1
            if client.state(symbol) is State.LIVE:
                bids = [] if event.bid is None else [(event.bid, event.bid_size)]
                asks = [] if event.ask is None else [(event.ask, event.ask_size)]
                told.undetected += rig.find_top(symbol, (bids, asks)) is None

    client._look = look  # type: ignore[method-assign]
    client._advance = look_at_quotes  # type: ignore[method-assign]


def _judge(rig: Rig, symbol: str, told: Told) -> None:
    windows = [
        Window(one.start, one.end + GRACE, one.kind, one.symbol)
        for one in rig.wire.faults.windows()
        if one.symbol in {"", symbol} or one.kind in FOR_ALL
    ]
    ends = [end - rig.skew for _, end in rig.client.truth[symbol].live if end]
    told.marked += len(ends)
    told.misplaced += sum(not any(one.start <= end <= one.end for one in windows) for end in ends)
    told.not_live += rig.client.state(symbol) is not State.LIVE
    outside = _outside(windows, rig.wire.now)
    told.outside += outside
    told.live += outside * rig.live_share(symbol, windows) if outside else 0


def _outside(windows: list[Window], end: int) -> float:
    """Ns between the third second and the end that are in no window."""
    covered, at = 0, START + 3 * SECOND
    for one in sorted(windows, key=lambda window: window.start):
        start, stop = max(one.start, at), min(one.end, end)
        if stop > start:
            covered += stop - start
            at = stop
    return float(end - START - 3 * SECOND - covered)


def tasks(venues: list[str], seed: int, runs: int) -> Iterator[tuple[str, int]]:
    """Return what to run, venue after venue; without end for no `runs`."""
    number = 0
    while not runs or number < runs:
        for venue in venues:
            yield venue, seed + number
        number += 1


def fuzz(venues: list[str], *, updates: int, seed: int, runs: int, jobs: int) -> Told:
    """Run until so many updates were looked at, or so many runs of each venue."""
    told = Told()
    began = time.monotonic()
    waiting = tasks(venues, seed, runs)
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        while some := list(itertools.islice(waiting, WAVE * jobs)):
            for one in pool.imap_unordered(run, some):
                told.add(one)
                for words in one.words:
                    print(f"\n{words}", file=sys.stderr)
                lasted = time.monotonic() - began
                print(f"\r{lasted:5.0f} s  {told.line()} ", end="", file=sys.stderr)
            if told.updates >= updates and not runs:
                break
    print(file=sys.stderr)
    return told


def main() -> int:
    """Fuzz and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    known = sorted(set(DIALECTS) & set(VENUES))
    parser.add_argument("--updates", type=int, default=UPDATES)
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--runs", type=int, default=0, help="of each venue, in place of --updates")
    parser.add_argument("--venue", action="append", choices=known)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    told = fuzz(
        options.venue or known,
        updates=options.updates,
        seed=options.seed,
        runs=options.runs,
        jobs=options.jobs,
    )
    if told.misplaced or told.not_live:
        print(f"marked without a fault: {told.misplaced}; not live at the end: {told.not_live}")
    print(told.line())
    return 0 if told.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
