"""Bars in a CSV file: what is read, and what is told when it cannot be."""

from pathlib import Path

import pytest

from cli.bars_file import read_bars
from market.errors import ConfigError

HEAD = "time,open,high,low,close,volume\n"
GOOD = HEAD + "60,1,2,0.5,1.5,3\n120,1.5,2,1,1,0\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "bars.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_may_stand_in_any_order_and_others_are_passed_over(tmp_path: Path) -> None:
    text = "\ufeffVolume, note,Close,Low,High,Open,Time\n3,x,1.5,0.5,2,1,60\n\n0,y,1,1,2,1.5,120\n"
    file = read_bars(written(tmp_path, text))
    plain = read_bars(written(tmp_path, GOOD))
    assert [row.bar for row in file.rows] == [row.bar for row in plain.rows]
    assert [row.line for row in file.rows] == [2, 4]
    first = file.rows[0].bar
    assert (first.start, first.end, first.interval) == (60_000_000_000, 120_000_000_000, "1m")
    assert (first.open, first.high, first.low, first.close, first.volume) == (1, 2, 0.5, 1.5, 3)
    assert first.notional == pytest.approx(3 * (2 + 0.5 + 1.5) / 3)


def test_what_a_file_has_besides_is_read(tmp_path: Path) -> None:
    text = HEAD[:-1] + ",buy_volume,notional,count\n60,1,2,0.5,1.5,3,2.5,4,7\n"
    file = read_bars(written(tmp_path, text))
    bar = file.rows[0].bar
    assert (bar.buy_volume, bar.notional, bar.count) == (2.5, 4.0, 7)
    assert {"buy_volume", "notional", "count"} <= file.columns


@pytest.mark.parametrize(
    ("times", "starts", "interval"),
    [
        (["0", "86400"], [0, 86_400], "1d"),
        (["1700000000", "1700000300", "1700000900"], [1700000000, 1700000300, 1700000900], "5m"),
        (["1700000000.5", "1700000001.5"], [1700000000.5, 1700000001.5], "1s"),
        (["2026-11-20T08:00:00Z", "2026-11-20T12:00"], [1795161600, 1795176000], "4h"),
        (["2026-11-20", "2026-11-21T02:00:00+02:00"], [1795132800, 1795219200], "1d"),
        (["90", "180"], [90, 180], "90s"),
    ],
)
def test_times_are_epoch_seconds_or_iso_and_tell_the_interval(
    times: list[str], starts: list[float], interval: str, tmp_path: Path
) -> None:
    text = HEAD + "".join(f"{time},1,2,0.5,1.5,3\n" for time in times)
    rows = read_bars(written(tmp_path, text)).rows
    assert [row.time for row in rows] == times
    assert [row.bar.start for row in rows] == [int(start * 1e9) for start in starts]
    assert {row.bar.interval for row in rows} == {interval}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "bars.csv:1: nothing there: the first line must name time, open"),
        ("\n60,1,2,1,1,3\n", "bars.csv:1: nothing there: the first line must name time, open"),
        (GOOD.replace(",", ";"), "bars.csv:1: ';' stands between the columns, not a comma"),
        (GOOD.replace(",", "\t"), "bars.csv:1: '\\t' stands between the columns, not a comma"),
        ("date,open,high,low,close,volume\n", "bars.csv:1: no column 'time': the first line must"),
        ("time,open,high,low,close\n", "bars.csv:1: no column 'volume'"),
        ("time,open,high,low,close,volume,Open\n", "bars.csv:1: two columns 'open'"),
        (HEAD + "60,1,2,0.5,1.5\n", "bars.csv:2: 5 values: expected one for every column"),
        (HEAD + "60,1,2,0.5,abc,3\n", "bars.csv:2: close 'abc': expected a number"),
        (HEAD + "60,1,2,0.5,,3\n", "bars.csv:2: close '': expected a number"),
        (HEAD + "60,1,nan,0.5,1,3\n", "bars.csv:2: high 'nan': expected a number"),
        (HEAD + "60,1,inf,0.5,1,3\n", "bars.csv:2: high 'inf': expected a number"),
        (HEAD + "60,1,2,3,1,3\n", "bars.csv:2: high 2 is below low 3"),
        (HEAD + "60,1,2,1,9,3\n", "bars.csv:2: close 9 lies outside low 1 and high 2"),
        (HEAD + "60,-1,2,-1,1,3\n", "bars.csv:2: low -1: expected a price above 0"),
        (HEAD + "60,1,1_000,1,1,3\n", "bars.csv:2: high '1_000': expected a number"),
        (HEAD + "20231114,1,2,1,1,3\n", "a date is written with hyphens, as in 2023-11-14"),
        (HEAD + "60,1,2,1,1,-3\n", "bars.csv:2: volume -3: expected 0 or more"),
        (HEAD + "today,1,2,1,1,3\n", "bars.csv:2: time 'today': expected epoch seconds or ISO"),
        (HEAD + "1700000000000,1,2,1,1,3\n", "time '1700000000000': expected seconds since 1970"),
        (HEAD + "nan,1,2,1,1,3\n", "bars.csv:2: time 'nan': expected seconds since 1970"),
        (HEAD + "-5,1,2,1,1,3\n", "bars.csv:2: time '-5': expected seconds since 1970"),
        (GOOD + "120,1,2,1,1,3\n", "bars.csv:4: time '120' is not after '120'"),
        (GOOD + "90,1,2,1,1,3\n", "bars.csv:4: time '90' is not after '120': expected the oldest"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(text: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_bars(written(tmp_path, text))
    assert expected in str(caught.value)


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_bars(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="is a directory"):
        read_bars(tmp_path)
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a CSV file in UTF-8"):
        read_bars(tmp_path / "x.csv")


def test_a_file_with_no_bar_has_none(tmp_path: Path) -> None:
    assert read_bars(written(tmp_path, HEAD)).rows == []
