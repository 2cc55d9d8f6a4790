import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.main import main
from cli.telegram import write_chat
from market.errors import ConfigError
from simulator.telegram.bot_api import FakeTelegram
from simulator.telegram.server import telegram_in_thread

TOKEN = "987654:AbCdEfGhIjKlMnOpQrStUvWxYz123456789"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("CANDLEWAX_CONFIG", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def bot(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTelegram]:
    fake = FakeTelegram(TOKEN)
    with telegram_in_thread(fake) as address:
        monkeypatch.setenv("CANDLEWAX__TELEGRAM__BASE_URL", f"{address}/bot")
        monkeypatch.setenv("TELEGRAM_BOT_TOKEN", TOKEN)
        yield fake


def test_the_chat_that_says_start_is_written_down_and_gets_a_message(
    bot: FakeTelegram, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("candlewax.toml").write_text("# mine\n[market]\ndepth = 7  # seven\n")
    bot.write(4242, "/start")
    assert main(["telegram", "setup", "--wait", "10s"]) == 0
    told = capsys.readouterr()
    assert "chat 'main' is" in told.out
    assert TOKEN not in told.out + told.err
    assert Path("candlewax.toml").read_text() == (
        "# mine\n[market]\ndepth = 7  # seven\n\n[telegram.chats]\nmain = 4242\n"
    )
    assert [message.chat_id for message in bot.messages] == ["4242"]


def test_a_file_is_made_when_there_is_none(bot: FakeTelegram) -> None:
    bot.write(-100, "/start")
    assert main(["telegram", "setup", "--name", "desk", "--wait", "10s"]) == 0
    assert tomllib.loads(Path("candlewax.toml").read_text()) == {
        "telegram": {"chats": {"desk": -100}}
    }


def test_nobody_says_start(bot: FakeTelegram, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["telegram", "setup", "--wait", "0.3s"]) == 2
    assert "nobody sent /start" in capsys.readouterr().err
    assert not Path("candlewax.toml").exists()


@pytest.mark.usefixtures("bot")
def test_a_wrong_token_is_told_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = "987654:WrongWrongWrongWrongWrongWrong12345"
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", wrong)
    assert main(["telegram", "setup", "--wait", "1s"]) == 2
    told = capsys.readouterr()
    assert "does not know this bot token" in told.err
    assert "WrongWrong" not in told.err + told.out
    assert "Traceback" not in told.err


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "[telegram.chats]\nmain = 1\n"),
        ("[telegram.chats]\n", "[telegram.chats]\nmain = 1\n"),
        ("[telegram.chats]\nmain = 9 # old\n", "[telegram.chats]\nmain = 1\n"),
        (
            "[telegram.chats]\nother = 9\n[log]\nlevel = 'info'\n",
            "[telegram.chats]\nmain = 1\nother = 9\n[log]\nlevel = 'info'\n",
        ),
        (
            "[telegram]\nbase_url = 'x'\n[log]\nmain = 3\n",
            "[telegram]\nbase_url = 'x'\n[log]\nmain = 3\n\n[telegram.chats]\nmain = 1\n",
        ),
    ],
)
def test_only_the_chat_changes(tmp_path: Path, before: str, after: str) -> None:
    file = tmp_path / "c.toml"
    file.write_text(before)
    write_chat(file, "main", 1)
    assert file.read_text() == after


@pytest.mark.parametrize("before", ["[telegram]\nchats = {a = 1}\n", "telegram.chats.a = 1\n", "["])
def test_a_spelling_that_cannot_be_changed_safely_is_left_alone(
    tmp_path: Path, before: str
) -> None:
    file = tmp_path / "c.toml"
    file.write_text(before)
    with pytest.raises(ConfigError, match="add `main = 1` to"):
        write_chat(file, "main", 1)
    assert file.read_text() == before
    assert [path.name for path in tmp_path.iterdir()] == ["c.toml"]


_names = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
_chats = st.dictionaries(_names, st.integers(-(2**50), 2**50), max_size=4)


@given(_chats, st.lists(st.sampled_from(["[log]", "# note", "", "[market]"]), unique=True), _chats)
def test_chats_written_one_after_the_other_are_all_there(
    first: dict[str, int], around: list[str], second: dict[str, int]
) -> None:
    file = Path("c.toml")
    lines = ["[telegram.chats]", *(f"{name} = {chat}" for name, chat in first.items()), *around]
    file.write_text("\n".join(lines))
    for name, chat in second.items():
        write_chat(file, name, chat)
    read = tomllib.loads(file.read_text())
    assert read["telegram"]["chats"] == {**first, **second}
    assert {f"[{name}]" for name in read} - {"[telegram]"} == {a for a in around if "[" in a}
