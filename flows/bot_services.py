"""What the bot's commands need of the flow's rooms: specs, why, charts, status."""

import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import msgspec
import psycopg

from filters.one_line import Wishes
from filters.specs import moment_text
from flows.configuration import Configuration
from flows.home import Home
from flows.market_pages import market_page
from flows.spec_desk import SpecDesk
from flows.spec_homes import SpecHomes
from flows.standings import read_standings
from flows.status import FlowStatus
from flows.why import Why, standing_lines
from market.errors import ConfigError
from sinks.gap_ledger import known_instruments
from sinks.message import Composer
from sinks.secret import Secret
from sinks.store_connection import RETRIABLE, complete, connect
from sinks.stored_specs import followed_symbols
from sinks.telegram.services import Services

CHART_INDICATORS = ("bollinger(20,2)", "rsi(14)")
"""What a picture shows that nobody asked anything of."""
OLD_S = 15


def bot_services(
    settings: Configuration,
    home: Home,
    homes: SpecHomes,
    dsn: Secret,
    check: Callable[[Collection[str]], None],
) -> Services:
    """Return what the commands of a bot call.

    Args:
        settings: whose local time is told.
        home: state folder, where the flow processes tell how they are.
        homes: where specs are.
        dsn: address of the database.
        check: refuses names of targets that mean nothing.
    """
    desk = SpecDesk(homes, check=check, symbols=lambda: followed_symbols(dsn))
    composer = Composer(settings.settings.alerts.zone, market_page)
    why = Why(home.status, homes, dsn, composer)

    def add(line: str, by: str, target: str | None) -> str:
        to = () if target is None else (target,)
        added = desk.add(line, Wishes(once=True, to=to), by=by)
        notes = "".join(f"\nwarning: {note}" for note in added.notes)
        return (
            f"{added.spec.id}: {moment_text(added.spec)} of {', '.join(added.spec.source.symbols)},"
            f" once, when {added.spec.when}{notes}\n/delete {added.spec.id} forgets it"
        )

    def delete(ident: str, by: str, may_all: bool) -> str:
        return f"deleted {desk.forget(ident, by=None if may_all else by)}"

    def listing() -> Sequence[str]:
        reading = desk.read()
        states = standing_lines(reading, read_standings(home.status))
        return [
            f"{spec.id}: {', '.join(spec.source.symbols)} {spec.when} - {states[spec.id]}"
            for spec in reading.specs
        ]

    return Services(
        add_spec=add,
        delete_spec=delete,
        list_specs=listing,
        spec_ids=lambda: {spec.id for spec in desk.read().specs},
        why=why.answer,
        chart=lambda symbol: chart_of_symbol(dsn, symbol, settings),
        status=lambda: status_text(home.status),
    )


def chart_of_symbol(dsn: Secret, symbol: str, settings: Configuration) -> bytes | None:
    """Return a picture of a symbol's last bars; None when none are stored.

    Raises:
        ConfigError: no such symbol, no library that draws, or the database is away.
    """
    from sinks.charts.drawing import MISSING, draw, is_available  # noqa: PLC0415 - slow to load
    from sinks.charts.stored import interval_near, read_chart  # noqa: PLC0415

    if not is_available():
        raise ConfigError(MISSING)
    try:
        with connect(complete(dsn.reveal())) as connection:
            now = time.time_ns()
            for one in known_instruments(connection).resolve(symbol):
                interval = interval_near(connection, one.id, now)
                if interval is None:
                    continue
                chart = read_chart(connection, one.id, interval, CHART_INDICATORS)
                if chart is not None:
                    return draw(chart, zone=settings.settings.alerts.zone)
    except psycopg.errors.UndefinedTable:
        return None
    except RETRIABLE as error:
        raise ConfigError(f"the database does not answer: {str(error).strip()}") from None
    except ValueError as error:  # a stored number that no indicator takes
        raise ConfigError(f"{symbol}: {error}") from None
    return None


def status_text(folder: Path) -> str:
    """Return how the flow processes of this machine are, for people."""
    lines = []
    now = time.time()
    for path in sorted(folder.glob("flow-*.json")):
        try:
            told = msgspec.json.decode(path.read_bytes(), type=FlowStatus)
            age = now - path.stat().st_mtime
        except (OSError, msgspec.DecodeError):
            continue  # it is being replaced
        states: dict[str, list[str]] = {}
        for name, book in told.books.items():
            states.setdefault(book.state, []).append(name)
        books = "; ".join(
            f"{len(names)} books {state}" if state == "live" else f"{state}: {', '.join(names)}"
            for state, names in sorted(states.items())
        )
        late = f", silent for {age:.0f} s" if age > OLD_S else ""
        lines.append(
            f"{path.stem}: {told.trades:,} trades, {told.bars:,} bars, {told.alerts:,} alerts,"
            f" {told.gaps:,} gaps{late}; {books or 'no books'}"
        )
        lines.append(f"  filters: generation {told.generation}")
        if told.spec_problem:
            lines.append(f"  changed filters are not in force: {told.spec_problem}")
    return "\n".join(lines) or "no flow tells how it is"
