import io
import subprocess
import sys

import msgspec
import pytest

from market.errors import ConfigError
from sinks.alert_settings import AlertSettings, TelegramSettings, resolve_targets, target_names
from sinks.secret import Secret
from sinks.targets import make_targets

CHATS = TelegramSettings(chats={"main": 42, "ops": "@candlewax_ops"})


def resolve(
    *names: str, alerts: AlertSettings | None = None, has_token: bool = True
) -> tuple[str, ...]:
    return resolve_targets(
        names, alerts or AlertSettings(), CHATS, has_token=has_token, where="specs/rsi.yaml"
    )


def test_named_targets_are_taken_once() -> None:
    assert resolve("telegram/main", "console", "telegram/main") == ("telegram/main", "console")


@pytest.mark.parametrize(
    ("default", "has_token", "targets"),
    [
        ((), False, ("console",)),
        ((), True, ("telegram/main", "telegram/ops")),
        (("console", "telegram/main"), True, ("console", "telegram/main")),
    ],
)
def test_no_name_means_the_default(
    default: tuple[str, ...], has_token: bool, targets: tuple[str, ...]
) -> None:
    assert resolve(alerts=AlertSettings(targets=default), has_token=has_token) == targets


def test_without_chats_the_default_is_the_console() -> None:
    none = TelegramSettings()
    assert resolve_targets([], AlertSettings(), none, has_token=True) == ("console",)


def test_an_unknown_target_is_refused_with_near_names() -> None:
    with pytest.raises(
        ConfigError, match=r"specs/rsi.yaml: unknown target 'telegram/main2'.*telegram/main"
    ):
        resolve("telegram/main2")
    with pytest.raises(
        ConfigError, match=r"unknown target 'pager': there is console, telegram/main"
    ):
        resolve("pager")


def test_an_unknown_default_target_is_refused_where_it_stands() -> None:
    with pytest.raises(ConfigError, match=r"alerts.targets: unknown target 'console2'"):
        resolve(alerts=AlertSettings(targets=("console2",)))


def test_a_chat_without_a_token_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a bot token: set TELEGRAM_BOT_TOKEN"):
        resolve("telegram/main", has_token=False)


@pytest.mark.parametrize(
    ("section", "error"),
    [
        ({"base_url": "api.telegram.org/bot"}, "not an http or https address"),
        ({"base_url": "ftp://api.telegram.org/bot"}, "not an http or https address"),
        ({"base_url": "http://127.0.0.1:8081"}, "must end with '/bot'"),
        ({"base_url": "http://127.0.0.1:8081/bot/"}, "must end with '/bot'"),
        ({"chats": {"": 1}}, "no name for a chat"),
        ({"chats": {"a/b": 1}}, "no name for a chat"),
        ({"chats": {"main": "ann"}}, "neither a number nor"),
        ({"chats": {"main": 1.5}}, "chats"),
        ({"chat": {"main": 1}}, "unknown field `chat`"),
    ],
)
def test_a_wrong_telegram_section_is_refused(section: dict[str, object], error: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=error):
        msgspec.convert(section, TelegramSettings)


def test_a_chat_is_a_number_or_a_channel() -> None:
    chats = {"a": 42, "b": -100200300, "c": "@channel", "d": "-5"}
    assert msgspec.convert({"chats": chats}, TelegramSettings).chats == chats


@pytest.mark.parametrize("max_age_s", [0, -1, float("nan"), float("inf"), 1e9])
def test_an_age_without_sense_is_refused(max_age_s: float) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"max_age_s": max_age_s}, AlertSettings)


def test_without_a_token_the_bot_library_is_not_loaded() -> None:
    code = "import sys, sinks.targets; print('telegram' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "False\n"


def test_every_known_name_has_a_target() -> None:
    targets = make_targets(CHATS, Secret("123456:abcdef"), io.StringIO())
    assert tuple(targets) == target_names(CHATS) == ("console", "telegram/main", "telegram/ops")
    assert tuple(make_targets(CHATS, None, io.StringIO())) == ("console",)
    for target in targets.values():
        target.close()
