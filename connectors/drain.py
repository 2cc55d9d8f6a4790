"""From records to micro-batches: what the flow takes, grouped by symbol.

The same object drains a live queue and a recording, so both give every symbol the same events in
the same order.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import TypeAlias

import msgspec
from prometheus_client import Counter

from connectors.contract import DeadLetter, Told
from connectors.reason_counter import ReasonCounter
from connectors.recording import Record
from filters.specs import SpecsChanged
from market.events import (
    BookDelta,
    BookSnapshot,
    Demand,
    FeedGap,
    History,
    LeftOpen,
    MarketEvent,
    Trade,
)
from market.instruments import symbol_of, venue_of

FlowEvent: TypeAlias = MarketEvent | SpecsChanged | LeftOpen | Demand | History
"""What the keyed steps take."""
MicroBatch: TypeAlias = tuple[str, list[FlowEvent]]
"""A symbol and what came of it together."""

_EVENTS = Counter("candlewax_feed_events_total", "Events taken by the flow", ["kind"])
GAPS = ReasonCounter("candlewax_feed_gaps_total", "Gaps told by venues", ("venue", "channel"))
DEAD_LETTERS = ReasonCounter("candlewax_feed_dead_letters_total", "Messages that no one understood")

COUNTED = ("trades", "book_updates", "gaps", "dead_letters")

EVENTS = {kind: _EVENTS.labels(kind) for kind in COUNTED}

encode_control = msgspec.json.Encoder().encode
_decode_specs = msgspec.json.Decoder(SpecsChanged).decode
_decode_left_open = msgspec.json.Decoder(LeftOpen).decode
_decode_demand = msgspec.json.Decoder(Demand).decode
_decode_history = msgspec.json.Decoder(History).decode


class _Control(msgspec.Struct):
    """What every control record says first: which event it holds, if any."""

    type: str = ""


_decode_control = msgspec.json.Decoder(_Control).decode


class Drain:
    """Sorts events by symbol and lets every symbol know the specs in force.

    Attributes:
        dead_letters: messages put aside since they were last taken.
        counts: what was drained so far: trades, book updates, gaps, dead letters.
    """

    def __init__(self) -> None:
        self._groups: dict[str, list[FlowEvent]] = {}
        self._by_instrument: dict[str, list[FlowEvent]] = {}
        self._readers: dict[str, list[int | None]] = {}
        self._told: set[str] = set()
        # By instrument and reader, the symbol that has been told all there is for it.
        self._up_to_date: dict[tuple[str, int | None], str] = {}
        self._specs: dict[int | None, SpecsChanged] = {}
        self._left_open: dict[str, LeftOpen] = {}
        self.dead_letters: list[DeadLetter] = []
        self.counts = dict.fromkeys(COUNTED, 0)
        self._counted = dict.fromkeys(COUNTED, 0)

    def add(self, record: Record, told: list[Told]) -> None:
        """Take one record and what its feed told of it.

        Raises:
            msgspec.DecodeError: what steers is not what it says.
        """
        self.add_all(((record, told),))

    def add_all(self, items: Iterable[tuple[Record, list[Told]]]) -> None:
        """Take records with what their feeds told, in their order."""
        groups = self._by_instrument
        trades = updates = 0
        for record, told in items:
            if not told:
                if not record.conn:
                    self._steer(record)
                continue
            for event in told:
                if type(event) is Trade:
                    trades += 1
                elif type(event) is BookDelta or type(event) is BookSnapshot:
                    updates += 1
                elif isinstance(event, DeadLetter):
                    self._put_aside(event)
                    continue
                elif type(event) is FeedGap:
                    self.counts["gaps"] += event.reason != "connecting"
                    GAPS.count(venue_of(event.instrument), event.channel, event.reason)
                instrument = event.instrument
                group = groups.get(instrument)
                if group is None:
                    group = groups[instrument] = self._group_of(instrument, _worker_of(record.conn))
                group.append(event)
        self.counts["trades"] += trades
        self.counts["book_updates"] += updates

    def take(self) -> list[MicroBatch]:
        """Return the micro-batches that came together, and begin new ones."""
        groups, self._groups = self._groups, {}
        self._by_instrument = {}
        for kind, count in self.counts.items():
            if count > self._counted[kind]:
                EVENTS[kind].inc(count - self._counted[kind])
                self._counted[kind] = count
        return list(groups.items())

    def has_told(self, instrument: str) -> bool:
        """Tell whether any event of an instrument came through here."""
        return instrument in self._told

    def forget_symbols(self) -> None:
        """Tell every symbol the specs again: the flow was restored and has none compiled."""
        self._readers = {}
        self._up_to_date = {}

    def forget_counts(self) -> None:
        """Begin counting anew: what came so far was passed over on the way to a resume."""
        self.counts = dict.fromkeys(COUNTED, 0)
        self._counted = dict.fromkeys(COUNTED, 0)
        self.dead_letters = []

    def _put_aside(self, letter: DeadLetter) -> None:
        self.counts["dead_letters"] += 1
        DEAD_LETTERS.count(letter.venue, letter.reason)
        self.dead_letters.append(letter)

    def _group_of(self, instrument: str, worker: int | None) -> list[FlowEvent]:
        """Return the group of an instrument's symbol, where it stands what is news to it."""
        symbol = self._up_to_date.get((instrument, worker))
        if symbol is not None:
            return self._groups.setdefault(symbol, [])
        group = self._group(instrument, worker)
        self._up_to_date[instrument, worker] = symbol_of(instrument)
        return group

    def _group(self, instrument: str, worker: int | None) -> list[FlowEvent]:
        self._told.add(instrument)
        symbol = symbol_of(instrument)
        group = self._groups.get(symbol)
        if group is None:
            group = self._groups[symbol] = []
        readers = self._readers.get(symbol)
        if readers is None or (worker is not None and worker not in readers):
            # As in a live flow, where each worker tells the specs to what it reads itself.
            self._readers.setdefault(symbol, []).append(worker)
            specs = self._specs.get(worker) or self._specs.get(None)
            if specs is not None:
                group.append(specs)
        if self._left_open and instrument in self._left_open:
            group.append(self._left_open.pop(instrument))
        return group

    def _steer(self, record: Record) -> None:
        """Take what came from no connection: it steers, and some of it is for all symbols."""
        if record.kind == "history":
            history = _decode_history(record.body)
            self._group(history.instrument, None).append(history)
        if record.kind != "control":
            return
        match _decode_control(record.body).type:
            case "LeftOpen":
                left = _decode_left_open(record.body)
                self._left_open[left.instrument] = left  # told with its first event
                self._up_to_date = {}
            case "Demand":
                demand = _decode_demand(record.body)
                self._groups.setdefault(demand.symbol, []).append(demand)
            case "SpecsChanged":
                self._change(_decode_specs(record.body))
            case _:
                pass  # settings: they are read before a replay begins

    def _change(self, specs: SpecsChanged) -> None:
        """Tell the specs to every symbol that they are for."""
        worker = specs.worker
        if worker is None:
            self._specs.clear()
        self._specs[worker] = specs
        for symbol, readers in sorted(self._readers.items()):
            if worker is None or worker in readers or readers == [None]:
                self._groups.setdefault(symbol, []).append(specs)


@lru_cache(maxsize=4096)
def _worker_of(conn: str) -> int | None:
    """Return the number of the worker that a connection `VENUE-WORKER-NUMBER.COUNT` belongs to."""
    parts = conn.rsplit("-", 2)
    return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else None
