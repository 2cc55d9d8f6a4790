"""Runs the tests that specs bring along, through the very engine that runs the specs.

What a test gives is taken as it is. An indicator that it does not give is computed of the bars
that it gives: of `close` alone, where there is no more; a bar then opens at the last close.
"""

from collections.abc import Iterator, Mapping

import msgspec

from filters.alerts import Observation
from filters.engine import FilterEngine
from filters.fields import BAR_FIELDS
from filters.specs import Spec, SpecsChanged, SpecTest
from indicators.names import IndicatorName, create_for_bars, parse
from market.events import Bar, State
from market.instruments import instrument_id

START = 1_767_225_600_000_000_000
"""When the first moment of a test begins: midnight of the first day of 2026, UTC."""


class Outcome(msgspec.Struct, frozen=True):
    """What a spec did in a test.

    Attributes:
        spec: its id.
        test: the test's name, or its number from 1.
        expected: numbers of the moments at which it must fire.
        fired: those at which it did.
        values: of the condition's fields at each moment, for people.
        problem: why it could not go on, and at which moment; empty when it was run to its end.
    """

    spec: str
    test: str
    expected: tuple[int, ...]
    fired: tuple[int, ...]
    values: tuple[Mapping[str, float | None], ...]
    problem: str = ""

    @property
    def is_right(self) -> bool:
        """Whether it did what it must."""
        return not self.problem and self.fired == self.expected


def run_tests(spec: Spec) -> Iterator[Outcome]:
    """Run every test of a spec."""
    for number, test in enumerate(spec.tests, start=1):
        yield run_test(spec, test, name=test.name or str(number))


def run_test(spec: Spec, test: SpecTest, *, name: str = "") -> Outcome:
    """Run one test of a spec; one that is switched off runs too."""
    engine = FilterEngine()
    running = msgspec.structs.replace(spec, is_enabled=True)
    engine.specs_changed(SpecsChanged(generation=1, specs=(running,)))
    fired: list[int] = []
    seen: list[Mapping[str, float | None]] = []
    fields = spec.condition.fields
    problem = ""
    try:
        for number, observation in enumerate(_moments(running, test), start=1):
            if engine.observe(observation):
                fired.append(number)
            seen.append({field: observation.values.get(field) for field in fields})
    except ValueError as error:  # an indicator's: what is given makes no bar
        problem = f"moment {len(seen) + 1}: {error}"
    return Outcome(spec.id, name, test.fires, tuple(fired), tuple(seen), problem)


def series_of(spec: Spec) -> str:
    """Return a series that a spec is over, with its globs filled in."""
    symbol = spec.source.symbols[0]
    filled = "BTC-USDT" if symbol == "*" else symbol.replace("*", "BTC").replace("?", "X")
    return instrument_id(spec.source.venues[0] if spec.source.venues else "test", filled)


def _moments(spec: Spec, test: SpecTest) -> Iterator[Observation]:
    series = series_of(spec)
    source = spec.source
    count = len(next(iter(test.given.values())))
    computed = _Computed(spec, test, series)
    for at in range(count):
        start = START + at * test.step
        end = start + test.step
        given = {field: values[at] for field, values in test.given.items()}
        yield Observation(
            series=series,
            stream=source.stream,
            interval=source.interval,
            ts_event=end,
            ts_recv=end,
            moment=start,
            revision=0,
            values=computed.values(given, start, end) | given,
            state=State.LIVE,
        )


class _Computed:
    """Computes what a test does not give of the bars that it gives."""

    def __init__(self, spec: Spec, test: SpecTest, series: str) -> None:
        self._series = series
        self._interval = spec.source.interval
        self._is_bar = spec.source.stream == "bar" and "close" in test.given
        wanted = [name for name in spec.fields if name not in test.given and "@" not in name]
        self._own = [name for name in wanted if name in BAR_FIELDS]
        names: list[IndicatorName] = []
        if self._is_bar:
            names = [parse(name) for name in wanted if name not in BAR_FIELDS]
        self._names = [name for name in names if name.reads == "bar"]
        self._indicators = {name.indicator: create_for_bars(name) for name in self._names}
        self._last: float | None = None

    def values(
        self, given: Mapping[str, float | None], start: int, end: int
    ) -> dict[str, float | None]:
        """Return the values at the end of the bar that is given."""
        close = given.get("close")
        if not self._is_bar or close is None:
            return {}
        bar = self._bar(given, close, start, end)
        self._last = close
        for indicator in self._indicators.values():
            indicator.update(bar)
        found: dict[str, float | None] = {name: BAR_FIELDS[name].read(bar) for name in self._own}
        for name in self._names:
            found[name.text] = self._indicators[name.indicator].values[name.place]
        return found

    def _bar(self, given: Mapping[str, float | None], close: float, start: int, end: int) -> Bar:
        def value(name: str, otherwise: float) -> float:
            found = given.get(name)
            return otherwise if found is None else found

        opened = value("open", close if self._last is None else self._last)
        volume = value("volume", 1.0)
        return Bar(
            instrument=self._series,
            interval=self._interval,
            start=start,
            end=end,
            open=opened,
            high=value("high", max(opened, close)),
            low=value("low", min(opened, close)),
            close=close,
            volume=volume,
            buy_volume=value("buy_volume", volume / 2),
            notional=value("notional", volume * close),
            count=int(value("count", 1.0)),
        )
