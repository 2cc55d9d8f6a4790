"""The whole way of alerts out, and what of it may not be seen."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from flows.market_pages import market_page
from simulator.telegram.bot_api import FakeTelegram
from simulator.telegram.server import telegram_in_thread
from sinks.insertion import insert_alerts
from tests.fakes.killed_flow import alert_cells
from tests.fakes.outbox_rows import until
from tests.servers.kept_connection import kept_connection

TOKEN = "123456789:AAE-fake_token_of_the_tests"
SMTP_PASSWORD = "smtp-password-of-the-tests"
WEBHOOK_SECRET = "webhook-secret-of-the-tests"
SECRETS = (TOKEN.partition(":")[2], SMTP_PASSWORD, WEBHOOK_SECRET)
TARGETS = ["console", "telegram/main", "email/ann", "webhook/desk"]


class NoMail:
    """A mail server whose refusal tells the password, as a bad one might."""

    def login(self, *_: object) -> AuthResult:
        return AuthResult(
            success=False, handled=False, message=f"535 5.7.8 not with {SMTP_PASSWORD}"
        )


def test_no_secret_is_in_any_output_of_an_end_to_end_run(database: str, tmp_path: Path) -> None:
    fake = FakeTelegram(TOKEN)
    controller = Controller(
        NoMail(), hostname="127.0.0.1", port=free_port(), authenticator=NoMail().login,
        auth_require_tls=False,
    )  # fmt: skip
    controller.start()
    with telegram_in_thread(fake) as address:
        (tmp_path / "candlewax.toml").write_text(
            f"""
            [log]
            level = "debug"
            file = "all.log"
            [alerts]
            quiet_hours = ""
            escalate_to = "console"
            [telegram]
            base_url = "{address}/bot"
            chats = {{ main = 42 }}
            users = {{ ann = {{ id = 42, role = "owner" }} }}
            [email]
            host = "127.0.0.1"
            port = {controller.port}
            security = "none"
            user = "wax"
            sender = "wax@example.com"
            addresses = {{ ann = "ann@example.com" }}
            [webhook]
            urls = {{ desk = "{address}/nowhere" }}
            """
        )
        secret = tmp_path / "secret"
        secret.write_text(f"{WEBHOOK_SECRET}\n")
        environ = {
            **os.environ, "DATABASE_URL": database, "TELEGRAM_BOT_TOKEN": TOKEN,
            "SMTP_PASSWORD": SMTP_PASSWORD, "WEBHOOK_SECRET_FILE": str(secret),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }  # fmt: skip
        fake.fail(1, status=502)
        fake.drop(1)
        with psycopg.connect(database) as connection:
            rows = [alert_cells(number, now=time.time_ns(), targets=TARGETS) for number in range(2)]
            insert_alerts(connection, rows, notify=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.whole_delivery", "30"],
            cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

        def is_settled() -> bool:
            with kept_connection(database) as connection:
                row = connection.execute(
                    "SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')"
                ).fetchone()
            return row == (0,)

        try:
            until(is_settled, timeout_s=25)
            fake.write(42, "/status", user_id=42)
            until(lambda: any("fired:" in sent.text for sent in fake.messages))
        finally:
            (tmp_path / "stop").touch()
            said, _ = process.communicate(timeout=20)
            print(said.decode())
    controller.stop()
    assert process.returncode == 0
    shown = subprocess.run(
        [sys.executable, "-m", "cli.main", "config", "show"],
        cwd=tmp_path, env=environ, capture_output=True, check=True,
    ).stdout  # fmt: skip
    with psycopg.connect(database) as connection:
        rows_told = connection.execute("SELECT target, state, error FROM outbox").fetchall()
    states = {str(target): str(state) for target, state, _ in rows_told}
    assert states["console"] == "sent"
    assert states["email/ann"] == "failed"
    assert states["webhook/desk"] == "failed"
    everything = "\n".join(
        [
            said.decode(),
            (tmp_path / "all.log").read_text(),
            shown.decode(),
            json.dumps(rows_told),
            "\n".join(message.text for message in fake.messages),
        ]
    )
    assert "535" in everything
    assert "ALERT" in everything
    for word in SECRETS:
        assert word not in everything


def test_a_wrong_second_target_ends_the_start_with_words(tmp_path: Path) -> None:
    (tmp_path / "candlewax.toml").write_text('[alerts]\nescalate_to = "email/bob"\n')
    told = subprocess.run(
        [sys.executable, "-c", "import flows.crypto as c; c.flow()"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 2
    assert "error: alerts.escalate_to: unknown target 'email/bob': there is console" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_market_has_its_venues_page() -> None:
    assert market_page("bitstamp", "BTC-USD") == "https://www.bitstamp.net/trade/btc/usd/"
    assert market_page("massive", "BTC-USD") == ""
    assert market_page("merged", "BTC-USD") == ""
    assert market_page("binance", "BTC") == ""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
