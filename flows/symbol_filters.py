"""The specs over one symbol: the state of the second keyed step.

Pure: what the first step tells goes in, alerts come out, no clock.
"""

import pickle
from collections.abc import Iterable

import msgspec

from filters.alerts import Alert, Copied, Observation, Passed
from filters.engine import EngineState, FilterEngine, moment_key
from filters.explain import Explanation
from flows.market_output import FilterOutput, MarketOutput
from flows.symbol_market import SnapshotError
from market.events import BookTop, Heartbeat, State, StateChange

FEW_TOPS = 64
"""Books of moments that wait for other bars, before it is looked which of them still do."""


class _Remembered(msgspec.Struct):
    schema: int
    engine: EngineState
    states: dict[str, tuple[State, str]]
    tops: dict[str, BookTop]
    tops_of: dict[str, BookTop]


class SeriesStanding(msgspec.Struct, frozen=True, kw_only=True):
    """Where the specs stand with one series, for people.

    Attributes:
        series: instrument id.
        state: truth state of its book.
        reason: why that is not live.
        ts: our time of the last sign of life, ns.
        specs: those that look at it.
    """

    series: str
    state: State
    reason: str
    ts: int
    specs: tuple[Explanation, ...]


class SymbolFilters:
    """The filter engine of one symbol, and what it must know of the books meanwhile."""

    SCHEMA = 4

    def __init__(self) -> None:
        self._engine = FilterEngine()
        self._states: dict[str, tuple[State, str]] = {}
        self._tops: dict[str, BookTop] = {}
        self._tops_of: dict[str, BookTop] = {}  # of moments that wait for other bars
        self._most_tops = FEW_TOPS
        self._heard: dict[str, int] = {}  # for people only: no part of the state

    @property
    def generation(self) -> int:
        """Number of the set of specs in force; 0 before the first."""
        return self._engine.generation

    def explained(self) -> list[SeriesStanding]:
        """Say where the specs stand with each series that anything was heard of."""
        told = []
        for series, ts in self._heard.items():
            state, reason = self._states.get(series, (State.LIVE, ""))
            told.append(
                SeriesStanding(
                    series=series,
                    state=state,
                    reason=reason,
                    ts=ts,
                    specs=tuple(self._engine.explain(series)),
                )
            )
        return told

    def advance(self, outputs: Iterable[MarketOutput]) -> FilterOutput:
        """Take what the first step told, in its order, and return what the specs say."""
        out = FilterOutput()
        engine = self._engine
        for output in outputs:
            for moment in output.moments:
                if isinstance(moment, Observation):
                    self._heard[moment.series] = moment.ts_recv
                    if moment.stream == "bar" and engine.looks_at_others():
                        self._keep_top(moment)
                    fired = engine.observe(moment)
                elif isinstance(moment, BookTop):
                    self._tops[moment.instrument] = moment
                    continue
                elif isinstance(moment, Heartbeat):
                    self._heard[moment.instrument] = moment.ts_recv
                    state, reason = self._states.get(moment.instrument, (State.LIVE, ""))
                    fired = engine.heartbeat(
                        moment.instrument, moment.ts_recv, state=state, reason=reason
                    )
                elif isinstance(moment, StateChange):
                    self._states[moment.instrument] = (moment.state, moment.reason)
                    if moment.state is State.RESYNCING:
                        self._tops.pop(moment.instrument, None)
                    continue
                elif isinstance(moment, Passed):
                    fired = engine.learn(moment)
                elif isinstance(moment, Copied):
                    fired = engine.learn(moment.moment)
                else:
                    engine.specs_changed(moment)
                    continue
                for alert in fired:
                    self._tell(alert, out)
        out.ended = engine.take_ended()
        return out

    def standing(self) -> EngineState:
        """Return where every spec stands with every series."""
        return self._engine.snapshot()

    def explain(self, series: str) -> list[Explanation]:
        """Say of each spec in force for a series why it has fired, or why not."""
        return self._engine.explain(series)

    def snapshot(self) -> bytes:
        """Return the state for recovery."""
        return pickle.dumps(
            _Remembered(
                self.SCHEMA,
                self._engine.snapshot(),
                dict(self._states),
                dict(self._tops),
                dict(self._tops_of),
            )
        )

    def restore(self, snapshot: bytes) -> None:
        """Go on from a snapshot that this program wrote into its own recovery store.

        Raises:
            SnapshotError: it is of another version; the state is empty then.
        """
        try:
            kept = pickle.loads(snapshot)  # noqa: S301 - our own store, never from outside
            if kept.schema != self.SCHEMA:
                raise SnapshotError(f"filters snapshot of schema {kept.schema}")
            self._engine = FilterEngine(state=kept.engine)
            self._states = dict(kept.states)
            self._tops = dict(kept.tops)
            self._tops_of = dict(kept.tops_of)
        except (
            pickle.UnpicklingError,
            AttributeError,
            ImportError,
            TypeError,
            ValueError,
            EOFError,
            LookupError,
        ) as error:
            self._engine = FilterEngine()
            self._states = {}
            raise SnapshotError(f"filters snapshot: {error}") from error

    def _keep_top(self, moment: Observation) -> None:
        """Keep the book of a moment that may be answered late, when the book is another one."""
        top = self._tops.get(moment.series)
        if top is None:
            return
        self._tops_of[moment_key(moment)] = top
        if len(self._tops_of) > self._most_tops:
            unanswered = self._engine.unanswered() | {moment_key(moment)}
            self._tops_of = {key: top for key, top in self._tops_of.items() if key in unanswered}
            self._most_tops = FEW_TOPS + 2 * len(self._tops_of)

    def _tell(self, alert: Alert, out: FilterOutput) -> None:
        out.alerts.append(alert)
        if self._engine.looks_at_others(alert.spec):
            top = self._tops_of.get(alert.key.split("/", 2)[2])
        else:
            top = self._tops.get(alert.series)
        if top is not None:
            out.tops.append(top)
