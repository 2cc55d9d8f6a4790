"""The embedded parts: a PostgreSQL and a simulator that need no set-up.

Whoever gets the lock of the state folder starts what the settings need and writes `run.json`; the
other flow processes of the same cluster wait for it and use the same parts. Everything else that
wants the folder meanwhile is refused by name. Parts are started on the main thread (they end with
the thread that started them) and ended by the owner once nobody uses them any more.
"""

import contextlib
import logging
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from flows import child_process
from flows.cluster import Cluster
from flows.configuration import DATABASE_URL, Configuration
from flows.home import Home, Membership, Owner, OwnerLock, Process, Running
from market.errors import ConfigError
from simulator.settings import Addresses
from sinks.embedded_postgres import EmbeddedPostgres
from sinks.secret import Secret
from sinks.settings import StoreSettings

if TYPE_CHECKING:
    from migrations.storage import StorageReport

WAIT_S = 30.0
"""How long a process waits for another one of its cluster to start the parts."""

_SIMULATOR_START_S = 20.0
_LAST_MEMBER_S = 3.0
_RESTARTS = 5
_RESTART_PERIOD_S = 60.0
_POLL_S = 0.05

_log = logging.getLogger(__name__)


def needs_simulator(configuration: Configuration) -> bool:
    """Whether any feed is simulated and no address of a simulator is given for it."""
    return any(
        feed.simulated and not feed.websocket_url for feed in configuration.settings.feeds.values()
    )


def simulator_command(
    symbols: Sequence[str], *options: str, venues: Sequence[str] = ("binance",)
) -> list[str]:
    """Return the command line of a simulator whose market opens with its first client."""
    return [
        *(sys.executable, "-m", "simulator", "--wait-for-client", "--script", "demo"),
        *("--venues", ",".join(venues), "--symbols", ",".join(symbols)),
        *options,
    ]


class Embedded:
    """What this process started, or found started, in its state folder.

    Made by `enter` or `attach`; ended by `stop`.

    Attributes:
        is_owner: whether this process holds the lock.
        report: what the database can do; None when this process is not the owner.
    """

    def __init__(self, configuration: Configuration, home: Home) -> None:
        self._configuration = configuration
        self._home = home
        self._lock = OwnerLock(home)
        self._member: Membership | None = None
        self._postgres: EmbeddedPostgres | None = None
        self._simulator: subprocess.Popen[bytes] | None = None
        self._running: Running | None = None
        self._deaths: list[float] = []
        self._simulator_log = home.logs / "simulator.log"
        self.is_owner = False
        self.report: StorageReport | None = None

    @classmethod
    def enter(
        cls,
        configuration: Configuration,
        home: Home,
        cluster: Cluster,
        *,
        command: str,
        store: bool = True,
        wait_s: float = WAIT_S,
    ) -> "Embedded":
        """Own the state folder, or use what another process of the same cluster has started.

        Args:
            configuration: says which parts are needed.
            home: the state folder.
            cluster: the processes that may share it.
            command: how to name this process to people, `candlewax demo`.
            store: a database is needed.
            wait_s: how long to wait for the owner.

        Raises:
            ConfigError: another run uses the folder, the owner is not ready in time, a part cannot
                be started, the database cannot be reached, or embedded parts are asked for by a
                cluster that spans hosts.
        """
        embedded = cls(configuration, home)
        home.make()
        foreign = cluster.foreign()
        if foreign and embedded._needs_parts(store=store):
            raise ConfigError(
                f"address {foreign} is on another host, which cannot use the embedded parts: set "
                f"{DATABASE_URL} and let every feed be a real venue, or name the simulator's "
                "websocket_url and rest_url"
            )
        deadline = time.monotonic() + wait_s
        while True:
            if not cluster.supervised and embedded._lock.acquire(cluster.name, command):
                embedded._own(cluster, command, store=store)
                return embedded
            running = home.running()
            owner = running.owner if running is not None else home.owner()
            if owner is not None and owner.cluster != cluster.name:
                raise _taken(home, owner)
            if running is not None:
                embedded._running = running
                embedded._member = Membership(home)
                embedded._member.join()
                return embedded
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"{home.run_file}: waited {wait_s:.0f} s for the process that starts the "
                    "embedded parts; look at its log, and start all processes of the cluster "
                    "with the same addresses"
                )
            time.sleep(_POLL_S)

    @classmethod
    def attach(
        cls, configuration: Configuration, home: Home, *, command: str, migrate: bool
    ) -> "Embedded":
        """Get at the database, whoever has started it; start it when nobody has.

        For commands that use the store while a flow may be running.

        Args:
            configuration: says whether the database is the embedded one.
            home: the state folder.
            command: how to name this process to people.
            migrate: bring the tables up to date.

        Raises:
            ConfigError: the database cannot be started or reached.
        """
        embedded = cls(configuration, home)
        if configuration.database_url is not None:
            if migrate:
                embedded._prepare(configuration.database_url.reveal())
            else:
                from migrations.session import connect  # noqa: PLC0415  as below

                connect(configuration.database_url.reveal()).close()
            return embedded
        home.make()
        cluster = Cluster(name=f"{command} {Process.current().pid}")
        deadline = time.monotonic() + WAIT_S
        while True:
            running = home.running()
            if running is not None and running.database_url:
                embedded._running = running
                embedded._member = Membership(home)
                embedded._member.join()
                return embedded
            if embedded._lock.acquire(cluster.name, command):
                embedded._own(cluster, command, store=True, simulator=False, migrate=migrate)
                return embedded
            owner = home.owner()
            if running is not None or time.monotonic() > deadline:
                raise (
                    _taken(home, owner)
                    if owner is not None
                    else ConfigError(f"{home.path}: the state folder is in use; try again")
                )
            time.sleep(_POLL_S)

    @property
    def database_url(self) -> Secret:
        """Address of the database, with its password."""
        told = self._configuration.database_url
        if told is not None:
            return told
        return Secret(self._running.database_url if self._running is not None else "")

    @property
    def running(self) -> Running:
        """What runs, as `run.json` has it.

        Raises:
            RuntimeError: neither owner nor member.
        """
        if self._running is None:
            raise RuntimeError("nothing runs: `enter` has not been called")
        return self._running

    def websocket_url(self, venue: str) -> str:
        """Return the address of a venue's streams; empty for the venue's own."""
        feed = self._configuration.settings.feeds[venue]
        if feed.simulated and not feed.websocket_url:
            return f"{self.running.websocket_url}/{venue}"
        return feed.websocket_url

    def rest_url(self, venue: str) -> str:
        """Return the address of a venue's REST interface; empty for the venue's own."""
        feed = self._configuration.settings.feeds[venue]
        if feed.simulated and not feed.websocket_url:
            return f"{self.running.rest_url}/{venue}"
        return feed.rest_url

    def tend(self) -> str:
        """Start again what ended without being asked to, at the address it had.

        Called often by the owner, on the main thread.

        Returns:
            What is gone for good; empty when all runs.
        """
        try:
            if self._simulator is not None and self._simulator.poll() is not None:
                self._note_death(f"the simulator ended with {_ending(self._simulator.returncode)}")
                self._stop_simulator()
                port = urlsplit(self.running.websocket_url).port or 0
                self._start_simulator("--port", str(port))
            if self._postgres is not None and not self._postgres.is_running:
                self._note_death("the embedded PostgreSQL ended")
                if self._postgres.start() != self.running.database_url:
                    return "the embedded PostgreSQL has lost its port to another program"
        except ConfigError as error:
            return str(error)
        return ""

    def _note_death(self, what: str) -> None:
        now = time.monotonic()
        self._deaths = [death for death in self._deaths if now - death < _RESTART_PERIOD_S]
        self._deaths.append(now)
        if len(self._deaths) > _RESTARTS:
            raise ConfigError(f"{what}, and did so {_RESTARTS} times in a minute before")
        _log.error("embedded part gone: starting it again", extra={"part": what})

    def stop(self) -> None:
        """End what this process started, once the other members are gone; give the lock back."""
        if self._member is not None:
            self._member.leave()
            self._member = None
        if not self.is_owner:
            return
        members = Membership(self._home)
        deadline = time.monotonic() + _LAST_MEMBER_S
        while not members.is_last() and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        members.leave()
        self._stop_parts()
        self._lock.release()
        self.is_owner = False

    def _needs_parts(self, *, store: bool) -> bool:
        needs_database = store and self._configuration.database_url is None
        return needs_database or needs_simulator(self._configuration)

    def _own(
        self,
        cluster: Cluster,
        command: str,
        *,
        store: bool,
        simulator: bool = True,
        migrate: bool = True,
    ) -> None:
        self.is_owner = True
        try:
            self._start(cluster, command, store=store, simulator=simulator, migrate=migrate)
        except BaseException:
            self._stop_parts()
            self._lock.release()
            self.is_owner = False
            raise

    def _prepare(self, database_url: str) -> None:
        self.report = prepare_database(database_url, self._configuration.settings.store)

    def _start(
        self, cluster: Cluster, command: str, *, store: bool, simulator: bool, migrate: bool
    ) -> None:
        addresses = Addresses(websocket="", rest="")
        if simulator and needs_simulator(self._configuration):
            addresses = self._start_simulator()
        database_url = ""
        if store:
            if self._configuration.database_url is None:
                self._postgres = EmbeddedPostgres(self._home.pg)
                database_url = self._postgres.start()
            if migrate:
                self._prepare(database_url or self.database_url.reveal())
        pids = {"owner": Process.current().pid}
        if self._simulator is not None:
            pids["simulator"] = self._simulator.pid
        if self._postgres is not None and self._postgres.pid is not None:
            pids["postgres"] = self._postgres.pid
        self._running = Running(
            owner=Owner(process=Process.current(), cluster=cluster.name, command=command),
            database_url=database_url,
            websocket_url=addresses.websocket,
            rest_url=addresses.rest,
            pids=pids,
        )
        self._home.tell(self._running)

    def _start_simulator(self, *options: str) -> Addresses:
        feeds = {
            venue: feed
            for venue, feed in self._configuration.settings.feeds.items()
            if feed.simulated and not feed.websocket_url
        }
        symbols = dict.fromkeys(symbol for feed in feeds.values() for symbol in feed.symbols)
        with self._simulator_log.open("wb") as words:
            self._simulator = child_process.start(
                simulator_command(list(symbols), *options, venues=list(feeds)),
                stdout=subprocess.PIPE,
                stderr=words,
            )
        try:
            return read_addresses(self._simulator, _SIMULATOR_START_S)
        except ConfigError as error:
            said = self._simulator_log.read_text(encoding="utf-8", errors="replace").strip()
            raise ConfigError(f"{error}{': ' if said else ''}{said[-500:]}") from None

    def _stop_simulator(self) -> None:
        if self._simulator is not None:
            child_process.end(self._simulator, grace_s=1.0)
            if self._simulator.stdout is not None:
                self._simulator.stdout.close()
            self._simulator = None

    def _stop_parts(self) -> None:
        self._stop_simulator()
        if self._postgres is not None:
            self._postgres.stop()
            self._postgres = None


def read_addresses(simulator: subprocess.Popen[bytes], timeout_s: float) -> Addresses:
    """Wait for the line that a simulator prints when it is ready.

    Raises:
        ConfigError: it ended before, or printed nothing in time, or something else.
    """
    if simulator.stdout is None:
        raise ValueError("start the simulator with a pipe for its output")
    ready, _, _ = select.select([simulator.stdout], [], [], timeout_s)
    line = simulator.stdout.readline() if ready else b""
    try:
        return msgspec.json.decode(line, type=Addresses)
    except msgspec.DecodeError:
        code = None
    with contextlib.suppress(subprocess.TimeoutExpired):
        code = simulator.wait(1.0 if ready else 0.0)
    if code is not None:
        raise ConfigError(f"the simulator ended at its start with {_ending(code)}")
    raise ConfigError(f"the simulator was not ready after {timeout_s:.0f} s")


def prepare_database(database_url: str, settings: StoreSettings) -> "StorageReport":
    """Bring the tables up to date and use what the server can do.

    Raises:
        ConfigError: the server cannot be reached, or lacks what is required.
    """
    # Only the owner needs it.
    from migrations.schema_version import known_revision, newest  # noqa: PLC0415
    from migrations.session import locked  # noqa: PLC0415
    from migrations.storage import prepare  # noqa: PLC0415

    with locked(database_url) as session:
        is_newest = known_revision(session) == newest()
    if not is_newest:
        # A third of what a flow process loads at its start, for versions that are seldom missing.
        from migrations.upgrade import upgrade  # noqa: PLC0415

        upgrade(database_url)
    return prepare(
        database_url,
        require_timescaledb=settings.require_timescaledb,
        keep_days=settings.retention.days,
    )


def _taken(home: Home, owner: Owner) -> ConfigError:
    return ConfigError(
        f"{home.path}: in use by `{owner.command}` (process {owner.process.pid}); stop it, or set "
        "CANDLEWAX_HOME to another folder"
    )


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
