from pathlib import Path

import msgspec
import pytest

from flows.emission import KINDS
from flows.output import VARIABLE, Output, digest_of, lines_of
from market.errors import ConfigError


def told(**words: object) -> Output:
    return Output.of({VARIABLE: msgspec.json.encode(words).decode()})


def test_nothing_is_emitted_unless_it_is_asked_for() -> None:
    output = Output.of({})
    assert output.kinds == frozenset()
    assert output.sink() is None


def test_a_digest_or_a_file_alone_means_every_kind(tmp_path: Path) -> None:
    path = str(tmp_path / "out.jsonl")
    assert told(digest=True, out=path).kinds == frozenset(KINDS)
    assert told(out=path).kinds == frozenset(KINDS)
    assert told(emit=["bars"], out=path).kinds == {"bars"}
    assert told(emit=["bars"], out=path).sink() is not None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("bars", "CANDLEWAX_OUTPUT: JSON is malformed"),
        ('{"emits":["bars"]}', "emits"),
        ('{"emit":["bears"]}', "--emit bears: expected some of events, books, bars"),
        ('{"out":"/proc/no/such/place"}', "--out /proc/no/such/place: cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(words: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Output.of({VARIABLE: words})


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        told(out=str(tmp_path))


def test_trying_the_file_leaves_its_lines_alone(tmp_path: Path) -> None:
    path = tmp_path / "below" / "out.jsonl"
    told(out=str(path))
    path.write_bytes(b'{"kind":"bars","key":"x","value":1}\n')
    told(out=str(path))
    assert list(lines_of(path)) == [b'{"kind":"bars","key":"x","value":1}\n']
    assert digest_of(path).endswith("records=1 bars=1")


def test_the_digest_of_no_file_is_that_of_no_lines(tmp_path: Path) -> None:
    assert digest_of(tmp_path / "none").endswith("records=0")
