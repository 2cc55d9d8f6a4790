"""`candlewax filters add`, `remove`, `enable`, `disable`: changes of the two homes of specs."""

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.options import Config

if TYPE_CHECKING:
    from filters.spec_reader import Reading
    from flows.configuration import Configuration
    from flows.spec_desk import SpecDesk
    from sinks.secret import Secret


def add(
    line: Annotated[str, Parameter(help="Symbol and condition, 'BTC-USDT close > 70000'.")],
    /,
    *,
    once: Annotated[bool, Parameter(help="Fire one time only.", negative=())] = False,
    for_: Annotated[
        str, Parameter(name="--for", help="How long it must hold: '3 bars', or 90s.")
    ] = "",
    cooldown: Annotated[str, Parameter(help="Silence after it has fired: 15m.")] = "",
    interval: Annotated[str, Parameter(help="Of the bars that it looks at; 1m.")] = "",
    id: Annotated[str, Parameter(help="Its name; else one is made of the line.")] = "",  # noqa: A002
    severity: Annotated[str, Parameter(help="info, warning or critical.")] = "",
    to: Annotated[
        tuple[str, ...], Parameter(help="Whom to tell, as telegram/main.", negative=())
    ] = (),
    file: Annotated[str, Parameter(help="A file of the specs folder, not the database.")] = "",
    config: Config = None,
) -> int:
    """Add a filter of one line; a flow that runs takes it up at once.

    Prints it as YAML, as a spec file has it.
    """
    from filters.one_line import Wishes
    from filters.specs import describe

    wishes = Wishes(
        ident=id,
        interval=interval,
        hold=for_,
        cooldown=cooldown,
        severity=severity,
        to=to,
        once=once,
    )
    with _desk(config, "filters add", needs_database=not file) as desk:
        added = desk.add(line, wishes, by=getpass.getuser(), file=file)
    print(added.text, end="")
    for note in added.notes:
        print(f"warning: {note}", file=sys.stderr)
    print(f"added to {added.place}\n{describe(added.spec)}", file=sys.stderr)
    return 0


def remove(ident: str, /, *, config: Config = None) -> int:
    """Remove a filter of the database, or of a file in which it stands alone.

    Parameters
    ----------
    ident
        Its id.
    """
    with _desk(config, "filters remove") as desk:
        print(f"removed {desk.remove(ident)}")
    return 0


def enable(ident: str, /, *, config: Config = None) -> int:
    """Put a filter in force.

    Parameters
    ----------
    ident
        Its id.
    """
    with _desk(config, "filters enable") as desk:
        print(f"{ident} is in force, in {desk.switch(ident, is_enabled=True)}")
    return 0


def disable(ident: str, /, *, config: Config = None) -> int:
    """Put a filter out of force, and keep it.

    Parameters
    ----------
    ident
        Its id.
    """
    with _desk(config, "filters disable") as desk:
        print(f"{ident} is switched off, in {desk.switch(ident, is_enabled=False)}")
    return 0


@contextmanager
def database_of(
    told: "Configuration", command: str, *, needs_database: bool = False
) -> "Iterator[Secret | None]":
    """Return the address of the database; None where there has never been one here.

    Args:
        told: the configuration.
        command: how to name this process to people, without `candlewax`.
        needs_database: make the embedded one, and the tables, when there is none.
    """
    from flows.embedded import Embedded
    from flows.home import Home

    home = Home.of(os.environ)
    if told.database_url is None and not home.pg.exists() and not needs_database:
        yield None
        return
    store = Embedded.attach(told, home, command=f"candlewax {command}", migrate=needs_database)
    try:
        yield store.database_url
    finally:
        store.stop()


def read_both(told: "Configuration") -> "tuple[Reading, bool]":
    """Return all specs of both homes; of the files alone where there is no database.

    Also whether it is known which symbols are followed: a flow has told the database.

    Raises:
        ConfigError: something is wrong in them.
    """
    import msgspec

    from flows.spec_homes import KNOWN, SpecHomes
    from sinks.stored_specs import StoredSpecs, followed_symbols

    with database_of(told, "filters list") as dsn:
        store = None if dsn is None else StoredSpecs(dsn)
        followed = frozenset(() if dsn is None else followed_symbols(dsn))
        known = msgspec.structs.replace(KNOWN, followed=followed or None)
        return SpecHomes(told.specs_folder, store, known=known).read(), bool(followed)


@contextmanager
def _desk(
    config: Path | None, command: str, *, needs_database: bool = False
) -> "Iterator[SpecDesk]":
    from flows import configuration
    from flows.routing import Routes
    from flows.spec_desk import SpecDesk
    from flows.spec_homes import SpecHomes
    from sinks.stored_specs import StoredSpecs, followed_symbols

    told = configuration.load(config, os.environ)
    routes = Routes(told)
    with database_of(told, command, needs_database=needs_database) as dsn:
        homes = SpecHomes(told.specs_folder, None if dsn is None else StoredSpecs(dsn))
        yield SpecDesk(
            homes,
            check=routes.check,
            symbols=lambda: () if dsn is None else followed_symbols(dsn),
        )
