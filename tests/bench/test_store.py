"""The benchmark of the store measures what it says, on a real server."""

from collections.abc import Callable

import psycopg
import pytest

from bench import store


def test_each_way_writes_the_same_rows_and_what_people_ask_is_answered(
    fresh_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = {"SLICE": 600, "FEWER": 200, "BATCH": 100, "LOADED": 1000, "TOPS": 500, "ALERTS": 3000}
    for name, value in sizes.items():
        monkeypatch.setattr(store, name, value)
    told = store.measure(fresh_database, 1)
    rates = told["rates"]
    assert isinstance(rates, list)
    assert [row["name"] for row in rates] == [
        "copy", "sink", "sink, known rows", "sink from events", "executemany",
    ]  # fmt: skip
    assert all(row["rows_per_s"] > 0 for row in rates)
    assert rates[0]["ratio_to_copy"] == 1.0
    answers = told["answers"]
    assert isinstance(answers, list)
    rows = {answer["name"]: answer["rows"] for answer in answers}
    today = rows.pop("alerts_today")
    assert rows == {
        "a day's chart": 1440,
        "latest_bars": 3 * store.SYMBOLS,
        "latest_book": store.SYMBOLS,
        "signals of a spec": 150,
        "a day of bars_5m": 288,
        "a day of bars_15m": 96,
        "a day of bars_1h": 24,
    }
    assert 1 <= today <= 101
    sizes_told = told["sizes"]
    assert isinstance(sizes_told, list)
    counts = {size["name"]: size["rows"] for size in sizes_told}
    assert (counts["trades"], counts["book_tops"]) == (1000, 500)
    store.show(told)
    assert "a day's chart" in capsys.readouterr().out


def test_plain_rows_and_the_sink_make_the_same_table(fresh_database: str) -> None:
    trades = store.make_trades(200)
    floor, sink = store.Floor(fresh_database), store.Sink(fresh_database)
    ways: list[Callable[[], None]] = [
        lambda: floor.write([store.plain_rows(trades)]),
        lambda: floor.execute([store.plain_rows(trades)]),
        lambda: sink.write([store.packed(trades)]),
    ]
    found = []
    for write in ways:
        with psycopg.connect(fresh_database, autocommit=True) as connection:
            connection.execute("TRUNCATE trades")
            write()
            found.append(connection.execute("SELECT * FROM trades ORDER BY 1, 2, 3, 4").fetchall())
    floor.close()
    sink.close()
    assert len(found[0]) == 200
    assert found[0] == found[1] == found[2]
