"""`candlewax telegram`: connect a bot."""

import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from cli import options
from cli.options import Config
from market.errors import ConfigError

app = App(name="telegram", help="Connect a Telegram bot.")

_CHATS = "[telegram.chats]"
_NAME = re.compile(r"[A-Za-z0-9_-]+")


@app.command
def setup(
    *,
    name: Annotated[str, Parameter(help="Name of the chat, as specs give it.")] = "main",
    wait: Annotated[str, Parameter(help="How long to wait for /start.")] = "120s",
    config: Config = None,
) -> int:
    """Check the bot's token, wait for /start, write the chat's id and send a test alert.

    The token comes from TELEGRAM_BOT_TOKEN or TELEGRAM_BOT_TOKEN_FILE; @BotFather gives one.
    """
    from flows import configuration, logs
    from sinks.redaction import Redactor
    from sinks.telegram.setup import setup as set_up

    if _NAME.fullmatch(name) is None:
        raise ConfigError(f"--name {name}: letters, digits, - and _ only")
    wait_s = options.seconds(wait)
    told = configuration.load(config, os.environ)
    if told.bot_token is None:
        raise ConfigError(
            "no bot token: talk to @BotFather in Telegram, then set TELEGRAM_BOT_TOKEN, or "
            "TELEGRAM_BOT_TOKEN_FILE to a file that holds it"
        )
    logs.configure(told.settings.log, Redactor([told.bot_token]))
    found = set_up(
        told.bot_token,
        told.settings.telegram.base_url,
        lambda text: print(text, file=sys.stderr, flush=True),
        wait_s,
    )
    file = told.file if told.file is not None else Path(configuration.FILE_NAME).absolute()
    write_chat(file, name, found.chat_id)
    print(f"{file}: chat {name!r} is {found.chat_name} ({found.chat_id})")
    print(f"specs reach it as `to: telegram/{name}`, and `to: default` does now")
    return 0


def write_chat(file: Path, name: str, chat_id: int) -> None:
    """Put a chat into `[telegram.chats]` of a configuration file, and leave all else as it is.

    Args:
        file: TOML; made when it is not there.
        name: of the chat, letters, digits, - and _.
        chat_id: as Telegram gives it.

    Raises:
        ConfigError: the file cannot be written, or spells the table in a way that is not known
            here; it is then left as it was.
    """
    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        new = _with_chat(text, name, chat_id)
        if tomllib.loads(new).get("telegram", {}).get("chats", {}).get(name) != chat_id:
            raise ConfigError(_by_hand(file, name, chat_id))
        draft = file.with_name(f"{file.name}.new")
        draft.write_text(new, encoding="utf-8")
        if file.exists():
            draft.chmod(file.stat().st_mode & 0o777)
        draft.replace(file)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_by_hand(file, name, chat_id)) from error
    except OSError as error:
        raise ConfigError(
            f"{file}: cannot be written: {error.strerror}; add [telegram.chats] {name} = {chat_id}"
        ) from error


def _by_hand(file: Path, name: str, chat_id: int) -> str:
    return f"{file}: cannot be changed safely; add `{name} = {chat_id}` to [telegram.chats] in it"


def _with_chat(text: str, name: str, chat_id: int) -> str:
    told = f"{name} = {chat_id}"
    lines = text.splitlines()
    start = next((at for at, line in enumerate(lines) if line.strip() == _CHATS), None)
    if start is None:
        gap = [""] if lines and lines[-1].strip() else []
        return "\n".join([*lines, *gap, _CHATS, told]) + "\n"
    end = next(
        (at for at in range(start + 1, len(lines)) if lines[at].lstrip().startswith("[")),
        len(lines),
    )
    for at in range(start + 1, end):
        if lines[at].partition("=")[0].strip().strip("\"'") == name:
            lines[at] = told
            return "\n".join(lines) + "\n"
    lines.insert(start + 1, told)
    return "\n".join(lines) + "\n"
