"""A chat adds a spec to a flow that runs, and asks it why: everything real but Telegram."""

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest

from simulator.telegram.bot_api import FakeTelegram
from simulator.telegram.received import Received
from simulator.telegram.server import telegram_in_thread
from tests.end_to_end.flow_runs import FlowRun, poll

TOKEN = "123456789:AAE-fake_token_of_the_tests"
GROUP, OPERATOR, VIEWER, STRANGER = -100, 11, 12, 13
SPECS = """\
version: 1
filters:
  - id: quiet
    source: {stream: bar, symbols: ["*"], interval: 1s}
    when: close > 1e12 and rsi(14) < 99
"""


class Chat:
    """A flow, its database and the bot's chats."""

    def __init__(self, flow: FlowRun, fake: FakeTelegram, dsn: str) -> None:
        self.flow = flow
        self.fake = fake
        self.dsn = dsn

    def until(self, what: Callable[[], bool], said: str, *, within_s: float = 30.0) -> None:
        def is_so() -> bool:
            assert self.flow.is_alive(), self.flow.words
            return what()

        poll(is_so, within_s=within_s, said=said)

    def ask(self, text: str, *, user: int = OPERATOR) -> Received:
        """Write to the group and return the bot's answer: alerts may come meanwhile."""
        known = len(self.fake.messages)
        self.fake.write(GROUP, text, user_id=user)
        answers: list[Received] = []

        def answered() -> bool:
            answers[:] = [one for one in self.fake.messages[known:] if not one.buttons]
            return bool(answers)

        self.until(answered, f"an answer to {text}")
        return answers[0]

    def specs(self) -> list[tuple[object, ...]]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute("SELECT id, created_by FROM filter_specs").fetchall()


@pytest.fixture
def chat(tmp_path: Path, make_whole_database: Callable[[], str]) -> Iterator[Chat]:
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "quiet.yaml").write_text(SPECS)
    dsn = make_whole_database()
    fake = FakeTelegram(TOKEN)
    with telegram_in_thread(fake) as address:
        telegram = {
            "base_url": f"{address}/bot",
            "chats": {"main": GROUP},
            "users": {
                "otto": {"id": OPERATOR, "role": "operator"},
                "vera": {"id": VIEWER, "role": "viewer"},
            },
            "private_per_s": 1000,
            "group_per_minute": 1000,
        }
        environ = {
            "CANDLEWAX__FEEDS__BINANCE__SYMBOLS": "BTC-USDT,ETH-USDT",
            "CANDLEWAX__FEEDS__BINANCE__SIMULATED": "true",
            "CANDLEWAX__FILTERS__FOLDER": str(folder),
            "CANDLEWAX__TELEGRAM": msgspec.json.encode(telegram).decode(),
            "CANDLEWAX__LOG__FORMAT": "json",
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "DATABASE_URL": dsn,
        }
        with FlowRun("flows.crypto", tmp_path / "home", environ=environ) as flow:
            chat = Chat(flow, fake, dsn)
            chat.until(lambda: any(one.bars > 3 for one in flow.statuses), "bars", within_s=60)
            yield chat
            assert flow.is_alive()
            flow.end()
        assert flow.codes == [0]
        assert TOKEN not in flow.words


def test_a_chat_adds_a_spec_that_fires_asks_why_and_deletes_it(chat: Chat) -> None:
    # Who may not add does not: no row, and strangers get no answer at all.
    chat.fake.write(GROUP, "/alert BTC-USDT > 1", user_id=STRANGER)
    chat.fake.write(STRANGER, "/alert BTC-USDT > 1", user_id=STRANGER)
    refused = chat.ask("/alert BTC-USDT > 1", user=VIEWER).text
    assert refused == "/alert needs the role operator; yours: viewer"
    assert len(chat.fake.messages) == 1
    assert chat.specs() == []

    # A mistake is shown with its place.
    wrong = chat.ask("/alert BTC-USDT clos > 1").text
    assert wrong.startswith("spec:1:10: ")
    assert wrong.endswith("^")

    added = chat.ask("/alert btcusdt > 1").text
    assert added.startswith("btc-usdt-above-1: every trade of BTC-USDT, once, when price > 1")
    assert chat.specs() == [("btc-usdt-above-1", "otto")]

    def alerts() -> list[Received]:
        return [one for one in chat.fake.messages if one.buttons]

    chat.until(lambda: bool(alerts()), "the alert")
    [alert] = alerts()
    assert alert.chat_id == str(GROUP)
    assert "btc-usdt-above-1: BTC-USDT trade at binance: price" in alert.text
    chat.until(lambda: [one.generation for one in chat.flow.statuses] == [2], "the second set")

    def why_fired() -> bool:
        return (
            "it has fired, and is to fire once only"
            in chat.ask("/why btc-usdt-above-1 BTC-USDT", user=VIEWER).text
        )

    chat.until(why_fired, "why it fired")
    told = chat.ask("/why btc-usdt-above-1 BTC-USDT", user=VIEWER).text
    assert "  yes  price > 1  (price is " in told
    assert "last alert:\nbtc-usdt-above-1 on binance BTC-USDT\n" in told
    quiet = chat.ask("/why quiet ETH-USDT", user=VIEWER).text
    assert "quiet on binance:ETH-USDT: inactive: " in quiet
    assert "quiet has not fired on ETH-USDT" in quiet
    assert ("too low" in quiet) or ("warming(" in quiet)
    assert "no filter 'quite'; did you mean 'quiet'?" in chat.ask("/why quite ETH-USDT").text

    rules = chat.ask("/rules", user=VIEWER).text
    assert "btc-usdt-above-1: BTC-USDT price > 1 - done on binance:BTC-USDT (generation 2)" in rules
    status = chat.ask("/status", user=VIEWER).text
    assert "flow-0: " in status
    assert "2 books live" in status
    chat.until(lambda: chat.ask("/chart BTC-USDT", user=VIEWER).photo > 5000, "a picture")

    assert "'quiet' is kept in quiet.yaml" in chat.ask("/delete quiet").text
    assert chat.ask("/delete btc-usdt-above-1").text == "deleted database:btc-usdt-above-1"
    assert chat.specs() == []
    chat.until(lambda: [one.generation for one in chat.flow.statuses] == [3], "the third set")
    assert len(alerts()) == 1, "it fires once"
