from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.alerts import Clause
from sinks.alert_facts import AlertFacts
from sinks.explanation import explain
from sinks.message import MOST, TEXT_LIMIT, Composer, Message, cut
from sinks.outbox_row import REPEAT_MARK, OutboxRow
from sinks.telegram.target import CAPTION_LIMIT, fitted
from sinks.telegram.target import TEXT_LIMIT as TELEGRAM_LIMIT

SECOND = 1_000_000_000
NOON = 1_763_640_000 * SECOND  # 2025-11-20 12:00:00 UTC
BERLIN = Composer(ZoneInfo("Europe/Berlin"), lambda venue, symbol: f"https://{venue}/{symbol}")
UTC = Composer(ZoneInfo("UTC"))


def row(number: int = 1, text: str = "RSI 28", **changes: str | int | None) -> OutboxRow:
    told: dict[str, object] = {
        "id": number, "alert_key": f"k{number}", "target": "telegram/main", "severity": "warning",
        "text": text, "state": "pending", "attempts": 0, "fired_at": NOON + 2 * SECOND,
    }  # fmt: skip
    return OutboxRow(**{**told, **changes})  # type: ignore[arg-type]


def facts(number: int = 1, **changes: object) -> AlertFacts:
    told: dict[str, object] = {
        "key": f"k{number}", "spec": "oversold", "venue": "binance", "symbol": "BTC-USDT",
        "interval": "1m", "severity": "warning", "text": "RSI 28", "time": NOON,
        "fired_at": NOON + 2 * SECOND, "values": {"rsi(14)": 28.25}, "price": 70123.4,
    }  # fmt: skip
    return AlertFacts(**{**told, **changes})  # type: ignore[arg-type]


def test_a_message_says_where_at_what_price_how_old_and_when() -> None:
    assert BERLIN.one(row(), facts()).text == (
        "RSI 28\n"
        "binance BTC-USDT 1m · price 70,123.4 · warning\n"
        "decided 2.0 s after the market's time\n"
        "2025-11-20 13:00:02 CET (12:00:02 UTC)\n"
        "https://binance/BTC-USDT"
    )


def test_what_is_not_known_is_left_out() -> None:
    assert UTC.one(row(), None).text == "RSI 28"
    assert UTC.one(row(), facts(price=None, interval="")).text == (
        "RSI 28\nbinance BTC-USDT · warning\ndecided 2.0 s after the market's time\n"
        "2025-11-20 12:00:02 UTC"
    )


@pytest.mark.parametrize(
    ("changes", "ended", "begins"),
    [
        ({"escalates": "telegram/main", "waits_until": NOON}, None, "not acknowledged at telegram"),
        ({"waits_until": NOON}, None, "since 13:00:02 (quiet hours), no end seen: RSI 28\n"),
        ({"waits_until": NOON}, NOON, "over (13:00:02 to 13:00:00, in quiet hours): RSI 28\n"),
    ],
)
def test_a_message_says_why_it_comes_now(
    changes: dict[str, str | int | None], ended: int | None, begins: str
) -> None:
    assert BERLIN.one(row(1, "RSI 28", **changes), facts(ended_at=ended)).text.startswith(begins)


def test_a_digest_of_one_symbol_names_it() -> None:
    rows = [row(n, f"RSI {n}") for n in range(5)]
    rows[3] = row(3, REPEAT_MARK + "RSI 3")
    message = UTC.digest(rows, {f"k{n}": facts(n) for n in range(5)})
    assert message.text == (
        "5 alerts in BTC-USDT, warning\n"
        "- 12:00:02 RSI 0\n- 12:00:02 RSI 1\n- 12:00:02 RSI 2\n"
        "- 12:00:02 possible repeat: RSI 3\n- 12:00:02 RSI 4\ntimes in UTC"
    )


def test_a_digest_of_several_symbols_groups_them() -> None:
    rows = [row(n, f"alert {n}", waits_until=NOON) for n in range(4)]
    known = {
        "k0": facts(0), "k1": facts(1, symbol="ETH-USDT"), "k2": facts(2, ended_at=NOON),
    }  # fmt: skip
    assert UTC.digest(rows, known).body == (
        "4 alerts in 3 symbols, warning (from the quiet hours)\n"
        "2 in BTC-USDT:\n- 12:00:02 alert 0\n- 12:00:02 over since 12:00:00: alert 2\n"
        "1 in ETH-USDT:\n- 12:00:02 alert 1\n"
        "1 in others:\n- 12:00:02 alert 3"
    )


@given(
    texts=st.lists(st.text(min_size=1, max_size=5000), min_size=1, max_size=MOST),
    symbols=st.lists(st.text(max_size=40), min_size=MOST, max_size=MOST),
    link=st.text(max_size=200),
)
def test_no_message_is_longer_than_telegram_takes_and_no_alert_falls_off(
    texts: list[str], symbols: list[str], link: str
) -> None:
    rows = [row(n, text) for n, text in enumerate(texts)]
    known = {f"k{n}": facts(n, symbol=symbols[n]) for n in range(len(rows))}
    composer = Composer(ZoneInfo("Europe/Berlin"), lambda _venue, _symbol: link)
    message = composer.digest(rows, known)
    for limit in (TELEGRAM_LIMIT, CAPTION_LIMIT):
        assert len(fitted(message, limit).encode("utf-16-le", "replace")) // 2 <= limit
    if len(rows) > 1:
        assert message.body.count("\n- ") == len(rows)
        assert len(message.body.encode("utf-16-le", "replace")) // 2 <= TEXT_LIMIT
        assert fitted(message, TELEGRAM_LIMIT) == message.text.encode("utf-16", "replace").decode(
            "utf-16"
        )


@given(st.text(max_size=60), st.integers(1, 40))
def test_a_cut_keeps_the_beginning(text: str, limit: int) -> None:
    short = cut(text, limit)
    assert len(short.encode("utf-16-le")) // 2 <= limit
    assert short == text.encode("utf-16", "replace").decode("utf-16") or short.endswith("…")


def test_a_subject_is_one_short_line() -> None:
    assert Message(body="x" * 200 + "\nsecond").subject == "x" * 149 + "…"


def test_why_shows_no_more_digits_than_a_phone_has_room_for() -> None:
    values = {"a": 51.49230575521, "b": 64_002.16, "c": 0.000012345678912, "d": 1e-12}
    told = explain(facts(values=values), UTC).splitlines()
    assert told[2:6] == [
        "a was 51.4923058",
        "b was 64,002.16",
        "c was 0.0000123457",
        "d was 1e-12",
    ]


def test_why_shows_each_clause_with_value_and_threshold() -> None:
    clauses = (
        Clause("rsi(14) < 30", 28.25, 30.0, holds=True),
        Clause("close > ema(20)", None, None, holds=False),
    )
    values = {"rsi(14)": 28.25, "volume": 3.0, "ema(9)": None}
    told = explain(facts(clauses=clauses, values=values, ended_at=NOON), UTC, acked_by="ann")
    assert told == (
        "oversold on binance BTC-USDT 1m\n"
        "fired 2025-11-20 12:00:02 UTC\n"
        "yes: rsi(14) < 30 (was 28.25, against 30)\n"
        "no: close > ema(20) (was not known)\n"
        "ema(9) was not known\n"
        "volume was 3\n"
        "decided 2.0 s after the market's time\n"
        "over since 2025-11-20 12:00:00 UTC\n"
        "acknowledged by ann"
    )
