"""`candlewax config`: what is set, and where it comes from."""

import os

import msgspec
from cyclopts import App

from cli.options import Config

app = App(name="config", help="Show the configuration.")


@app.command
def show(*, config: Config = None, json: bool = False) -> int:
    """Show every setting with its value and its source; secrets as ***."""
    from connectors import VENUES
    from flows.configuration import DATABASE_URL, load
    from flows.home import Home
    from sinks.target_names import BOT_TOKEN, SMTP_PASSWORD, WEBHOOK_SECRET

    told = load(config, os.environ)
    rows = [
        (key, msgspec.json.encode(value).decode(), told.sources.get(key, "default"))
        for key, value in _flat(msgspec.to_builtins(told.settings))
    ]
    keys = {
        name: told.keys[venue]
        for venue in told.keys
        for name in VENUES[venue].key_names
        if os.environ.get(name) or os.environ.get(f"{name}_FILE")
    }
    secrets = {
        DATABASE_URL: told.database_url,
        BOT_TOKEN: told.bot_token,
        SMTP_PASSWORD: told.smtp_password,
        WEBHOOK_SECRET: told.webhook_secret,
        **keys,
    }
    for name, secret in secrets.items():
        source = f"{name}_FILE" if os.environ.get(f"{name}_FILE") else name
        rows.append((name, "not set" if secret is None else str(secret), source if secret else ""))
    if json:
        shown = {key: {"value": value, "source": source} for key, value, source in rows}
        print(msgspec.json.encode(shown).decode())
        return 0
    print(f"file   {told.file or 'none'}")
    print(f"home   {Home.of(os.environ).path}")
    print(f"specs  {told.specs_folder}")
    print()
    wide_key = max(len(key) for key, _, _ in rows)
    wide_value = min(40, max(len(value) for _, value, _ in rows))
    for key, value, source in rows:
        print(f"{key:{wide_key}}  {value:{wide_value}}  {source}".rstrip())
    return 0


def _flat(table: dict[str, object], path: tuple[str, ...] = ()) -> list[tuple[str, object]]:
    rows: list[tuple[str, object]] = []
    for key, value in table.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, (*path, key))
        else:
            rows.append((".".join((*path, key)), value))
    return rows
