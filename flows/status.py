"""What a flow process has counted, for the display and for people who look at the state folder.

Written to `status/flow-<process>.json` about once a second and at the end. It is told by the flow
and read by others; nothing in the flow depends on it.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import msgspec
from prometheus_client import Counter, Histogram

from connectors.drain import FlowEvent
from connectors.reason_counter import ReasonCounter
from filters.alerts import Alert
from filters.specs import SpecsChanged
from flows.market_output import MarketOutput
from market.events import BookTop, Demand, Silence, State
from market.instruments import venue_of
from sinks.row_totals import store_totals
from sinks.spool import SpoolState
from sinks.unexpected import Contained
from sinks.writer import live_writers

EVERY_S = 1.0
LAST_ALERTS = 20

BARS = Counter("candlewax_bars_total", "Bars closed or corrected", ["interval"])
FEATURES = Counter("candlewax_features_total", "Indicator values told")
ALERTS = Counter("candlewax_alerts_fired_total", "Alerts fired", ["spec"])
STATES = Counter(
    "candlewax_state_changes_total", "Books that changed their truth state", ["venue", "state"]
)
LAG = Histogram(
    "candlewax_feed_lag_seconds",
    "From the venue's time of a book message to our receiving it, clocks uncorrected",
    ["venue"],
    buckets=(-1, -0.1, 0, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CROSSED = Counter(
    "candlewax_crossed_events_total", "Events that another process read: a cost, not a fault"
)
RESYNCS = ReasonCounter("candlewax_resyncs_total", "Books that had to be fetched again")
SILENCES = Counter(
    "candlewax_feed_silences_total",
    "Channels that fell silent and should not have",
    ["venue", "channel"],
)
OUTSIDE = Counter(
    "candlewax_trades_outside_bars_total", "Trades too late, or of an unbelievable time, for a bar"
)


log = logging.getLogger(__name__)


class BookLine(msgspec.Struct, frozen=True):
    """The best of one book: what a display shows."""

    bid: float | None = None
    ask: float | None = None
    spread: float | None = None
    imbalance: float | None = None
    state: str = "warming"


class FlowStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What one flow process has counted since it started.

    Attributes:
        seconds: since its first event.
        trades: trades taken.
        book_updates: book snapshots and deltas taken.
        bars: bars closed, revisions included.
        features: indicator values told.
        rows: rows handed to the store, by table.
        rows_written: rows new in the database, by table.
        rows_replaced: rows that took the place of an older version, by table.
        rows_known: rows that were there already, by table.
        rows_lost: rows that could not be kept, by table.
        spools: what waits on the disk for the database, by partition.
        alerts: alerts fired.
        gaps: gaps told by venues, the opening of a feed left out.
        dead_letters: messages that no one understood.
        crossed: events that another process read and sent here: of venues that allow one
            connection, and none else.
        past: how many series of bars have the past that they asked for, and how many asked.
        share_read: how much of the recordings of a replay has been read, 0 to 1.
        books: the best of every book, by instrument.
        last_alerts: texts of the last alerts, oldest first.
        problems: what went wrong with the input, for people.
        generation: number of the set of filter specs in force; 0 where it is not told.
        spec_problem: why a newer set was refused; empty when none was.
    """

    seconds: float = 0.0
    trades: int = 0
    book_updates: int = 0
    bars: int = 0
    features: int = 0
    rows: dict[str, int] = {}
    rows_written: dict[str, int] = {}
    rows_replaced: dict[str, int] = {}
    rows_known: dict[str, int] = {}
    rows_lost: dict[str, int] = {}
    spools: dict[str, SpoolState] = {}
    alerts: int = 0
    gaps: int = 0
    dead_letters: int = 0
    crossed: int = 0
    past: tuple[int, int] = (0, 0)
    share_read: float = 0.0
    books: dict[str, BookLine] = {}
    last_alerts: list[str] = []
    problems: list[str] = []
    generation: int = 0
    spec_problem: str = ""


class Tally:
    """Counts what passes, on the flow's threads.

    Args:
        counts: what the source has drained, one mapping a worker.
        problems: what went wrong with the input.
        reads: whether this process's own input has told of an instrument.
        past: how many series have their past, and how many wanted it.
        specs: number of the set of specs in force, and what is wrong with a newer one.
        share_read: how much of the recordings has been read, 0 to 1.
    """

    def __init__(
        self,
        counts: Callable[[], Sequence[Mapping[str, int]]],
        problems: Sequence[str] = (),
        *,
        reads: Callable[[str], bool] = lambda _: True,
        past: Callable[[], tuple[int, int]] = lambda: (0, 0),
        specs: Callable[[], tuple[int, str]] = lambda: (0, ""),
        share_read: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._counts = counts
        self._problems = problems
        self._reads = reads
        self._past = past
        self._specs = specs
        self._share_read = share_read
        self._crossed = 0
        self._began: float | None = None
        self._bars = 0
        self._features = 0
        self._alerts = 0
        self._latest: dict[str, BookTop] = {}
        self._sampled: dict[str, BookTop] = {}
        self._states: dict[str, State] = {}
        self._last_alerts: deque[str] = deque(maxlen=LAST_ALERTS)
        self._lock = threading.Lock()

    def arrived(self, batches: Sequence[Sequence[FlowEvent]], instruments: Collection[str]) -> bool:
        """Count what one symbol of the first keyed step takes, if another process read it.

        A symbol may be read here at one venue and by another process at the next.

        Args:
            batches: what came.
            instruments: all of the symbol that are known by now.

        Returns:
            Whether to go on telling: not of a symbol of which everything is read here.
        """
        away = {instrument for instrument in instruments if not self._reads(instrument)}
        if not away:
            return False
        crossed = sum(
            not isinstance(event, SpecsChanged | Demand) and event.instrument in away
            for batch in batches
            for event in batch
        )
        CROSSED.inc(crossed)
        with self._lock:
            self._crossed += crossed
        return True

    def market(self, outputs: Sequence[MarketOutput]) -> None:
        """Count what the first keyed step told."""
        bars = features = 0
        latest: list[BookTop] = []
        forgotten: list[str] = []
        for output in outputs:
            if output.bars:
                bars += len(output.bars)
                for bar in output.bars:
                    BARS.labels(bar.interval).inc()
            if output.states:
                for change in output.states:
                    venue = venue_of(change.instrument)
                    STATES.labels(venue, change.state.value).inc()
                    if change.state is State.RESYNCING and change.reason != "connecting":
                        RESYNCS.count(venue, change.reason)
                    self._states[change.instrument] = change.state
            if output.features:
                features += len(output.features)
            if output.latest:
                latest += output.latest
            if output.silences:
                self._note_silences(output.silences)
            if output.forgotten:
                forgotten += output.forgotten
            if output.trades_outside:
                OUTSIDE.inc(output.trades_outside)
        if features:
            FEATURES.inc(features)
        with self._lock:
            if self._began is None:
                self._began = time.monotonic()
            self._bars += bars
            self._features += features
            for top in latest:
                self._latest[top.instrument] = top
            for instrument in forgotten:
                self._latest.pop(instrument, None)
                self._states.pop(instrument, None)

    def _note_silences(self, silences: Sequence[Silence]) -> None:
        for silence in silences:
            facts = {"instrument": silence.instrument, "channel": silence.channel}
            if silence.ended is None:
                SILENCES.labels(venue_of(silence.instrument), silence.channel).inc()
                log.warning("channel is silent", extra={**facts, "reason": silence.reason})
            else:
                lasted = round((silence.ended - silence.since) / 1e9, 3)
                log.info("channel speaks again", extra={**facts, "silent_s": lasted})

    def alerts(self, alerts: Sequence[Alert]) -> None:
        """Count what the second keyed step told."""
        with self._lock:
            for alert in alerts:
                ALERTS.labels(alert.spec).inc()
                self._alerts += 1
                self._last_alerts.append(alert.text)

    def status(self) -> FlowStatus:
        """Return what there is now; called about once a second, which samples the lag."""
        totals = store_totals()
        self._sample_lag()
        drained = list(self._counts())
        generation, spec_problem = self._specs()
        spools = {
            writer.name: state
            for writer in live_writers()
            if (state := writer.spool_state()) is not None
        }
        with self._lock:
            return FlowStatus(
                seconds=0.0 if self._began is None else time.monotonic() - self._began,
                trades=sum(count["trades"] for count in drained),
                book_updates=sum(count["book_updates"] for count in drained),
                bars=self._bars,
                features=self._features,
                rows={name: each.handed for name, each in totals.items() if each.handed},
                rows_written={name: each.written for name, each in totals.items() if each.written},
                rows_replaced={name: each.updated for name, each in totals.items() if each.updated},
                rows_known={name: each.known for name, each in totals.items() if each.known},
                rows_lost={name: each.lost for name, each in totals.items() if each.lost},
                spools=spools,
                alerts=self._alerts,
                gaps=sum(count["gaps"] for count in drained),
                dead_letters=sum(count["dead_letters"] for count in drained),
                crossed=self._crossed,
                past=self._past(),
                share_read=self._share_read(),
                books={
                    name: _line(top, self._states.get(name, top.state))
                    for name, top in sorted(self._latest.items())
                },
                last_alerts=list(self._last_alerts),
                problems=list(self._problems),
                generation=generation,
                spec_problem=spec_problem,
            )

    def _sample_lag(self) -> None:
        with self._lock:
            latest = dict(self._latest)
        for instrument, top in latest.items():
            if top is not self._sampled.get(instrument):
                LAG.labels(venue_of(instrument)).observe((top.ts_recv - top.ts_event) / 1e9)
        self._sampled = latest


class StatusFile:
    """Writes a tally's status to a file until it is closed."""

    def __init__(self, path: Path, tally: Tally) -> None:
        self._path = path
        self._tally = tally
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="status", daemon=True)

    def start(self) -> None:
        """Start writing."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def close(self) -> None:
        """Write a last time and stop."""
        self._closed.set()
        self._thread.join(EVERY_S)
        self._write()

    def _run(self) -> None:
        while not self._closed.wait(EVERY_S):
            with Contained(log, "status", "the status is not written; tried again"):
                self._write()

    def _write(self) -> None:
        part = self._path.with_suffix(f".{os.getpid()}.part")
        try:
            part.write_bytes(msgspec.json.encode(self._tally.status()))
            part.replace(self._path)
        except OSError as error:  # a display must not end what it displays
            log.warning("cannot write the status", extra={"reason": str(error)})


def _line(top: BookTop, state: State) -> BookLine:
    return BookLine(
        bid=top.bids[0][0] if top.bids else None,
        ask=top.asks[0][0] if top.asks else None,
        spread=top.spread,
        imbalance=top.imbalance,
        state=state.value,
    )
