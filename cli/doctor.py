"""`candlewax doctor`: what could keep Candlewax from working here."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal, NamedTuple

from cli.options import Config
from market.errors import ConfigError

if TYPE_CHECKING:
    from flows.configuration import Configuration
    from flows.home import Home
    from sinks.spool import SpoolState

PACKAGES = ("bytewax", "msgspec", "psycopg", "alembic", "websocket-client", "python-telegram-bot")
FREE_DISK = 2 * 1024**3
WRONG_CLOCK_S = 2.0
ANSWER_S = 5.0
SOON_DAYS = 14


class Finding(NamedTuple):
    """What a check came to.

    Attributes:
        verdict: `ok`, `note` (good to know) or `bad` (it will not work).
        what: what was looked at.
        text: what was found, and what to do.
    """

    verdict: Literal["ok", "note", "bad"]
    what: str
    text: str


def doctor(*, config: Config = None) -> int:
    """Check Python, packages, configuration, state folder, database, venues, disk and clock.

    Ends with exit code 1 when something will not work.
    """
    bad = False
    for finding in _findings(config):
        bad = bad or finding.verdict == "bad"
        print(f"{finding.verdict:4}  {finding.what:13}  {finding.text}", flush=True)
    return 1 if bad else 0


def _findings(config: Config) -> Iterator[Finding]:
    from flows import configuration
    from flows.home import Home

    yield _python()
    yield from _packages()
    try:
        told = configuration.load(config, os.environ)
    except ConfigError as error:
        yield Finding("bad", "configuration", str(error))
        return
    yield Finding("ok", "configuration", str(told.file or "none: the embedded demo"))
    home = Home.of(os.environ)
    yield from _home(home)
    yield _disk(home)
    yield _checked("database", lambda: _database(told, home))
    yield from _growth(told, home)
    yield from _spools(told, home)
    yield _checked("filters", lambda: _filters(told))
    yield from _venues(told)
    yield _telegram(told)


def _checked(what: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except ConfigError as error:
        return Finding("bad", what, str(error))


def _python() -> Finding:
    shown = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 12):
        return Finding("ok", "Python", shown)
    return Finding("bad", "Python", f"{shown}: 3.11 or 3.12 is needed, the engine has no others")


def _packages() -> Iterator[Finding]:
    found: list[str] = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            yield Finding("bad", "packages", f"{name} is not installed: `make setup`")
    yield Finding("ok", "packages", ", ".join(found))


def _home(home: "Home") -> Iterator[Finding]:
    try:
        home.make()
    except ConfigError as error:
        yield Finding("bad", "state folder", str(error))
        return
    yield Finding("ok", "state folder", str(home.path))
    owner = home.owner()
    if owner is not None:
        text = f"in use by `{owner.command}` (process {owner.process.pid})"
        yield Finding("note", "lock", text)
    elif home.run_file.exists():
        yield Finding("note", "lock", "free; run.json is left from a killed process, harmless")
    else:
        yield Finding("ok", "lock", "free")


def _disk(home: "Home") -> Finding:
    free = shutil.disk_usage(home.path if home.path.exists() else home.path.parent).free
    text = f"{free / 1024**3:.1f} GiB free"
    if free < FREE_DISK:
        return Finding("note", "disk", f"{text}: rows and recordings will soon fill it")
    return Finding("ok", "disk", text)


def _database(told: "Configuration", home: "Home") -> Finding:
    from migrations.storage import inspect
    from sinks.postgres_binaries import find
    from sinks.server_account import choose

    if told.database_url is not None:
        report = inspect(told.database_url.reveal())
        return Finding("ok", "database", f"{report.kind} {report.server_version}")
    running = home.running()
    if running is not None and running.database_url:
        report = inspect(running.database_url)
        return Finding("ok", "database", f"embedded {report.kind} {report.server_version}, runs")
    binaries = find(choose(home.pg / "data"))
    return Finding("ok", "database", f"embedded PostgreSQL {binaries.major}, does not run now")


def _growth(told: "Configuration", home: "Home") -> Iterator[Finding]:
    """Tell how large the tables are and when the disk is full, of a database that runs."""
    from cli.database import megabytes
    from migrations.session import connect
    from migrations.table_sizes import days_left, read_sizes

    running = home.running()
    embedded = running.database_url if running is not None else ""
    address = told.database_url.reveal() if told.database_url is not None else embedded
    if not address:
        return
    try:
        with connect(address) as connection:
            sizes = read_sizes(connection, told.settings.store.retention.days)
    except ConfigError:
        return  # the line before says so
    for size in sizes:
        if size.day_size is not None:
            kept = f"{size.keep_days:g} days" if size.keep_days else "for ever"
            text = f"{megabytes(size.size)}, {megabytes(size.day_size)} a day, kept {kept}"
            yield Finding("ok", size.table, text)
    whole = sum(size.size for size in sizes)
    growth = sum(size.day_size or 0.0 for size in sizes)
    text = f"{megabytes(whole)} in tables, {megabytes(growth)} a day"
    if told.database_url is not None:
        text += "; how much room its disk has cannot be seen from here"
        yield Finding("ok", "growth", text)
        return
    free = shutil.disk_usage(home.path).free
    left = days_left(sizes, free)
    if left is None:
        yield Finding("ok", "growth", f"{text}; what is kept fits on this disk")
        return
    verdict: Literal["ok", "note"] = "note" if left < SOON_DAYS else "ok"
    yield Finding(verdict, "growth", f"{text}; the disk is full in {left} days")


def _spools(told: "Configuration", home: "Home") -> Iterator[Finding]:
    """Tell what waits for the database, by partition: a spool, and the journal of its alerts."""
    from cli import status
    from sinks.overflow import joined_state
    from sinks.spool import look

    # Only the flow itself knows which rows its disk did not take.
    spools = status.read(home.status).spools if home.running() is not None else {}
    for name, state in sorted(spools.items()):
        if state.unsafe:
            text = f"{state.unsafe} rows may not be on the disk, which fails to sync: look at it"
            yield Finding("note", f"spool {name}", text)
    store = told.settings.store
    if not store.spool_bytes:
        yield Finding("note", "spool", "off: rows wait in memory while the database is away")
        return
    numbers = sorted(
        int(folder.name.removeprefix("store-")) for folder in home.spool.glob("store-[0-9]*")
    )
    waiting = False
    for number in numbers:
        state = joined_state(
            look(home.spool / f"store-{number}"), look(home.spool / f"alerts-{number}")
        )
        yield from _spool(f"store-{number}", state, home, gone=number >= store.partitions)
        waiting = waiting or bool(state.rows)
    if not waiting:
        room = f"{store.spool_bytes / 1024**3:.1f} GiB for each of {store.partitions} partitions"
        yield Finding("ok", "spool", f"empty, room for {room}")


def _spool(name: str, state: "SpoolState", home: "Home", *, gone: bool) -> Iterator[Finding]:
    if state.rows:
        counts = ", ".join(f"{count} of {table}" for table, count in sorted(state.rows.items()))
        since = datetime.fromtimestamp((state.oldest or 0) / 1e9, UTC)
        text = f"{counts} wait, {state.bytes / 1024**2:.1f} MiB"
        if state.oldest is not None:
            text += f", the oldest since {since:%Y-%m-%d %H:%M:%S} UTC"
        if gone:
            text += "; store.partitions was lowered since: the next start drains it"
        yield Finding("note", f"spool {name}", text)
    if state.set_aside:
        text = f"{state.set_aside} damaged or refused pieces in {home.spool / name / 'set-aside'}"
        yield Finding("note", f"spool {name}", text)


def _filters(told: "Configuration") -> Finding:
    from filters.load import load_specs

    specs = load_specs(told.specs_folder)
    return Finding("ok", "filters", f"{len(specs)} in {told.specs_folder}")


def _venues(told: "Configuration") -> Iterator[Finding]:
    import httpx

    from connectors import VENUES

    for name, feed in told.settings.feeds.items():
        if feed.simulated and not feed.rest_url:
            yield Finding("ok", name, "simulated: no network is needed")
            continue
        address = feed.rest_url or VENUES[name].rest_url
        before = time.time()
        try:
            answer = httpx.get(address, timeout=ANSWER_S)
        except httpx.HTTPError as error:
            text = f"{address} does not answer: {error}; check network, proxy and firewall"
            yield Finding("bad", name, text)
            continue
        yield Finding("ok", name, f"{address} answers")
        yield from _clock(name, answer.headers.get("date", ""), (before + time.time()) / 2)


def _clock(name: str, date: str, ours: float) -> Iterator[Finding]:
    try:
        theirs = parsedate_to_datetime(date).astimezone(UTC)
    except ValueError:
        return
    # The header has whole seconds: in the mean it is half a second behind.
    apart = ours - theirs.timestamp() - 0.5
    shown = f"{apart:+.1f} s against {name} at {datetime.fromtimestamp(ours, UTC):%H:%M:%S} UTC"
    if abs(apart) > WRONG_CLOCK_S:
        text = f"{shown}: bars stay right, latencies do not; set the clock by NTP"
        yield Finding("note", "clock", text)
    else:
        yield Finding("ok", "clock", shown)


def _telegram(told: "Configuration") -> Finding:
    if told.bot_token is None:
        return Finding("note", "Telegram", "no bot token: alerts go to the console")
    if not told.settings.telegram.chats:
        return Finding("note", "Telegram", "no chat yet: `candlewax telegram setup`")
    return Finding("ok", "Telegram", ", ".join(told.settings.telegram.chats))
