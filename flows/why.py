"""Why a spec fired last, and why it does not fire now: for the command line and for a chat."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psycopg

from filters.explain import Explanation, explanation_text
from filters.spec_reader import Reading
from filters.specs import Spec
from flows.spec_homes import SpecHomes
from flows.standings import Standing, read_standings
from flows.symbol_filters import SeriesStanding
from indicators.spelling import did_you_mean
from market.errors import ConfigError
from market.events import State
from market.instruments import symbol_of
from market.intervals import SECOND
from sinks.alert_facts import AlertFacts, read_facts
from sinks.explanation import explain
from sinks.message import Composer
from sinks.mutes import Mute, active_mutes
from sinks.secret import Secret
from sinks.store_connection import RETRIABLE, complete, connect

OLD_S = 15
"""A standing that is older than this is of a flow that does not run, or not well."""


class Why:
    """Answers from what a flow tells of its specs, and from what the store has of its alerts.

    Args:
        status: folder where the flow processes of this machine tell where specs stand.
        homes: where specs are.
        dsn: address of the database; None where there is none.
        composer: knows whose local time is told.
    """

    def __init__(
        self, status: Path, homes: SpecHomes, dsn: Secret | None, composer: Composer
    ) -> None:
        self._status = status
        self._homes = homes
        self._dsn = dsn
        self._composer = composer

    def answer(self, ident: str, symbol: str) -> str:
        """Return why a spec fired last on a symbol, and why it does not now.

        Args:
            ident: of the spec.
            symbol: `"BTC-USDT"`, or an instrument id.

        Raises:
            ConfigError: there is no such spec, and never was.
        """
        standings = read_standings(self._status)
        found = [
            (standing, series, each)
            for standing in standings
            for series in standing.series
            if symbol in (series.series, symbol_of(series.series))
            for each in series.specs
            if each.spec == ident
        ]
        facts, mutes = self._stored(ident, symbol)
        lines: list[str] = []
        for standing, series, each in found:
            lines += self._now(standing, series, each)
        if not found:
            lines.append(self._why_nothing(ident, symbol, standings, is_known=facts is not None))
        if facts is None:
            lines.append(f"{ident} has not fired on {symbol}, as far as alerts are stored")
        else:
            lines += ["last alert:", *explain(facts, self._composer).splitlines()]
        return "\n".join([*lines, *mutes])

    def _now(self, standing: Standing, series: SeriesStanding, each: Explanation) -> Iterator[str]:
        yield from explanation_text(each).splitlines()
        if each.looked_at:
            yield f"  last looked at {self._composer.moment(each.looked_at)}"
        if each.fired_at is not None:
            yield f"  last fired {self._composer.moment(each.fired_at)}"
        if series.state is not State.LIVE:
            reason = f": {series.reason}" if series.reason else ""
            yield f"  the book of {series.series} is {series.state.value}{reason}"
        age = (time.time_ns() - standing.at) // SECOND
        if age > OLD_S:
            yield f"  this was told {age} s ago: the flow does not run now, or hangs"

    def _stored(self, ident: str, symbol: str) -> tuple[AlertFacts | None, list[str]]:
        """Return the last alert, and the mutes that concern the spec, for people."""
        if self._dsn is None:
            return None, []
        venue, _, name = symbol.rpartition(":")
        try:
            with connect(complete(self._dsn.reveal())) as connection:
                row = connection.execute(
                    "SELECT key FROM alerts WHERE spec = %s AND symbol = %s"
                    " AND (%s = '' OR venue = %s) ORDER BY fired_at DESC, key LIMIT 1",
                    (ident, name, venue, venue),
                ).fetchone()
                facts = None if row is None else read_facts(connection, [row[0]])[row[0]]
                mutes = [
                    self._muted(mute)
                    for mute in active_mutes(connection, now=time.time_ns())
                    if mute.spec in (None, ident) and mute.symbol in (None, name)
                ]
        except (*RETRIABLE, psycopg.errors.UndefinedTable) as error:
            return None, [f"the store does not tell of alerts: {str(error).strip()}"]
        return facts, mutes

    def _muted(self, mute: Mute) -> str:
        where = "" if mute.target is None else f" at {mute.target}"
        until = "" if mute.ends_at is None else f" until {self._composer.moment(mute.ends_at)}"
        return f"muted{where} by {mute.created_by}{until}"

    def _why_nothing(
        self, ident: str, symbol: str, standings: list[Standing], *, is_known: bool
    ) -> str:
        """Say why no flow tells anything of a spec and a symbol."""
        try:
            reading = self._homes.read()
        except ConfigError as error:
            return f"the filters are wrong, so that a change of them is not in force:\n{error}"
        spec = next((one for one in reading.specs if one.id == ident), None)
        if spec is None:
            if is_known:
                return f"there is no filter {ident!r} any more"
            hint = did_you_mean(ident, reading.places)
            raise ConfigError(
                f"no filter {ident!r}{hint}; `candlewax filters list` shows what there is"
            )
        return f"{ident}: {_silent(spec, symbol, standings, reading)}"


def _silent(spec: Spec, symbol: str, standings: list[Standing], reading: Reading) -> str:
    if not spec.is_enabled:
        return f"it is switched off: `candlewax filters enable {spec.id}`"
    name = symbol_of(symbol) if ":" in symbol else symbol
    is_meant = spec.source.matches(symbol) if ":" in symbol else spec.source.matches_symbol(name)
    if not is_meant:
        venues = f" at {', '.join(spec.source.venues)}" if spec.source.venues else ""
        return f"it does not look at {symbol}, but at {', '.join(spec.source.symbols)}{venues}"
    if not standings:
        return "no flow runs here, or it has told nothing yet: `candlewax run`"
    heard = {series.series for standing in standings for series in standing.series}
    followed = sorted(one for one in heard if symbol in (one, symbol_of(one)))
    if not followed:
        symbols = sorted({symbol_of(one) for one in heard})
        hint = did_you_mean(name, symbols)
        return f"the flow has heard nothing of {symbol}{hint} (of {', '.join(symbols)} it has)"
    if not any(spec.source.matches(one) for one in followed):
        return f"it looks at {', '.join(spec.source.venues)}; followed are {', '.join(followed)}"
    spoken_for = sorted(
        series.series
        for standing in standings
        for series in standing.series
        if symbol_of(series.series) == name and any(each.spec == spec.id for each in series.specs)
    )
    if not spec.source.venues and spoken_for:
        return f"it names no venue, and the primary one speaks for {name}: {spoken_for[0]}"
    place = reading.places[spec.id]
    return f"the flow does not have it yet, though it is in {place}: ask again in a second"


def standing_lines(reading: Reading, standings: Iterable[Standing]) -> dict[str, str]:
    """Return the state of each spec in a line, by its id: what a list of specs shows."""
    told: dict[str, dict[str, list[str]]] = {}
    generation = 0
    for standing in standings:
        generation = max(generation, standing.generation)
        for series in standing.series:
            for each in series.specs:
                phase = "done" if each.over else each.phase.value
                told.setdefault(each.spec, {}).setdefault(phase, []).append(series.series)
    lines = {}
    for spec in reading.specs:
        phases = told.get(spec.id, {})
        if not spec.is_enabled:
            lines[spec.id] = "switched off"
        elif phases:
            said = ", ".join(f"{phase} on {_some(names)}" for phase, names in phases.items())
            lines[spec.id] = f"{said} (generation {generation})"
        elif generation:
            lines[spec.id] = f"no series of the flow that runs (generation {generation})"
        else:
            lines[spec.id] = "no flow runs here"
    return lines


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2}"
