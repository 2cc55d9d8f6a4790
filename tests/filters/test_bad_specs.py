"""What a person is told about a wrong spec, word for word.

The cases and messages are in `golden/bad_specs.txt`. After a change of words, run this file as a
program (`python tests/filters/test_bad_specs.py`), and read the difference before keeping it.
"""

from pathlib import Path

import pytest

from filters.spec_reader import read_specs
from filters.spec_set_error import SpecSetError

GOLDEN = Path(__file__).with_name("golden") / "bad_specs.txt"
BEGIN = "======== "
MESSAGE = "--------\n"


def cases() -> list[tuple[str, str, str]]:
    found = []
    for block in GOLDEN.read_text(encoding="utf-8").split(BEGIN)[1:]:
        name, _, rest = block.partition("\n")
        text, _, message = rest.partition(MESSAGE)
        found.append((name, text, message.rstrip("\n")))
    return found


def told(text: str) -> str:
    with pytest.raises(SpecSetError) as caught:
        read_specs([("specs.yaml", text)])
    return str(caught.value)


@pytest.mark.parametrize(("text", "message"), [pytest.param(*c[1:], id=c[0]) for c in cases()])
def test_a_wrong_spec_is_told_with_its_place(text: str, message: str) -> None:
    assert told(text) == message


def test_the_golden_file_is_not_empty() -> None:
    assert len(cases()) >= 130


if __name__ == "__main__":
    head = GOLDEN.read_text(encoding="utf-8").split(BEGIN)[0]
    blocks = [f"{BEGIN}{name}\n{text}{MESSAGE}{told(text)}\n" for name, text, _ in cases()]
    GOLDEN.write_text(head + "\n".join(blocks), encoding="utf-8")
