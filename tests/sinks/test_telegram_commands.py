import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.alert_settings import Role
from sinks.telegram.buttons import Button, data_of, read_data
from sinks.telegram.commands import COMMANDS, Command, help_text, read_command, read_length


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("/alert BTC-USDT > 70000", Command("alert", ("BTC-USDT", ">", "70000"))),
        ("  /HELP  ", Command("help")),
        ("/help@Wax_Bot now", Command("help", ("now",))),
        ("/help@other_bot", None),
        ("hello /help", None),
        ("", None),
        ("/", None),
    ],
)
def test_a_command_is_told_from_talk(text: str, command: Command | None) -> None:
    assert read_command(text, "wax_bot") == command


@given(st.text(max_size=100))
def test_any_text_is_a_command_or_none(text: str) -> None:
    read_command(text, "wax_bot")
    read_length(text)
    read_data(text)


@pytest.mark.parametrize("text", ["", "2", "h", "0h", "-2h", "2w", "999999h", "٢h"])
def test_what_is_no_length_of_time_is_none(text: str) -> None:
    assert read_length(text) is None


def test_help_lists_what_a_role_may() -> None:
    assert [
        [name for name in COMMANDS if f"/{name}" in help_text(role).replace("/alerts", "/-lerts")]
        for role in Role
    ] == [
        ["rules", "status", "chart", "why", "help"],
        ["alert", "delete", "rules", "mute", "unmute", "status", "chart", "why", "help"],
        ["alert", "delete", "rules", "mute", "unmute", "status", "chart", "why", "help"],
    ]


@given(st.sampled_from(Button), st.integers(0, 10**18 - 1))
def test_pressed_data_means_what_the_button_was_given(button: Button, number: int) -> None:
    data = data_of(button, number)
    assert len(data.encode()) <= 64
    assert read_data(data) == (button, number)


@pytest.mark.parametrize("data", ["", "ack", "ack:", "ack:x", "ack:1 ", "drop:1", "ack:1\n"])
def test_other_data_means_nothing(data: str) -> None:
    assert read_data(data) is None
