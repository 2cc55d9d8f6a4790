"""From a TOML file and the environment to `Settings`, with the source of every value.

Later ones win: the defaults, the file (`--config`, else `$CANDLEWAX_CONFIG`, else
`./candlewax.toml`), then variables named `CANDLEWAX__SECTION__KEY`. A variable may name a whole
section, whose value is then JSON. Every mistake of a file is told at once, by key, with the known
key that looks most like it. Secrets come from their own variables and never from the file.
"""

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, TypeAlias, Union, get_args, get_origin
from urllib.parse import urlsplit

import msgspec

from connectors import VENUES
from flows.settings import Settings, demo_feeds
from flows.toml_lines import line_of, toml_lines
from flows.venue_keys import read_key
from indicators.names import IndicatorNameError, parse
from market.errors import ConfigError
from sinks.secret import Secret, read_secret
from sinks.target_names import BOT_TOKEN, SMTP_PASSWORD, WEBHOOK_SECRET, Channels
from sinks.target_names import SECRETS as TARGET_SECRETS

FILE_NAME = "candlewax.toml"
FILE_VARIABLE = "CANDLEWAX_CONFIG"
PREFIX = "CANDLEWAX__"
DEFAULT = "default"

DATABASE_URL = "DATABASE_URL"
KEYS = tuple(name for venue in VENUES.values() for name in venue.key_names)
SECRETS = (DATABASE_URL, *TARGET_SECRETS, *KEYS)
_SECRET_KEYS = {
    "store": (("database_url", "dsn", "url", "password"), DATABASE_URL),
    "telegram": (("token", "bot_token"), BOT_TOKEN),
    "email": (("password", "smtp_password"), SMTP_PASSWORD),
    "webhook": (("secret", "key"), WEBHOOK_SECRET),
}

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value]"
Table: TypeAlias = dict[str, Value]
Kind: TypeAlias = object
"""A type as an annotation gives it: a Struct class, `dict[str, X]`, `int`, …"""


class Configuration(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, and where they come from.

    Attributes:
        settings: all sections.
        sources: key, as `feeds.binance.symbols`, to `default`, a file's name or a variable's.
        file: the file that was read; None when there is none.
        folder: relative paths in the settings start here.
        database_url: `DATABASE_URL`; None for the embedded PostgreSQL.
        bot_token: `TELEGRAM_BOT_TOKEN`; None when alerts go to the console.
        smtp_password: `SMTP_PASSWORD`; None when mails need no login.
        webhook_secret: `WEBHOOK_SECRET`; None when there are no webhooks.
        keys: of the venues that want one, as far as they are set, by venue.
    """

    settings: Settings
    sources: dict[str, str]
    file: Path | None
    folder: Path
    database_url: Secret | None
    bot_token: Secret | None
    smtp_password: Secret | None
    webhook_secret: Secret | None
    keys: dict[str, Secret]

    @property
    def secrets(self) -> list[Secret]:
        """Everything that no log line may hold."""
        told = (
            self.database_url,
            self.bot_token,
            self.smtp_password,
            self.webhook_secret,
            *self.keys.values(),
        )
        return [one for one in told if one is not None]

    @property
    def channels(self) -> Channels:
        """Everything that alerts can go to."""
        return Channels(
            telegram=self.settings.telegram,
            email=self.settings.email,
            webhook=self.settings.webhook,
            token=self.bot_token,
            smtp_password=self.smtp_password,
            webhook_secret=self.webhook_secret,
        )

    @property
    def specs_folder(self) -> Path:
        """The folder of filter specs; the program's own when none is named."""
        named = self.settings.filters.folder
        if named:
            return (self.folder / named).resolve()
        return Path(__file__).resolve().parent.parent / "filters" / "specs"

    @property
    def log_file(self) -> Path | None:
        """The file that log lines are added to."""
        named = self.settings.log.file
        return (self.folder / named).resolve() if named else None


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Configuration:
    """Read the configuration.

    Args:
        path: the file, as `--config` names it; it must exist.
        environ: the environment; the process's own when not given.

    Raises:
        ConfigError: no such file, not TOML, an unknown key, a value of the wrong kind, or a secret
            given twice. The text has a line for each mistake.
    """
    environ = os.environ if environ is None else environ
    file = _find(path, environ)
    text = _read(file) if file is not None else ""
    table = _parse_file(file, text)
    places = _Places(file, toml_lines(text))
    sources: dict[str, str] = {}
    if file is not None:
        sources.update(dict.fromkeys(_leaves(table, Settings), str(file)))
    if "feeds" not in table:
        table["feeds"] = msgspec.to_builtins(demo_feeds())
        sources.update(dict.fromkeys(_leaves({"feeds": table["feeds"]}, Settings), DEFAULT))
    mistakes = _override(table, sources, environ)
    mistakes += _mistakes(table, Settings, (), sources, places)
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    try:
        settings = msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        told, _, place = str(error).partition(" - at ")
        key = place.removeprefix("`$.").rstrip("`")
        raise ConfigError(f"{places.of(key)}: {key}: {told}") from None
    faults = list(_check(settings))
    if faults:
        raise ConfigError(
            "\n".join(f"{_source(key, sources, places)}: {key}: {told}" for key, told in faults)
        )
    for key in _leaves(msgspec.to_builtins(settings), Settings):
        sources.setdefault(key, DEFAULT)
    return Configuration(
        settings=settings,
        sources=sources,
        file=file,
        folder=file.parent if file is not None else Path.cwd(),
        database_url=read_secret(DATABASE_URL, environ),
        bot_token=read_secret(BOT_TOKEN, environ),
        smtp_password=read_secret(SMTP_PASSWORD, environ),
        webhook_secret=read_secret(WEBHOOK_SECRET, environ),
        keys={
            name: found
            for name in settings.feeds
            if (found := read_key(VENUES[name], environ)) is not None
        },
    )


def near(name: str, known: list[str]) -> str:
    """Return `; did you mean …?` for the known name most like `name`, else the known names."""
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if found:
        return f"; did you mean {found[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""


class _Places(msgspec.Struct, frozen=True):
    """Where keys stand in the file, for messages."""

    file: Path | None
    lines: dict[str, int]

    def of(self, key: str, source: str = "") -> str:
        """Return file and line of a key; `source` as it is if a variable set it."""
        name = str(self.file) if self.file is not None else "settings"
        if source not in ("", DEFAULT, name):
            return source
        line = line_of(self.lines, key)
        return name if line is None else f"{name}:{line}"


def _source(key: str, sources: Mapping[str, str], places: _Places) -> str:
    """Return who set the last key of a table, or the key itself."""
    within = [source for name, source in sources.items() if name.startswith(f"{key}.")]
    return places.of(key, within[-1] if within else sources.get(key, ""))


def _find(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    if path is not None:
        file, told_by = path, "--config"
    elif environ.get(FILE_VARIABLE):
        file, told_by = Path(environ[FILE_VARIABLE]), FILE_VARIABLE
    else:
        file = Path(FILE_NAME)
        return file.resolve() if file.is_file() else None
    if not file.is_file():
        raise ConfigError(
            f"{file}: no such file, named by {told_by}; `candlewax init` writes one to begin with"
        )
    return file.resolve()


def _parse_file(file: Path | None, text: str) -> Table:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not TOML: {error}") from error


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 text: {error}") from error
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read: {error.strerror}") from error


def _fields(kind: Kind) -> dict[str, Kind] | None:
    """Return the keys of a Struct and their kinds, None when `kind` is no Struct."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    return None


def _values(kind: Kind) -> Kind | None:
    """Return the kind of the values of a `dict[str, X]`, None when `kind` is another."""
    return get_args(kind)[1] if get_origin(kind) is dict else None


def _kind(kind: Kind, key: str) -> Kind | None:
    """Return the kind of `key` in a table of `kind`, None when there is no such key."""
    fields = _fields(kind)
    return fields.get(key) if fields is not None else _values(kind)


def _leaves(table: Table, kind: Kind, path: tuple[str, ...] = ()) -> Iterator[str]:
    for key, value in table.items():
        inner = _kind(kind, key)
        is_table = isinstance(value, dict) and (_fields(inner) or _values(inner)) is not None
        if is_table and isinstance(value, dict) and value:
            yield from _leaves(value, inner, (*path, key))
        else:
            yield ".".join((*path, key))


def _mistakes(
    table: Table, kind: Kind, path: tuple[str, ...], sources: Mapping[str, str], places: _Places
) -> list[str]:
    told: list[str] = []
    fields = _fields(kind)
    for key, value in table.items():
        place = ".".join((*path, key))
        where = places.of(place, sources.get(place, ""))
        inner = _kind(kind, key)
        if fields is not None and (key not in fields or _is_secret(path, key)):
            told.append(f"{where}: {_unknown(path, key, list(fields))}")
        elif (_fields(inner) or _values(inner)) is not None:
            if isinstance(value, dict):
                told += _mistakes(value, inner, (*path, key), sources, places)
            else:
                told.append(f"{where}: {place}: expected a table, as in [{place}]")
        else:
            told += _wrong_value(value, inner, place, where)
    return told


def _is_secret(path: tuple[str, ...], key: str) -> bool:
    return len(path) == 1 and key in _SECRET_KEYS.get(path[0], ((), ""))[0]


def _unknown(path: tuple[str, ...], key: str, known: list[str]) -> str:
    place = ".".join((*path, key))
    if _is_secret(path, key):
        variable = _SECRET_KEYS[path[0]][1]
        return f"{place}: a secret is no setting; set {variable} or {variable}_FILE instead"
    return f"unknown {'key' if path else 'section'} {place!r}{near(key, known)}"


def _wrong_value(value: Value, kind: Kind, place: str, where: str) -> list[str]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        text = str(error).partition(" - at ")[0]
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        if choices:
            text = f"expected one of {', '.join(map(str, choices))}"
        return [f"{where}: {place}: {text[0].lower()}{text[1:]}, found {value!r}"]
    return []


def _override(table: Table, sources: dict[str, str], environ: Mapping[str, str]) -> list[str]:
    mistakes: list[str] = []
    for name in sorted(environ):
        if not name.startswith(PREFIX):
            continue
        path = name.removeprefix(PREFIX).lower().split("__")
        place, kind, known = table, Settings, list[str]()
        inner: Kind | None = kind
        for depth, key in enumerate(path):
            known = list(_fields(inner) or {})
            inner = None if _is_secret(tuple(path[:depth]), key) else _kind(inner, key)
            if inner is None:
                mistakes.append(f"{name}: {_unknown(tuple(path[:depth]), key, known)}")
                break
            if depth + 1 < len(path):
                step = place.setdefault(key, {})
                if not isinstance(step, dict):
                    mistakes.append(f"{name}: {'.'.join(path[: depth + 1])} is not a table")
                    break
                place = step
        else:
            try:
                place[path[-1]] = _parse(environ[name], inner)
            except ValueError as error:
                mistakes.append(f"{name}: {error}")
                continue
            key = ".".join(path)
            for old in [old for old in sources if old == key or old.startswith(f"{key}.")]:
                del sources[old]
            told: Value = place[path[-1]]
            sources[key] = name
            if isinstance(told, dict):
                leaves = _leaves(told, inner, tuple(path))
                sources.update(dict.fromkeys(leaves, name))
    return mistakes


def _parse(text: str, kind: Kind) -> Value:
    """Read the text of a variable as a value of `kind`; what does not fit is told later."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _parse(text, get_args(kind)[0])
    if origin in (Union, UnionType):
        kinds = [inner for inner in get_args(kind) if inner is not type(None)]
        return _parse(text, kinds[0])
    if _fields(kind) is not None or origin is dict:
        try:
            table: Value = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"expected a JSON object: {error}") from None
        return table
    if origin in (tuple, list):
        if text.lstrip().startswith("["):
            try:
                values: Value = json.loads(text)
            except json.JSONDecodeError as error:
                raise ValueError(f"expected a JSON list: {error}") from None
            return values
        return [*_split(text)]
    if kind is bool:
        if text.lower() in ("true", "1", "yes", "on"):
            return True
        if text.lower() in ("false", "0", "no", "off"):
            return False
        return text
    if kind in (int, float):
        try:
            return int(text)
        except ValueError:
            pass
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _split(text: str) -> Iterator[str]:
    """Cut at the commas that stand outside brackets: `ema(20),stoch(14,3,3)` has two parts."""
    part, open_brackets = "", 0
    for letter in text:
        open_brackets += (letter == "(") - (letter == ")")
        if letter == "," and open_brackets == 0:
            yield part.strip()
            part = ""
        else:
            part += letter
    if part.strip():
        yield part.strip()


def _check(settings: Settings) -> Iterator[tuple[str, str]]:
    """Find what is of the right kind and still makes no sense: key and fault."""
    if not settings.feeds:
        yield "feeds", 'nothing to read; add [feeds.binance] with symbols = ["BTC-USDT"]'
    for venue, feed in settings.feeds.items():
        if venue not in VENUES:
            yield f"feeds.{venue}", f"unknown venue{near(venue, sorted(VENUES))}"
            continue
        fault = VENUES[venue].explain_options(feed.venue_options())
        if fault:
            yield f"feeds.{venue}.options", fault
        for key, address, schemes in (
            ("websocket_url", feed.websocket_url, ("ws", "wss")),
            ("rest_url", feed.rest_url, ("http", "https")),
        ):
            if address and not _is_address(address, schemes):
                example = f"{schemes[1]}://{venue}.example.com"
                yield f"feeds.{venue}.{key}", f"no address: {address!r}; write it as in {example}"
        if feed.simulated and bool(feed.websocket_url) is not bool(feed.rest_url):
            yield (
                f"feeds.{venue}.simulated",
                "of a simulator of one's own both websocket_url and rest_url are needed",
            )
        if not feed.symbols:
            yield f"feeds.{venue}.symbols", 'name at least one symbol, as in ["BTC-USDT"]'
    try:
        settings.market.lengths()
    except ValueError as error:
        yield "market.bar_intervals", str(error)
    try:
        settings.market.merged()
    except ValueError as error:
        yield "market.merged_intervals", str(error)
    for name in settings.market.primary:
        if name not in settings.feeds:
            near_it = near(name, sorted(settings.feeds))
            yield "market.primary", f"{name!r} is no venue of [feeds]{near_it}"
    try:
        settings.store.kept_depth()
    except ValueError as error:
        yield "store.depth", str(error)
    for name in settings.market.features:
        try:
            parse(name)
        except IndicatorNameError as error:
            yield "market.features", str(error)


def _is_address(text: str, schemes: tuple[str, str]) -> bool:
    """Tell whether a socket could be opened to this, by how it is written."""
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in schemes
            and bool((parts.hostname or "").encode("idna"))
            and parts.port != 0
        )
    except ValueError:  # the port is none, or the name
        return False
