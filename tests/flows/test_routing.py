from pathlib import Path

import pytest

from flows import configuration
from flows.configuration import Configuration
from flows.routing import Routes
from market.errors import ConfigError


def settings(tmp_path: Path, text: str = "", *, token: str = "") -> Configuration:
    file = tmp_path / "candlewax.toml"
    file.write_text(text)
    return configuration.load(file, {"TELEGRAM_BOT_TOKEN": token} if token else {})


CHATS = '[telegram]\nchats = {main = 7, night = "@night"}\n'


def test_without_a_bot_everything_goes_to_the_console(tmp_path: Path) -> None:
    assert Routes(settings(tmp_path))("default") == ("console",)


def test_with_a_bot_the_default_is_every_chat(tmp_path: Path) -> None:
    routes = Routes(settings(tmp_path, CHATS, token="1:abc"))
    assert routes("default") == ("telegram/main", "telegram/night")
    assert routes("telegram/night") == ("telegram/night",)
    assert routes("telegram/night") == ("telegram/night",)  # remembered


def test_the_default_may_be_configured(tmp_path: Path) -> None:
    text = '[alerts]\ntargets = ["telegram/main"]\n' + CHATS
    assert Routes(settings(tmp_path, text, token="1:abc"))("default") == ("telegram/main",)


def test_a_name_that_means_nothing_is_refused_before_anything_starts(tmp_path: Path) -> None:
    routes = Routes(settings(tmp_path, CHATS, token="1:abc"))
    with pytest.raises(ConfigError, match="telegram/man"):
        routes.check(["default", "telegram/man"])


def test_a_chat_needs_a_bot(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="TELEGRAM_BOT_TOKEN"):
        Routes(settings(tmp_path, CHATS)).check(["telegram/main"])
