"""What a chat got of a burst of alerts, and how long that took."""

import re
from collections import Counter
from collections.abc import Sequence

import psycopg

from simulator.telegram.bot_api import FakeTelegram
from simulator.telegram.received import Received
from sinks import outbox_report

SECOND = 1_000_000_000
ALERT = re.compile(r"(possible repeat: )?alert (\d+)\.")


class Api:
    """A fake Bot API and the address where it is."""

    def __init__(self, fake: FakeTelegram, address: str) -> None:
        self.fake = fake
        self.base_url = f"{address}/bot"


def check_limit(messages: list[Received], per_s: int) -> None:
    """Check that no stretch of a second has more, by the clock of the chat."""
    times = sorted(message.received_at for message in messages)
    most = max(sum(a <= b < a + SECOND for b in times) for a in times)
    assert most <= per_s


def told(messages: list[Received]) -> tuple[Counter[int], Counter[int]]:
    """Return how often each alert arrived without and with the mark."""
    plain, marked = Counter[int](), Counter[int]()
    for message in messages:
        for mark, number in ALERT.findall(message.text):
            (marked if mark else plain)[int(number)] += 1
    return plain, marked


def figures(dsn: str, messages: Sequence[Received], *, count: int, away_s: float) -> str:
    """Say what became of a burst over a time without a database."""
    arrived: dict[int, int] = {}
    copies = Counter[int]()
    for message in messages:
        for _, number in ALERT.findall(message.text):
            arrived.setdefault(int(number), message.received_at)
            copies[int(number)] += 1
    with psycopg.connect(dsn) as connection:
        found = outbox_report.counts(connection)
        fired = {
            int(key.rpartition("/")[2]): float(at) * SECOND
            for key, at in connection.execute(
                "SELECT alert_key, extract(epoch FROM fired_at) FROM outbox"
            )
        }
        digests = connection.execute("SELECT count(DISTINCT carried_by) FROM outbox").fetchone()
    waits = [(at - fired[number]) / SECOND for number, at in arrived.items()]
    return (
        f"\n{count} fired, database away {away_s:g} s: {len(messages)} messages,"
        f" {digests[0] if digests else 0} of them digests; {found['sent']} sent,"
        f" {found['digested']} digested, {found['unknown']} unknown,"
        f" {copies.total() - len(copies)} duplicates; longest wait {max(waits):.1f} s"
    )
