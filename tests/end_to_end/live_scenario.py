"""Live flows on the embedded parts, ended under load.

Two run at the same time: `alone` in one process on everything that is embedded, or on a database
that is given, `cluster` in two processes on a database that is given, with recovery, stopped and
started again after some seconds. They need little of the processor, so they run beside other tests;
the tests of `test_live.py` look at what they left behind.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread
from typing import Self

import msgspec

from flows.status import FlowStatus
from tests.end_to_end.flow_runs import (
    POLL_S,
    ROOT,
    FlowRun,
    poll,
    recovery_flags,
    running_with,
)

FAST = ("BTC-USDT", "ETH-USDT", "ETH-BTC")
SILENT = "LTC-BTC"
CLUSTER_SYMBOLS = ("BTC-USDT", "ETH-USDT", "ETH-BTC", "BNB-USDT", "SOL-USDT", "XRP-USDT")
DIPS_WITHIN_S = 90.0
"""The demo's script dips 12 s and 17 s after the market opened; starting takes the rest."""
STARTS_WITHIN_S = 60.0
QUIET_S = 5
"""How long the flows run with nothing beside them."""

OFTEN = "version: 1\nfilters:\n" + "".join(
    f'  - {{id: {word}-{levels}, source: {{stream: book, symbols: ["*"]}}, '
    f'when: "imbalance({levels}) {sign} 0"}}\n'
    for levels in (1, 2, 3, 4)
    for word, sign in (("bought", ">"), ("sold", "<"))
)
"""Specs that fire whenever the balance of a book's best levels changes its side."""
PAPER = """\
version: 1
filters:
  - id: paper
    source: {stream: bar, symbols: ["*"], interval: 1s}
    strategy:
      entry: change_bps > 0
      exit: {any: [change_bps < 0, close crosses_below ema(3)]}
      risk: {stop: 0.05%, target: 0.05%, equity: 5000}
"""
"""A strategy that enters and leaves every few seconds."""


class BarHead(msgspec.Struct):
    """What of a bar says how late it is."""

    interval: str
    end: int
    revision: int


class BarLine(msgspec.Struct):
    """An emitted bar."""

    kind: str
    key: str
    value: BarHead


class Lags:
    """Reads the lines of a live flow as they come, and how late each one-second bar is.

    Used around what it shall watch; what is there already is an earlier run's.

    Attributes:
        of: seconds from a bar's end to its line, by series.
        dips: alerts of the scripted dips.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = path.stat().st_size if path.exists() else 0
        self._ended = Event()
        self._thread = Thread(target=self._watch, name="lags")
        self.of: dict[str, list[float]] = {}
        self.dips = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(POLL_S):
            self.read()

    def read(self) -> None:
        """Take what has come since."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._at += len(line)
                if line.startswith(b'{"kind":"bars","key":"binance:') and b' 1s"' in line[:60]:
                    bar = msgspec.json.decode(line, type=BarLine)
                    if not bar.value.revision:
                        lag = (time.time_ns() - bar.value.end) / 1e9
                        self.of.setdefault(bar.key, []).append(lag)
                self.dips += line.startswith(b'{"kind":"alerts","key":"dip ')


class Ended:
    """What a flow left behind.

    Attributes:
        run: the last one on this state folder.
        codes: exit codes, of earlier runs too.
        stop_s: from the signal to the end, the longest.
        words: what was said.
        dsn: where its rows are; empty while that server does not run.
        statuses: what its processes counted, in earlier runs too.
    """

    def __init__(self, run: FlowRun, stop_s: float, dsn: str = "") -> None:
        self.run = run
        self.codes = run.codes
        self.stop_s = stop_s
        self.words = run.words
        self.dsn = dsn
        self.statuses: Sequence[FlowStatus] = run.statuses

    def after(self, earlier: "Ended") -> "Ended":
        """Add what an earlier run on the same folder left."""
        self.codes = [*earlier.codes, *self.codes]
        self.stop_s = max(earlier.stop_s, self.stop_s)
        self.words = earlier.words + self.words
        self.statuses = [*earlier.statuses, *self.statuses]
        return self

    def told(self, name: str) -> dict[str, int]:
        """A count by table, summed over the processes."""
        whole: dict[str, int] = {}
        for status in self.statuses:
            for table, count in getattr(status, name).items():
                whole[table] = whole.get(table, 0) + count
        return whole


class Both:
    """The two flows, and what still ran when they had ended.

    Attributes:
        second: a flow that was started on the first one's state folder.
        lags: how late the bars of the first one were.
        quiet_from: our clock in ns, since when no test ran beside them.
        cluster_from: our clock in ns, when the second run of `cluster` was started.
    """

    def __init__(
        self,
        alone: Ended,
        cluster: Ended,
        *,
        second: FlowRun,
        lags: Lags,
        quiet_from: int,
        cluster_from: int,
        left: list[str],
    ) -> None:
        self.alone = alone
        self.cluster = cluster
        self.second = second
        self.lags = lags
        self.quiet_from = quiet_from
        self.cluster_from = cluster_from
        self.left = left


def environ(symbols: Sequence[str], folder: Path, home: Path) -> dict[str, str]:
    """Settings of a flow that records and tells everything."""
    output = {"emit": [], "digest": True, "out": str(home / "out.jsonl")}
    return {
        "CANDLEWAX__FEEDS__BINANCE__SYMBOLS": ",".join(symbols),
        "CANDLEWAX__FEEDS__BINANCE__SIMULATED": "true",
        "CANDLEWAX__FEEDS__BINANCE__RECORD": "true",
        "CANDLEWAX__FILTERS__FOLDER": str(folder),
        "CANDLEWAX__LOG__FORMAT": "json",
        "CANDLEWAX_OUTPUT": msgspec.json.encode(output).decode(),
    }


def second_flow(first: FlowRun) -> FlowRun:
    """Start a flow on the state folder of one that runs, and wait for its end."""
    told = first.home / "run.json"
    poll(told.exists, within_s=STARTS_WITHIN_S, said="the embedded parts")
    place = first.home.with_name("second")
    with FlowRun("flows.crypto", place, environ={"CANDLEWAX_HOME": str(first.home)}) as second:
        second.wait()
    return second


def run_both(homes: Path, alone_database: str, cluster_database: str, is_quiet: Event) -> Both:
    """Run both flows and end them by SIGTERM; `alone` without an address brings its own database.

    They run until the scripted dips have alerted, and `QUIET_S` after all other tests are done.
    """
    shipped = ROOT / "filters" / "specs"
    folder = homes / "specs"
    folder.mkdir()
    for file in shipped.glob("*.yaml"):
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "often.yaml").write_text(OFTEN)
    (folder / "paper.yaml").write_text(PAPER)
    home, cluster_home = homes / "alone", homes / "cluster"
    recovery = recovery_flags(homes / "recovery")
    with ExitStack() as stack:

        def start_cluster() -> FlowRun:
            variables = {
                **environ(CLUSTER_SYMBOLS, shipped, cluster_home),
                "DATABASE_URL": cluster_database,
            }
            return stack.enter_context(
                FlowRun(
                    "flows.crypto",
                    cluster_home,
                    environ=variables,
                    arguments=recovery,
                    processes=2,
                )
            )

        variables = environ((*FAST, SILENT), folder, home)
        if alone_database:
            variables["DATABASE_URL"] = alone_database
        alone = stack.enter_context(FlowRun("flows.crypto", home, environ=variables))
        lags = stack.enter_context(Lags(home / "out.jsonl"))
        first = start_cluster()
        poll(
            lambda: len(first.statuses) == 2 and all(one.bars > 6 for one in first.statuses),
            within_s=STARTS_WITHIN_S,
            said="bars of both processes",
        )
        earlier = Ended(first, first.end())
        cluster_lags = Lags(cluster_home / "out.jsonl")
        cluster_from = time.time_ns()
        cluster = start_cluster()
        deadline = time.monotonic() + DIPS_WITHIN_S
        quiet_from = 0
        second = second_flow(alone)
        dips = 0
        while dips < 4 or not quiet_from or time.time_ns() < quiet_from + QUIET_S * 10**9:
            assert alone.is_alive(), alone.words
            assert cluster.is_alive(), cluster.words
            assert dips == 4 or time.monotonic() < deadline, (
                f"no dips\n{alone.words}{cluster.words}"
            )
            if not quiet_from and is_quiet.is_set():
                quiet_from = time.time_ns()
            cluster_lags.read()
            dips = lags.dips + cluster_lags.dips
            time.sleep(POLL_S)
        stops = [alone.end(), cluster.end()]
        left = running_with(str(homes))
        return Both(
            Ended(alone, stops[0], alone_database),
            Ended(cluster, stops[1], cluster_database).after(earlier),
            second=second,
            lags=lags,
            quiet_from=quiet_from,
            cluster_from=cluster_from,
            left=left,
        )
