"""The editors' schema: a valid one, which takes right specs and refuses wrong ones."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from filters.schema import schema
from tests.filters.test_bad_specs import cases

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "filters" / "specs").glob("*.yaml"))
EXAMPLES = re.findall(
    r"```yaml\n(.*?)```", (ROOT / "docs" / "filters.md").read_text("utf-8"), re.DOTALL
)
WRONG = [
    "mistyped key",
    "long form: unknown op",
    "long form: no value",
    "unknown stream",
    "unknown trigger",
    "unknown way with what is missing",
    "once with a number",
    "a test that does not say when",
    "a chart that is neither",
]


class _Core(yaml.SafeLoader):
    """Reads scalars as YAML 1.2 does where 1.1 would make days and truth of words."""


_Core.yaml_implicit_resolvers = {
    sign: [(tag, pattern) for tag, pattern in found if not tag.endswith(("timestamp", "bool"))]
    for sign, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|false"), list("tf"))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema())


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.name)
def test_a_shipped_file_is_valid(path: Path, validator: Draft202012Validator) -> None:
    validator.validate(yaml.load(path.read_text("utf-8"), Loader=_Core))  # noqa: S506


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_of_the_documentation_is_valid(
    text: str, validator: Draft202012Validator
) -> None:
    validator.validate(yaml.load(text, Loader=_Core))  # noqa: S506


@pytest.mark.parametrize(
    "text", [pytest.param(text, id=name) for name, text, _ in cases() if name in WRONG]
)
def test_what_a_schema_can_refuse_it_does(text: str, validator: Draft202012Validator) -> None:
    assert not validator.is_valid(yaml.load(text, Loader=_Core))  # noqa: S506


def test_the_checker_of_schemas_takes_it(tmp_path: Path) -> None:
    file = tmp_path / "filters.schema.json"
    file.write_text(json.dumps(schema()))
    command = [sys.executable, "-m", "check_jsonschema"]
    for arguments in (["--check-metaschema", file], ["--schemafile", file, *SPECS]):
        done = subprocess.run(
            [*command, *map(str, arguments)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
