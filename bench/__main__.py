"""The benchmark: `make bench`, or `python -m bench [--rounds N] [--no-whole] [--no-file]`.

Every row runs in processes of its own, the rows in turn, round after round, and every process
measures the floor in slices between its own work: a machine that changes its speed changes both.
Two processes are compared with one by the wall time of the same round. Last comes the whole way
from socket to database, once (`bench.whole`). Prints a table and writes
`bench/results/latest.json`.

`--venues [NAME …]` measures instead what the messages of each venue cost (`bench.venues`), and
writes `bench/results/venues.json`. `python -m bench.store` measures what the store takes and gives.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

from bench import venues, whole
from connectors import VENUES
from flows.cluster import free_addresses

RESULTS = Path(__file__).parent / "results" / "latest.json"
TIMEOUT_S = 120
ROWS: dict[str, tuple[int, list[str]]] = {
    "decode": (1, ["decode"]),
    "loop batch=100": (1, ["loop", "100"]),
    "loop batch=500": (1, ["loop", "500"]),
    **{
        f"flow batch={batch} processes=1": (1, ["flow", str(batch), "1", "0"])
        for batch in (1, 10, 100, 500)
    },
    **{
        f"flow batch={batch} processes=2": (2, ["flow", str(batch), "2"])
        for batch in (10, 100, 500)
    },
}
"""Name to processes and arguments of `bench.measure`."""


def together(command: list[str], processes: int) -> list[dict[str, int]]:
    """Run a cluster; nothing comes back when another program took one of its ports meanwhile."""
    addresses = free_addresses(processes)
    running = [
        subprocess.Popen([*command, str(index), *addresses], stdout=subprocess.PIPE)
        for index in range(processes)
    ]
    try:
        outputs = [one.communicate(timeout=TIMEOUT_S)[0] for one in running]
    finally:
        for one in running:
            one.kill()
    told = [last_line(output) for output in outputs if output.strip()]
    return told if len(told) == processes else []


def last_line(output: bytes) -> dict[str, int]:
    """Read what `bench.measure` tells: the engine too talks on standard output, before it."""
    told: dict[str, int] = json.loads(output.splitlines()[-1])
    return told


def measure(name: str) -> dict[str, float]:
    """Run one row once and return its figures, ns for each message."""
    processes, arguments = ROWS[name]
    command = [sys.executable, "-m", "bench.measure", *arguments]
    if processes == 1:
        told = [last_line(subprocess.check_output(command, timeout=TIMEOUT_S))]
    else:
        told = together(command, processes) or together(command, processes)
        if not told:
            raise SystemExit(f"{name}: the processes did not find each other, twice")
    count = sum(one["messages"] for one in told)
    return {
        "cpu": sum(one["cpu"] for one in told) / count,
        "floor": sum(one["floor"] for one in told) / count,
        "wall": max(one["wall"] for one in told) / count,
    }


def machine() -> dict[str, str | int]:
    """Describe the machine, as far as it says."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = lines[0].partition(":")[2].strip() if lines else ""
    return {
        "processor": model or platform.processor(),
        "processors": os.cpu_count() or 0,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def summary(rounds: list[dict[str, dict[str, float]]]) -> list[dict[str, float | str]]:
    """Return medians; ratios are medians of the rounds' own ratios."""
    rows: list[dict[str, float | str]] = []
    ratios = {name: [one[name]["cpu"] / one[name]["floor"] for one in rounds] for name in rounds[0]}
    for name in rounds[0]:
        row: dict[str, float | str] = {
            "name": name,
            "median_ns": round(statistics.median(one[name]["cpu"] for one in rounds), 1),
            "median_wall_ns": round(statistics.median(one[name]["wall"] for one in rounds), 1),
            "median_floor_ns": round(statistics.median(one[name]["floor"] for one in rounds), 1),
            "ratio_to_floor": round(statistics.median(ratios[name]), 3),
        }
        loop = f"loop {name.split()[1]}" if name.startswith("flow") else name
        if loop in ratios and loop != "decode":
            both = zip(ratios[name], ratios[loop], strict=True)
            row["ratio_to_loop"] = round(statistics.median(mine / its for mine, its in both), 3)
        if name.endswith("processes=2"):
            alone = name.replace("processes=2", "processes=1")
            row["speed_against_one_process"] = round(
                statistics.median(one[alone]["wall"] / one[name]["wall"] for one in rounds), 3
            )
        rows.append(row)
    return rows


def measure_venues(names: list[str], *, keeps: bool) -> None:
    """Measure each venue in a process of its own, print the figures, write the file."""
    figures: dict[str, dict[str, venues.Figures]] = {}
    for name in names or sorted(VENUES):
        print(f"\r{name:32}", end="", file=sys.stderr)
        command = [sys.executable, "-m", "bench.venues", name]
        told = subprocess.check_output(command, timeout=TIMEOUT_S)
        figures[name] = json.loads(told.splitlines()[-1])
    print(file=sys.stderr)
    print("\n".join(venues.table(figures)))
    if keeps:
        RESULTS.parent.mkdir(exist_ok=True)
        results = {"machine": machine(), "venues": figures}
        RESULTS.with_name("venues.json").write_text(json.dumps(results, indent=1) + "\n")


def main() -> None:
    """Run the rounds and the whole way, print the figures, write the file."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-whole", action="store_true", help="leave the database out")
    parser.add_argument("--no-file", action="store_true", help="print only")
    parser.add_argument("--venues", nargs="*", metavar="NAME", help="the venues' messages alone")
    options = parser.parse_args()
    if options.venues is not None:
        measure_venues(options.venues, keeps=not options.no_file)
        return
    rounds = []
    for number in range(1, options.rounds + 1):
        figures = {}
        for name in ROWS:
            print(f"\rround {number} of {options.rounds}: {name:32}", end="", file=sys.stderr)
            figures[name] = measure(name)
        rounds.append(figures)
    print(file=sys.stderr)
    rows = summary(rounds)
    heads = ("CPU ns/msg", "wall", "floor", "x floor", "x loop")
    print(f"{'row':30} {heads[0]:>10} {heads[1]:>8} {heads[2]:>8} {heads[3]:>8} {heads[4]:>7}")
    for row in rows:
        print(
            f"{row['name']:30} {row['median_ns']:10} {row['median_wall_ns']:8}"
            f" {row['median_floor_ns']:8} {row['ratio_to_floor']:8}"
            f" {row.get('ratio_to_loop', ''):7}"
            + "".join(f"  {row[key]} x one process" for key in row if key.startswith("speed"))
        )
    results: dict[str, object] = {"machine": machine(), "rows": rows}
    if not options.no_whole:
        print("the whole way, simulator to database:", flush=True)
        figures_of_all = whole.measure(whole.SECONDS, whole.RATE, whole.SYMBOLS)
        for name, value in figures_of_all.items():
            print(f"  {name:28} {value:>10}")
        results["whole"] = figures_of_all
    if not options.no_file:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
