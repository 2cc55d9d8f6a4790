"""Which user of the system the embedded server runs as.

PostgreSQL refuses to run as root. No user is ever made for it: when we are root it runs as the
owner of its data folder, and a new folder goes to `postgres` or `nobody`.
"""

import contextlib
import os
import pwd
import sys
from pathlib import Path

import msgspec

from market.errors import ConfigError

NAMES = ("postgres", "nobody")


class Account(msgspec.Struct, frozen=True):
    """A user of the system."""

    name: str
    uid: int
    gid: int


def choose(data: Path) -> Account | None:
    """Return the user to run a server on `data` as; None for our own.

    Args:
        data: the data folder, which need not exist.

    Raises:
        ConfigError: the folder is another user's, or we are root and there is nobody else.
    """
    facts = data.stat() if data.exists() else None
    if os.geteuid() != 0:
        if facts is not None and facts.st_uid != os.geteuid():
            raise ConfigError(
                f"the embedded database in {data} belongs to user id {facts.st_uid} and we are "
                f"{os.geteuid()}: run as that user (as root, if root made it), or set "
                "CANDLEWAX_HOME to a folder of your own"
            )
        return None
    if sys.platform != "linux":
        raise ConfigError(
            "the embedded PostgreSQL does not run as root here: run as another user, or set "
            "DATABASE_URL to a running server"
        )
    if facts is not None and facts.st_uid != 0:
        return Account(_name(facts.st_uid), facts.st_uid, facts.st_gid)
    for name in NAMES:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise ConfigError(
        "PostgreSQL does not run as root, and this system has neither a user postgres nor nobody "
        "to run it as: run as another user, or set DATABASE_URL to a running server"
    )


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
