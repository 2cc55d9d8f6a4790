from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigError
from simulator.script import Move, Wall, load_script, read_script
from simulator.script_file import find_script

SECOND = 1_000_000_000
DIP = "{symbol: BTC-USDT, at: 20s, kind: dip, depth: 2%, fall: 4s, hold: 2s, recover: 6s}"

WALL = "{symbol: btcusdt, side: ask, bps: 12.5, size: 80, from: 5s, until: 7s, repeat: 7s}"


def read(move: str) -> Move:
    return read_script(f"moves:\n  - {move}\n", "moves.yaml").moves[0]


def read_wall(wall: str) -> Wall:
    return read_script(f"walls:\n  - {wall}\n", "walls.yaml").walls[0]


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
        ("BTC-USDT", 12, 0),
        ("ETH-USDT", 17, 0),
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


def test_a_wall_is_read_as_it_is_written() -> None:
    assert read_wall(WALL) == Wall(
        symbol="BTC-USDT",
        is_bid=False,
        bps=12.5,
        size=80.0,
        at=5 * SECOND,
        length=2 * SECOND,
        repeat=7 * SECOND,
    )
    assert read_wall(WALL.replace("repeat: 7s", "end: traded")).is_traded


@pytest.mark.parametrize(
    ("wall", "says"),
    [
        (WALL.replace("12.5", "1001"), r"walls\[0\]: bps 1001 must be from 0 to 1000"),
        (WALL.replace("12.5", "-1"), "bps -1 must be"),
        (WALL.replace("80", "0"), "size 0 must be above 0"),
        (WALL.replace("80", ".nan"), "size nan must be"),
        (WALL.replace("7s,", "5s,"), "until '5s' must be later than from '5s'"),
        (WALL.replace("repeat: 7s", "repeat: 2s"), "repeat '2s' must be longer"),
        (WALL.replace("ask", "sell"), r"sell.*\$\.walls\[0\]\.side"),
        (WALL.replace("}", ", end: gone}"), r"gone.*\$\.walls\[0\]\.end"),
        (WALL.replace("btcusdt", "BTC-USDX"), "did you mean"),
        ("{symbol: BTC-USDT}", "missing required field"),
    ],
)
def test_a_wrong_wall_is_told_with_file_place_and_advice(wall: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        read_wall(wall)
    assert str(error.value).startswith("walls.yaml: ")
    assert "docs/simulator.md" in str(error.value)


def test_a_script_may_hold_moves_and_walls() -> None:
    script = read_script(f"moves: [{DIP}]\nwalls: [{WALL}]\nfaults: []", "both.yaml")
    assert len(script.moves) == len(script.walls) == 1
    assert script.walls_of("ETH-BTC") == ()
    with pytest.raises(ConfigError, match="it holds moves, walls, faults"):
        read_script("wals: []", "both.yaml")
