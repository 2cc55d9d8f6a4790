import pytest

from flows.replay import VARIABLE, ReplayOptions
from market.errors import ConfigError


def test_files_are_all_that_a_replay_needs() -> None:
    options = ReplayOptions.of({VARIABLE: '{"files":["a.jsonl","b.jsonl.gz"]}'})
    assert options.files == ("a.jsonl", "b.jsonl.gz")
    assert (options.batch, options.speed, options.store, options.notify) == (500, 0.0, "", False)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (None, "nothing to replay: use `candlewax replay FILE`"),
        ("", "nothing to replay"),
        ("a.jsonl", "CANDLEWAX_REPLAY: JSON is malformed"),
        ("{}", "missing required field `files`"),
        ('{"files":[]}', "no files to replay"),
        ('{"files":["a"],"sped":1}', "unknown field `sped`"),
        ('{"files":["a"],"batch":0}', "batch"),
        ('{"files":["a"],"speed":-1}', "speed"),
    ],
)
def test_what_makes_no_sense_is_told(words: str | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ReplayOptions.of({} if words is None else {VARIABLE: words})
