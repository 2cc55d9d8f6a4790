"""What was asked for is remembered, by instrument and database."""

import tempfile
from pathlib import Path

import psycopg
from hypothesis import given
from hypothesis import strategies as st

from flows.backfill_ledger import BackfillLedger, identity

RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=12)


@given(RANGES, st.integers(0, 40), st.integers(0, 40))
def test_what_is_missing_is_what_no_range_holds(
    ranges: list[tuple[int, int]], start: int, end: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = BackfillLedger(Path(folder), "here", "htx:BTC-USDT")
        for begins, ends in ranges:
            ledger.add(begins, ends)
        held = {moment for begins, ends in ranges for moment in range(begins, ends)}
        for each in (ledger, BackfillLedger(Path(folder), "here", "htx:BTC-USDT")):
            found = each.missing(start, end)
            told = [moment for begins, ends in found for moment in range(begins, ends)]
            assert told == [moment for moment in range(start, end) if moment not in held]
            assert all(begins < ends for begins, ends in found)


def test_other_instruments_and_databases_have_ledgers_of_their_own(tmp_path: Path) -> None:
    BackfillLedger(tmp_path, "here", "htx:BTC-USDT").add(0, 10)
    assert BackfillLedger(tmp_path, "here", "htx:BTC-USDT").missing(0, 12) == [(10, 12)]
    assert BackfillLedger(tmp_path, "there", "htx:BTC-USDT").missing(0, 12) == [(0, 12)]
    assert BackfillLedger(tmp_path, "here", "htx:ETH-USDT").missing(0, 12) == [(0, 12)]


def test_a_ledger_that_cannot_be_read_is_empty(tmp_path: Path) -> None:
    BackfillLedger(tmp_path, "here", "htx:BTC-USDT").add(0, 10)
    file = next(tmp_path.iterdir())
    file.write_text("{")
    assert BackfillLedger(tmp_path, "here", "htx:BTC-USDT").missing(0, 12) == [(0, 12)]


def test_a_database_is_known_again_and_told_from_others(database: str, fresh_database: str) -> None:
    with psycopg.connect(database) as one, psycopg.connect(fresh_database) as other:
        assert identity(one) == identity(one)
        assert identity(one) != identity(other)
