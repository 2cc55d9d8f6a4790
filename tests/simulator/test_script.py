from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigError
from simulator.script import Move, load_script, read_script
from simulator.script_file import find_script

SECOND = 1_000_000_000
DIP = "{symbol: BTC-USDT, at: 20s, kind: dip, depth: 2%, fall: 4s, hold: 2s, recover: 6s}"


def read(move: str) -> Move:
    return read_script(f"moves:\n  - {move}\n", "moves.yaml").moves[0]


@pytest.mark.parametrize(
    ("second", "offset"),
    [(0, 0.0), (20, 0.0), (22, -0.01), (24, -0.02), (26, -0.02), (29, -0.01), (32, 0.0), (99, 0.0)],
)
def test_a_dip_falls_holds_and_recovers_once(second: int, offset: float) -> None:
    assert read(DIP).offset(second * SECOND) == pytest.approx(offset)


def test_a_rally_goes_up() -> None:
    assert read(DIP.replace("dip", "rally")).offset(24 * SECOND) == pytest.approx(0.02)


@given(st.integers(20 * SECOND + 1, 80 * SECOND), st.integers(1, 5))
def test_a_repeated_move_is_the_same_each_time(elapsed: int, times: int) -> None:
    move = read(DIP.replace("}", ", repeat: 60s}"))
    assert move.offset(elapsed + times * 60 * SECOND) == move.offset(elapsed)


@given(st.integers(0, 200 * SECOND))
def test_a_move_never_goes_deeper_than_it_says(elapsed: int) -> None:
    assert -0.02 <= read(DIP).offset(elapsed) <= 0.0


@pytest.mark.parametrize(
    ("move", "says"),
    [
        (DIP.replace("20s", "soon"), r"moves\[0\]: 'soon' is no duration"),
        (DIP.replace("2%", "2x"), r"moves\[0\]: '2x' is no share"),
        (DIP.replace("2%", "90%"), "at most 50%"),
        (DIP.replace("dip", "crash"), r"crash.*\$\.moves\[0\]\.kind"),
        (DIP.replace("BTC-USDT", "BTC-USDX"), "did you mean"),
        (DIP.replace("}", ", speed: 2}"), "speed"),
        (DIP.replace("}", ", repeat: 5s}"), "shorter than the move"),
        ("{symbol: BTC-USDT}", "missing required field"),
    ],
)
def test_a_wrong_move_is_told_with_file_place_and_advice(move: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        read(move)
    assert str(error.value).startswith("moves.yaml: ")
    assert "docs/simulator.md" in str(error.value)


def test_the_shipped_demo_moves_two_symbols_once() -> None:
    script = load_script("demo")
    assert [(move.symbol, move.at // SECOND, move.repeat) for move in script.moves] == [
        ("BTC-USDT", 20, 0),
        ("ETH-USDT", 25, 0),
    ]
    assert script.of("ETH-BTC") == ()


def test_a_missing_script_names_the_shipped_ones() -> None:
    with pytest.raises(ConfigError, match="demo"):
        find_script("nowhere.yaml")


def test_a_file_is_read_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"moves: [{DIP}]")
    assert len(load_script(str(path)).moves) == 1
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_script(str(path))
