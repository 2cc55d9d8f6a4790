import pytest

from bench.__main__ import ROWS, last_line, summary
from bench.whole import surroundings


def test_ratios_are_taken_within_a_round() -> None:
    two = "flow batch=500 processes=2"
    rounds = []
    for slowness in (1.0, 10.0, 3.0):
        usual = {"cpu": 4.0 * slowness, "wall": 4.0 * slowness, "floor": 1.0 * slowness}
        figures = {name: dict(usual) for name in ROWS}
        figures["loop batch=500"]["cpu"] = 2.0 * slowness
        figures[two]["wall"] = 2.5 * slowness
        rounds.append(figures)
    rows = {row["name"]: row for row in summary(rounds)}
    assert list(rows) == list(ROWS)
    assert rows[two]["median_ns"] == 12.0
    assert rows[two]["ratio_to_floor"] == 4.0
    assert rows[two]["ratio_to_loop"] == 2.0
    assert rows["flow batch=100 processes=1"]["ratio_to_loop"] == 1.0
    assert "ratio_to_loop" not in rows["flow batch=1 processes=1"], "no loop takes one at a time"
    assert "ratio_to_loop" not in rows["decode"]
    assert rows[two]["speed_against_one_process"] == 1.6


def test_figures_are_read_from_the_last_line_alone() -> None:
    assert last_line(b'the engine talks\n{"cpu": 7}\n') == {"cpu": 7}


def test_the_whole_way_never_leads_to_a_real_database(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "TELEGRAM_BOT_TOKEN_FILE", "CANDLEWAX__LOG__LEVEL"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("KEPT", "x")
    told = surroundings()
    assert told["KEPT"] == "x"
    assert not [name for name in told if name.startswith(("DATABASE", "TELEGRAM", "CANDLEWAX"))]
