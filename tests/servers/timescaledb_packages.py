"""Unpack a real TimescaleDB for tests: `make timescaledb`.

It is Debian 13's package `postgresql-17-timescaledb`, the Apache edition, with all that it needs
down to the C library, in `.cache/timescaledb/root`. The packages of this system are neither used
nor changed: apt works with lists and a package state of its own, and nothing is installed, only
unpacked. The mirror is the one that this system's apt uses.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from market.errors import ConfigError

FOLDER = Path(__file__).parents[2] / ".cache" / "timescaledb"
ROOT = FOLDER / "root"
SUITE = "trixie"
PACKAGES = ("postgresql-17-timescaledb", "libc-bin", "dash", "base-files")
PROGRAMS = Path("usr/lib/postgresql/17/bin")
LIBRARY = "usr/lib/postgresql/17/lib/timescaledb.so"
TOOLS = ("apt-get", "dpkg-deb")
LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
DOCUMENTS = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/include")


def is_there() -> bool:
    """Tell whether it has been unpacked, whole."""
    return (ROOT / LIBRARY).exists() and (ROOT / PROGRAMS / "postgres").exists()


def obstacle() -> str:
    """Return why it cannot be unpacked or run here; empty when it can."""
    if sys.platform != "linux":
        return "it runs on Linux only"
    if os.geteuid() != 0:
        return "it runs in a chroot, which only root may enter"
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} not found: it is unpacked from Debian's packages"
    return ""


def lack() -> str:
    """Return why there is none to run here; empty when there is."""
    reason = obstacle()
    if reason:
        return f"no TimescaleDB: {reason}"
    return "" if is_there() else "no TimescaleDB: run `make timescaledb` first"


def unpack() -> None:
    """Download and unpack everything, whole or not at all.

    Raises:
        ConfigError: no mirror is known, or a program failed.
    """
    state = FOLDER / "apt"
    shutil.rmtree(FOLDER, ignore_errors=True)
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True)
    (state / "status").touch()
    print(f"downloading {PACKAGES[0]} of {SUITE} and what it needs", flush=True)
    _find(state, _mirrors())
    _run([*_apt(state), "install", "--download-only", "--yes", *PACKAGES])
    fresh = FOLDER / "root.new"
    fresh.mkdir(mode=0o755)
    for name, target in LINKS.items():
        (fresh / target).mkdir(parents=True, exist_ok=True)
        (fresh / name).symlink_to(target)
    archives = sorted((state / "archives").glob("*.deb"))
    print(f"unpacking {len(archives)} packages", flush=True)
    for archive in archives:
        _run(["dpkg-deb", "--extract", str(archive), str(fresh)])
    for folder in DOCUMENTS:
        shutil.rmtree(fresh / folder, ignore_errors=True)
    shutil.rmtree(state)
    fresh.rename(ROOT)
    if not is_there():
        raise ConfigError(f"{SUITE} of this mirror has no {LIBRARY} in {PACKAGES[0]}")


def _find(state: Path, mirrors: list[str]) -> None:
    """Read the list of packages from the first mirror that has it."""
    signed = f"[signed-by={KEYS}] " if KEYS.exists() else ""
    for place, mirror in enumerate(mirrors, 1):
        (state / "sources.list").write_text(f"deb {signed}{mirror} {SUITE} main\n")
        try:
            _run([*_apt(state), "update", "--error-on=any"])
        except ConfigError:
            if place == len(mirrors):
                raise
        else:
            return


def _mirrors() -> list[str]:
    """Return the addresses that this system's apt has for its own suite, the likeliest first."""
    codename = _codename()
    # Unlike the files that apt has fetched, what it would fetch is known on a fresh system too.
    told = _run(["apt-get", "update", "--print-uris"])
    suites = re.findall(r"^'(\S+?)/+dists/(\S+)/InRelease'", told, re.MULTILINE)
    found = {address for address, suite in suites if suite == codename}
    # Other makers' archives use Debian's names of suites, but have no updates of them.
    updated = {address for address, suite in suites if suite == f"{codename}-updates"}
    if not found:
        raise ConfigError(f"apt's sources name no mirror of Debian's {codename}")
    return sorted(found, key=lambda address: (address not in updated, address))


def _codename() -> str:
    words = dict(_words(Path("/etc/os-release")))
    if words.get("ID") != "debian":
        raise ConfigError(f"this is {words.get('ID', 'no Debian')}: its mirror has no {SUITE}")
    return words.get("VERSION_CODENAME", "")


def _words(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text().splitlines():
        name, _, text = line.partition("=")
        yield name, text.strip('"')


def _apt(state: Path) -> list[str]:
    options = {
        "Dir::State": state,
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state,
        "Dir::Cache::Archives": state / "archives",
        "Dir::Etc::SourceList": state / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "Dir::Etc::Preferences": "-",
        "Dir::Etc::PreferencesParts": "-",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Retries": "3",
        "Acquire::Languages": "none",
    }
    return ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]


def _run(command: list[str]) -> str:
    done = subprocess.run(
        command,
        env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout


def main(arguments: list[str]) -> int:
    """Unpack it unless it is there; a lack of root or apt is told and no failure.

    With `--check` only say what is lacking, and then fail.
    """
    if arguments == ["--check"]:
        if lack():
            print(f"error: {lack()}", file=sys.stderr)
        return 2 if lack() else 0
    if is_there():
        print(f"TimescaleDB is in {os.path.relpath(ROOT)}")
        return 0
    reason = obstacle()
    if reason:
        print(f"TimescaleDB for tests: SKIPPED, {reason}")
        return 0
    try:
        unpack()
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    size = sum(path.lstat().st_size for path in ROOT.rglob("*") if path.is_file())
    print(f"TimescaleDB is in {os.path.relpath(ROOT)}, {size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
