"""`candlewax db`: the tables and the server they live in."""

import os

import msgspec
from cyclopts import App

from cli.options import Config

app = App(name="db", help="Look after the database.")

TABLES = ("instruments", "trades", "book_tops", "bars", "features", "alerts", "outbox", "gaps")


@app.command
def upgrade(*, config: Config = None) -> int:
    """Bring the tables up to date and use what the server can do."""
    from flows import configuration
    from flows.embedded import Embedded
    from flows.home import Home
    from migrations.upgrade import current

    told = configuration.load(config, os.environ)
    store = Embedded.attach(told, Home.of(os.environ), command="candlewax db upgrade", migrate=True)
    try:
        print(f"schema version {current(store.database_url.reveal())}")
        if store.report is not None:
            for step in store.report.steps:
                print(f"{'on ' if step.is_done else 'off'}  {step.what}: {step.reason}")
    finally:
        store.stop()
    return 0


@app.command
def status(*, config: Config = None, json: bool = False) -> int:
    """Say which server this is, what is on and off there, and how many rows there are.

    The embedded PostgreSQL is started for the question when nothing else runs it.
    """
    from flows import configuration
    from flows.embedded import Embedded
    from flows.home import Home
    from migrations.storage import inspect
    from migrations.upgrade import current, newest

    told = configuration.load(config, os.environ)
    store = Embedded.attach(told, Home.of(os.environ), command="candlewax db status", migrate=False)
    try:
        address = store.database_url.reveal()
        report = inspect(address)
        version = current(address)
        rows = _rows(address)
    finally:
        store.stop()
    facts: dict[str, object] = {
        "server": str(report.kind),
        "server_version": report.server_version,
        "timescaledb_version": report.timescaledb_version,
        "embedded": told.database_url is None,
        "schema_version": version,
        "schema_newest": newest(),
        "rows": rows,
    }
    if json:
        print(msgspec.json.encode(facts).decode())
        return 0
    kind = "embedded " if told.database_url is None else ""
    print(f"server          {kind}{report.kind} {report.server_version}")
    print(f"TimescaleDB     {report.timescaledb_version or 'not there: plain tables'}")
    behind = "" if version == newest() else f", newest {newest()}: `candlewax db upgrade`"
    print(f"schema version  {version or 'none'}{behind}")
    for step in report.steps:
        print(f"{'on ' if step.is_done else 'off'}  {step.what}: {step.reason}")
    for table, count in rows.items():
        print(f"{count:>12,}  {table}")
    return 0


def _rows(address: str) -> dict[str, int]:
    from migrations.upgrade import connect

    counts: dict[str, int] = {}
    with connect(address) as connection:
        for table in TABLES:
            known = connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()
            if known is None or known[0] is None:
                continue
            row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            counts[table] = row[0] if row is not None else 0
    return counts
