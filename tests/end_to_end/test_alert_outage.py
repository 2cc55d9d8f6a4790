"""A live flow whose database is killed while its alerts fire, and what of it may not be seen.

One flow, the simulator, a fake Bot API with a person at the other end, and a server of our own that
is ended by `kill -9` and started again. The tests look at what that run left behind.
"""

import gzip
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import psycopg
import pytest

from flows.status import FlowStatus
from migrations.upgrade import upgrade
from simulator.settings import DEFAULT_KEY
from simulator.telegram.bot_api import FakeTelegram
from simulator.telegram.received import Received
from simulator.telegram.server import telegram_in_thread
from sinks.embedded_postgres import EmbeddedPostgres
from sinks.message import STORE_AWAY
from sinks.outbox_report import counts
from tests.end_to_end.flow_runs import ROOT, FlowRun, connected, free_ports, poll

TOKEN = "123456789:AAE-fake_token_of_the_tests"
MASSIVE_KEY = "massive-key-of-the-tests"
SMTP_PASSWORD = "smtp-password-of-the-tests"
WEBHOOK_SECRET = "webhook-secret-of-the-tests"
PERSON = 42
PER_S = 20
SECOND = 1_000_000_000
AWAY_S = float(os.environ.get("CANDLEWAX_ALERTS_AWAY_S", "3"))
STARTS_WITHIN_S = 60.0
SPECS = "version: 1\nfilters:\n" + "".join(
    f"  - {{id: {name}, source: {{stream: book, symbols: [BTC-USDT], venues: [binance]}},"
    f' when: "imbalance({levels}) {sign} 0", severity: {severity},'
    f' notify: [{{to: telegram/main, message: "{name} {{imbalance({levels}):+.3f}}"}}]}}\n'
    for name, levels, sign, severity in (
        ("tilt", 1, ">", "critical"),
        ("heel", 1, "<", "critical"),
        ("lean", 2, ">", "critical"),
        ("list", 2, "<", "critical"),
        ("yaws", 3, ">", "critical"),
        ("hush", 1, ">", "critical"),
        ("calm", 3, "<", "warning"),
    )
)
ALERT = re.compile(r"(?:possible repeat: )?(?:tilt|heel|lean|list|yaws|hush|calm) [+-]|\d+ alerts")


class Story:
    """One run: what happened, and what is left of it.

    Attributes:
        killed_at: when the database was killed, our clock, ns UTC.
        back_at: when it was there again.
        said: everything that was said by anybody, by where.
    """

    def __init__(self, folder: Path, server: EmbeddedPostgres, fake: FakeTelegram) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.server = server
        self.fake = fake
        self.dsn = server.start()
        self.killed_at = 0
        self.back_at = 0
        self.said: dict[str, str] = {}

    @property
    def alerts(self) -> list[Received]:
        """What the chat got, without the answers of the bot."""
        return [one for one in self.fake.messages if ALERT.match(one.text)]

    @property
    def status(self) -> FlowStatus:
        return msgspec.json.decode(
            (self.home / "status" / "flow-0.json").read_bytes(), type=FlowStatus
        )

    def play(self, environ: dict[str, str], metrics_port: int) -> None:
        """Run the flow, from its start to its end."""
        with FlowRun("flows.crypto", self.home, environ=environ) as flow:

            def until(what: Callable[[], bool], said: str, *, within_s: float = 30.0) -> None:
                def is_so() -> bool:
                    assert flow.is_alive()
                    return what()

                poll(is_so, within_s=within_s, said=said)

            def ask(text: str) -> str:
                known = len(self.fake.messages)
                self.fake.write(PERSON, text)
                answers: list[str] = []

                def answered() -> bool:
                    new = self.fake.messages[known:]
                    answers[:] = [one.text for one in new if not ALERT.match(one.text)]
                    return bool(answers)

                until(answered, f"an answer to {text}")
                self.said[f"{text} {len(self.said)}"] = answers[0]
                return answers[0]

            until(lambda: len(self.alerts) > 3, "alerts", within_s=STARTS_WITHIN_S)
            assert ask("/mute hush").startswith(
                "mute 1: hush to telegram/main until lifted, by ann"
            )
            mutes = self.home / "mutes.json"
            until(lambda: b"hush" in mutes.read_bytes(), "the kept mute")

            self._kill_database()
            until(lambda: bool(self._away()), "an alert from the journal")
            until(lambda: time.time_ns() - self.killed_at > AWAY_S * SECOND, "the time away",
                  within_s=AWAY_S + 30)  # fmt: skip
            assert self.server.start() == self.dsn
            self.back_at = time.time_ns()

            def is_settled() -> bool:
                with connected(self.dsn) as connection:
                    row = connection.execute(
                        "SELECT count(*) FILTER (WHERE fired_at > to_timestamp(%(back)s)"
                        " AND state = 'sent'),"
                        " count(*) FILTER (WHERE fired_at < to_timestamp(%(back)s)"
                        " AND state IN ('pending', 'sending')) FROM outbox",
                        {"back": self.back_at / SECOND},
                    ).fetchone()
                return row is not None and int(str(row[0])) > 2 and row[1] == 0

            until(is_settled, "alerts by the outbox again", within_s=60)
            until(lambda: "tilt on binance:BTC-USDT: " in ask("/why tilt BTC-USDT"), "why")
            ask("/status")
            ask("/alerts")
            pressed = next(one for one in reversed(self.alerts) if one.buttons)
            for button in pressed.buttons:
                self.fake.press(pressed.message_id, button, user_id=PERSON)
            until(lambda: len(self.fake.notices) >= len(pressed.buttons), "what buttons answer")
            self.said["metrics"] = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text
            flow.end()
            assert flow.codes == [0]
            self.said["stdout and stderr"] = flow.words

    def _away(self) -> list[Received]:
        """Messages that were sent without the database."""
        return [one for one in self.alerts if one.text.endswith(STORE_AWAY)]

    def _kill_database(self) -> None:
        assert self.server.pid is not None
        os.kill(self.server.pid, signal.SIGKILL)
        self.killed_at = time.time_ns()
        poll(lambda: not self.server.is_running, within_s=10.0, said="the server's end")

    def tell(self, environ: dict[str, str]) -> None:
        """Collect what can be read afterwards: commands, files and the whole database."""
        for words in (
            ("alerts",), ("alerts", "--json", "--rows", "0"), ("status",), ("doctor",),
            ("config", "show"), ("filters", "why", "tilt", "BTC-USDT"), ("gaps",), ("db", "status"),
        ):  # fmt: skip
            done = subprocess.run(
                [sys.executable, "-m", "cli.main", *words],
                cwd=self.folder,
                env={**os.environ, **environ, "CANDLEWAX_HOME": str(self.home),
                     "PYTHONPATH": str(ROOT)},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            self.said[f"candlewax {' '.join(words)}"] = done.stdout + done.stderr
        for path in sorted(self.folder.rglob("*")):
            if path.is_file() and path.name not in ("webhook-secret", "candlewax.toml"):
                data = path.read_bytes()
                data = gzip.decompress(data) if path.suffix == ".gz" else data
                self.said[str(path.relative_to(self.folder))] = data.decode(errors="replace")
        with connected(self.dsn) as connection:
            tables = connection.execute(
                "SELECT schemaname || '.' || tablename FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            ).fetchall()
            for (table,) in tables:
                rows = connection.execute(f"SELECT t::text FROM {table} t").fetchall()
                self.said[f"table {table}"] = "\n".join(str(row) for (row,) in rows)
        self.said["messages"] = "\n".join(one.text for one in self.fake.messages)
        self.said["notices"] = "\n".join(self.fake.notices)


@pytest.fixture(scope="module")
def story(kept_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("alerts")
    (folder / "specs").mkdir()
    (folder / "specs" / "often.yaml").write_text(SPECS)
    (folder / "webhook-secret").write_text(f"{WEBHOOK_SECRET}\n")
    server = EmbeddedPostgres(kept_folder)
    upgrade(server.start())
    fake = FakeTelegram(TOKEN)
    # What goes wrong tells addresses, which hold the token.
    fake.fail(1, status=502)
    fake.limit(1, retry_after=1)
    fake.drop(1, method="getUpdates")
    fake.fail(1, status=500, method="getUpdates")
    with telegram_in_thread(fake) as address:
        (metrics_port,) = free_ports(1)
        (folder / "candlewax.toml").write_text(
            f"""
            [log]
            level = "debug"
            file = "all.log"
            [filters]
            folder = "specs"
            [serving]
            metrics_port = {metrics_port}
            [feeds.binance]
            symbols = ["BTC-USDT"]
            simulated = true
            record = true
            [feeds.massive]
            symbols = ["BTC-USD"]
            simulated = true
            record = true
            [telegram]
            base_url = "{address}/bot"
            chats = {{ main = {PERSON} }}
            users = {{ ann = {{ id = {PERSON}, role = "owner" }} }}
            private_per_s = {PER_S}
            [email]
            host = "127.0.0.1"
            user = "wax"
            sender = "wax@example.com"
            addresses = {{ ann = "ann@example.com" }}
            [webhook]
            urls = {{ desk = "{address}/nowhere" }}
            """
        )
        environ = {
            "CANDLEWAX_CONFIG": str(folder / "candlewax.toml"),
            "CANDLEWAX_OUTPUT": '{"emit": ["alerts"], "out": "out.jsonl"}',
            "DATABASE_URL": server.start(),
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "MASSIVE_API_KEY": MASSIVE_KEY,
            "SMTP_PASSWORD": SMTP_PASSWORD,
            "WEBHOOK_SECRET_FILE": str(folder / "webhook-secret"),
        }
        story = Story(folder, server, fake)
        try:
            story.play(environ, metrics_port)
            story.tell(environ)
            yield story
        finally:
            server.stop()


@pytest.mark.slow
def test_alerts_arrive_within_seconds_though_the_database_is_gone(story: Story) -> None:
    away = [one for one in story.alerts if one.text.endswith(STORE_AWAY)]
    first_s = (away[0].received_at - story.killed_at) / SECOND
    print(f"\ndatabase killed for {AWAY_S:g} s: first alert after {first_s:.2f} s")
    assert first_s < 10
    assert " · critical\n" in away[0].text or ", critical\n" in away[0].text
    assert "binance BTC-USDT · " in away[0].text or "alerts in BTC-USDT" in away[0].text
    # What is not critical waits for the outbox, what is muted stays so.
    between = [
        one.text for one in story.alerts if story.killed_at < one.received_at < story.back_at
    ]
    assert not any("calm " in text for text in between if STORE_AWAY in text)
    assert not any("hush " in text for text in between)


@pytest.mark.slow
def test_the_outbox_adds_up_and_nothing_is_sent_twice_unmarked(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    with connected(story.dsn) as connection:
        found = counts(connection)
        fired = connection.execute(
            "SELECT count(*), coalesce(sum(cardinality(targets)), 0) FROM alerts"
        ).fetchone()
        rows = connection.execute(
            "SELECT state, message_id, starts_with(o.text, 'possible repeat: '), attempts, error,"
            " spec = 'hush', o.fired_at BETWEEN to_timestamp(%s) AND to_timestamp(%s)"
            " FROM outbox o JOIN alerts a ON a.key = o.alert_key",
            (story.killed_at / SECOND, story.back_at / SECOND),
        ).fetchall()
    told = (story.home / "out.jsonl").read_text().splitlines()
    by_outbox = {message for state, message, *_ in rows if state in ("sent", "digested")}
    sent = {message for state, message, *_ in rows if state == "sent"}
    arrived = {str(one.message_id): one for one in story.alerts}
    spare = set(arrived) - by_outbox
    unknown = sum(state == "unknown" for state, *_ in rows)
    marked = sum(bool(mark) for _, _, mark, *_ in rows)
    with capsys.disabled():
        print(
            f"\ndatabase killed for {AWAY_S:g} s under a live flow: {len(told)} fired, {found},"
            f" {marked} marked, {len(spare)} messages that no row owns"
        )
    # Every alert that the flow told is stored, with one row for its one target.
    assert not story.status.rows_lost
    assert fired == (len(told), len(rows)) == (story.status.rows["alerts"], sum(found.values()))
    assert found["sending"] == found["failed"] == found["expired"] == 0
    # Every row that is told has a message of its own, or is in that of another one.
    assert by_outbox <= set(arrived)
    assert len(sent) == found["sent"]
    for message_id in sent:
        inside = sum(row[1] == message_id for row in rows)
        text = arrived[str(message_id)].text
        assert (f"{inside} alerts in BTC-USDT" in text) == (inside > 1)
    # What arrived and no row owns had no answer on record, and says so when it comes again.
    assert len(spare) <= unknown + marked
    # The muted one was muted all the time, and is counted.
    hushed = {state for state, *_, is_hush, while_away in rows if is_hush and while_away}
    assert hushed == {"suppressed"}
    assert any(
        state == "suppressed" and attempts == 0 and error == "muted by ann"
        for state, _, _, attempts, error, is_hush, _ in rows
        if is_hush
    )


@pytest.mark.slow
def test_the_limits_hold_by_the_clock_of_the_other_side(story: Story) -> None:
    times = sorted(one.received_at for one in story.fake.messages)
    assert max(sum(a <= b < a + SECOND for b in times) for a in times) <= PER_S


@pytest.mark.slow
def test_no_secret_is_in_anything_that_the_run_has_said_or_left(story: Story) -> None:
    said = story.said
    # What is looked through is what it should be.
    assert "candlewax_alerts_total" in said["metrics"]
    assert '"level":"debug"' in said["all.log"].replace(" ", "")
    assert "alert not delivered, will be tried again" in said["all.log"]
    recordings = [text for name, text in said.items() if name.startswith("home/recordings/")]
    assert any("massive" in text for text in recordings)
    assert "home/mutes.json" in said
    assert "tilt" in said["table public.outbox"]
    assert "telegram/main" in said["candlewax alerts"]
    assert "***" in said["candlewax config show"]
    assert any("tilt on binance:BTC-USDT: " in text for text in said.values())
    password = str(psycopg.conninfo.conninfo_to_dict(story.dsn)["password"])
    secrets = {
        "the bot's token": TOKEN.partition(":")[2],
        "the key of a venue": MASSIVE_KEY,
        "the key that the simulator was given": DEFAULT_KEY,
        "the password of the mail server": SMTP_PASSWORD,
        "the secret of webhooks": WEBHOOK_SECRET,
        "the password of the database": password,
    }
    found = [
        f"{what} in {place}"
        for what, secret in secrets.items()
        for place, text in said.items()
        if secret in text
    ]
    assert not found
