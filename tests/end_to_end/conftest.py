"""What the end-to-end tests share.

All of them run on one kind of server at a time: the embedded PostgreSQL in `make test`, TimescaleDB
in `make test-timescaledb`; none of them is about the embedded server itself. Where two databases
are compared, one of them is always on the embedded server, so that on TimescaleDB the two kinds
are held against each other.
"""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event

import psycopg
import pytest

from tests.end_to_end.live_scenario import Both, run_both
from tests.fixtures_database import EMBEDDED, Servers, quick_folder, whole_suite_kind

HERE = Path(__file__).parent
LIVE = HERE / "test_live.py"
OLD_TRADE = (
    "INSERT INTO trades VALUES ('old', 'A-B', now() - interval '40 days', '1', 1, 1, 'buy', now())"
)
"""What a flow finds in its database, and does not keep."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests here come first, and those of the live flows last of them.

    The flows run from the first of these tests to the last, and so no longer than they must.
    """
    items.sort(key=lambda item: (HERE not in item.path.parents, item.path == LIVE))


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let `-m timescaledb` select every test here when that is what they run on."""
    if HERE in item.path.parents and whole_suite_kind() != EMBEDDED:
        item.add_marker(pytest.mark.timescaledb)


@pytest.fixture(scope="session")
def server_kind() -> str:
    """Kind of the server that the tests here run on."""
    return whole_suite_kind()


class LiveFlows:
    """Two live flows that run while other tests do."""

    def __init__(self, future: Future[Both], is_quiet: Event) -> None:
        self._future = future
        self._is_quiet = is_quiet

    def end(self) -> Both:
        """Wait for what they still have to do; nothing else runs meanwhile."""
        self._is_quiet.set()
        return self._future.result()


@pytest.fixture(scope="session", autouse=True)
def live_flows(
    request: pytest.FixtureRequest,
    servers: Servers,
    server_kind: str,
) -> Iterator[LiveFlows | None]:
    """Two live flows, started with the first test here when a test asks for them."""
    if not any(item.path.name == "test_live.py" for item in request.session.items):
        yield None
        return
    database = servers.make_whole(server_kind)
    # Without an address a flow has an embedded PostgreSQL of its own.
    alone = "" if server_kind == EMBEDDED else servers.make_whole(server_kind)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(OLD_TRADE)
    is_quiet = Event()
    # On a disk the last checkpoint of their database waits for what all other tests write there.
    with quick_folder() as homes, ThreadPoolExecutor(1, thread_name_prefix="live") as pool:
        running = pool.submit(run_both, Path(homes), alone, database, is_quiet)
        yield LiveFlows(running, is_quiet)
        is_quiet.set()


@pytest.fixture(scope="session")
def captures() -> Path:
    """Folder of captured exchange data; tests of it are skipped without."""
    folder = os.environ.get("CANDLEWAX_CAPTURES")
    if not folder:
        pytest.skip("CANDLEWAX_CAPTURES names no folder of captures")
    return Path(folder)
