import io
import subprocess
import sys

import msgspec
import pytest

from market.errors import ConfigError
from sinks.alert_settings import AlertSettings, Role, TelegramSettings
from sinks.email_settings import EmailSettings
from sinks.secret import Secret
from sinks.target_names import Channels, resolve_targets, target_names
from sinks.targets import make_targets
from sinks.webhook_settings import WebhookSettings

CHATS = TelegramSettings(chats={"main": 42, "ops": "@candlewax_ops"})
MAIL = EmailSettings(
    host="smtp.example.com", user="wax", sender="wax@example.com", addresses={"ann": "a@b.example"}
)
HOOKS = WebhookSettings(urls={"desk": "https://desk.example/alerts"})
TOKEN = Secret("123456:abcdef")


def channels(
    *, token: bool = True, password: bool = True, signed: bool = True, chats: bool = True
) -> Channels:
    return Channels(
        telegram=CHATS if chats else TelegramSettings(),
        email=MAIL,
        webhook=HOOKS,
        token=TOKEN if token else None,
        smtp_password=Secret("hunter2") if password else None,
        webhook_secret=Secret("signs") if signed else None,
    )


def resolve(
    *names: str, alerts: AlertSettings | None = None, has_token: bool = True
) -> tuple[str, ...]:
    return resolve_targets(
        names, alerts or AlertSettings(), channels(token=has_token), where="specs/rsi.yaml"
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
    assert resolve_targets([], AlertSettings(), channels(chats=False)) == ("console",)


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


@pytest.mark.parametrize(
    ("name", "told", "error"),
    [
        ("email/ann", channels(password=False), "the password of email.user: set SMTP_PASSWORD or"),
        ("webhook/desk", channels(signed=False), "a secret to sign with: set WEBHOOK_SECRET or"),
    ],
)
def test_a_target_without_its_secret_is_refused(name: str, told: Channels, error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        resolve_targets([name], AlertSettings(), told)
    assert resolve_targets([name], AlertSettings(), channels()) == (name,)
    assert name not in make_targets(told, io.StringIO())


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
    targets = make_targets(channels(), io.StringIO())
    names = (
        "console",
        "telegram/main",
        "telegram/ops",
        "email/ann",
        "webhook/desk",
    )
    assert tuple(targets) == target_names(channels()) == names
    assert tuple(make_targets(Channels(telegram=CHATS), io.StringIO())) == ("console",)
    for target in targets.values():
        target.close()


@pytest.mark.parametrize(
    ("section", "error"),
    [
        ({"quiet_hours": "22-7"}, "quiet_hours: '22-7': expected two times of the day"),
        ({"quiet_hours": "07:00-07:00"}, "begins when it ends"),
        ({"timezone": "Europe/Nowhere"}, "timezone: 'Europe/Nowhere' is no time zone known here"),
        ({"timezone": "../../etc/passwd"}, "is no time zone known here"),
        ({"digest_from": 1}, "digest_from"),
        ({"escalate_after_s": 0}, "escalate_after_s"),
    ],
)
def test_a_wrong_alerts_section_is_refused(section: dict[str, object], error: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=error):
        msgspec.convert(section, AlertSettings)


@pytest.mark.parametrize(
    ("section", "error"),
    [
        ({"ann": {"id": 1, "role": "king"}}, "role"),
        ({"ann": {"id": -5}}, "id"),
        ({"ann": {"id": 5}, "bob": {"id": 5}}, "users.ann: id 5 is there twice"),
    ],
)
def test_a_wrong_user_is_refused(section: dict[str, object], error: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=error):
        msgspec.convert({"users": section}, TelegramSettings)


def test_a_role_may_what_the_lesser_ones_may() -> None:
    allowed = {role: [needed for needed in Role if role.may(needed)] for role in Role}
    assert allowed == {
        Role.VIEWER: [Role.VIEWER],
        Role.OPERATOR: [Role.VIEWER, Role.OPERATOR],
        Role.OWNER: [Role.VIEWER, Role.OPERATOR, Role.OWNER],
    }


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"host": ""}, "host: name the mail server"),
        ({"sender": "wax"}, "sender: 'wax' is no mail address"),
        ({"addresses": {"a/b": "a@b.example"}}, "no name for a mailbox"),
        ({"addresses": {"ann": "a@b.example\nBcc: x@y"}}, "is no mail address"),
        ({"security": "none"}, "would send the password in the clear"),
        ({"security": "ssl"}, "security"),
    ],
)
def test_a_wrong_email_section_is_refused(changes: dict[str, object], error: str) -> None:
    section = {**msgspec.to_builtins(MAIL), **changes}
    with pytest.raises(msgspec.ValidationError, match=error):
        msgspec.convert(section, EmailSettings)


def test_no_email_section_is_right() -> None:
    assert msgspec.convert({}, EmailSettings) == EmailSettings()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("ftp://desk.example", "not an http or https address"),
        ("https://", "not an http or https address"),
        ("https://desk.example:x/", "not an http or https address"),
        ("https://desk.example/a b", "not an http or https address"),
        ("https://ann:hunter2@desk.example/", "an address with a password in it"),
    ],
)
def test_a_wrong_webhook_is_refused_without_telling_it(url: str, error: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=error) as caught:
        msgspec.convert({"urls": {"desk": url}}, WebhookSettings)
    assert "hunter2" not in str(caught.value)
