import re
from pathlib import Path

from simulator.__main__ import _parser
from simulator.fault_script import KINDS, read_faults
from simulator.script import read_script
from simulator.script_file import SHIPPED

PAGE = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()


def test_every_option_is_documented() -> None:
    options = {name for action in _parser()._actions for name in action.option_strings}
    undocumented = {"-h", "--help", "--host"}
    assert {name for name in options - undocumented if f"`{name}" not in PAGE} == set()


def test_every_fault_and_shipped_script_is_documented() -> None:
    for kind in KINDS:
        assert f"| `{kind}` |" in PAGE
    for path in SHIPPED.glob("*.yaml"):
        assert f"`{path.stem}`" in PAGE


def test_the_examples_on_the_page_are_right() -> None:
    moves, walls, faults = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(read_script(moves, "page").moves) == 2
    assert len(read_script(walls, "page").walls) == 3
    assert len(read_faults(faults, "page")) == 2
