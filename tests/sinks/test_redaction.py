import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.redaction import Redactor, redact
from sinks.secret import Secret

TOKEN = "1234567890:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (
            f"POST https://api.telegram.org/bot{TOKEN}/getMe",
            "POST https://api.telegram.org/bot***/getMe",
        ),
        (f"token={TOKEN}", "token=***"),
        (f"[alerts.{TOKEN}]", "[alerts.***]"),
        (f"bot {quote(TOKEN, safe='')} wants in", "bot *** wants in"),
        (
            "postgresql://candle:w@x@127.0.0.1:5432/market?x=1",
            "postgresql://candle:***@127.0.0.1:5432/market?x=1",
        ),
        ("postgresql://:wax@[::1]/market", "postgresql://:***@[::1]/market"),
        ("host=db password=wax user=candle", "host=db password=*** user=candle"),
        ("password='a b' host=db", "password=*** host=db"),
        (
            "postgresql://db/market?password=wax&user=candle",
            "postgresql://db/market?password=***&user=candle",
        ),
    ],
)
def test_what_looks_secret_is_taken_out(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "12:34:56.789 info sinks.sender: alert sent  outbox_id=7",
        "http://127.0.0.1:8080/metrics",
        "wss://stream.binance.com:9443/stream?streams=btcusdt@trade",
        '{"url":"http://127.0.0.1:8080","mail":"ann@example.org"}',
        "binance:BTC-USDT 1m close 70000.5",
        "specs/rsi.yaml:12:34: unknown key",
        "grpc at 10.0.0.200:50051",
    ],
)
def test_what_is_harmless_stays(text: str) -> None:
    assert redact(text) == text


def test_a_known_secret_goes_in_every_spelling() -> None:
    secret = 'p"a\\s/s wörd'
    redactor = Redactor([Secret(secret)])
    for text in (secret, quote(secret, safe=""), json.dumps({"x": secret}, ensure_ascii=False)):
        assert redactor.redact(f"<{text}>").count("***") == 1
    assert json.loads(redactor.redact(json.dumps({"x": secret}, ensure_ascii=False))) == {
        "x": "***"
    }


def test_a_secret_inside_another_does_not_leave_a_rest() -> None:
    assert redact("hunter22", [Secret("hunter"), Secret("hunter22")]) == "***"


def test_an_added_secret_counts_from_then_on() -> None:
    redactor = Redactor()
    assert redactor.redact("wax") == "wax"
    redactor.add(Secret("wax"))
    redactor.add(Secret(""))
    assert redactor.redact("wax") == "***"


@given(st.text(), st.text(min_size=5).filter(lambda secret: "*" not in secret), st.text())
def test_no_text_hides_a_known_secret(before: str, secret: str, after: str) -> None:
    assert secret not in redact(before + secret + after, [Secret(secret)])


@given(st.text(alphabet=" \"'\\:/@=bot123password", max_size=200))
def test_a_line_of_json_stays_one(text: str) -> None:
    line = json.dumps({"message": text, "next": text})
    assert set(json.loads(redact(line))) <= {"message", "next"}
