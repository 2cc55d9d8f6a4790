"""What is not documented does not exist; what is documented is true."""

import re
import subprocess
from pathlib import Path

import msgspec
import pytest
from prometheus_client import REGISTRY

import flows.crypto  # noqa: F401  registers every metric of a flow process
from cli.main import COMMANDS
from filters.load import load_files
from flows import cluster, configuration, home, output, replay
from flows.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def tracked() -> list[Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_every_setting_is_in_the_operations_page() -> None:
    sections = msgspec.to_builtins(Settings())
    keys = {
        f"{section}.{key}"
        for section, table in sections.items()
        if section != "feeds"
        for key in table
    } | {f"feeds.<venue>.{key}" for key in sections["feeds"]["binance"]}
    documented = set(re.findall(r"^\| `([a-z_<>.]+\.[a-z_]+)` \|", OPERATIONS, re.MULTILINE))
    assert documented - {"run.json", "mutes.json"} == keys


def test_every_default_in_the_operations_page_is_the_default() -> None:
    shown = dict(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| `([^`]*)` \|", OPERATIONS, re.MULTILINE))
    sections = msgspec.to_builtins(Settings())
    assert len(shown) > 12
    for name, text in shown.items():
        section, key = name.split(".")
        value = sections[section][key]
        told = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        assert text.replace(" ", "") == told.replace(" ", ""), name


def test_every_command_is_in_the_operations_page() -> None:
    for name in COMMANDS:
        assert f"`candlewax {name}" in OPERATIONS, name


def test_every_variable_is_in_the_operations_page() -> None:
    known = {
        *configuration.SECRETS, *(f"{name}_FILE" for name in configuration.SECRETS),
        configuration.FILE_VARIABLE, home.VARIABLE, cluster.CLUSTER, output.VARIABLE,
        replay.VARIABLE,
    }  # fmt: skip
    for name in known:
        assert f"`{name}`" in OPERATIONS, name


def test_every_metric_is_in_the_operations_page() -> None:
    ours = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in REGISTRY.collect()
        if metric.name.startswith("candlewax_")
    }
    assert set(re.findall(r"`(candlewax_\w+)`", OPERATIONS)) >= ours
    documented = set(re.findall(r"^\| `(candlewax_\w+)` \|", OPERATIONS, re.MULTILINE))
    assert documented == ours


def test_every_label_of_a_metric_is_in_the_operations_page() -> None:
    rows = re.findall(r"^\| `(candlewax_\w+)` \| ([^|]*)\|", OPERATIONS, re.MULTILINE)
    assert len(rows) > 25
    for name, labels in rows:
        # There is no public way to the labels of a metric that has counted nothing yet.
        known = vars(REGISTRY._names_to_collectors[name])["_labelnames"]
        assert tuple(re.findall(r"`(\w+)`", labels)) == known, name


def test_the_spec_in_the_readme_loads(tmp_path: Path) -> None:
    spec = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    assert len(spec) == 1
    file = tmp_path / "readme.yaml"
    file.write_text(spec[0])
    assert [one.id for one in load_files([file])] == ["oversold"]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_tracked_file_names_an_index_or_a_folder_of_somebodys_machine() -> None:
    # Put together here, so that this file does not find itself.
    words = [
        "pypi" + ".org", "pythonhosted" + ".org", "index" + "-url =", "/" + "root/", "/" + "home/",
        "deb.debian" + ".org",
    ]  # fmt: skip
    found = []
    for file in tracked():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{file.relative_to(ROOT)}: {word}" for word in words if word in text]
    assert found == []


def test_lock_files_have_hashes_and_no_address() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        assert not [line for line in lines if "://" in line or line.startswith("-")]
        pinned = [line for line in lines if line and not line.startswith(" ")]
        assert len(pinned) > 20
        assert all(re.match(r"[a-z0-9._-]+==\S+", line) for line in pinned)
        assert "--hash=sha256:" in "\n".join(lines)
