"""A mute outlives the database, and the process."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from sinks.alert_facts import AlertFacts
from sinks.kept_mutes import KeptMutes
from sinks.mutes import LONGEST_S, Mute, active_mutes, add_mute, lift_mutes
from sinks.nanoseconds import LATEST_NS
from tests.fakes.outbox_rows import empty

NOW = 1_732_112_220_000_000_000
CHAT = "telegram/main"


@pytest.fixture(scope="module")
def outbox_database(make_whole_database: Callable[[], str]) -> str:
    return make_whole_database()


@pytest.fixture
def connection(outbox_database: str) -> Iterator[psycopg.Connection]:
    empty(outbox_database)
    with psycopg.connect(outbox_database, autocommit=True) as connection:
        yield connection


def facts(spec: str = "dip", symbol: str = "BTC-USDT") -> AlertFacts:
    return AlertFacts(
        key="k", spec=spec, venue="binance", symbol=symbol, interval="1m", severity="critical",
        text="it fell", time=NOW, fired_at=NOW, values={},
    )  # fmt: skip


def mute(
    connection: psycopg.Connection,
    *,
    target: str | None = None,
    spec: str | None = None,
    symbol: str | None = None,
    ends_at: int | None = None,
) -> None:
    wanted = Mute(target=target, spec=spec, symbol=symbol, ends_at=ends_at, created_by="ann")
    add_mute(connection, wanted, now=NOW)


def is_muted(
    kept: KeptMutes, wanted: AlertFacts | None = None, target: str = CHAT, *, now: int = NOW
) -> bool:
    return kept.muting(wanted if wanted is not None else facts(), target, now=now) is not None


@pytest.mark.parametrize(
    ("what", "silenced"),
    [
        ({}, {"dip BTC main", "dip BTC group", "dip ETH main", "rise BTC main"}),
        ({"target": CHAT}, {"dip BTC main", "dip ETH main", "rise BTC main"}),
        ({"spec": "dip"}, {"dip BTC main", "dip BTC group", "dip ETH main"}),
        ({"symbol": "BTC-USDT"}, {"dip BTC main", "dip BTC group", "rise BTC main"}),
        ({"spec": "dip", "symbol": "ETH-USDT", "target": CHAT}, {"dip ETH main"}),
    ],
)
def test_a_mute_silences_what_it_names(
    connection: psycopg.Connection, what: dict[str, str], silenced: set[str]
) -> None:
    mute(connection, **what)  # type: ignore[arg-type]
    kept = KeptMutes()
    kept.refresh(connection, now=NOW)
    found = {
        f"{spec} {coin} {chat}"
        for spec, coin, chat in (
            ("dip", "BTC", "main"), ("dip", "BTC", "group"), ("dip", "ETH", "main"),
            ("rise", "BTC", "main"),
        )
        if is_muted(kept, facts(spec, f"{coin}-USDT"), f"telegram/{chat}")
    }  # fmt: skip
    assert found == silenced


def test_a_snooze_ends_by_itself(connection: psycopg.Connection) -> None:
    mute(connection, spec="dip", ends_at=NOW + 1_000)
    kept = KeptMutes()
    assert not is_muted(kept)
    kept.refresh(connection, now=NOW)
    assert is_muted(kept)
    assert not is_muted(kept, now=NOW + 1_000)


def test_a_mute_is_kept_in_a_file_until_it_is_lifted(
    connection: psycopg.Connection, tmp_path: Path
) -> None:
    file = tmp_path / "home" / "mutes.json"
    mute(connection, spec="dip")
    KeptMutes(file).refresh(connection, now=NOW)
    after = KeptMutes(file)
    assert is_muted(after)
    lift_mutes(connection, target=None)
    after.refresh(connection, now=NOW)
    assert not is_muted(after)
    assert not is_muted(KeptMutes(file))
    assert [path.name for path in file.parent.iterdir()] == ["mutes.json"]


@pytest.mark.parametrize("ends_at", ["9999-12-31 00:00:00+00", "infinity"])
def test_a_mute_whose_end_no_number_holds_is_read_kept_and_lifted(
    connection: psycopg.Connection, tmp_path: Path, ends_at: str
) -> None:
    connection.execute(
        "INSERT INTO alert_mutes (spec, ends_at, created_at, created_by)"
        " VALUES ('dip', %s, now(), 'by hand')",
        (ends_at,),
    )
    file = tmp_path / "mutes.json"
    kept = KeptMutes(file)
    kept.refresh(connection, now=NOW)
    assert is_muted(kept)
    assert is_muted(KeptMutes(file))
    assert [one.ends_at for one in lift_mutes(connection, target=None)] == [LATEST_NS]
    kept.refresh(connection, now=NOW)
    assert not is_muted(kept)


@pytest.mark.parametrize("ends_at", [NOW + 400 * 86_400 * 10**9, 2**63 - 1, 2**70])
def test_a_mute_that_is_too_long_is_stored_as_the_longest(
    connection: psycopg.Connection, ends_at: int
) -> None:
    mute(connection, spec="dip", ends_at=ends_at)
    (stored,) = active_mutes(connection, now=NOW)
    assert stored.ends_at == NOW + LONGEST_S * 10**9


ENDS_AT_1 = b'[{"target":null,"spec":null,"symbol":null,"ends_at":1%s,"created_by":"ann"}]'


@pytest.mark.parametrize("content", [b"", b"nonsense", b'[{"id": "x"}]', ENDS_AT_1 % b"e400"])
def test_a_damaged_file_mutes_nothing_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    file = tmp_path / "mutes.json"
    file.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert not is_muted(KeptMutes(file))
    assert "cannot read what was muted" in caplog.text


def test_a_file_with_a_far_off_end_mutes(tmp_path: Path) -> None:
    file = tmp_path / "mutes.json"
    file.write_bytes(ENDS_AT_1 % (b"0" * 30))
    assert is_muted(KeptMutes(file))


def test_a_folder_that_takes_no_file_is_told_once_and_the_memory_serves(
    connection: psycopg.Connection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "home").write_text("a file")
    mute(connection, spec="dip")
    kept = KeptMutes(tmp_path / "home" / "mutes.json")
    for _ in range(3):
        kept.refresh(connection, now=NOW)
    assert is_muted(kept)
    assert caplog.text.count("cannot keep what is muted") == 1
