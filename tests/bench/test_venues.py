"""The venues' bench: short, for the figures mean nothing here."""

import pytest

from bench.venues import measure, table
from connectors import VENUES


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == "binance" else pytest.mark.slow) for name in VENUES],
)
def test_every_venues_messages_are_measured(name: str) -> None:
    figures = measure(name, length_s=6, passes=1, symbols=10)
    assert {"trade", "book"} & set(figures), "enough messages came"
    for kind, row in figures.items():
        assert list(row) == ["messages", "bytes", "ns", "floor_ns", "ratio"], kind
        assert min(row.values()) > 0
    [_, *lines] = table({name: figures})
    assert [line.split()[0] for line in lines] == [name] * len(figures)
