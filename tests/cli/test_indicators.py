"""`candlewax indicators`: what is listed, and values against TA-Lib over the same file."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import talib
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cli import indicators
from cli.bars_file import read_bars
from cli.main import main
from indicators.catalogue import KINDS
from indicators.kinds import BarKind
from indicators.names import create_for_bars, every_output, parse, usage
from tests.drawn_examples import examples

ROOT = Path(indicators.__file__).parent.parent
COLUMNS = ("open", "high", "low", "close", "volume")


def walk_file(path: Path, length: int, seed: int = 5) -> dict[str, list[float]]:
    source = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(source.normal(0.0, 0.01, length)))
    opened = np.concatenate(([100.0], close[:-1]))
    columns = {
        "open": opened.tolist(),
        "high": (np.maximum(opened, close) * 1.001).tolist(),
        "low": (np.minimum(opened, close) * 0.999).tolist(),
        "close": close.tolist(),
        "volume": source.exponential(1.0, length).tolist(),
    }
    with path.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["time", *COLUMNS])
        for number in range(length):
            row = (repr(columns[name][number]) for name in COLUMNS)
            writer.writerow([1_700_000_000 + 60 * number, *row])
    return columns


def read(text: str) -> dict[str, list[str]]:
    header, *rows = list(csv.reader(io.StringIO(text)))
    return {name: [row[place] for row in rows] for place, name in enumerate(header)}


def assert_column(told: list[str], theirs: list[float]) -> None:
    for ours, number in zip(told, theirs, strict=True):
        assert ours == "" if np.isnan(number) else float(ours) == pytest.approx(number, rel=1e-12)


def test_values_over_a_file_are_those_of_talib(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = walk_file(tmp_path / "bars.csv", 120)
    names = ["rsi(14)", "ema(20)", "talib.macd(12,26,9)", "talib.adx(14)", "pta.hl2"]
    assert main(["indicators", "compute", *names, "--bars", str(tmp_path / "bars.csv")]) == 0
    told = read(capsys.readouterr().out)
    macd = [f"talib.macd(12,26,9).{each}" for each in ("macd", "macdsignal", "macdhist")]
    assert list(told) == ["time", "rsi(14)", "ema(20)", *macd, "talib.adx(14)", "pta.hl2"]
    assert told["time"] == [str(1_700_000_000 + 60 * number) for number in range(120)]
    arrays = {name: np.array(column) for name, column in columns.items()}
    high, low, close = arrays["high"], arrays["low"], arrays["close"]
    assert_column(told["rsi(14)"], talib.RSI(close, 14).tolist())
    assert_column(told["ema(20)"], talib.EMA(close, 20).tolist())
    for name, column in zip(macd, talib.MACD(close, 12, 26, 9), strict=True):
        assert_column(told[name], column.tolist())
    assert_column(told["talib.adx(14)"], talib.ADX(high, low, close, 14).tolist())
    assert_column(told["pta.hl2"], ((high + low) / 2).tolist())


@given(
    seed=st.integers(0, 1000),
    length=st.integers(1, 60),
    names=st.lists(
        st.sampled_from(["rsi(3)", "ema(5)", "rsi", "talib.macd(3,6,2)", "talib.obv"]),
        min_size=1,
        max_size=4,
    ),
)
@settings(examples(15), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_gives_what_the_stream_gives(
    seed: int, length: int, names: list[str], tmp_path: Path
) -> None:
    path, out = tmp_path / "bars.csv", tmp_path / "out.csv"
    walk_file(path, length, seed)
    out.unlink(missing_ok=True)
    assert main(["indicators", "compute", *names, "--bars", str(path), "--out", str(out)]) == 0
    told = read(out.read_text())
    rows = read_bars(path).rows
    values = list(dict.fromkeys(each for name in names for each in every_output(parse(name))))
    assert list(told) == ["time", *(each.text for each in values)]
    for each in values:
        indicator = create_for_bars(each)
        for row, shown in zip(rows, told[each.text], strict=True):
            indicator.update(row.bar)
            value = indicator.values[each.place]
            assert (float(shown) if shown else None) == value


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["compute", "rsii(14)", "--bars", "b.csv"], "no indicator 'rsii'; did you mean 'rsi'?"),
        (["compute", "talib.adxx", "--bars", "b.csv"], "did you mean 'talib.adx'?"),
        (["compute", "rsi(1)", "--bars", "b.csv"], "rsi: period 1: expected 2 to 100000"),
        (["compute", "book.spread_bps", "--bars", "b.csv"], "computed from the order book"),
        (["compute", "rsi", "--bars", "none.csv"], "none.csv: no such file"),
        (["compute", "rsi", "--bars", "bad.csv"], "bad.csv:3: close 'x': expected a number"),
        (["compute", "rsi", "--bars", "huge.csv"], "huge.csv:2: an indicator got 1e+305"),
        (["compute", "rsi", "--bars", "b.csv", "--out", "b.csv"], "--out b.csv: holds something"),
        (["compute", "rsi", "--bars", "b.csv", "--out", "no/x"], "--out no/x: no such file"),
        (["compute", "rsi"], "--bars"),
        (["compute", "--bars", "b.csv"], "requires an argument"),
        (["list", "rsii"], "no indicator 'rsii'; did you mean 'rsi'?"),
    ],
)
def test_a_mistake_is_told_in_words_with_exit_code_2(
    arguments: list[str],
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    head = "time,open,high,low,close,volume\n"
    Path("b.csv").write_text(head + "0,1,1,1,1,1\n")
    Path("bad.csv").write_text(head + "0,1,1,1,1,1\n60,1,1,1,x,1\n")
    Path("huge.csv").write_text(head + "0,1,1e305,1,1e305,1\n")
    assert main(["indicators", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert expected in told
    assert "Traceback" not in told
    assert Path("b.csv").read_text() == head + "0,1,1,1,1,1\n"


def test_an_indicator_that_reads_what_the_file_has_not_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    head = "time,open,high,low,close,volume"
    path = tmp_path / "b.csv"
    path.write_text(head + "\n0,1,1,1,1,1\n")
    monkeypatch.setattr(indicators, "ASK_FOR", ("close",))
    file = read_bars(path)
    assert "close" in file.columns
    assert main(["indicators", "compute", "ema(2)", "--bars", str(path)]) == 0
    monkeypatch.setattr(indicators, "ASK_FOR", ("buy_volume",))
    bought = BarKind(
        name="bought",
        meaning="x",
        inputs=("buy_volume",),
        outputs=KINDS["ema"].outputs,
        make=lambda: create_for_bars("ema(2)"),
    )
    monkeypatch.setitem(KINDS, "bought", bought)
    assert main(["indicators", "compute", "bought", "--bars", str(path)]) == 2
    assert "b.csv:1: 'bought' reads 'buy_volume': there is no such column" in (
        capsys.readouterr().err
    )
    path.write_text(head + ",buy_volume\n0,1,1,1,1,1,0.25\n")
    parse.cache_clear()
    assert main(["indicators", "compute", "bought", "--bars", str(path)]) == 0
    parse.cache_clear()


def test_every_kind_is_listed_with_the_bars_it_wants(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["indicators", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "reads", "first", "settled", "meaning"]
    for kind in KINDS.values():
        assert any(line.startswith(f"{usage(kind)} ") for line in lines)
    rsi = next(line for line in lines if line.startswith("rsi(14) "))
    assert rsi.split()[:4] == ["rsi(14)", "bar", "15", "202"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rsi", ["rsi(14): first value at bar 15", "period = 14: 2 to 100000", "value: 0 to 100"]),
        ("rsi(21)", ["rsi(21): first value at bar 22"]),
        ("book.imbalance", ["computed from bids, asks", "depth = 10: 1 to 10"]),
        ("talib.macd", ["Moving Average", "fast_period = 12", ".macdsignal"]),
        ("pta.supertrend", [".supertd", "multiplier = 3", "not always there"]),
    ],
)
def test_one_is_told_whole(
    name: str, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["indicators", "list", name]) == 0
    shown = capsys.readouterr().out
    for text in expected:
        assert text in shown


@pytest.mark.parametrize(
    ("library", "expected"),
    [("talib", "macd macdsignal macdhist"), ("pta", "supert supertd supertl superts")],
)
def test_what_a_library_has_is_listed_with_its_values(
    library: str, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["indicators", "list", library]) == 0
    shown = capsys.readouterr().out
    assert expected in shown
    assert len(shown.splitlines()) > 150


def test_it_works_as_a_process_of_its_own_and_loads_no_library_that_is_not_named(
    tmp_path: Path,
) -> None:
    walk_file(tmp_path / "b.csv", 30)
    program = (
        "import sys; from cli.main import main\n"
        f"bars = {str(tmp_path / 'b.csv')!r}\n"
        "code = main(['indicators', 'compute', 'rsi(14)', '--bars', bars])\n"
        "assert not {'talib', 'pandas', 'numpy'} & sys.modules.keys()\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "time,rsi(14)"
    assert len(done.stdout.splitlines()) == 31


def test_a_flow_without_such_names_loads_no_library() -> None:
    program = "import sys, flows.crypto; print({'talib', 'pandas'} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
    )
    assert done.stdout.strip() == "set()"


def test_a_column_without_values_and_a_file_with_holes_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bars.csv"
    walk_file(path, 30)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:5], *lines[8:]]))
    names = ["vwap", "sma(40)", "macd", "divergence(close,1,5)", "sma(3)"]
    assert main(["indicators", "compute", *names, "--bars", str(path)]) == 0
    told = capsys.readouterr().err
    assert "note: vwap has no value before the first bar at 00:00 UTC" in told
    assert "note: sma(40) has no value before bar 40, and there are 27" in told
    assert told.count("macd") == 1, "once for its three values"
    assert "note: macd(12,26,9) has no value before bar 34, and there are 27" in told
    assert ".bars_2: nothing to tell in these 27 bars" in told
    assert "divergence(close,1,5) has no value" not in told
    assert "1 times a bar does not begin where the one before it ends" in told
    assert "sma(3) " not in told
