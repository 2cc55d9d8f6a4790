import pytest

from market.errors import ConfigError
from simulator.quantities import duration, read_yaml, share


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("20s", 20_000_000_000),
        ("250ms", 250_000_000),
        ("1.5m", 90_000_000_000),
        ("1h", 3600 * 10**9),
    ],
)
def test_a_duration_is_read_to_the_nanosecond(text: str, nanoseconds: int) -> None:
    assert duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "20", "s", "-1s", "1e3s", "20 s", "20d", "٢s"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="as in 20s"):
        duration(text)


def test_a_share_is_read_as_part_of_one() -> None:
    assert share("1.5%") == 0.015


@pytest.mark.parametrize("text", ["", "1.5", "%", "-1%"])
def test_what_is_no_share_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"as in 1\.5%"):
        share(text)


def test_broken_yaml_is_told_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"moves\.yaml:2:\d+"):
        read_yaml("moves:\n  - {symbol: [", "moves.yaml")
