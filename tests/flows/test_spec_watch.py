"""Specs that change while a flow runs, in both homes."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from filters.spec_store import StoredSpec
from filters.specs import SpecsChanged
from flows.spec_homes import SpecHomes
from flows.spec_watch import SpecWatch, difference, first_set
from market.errors import ConfigError
from sinks.notices import notify
from sinks.secret import Secret
from sinks.stored_specs import StoredSpecs

WITHIN_S = 10.0
FILE = """\
version: 1
filters:
  - id: {id}
    source: {{stream: book, symbols: [BTC-USDT]}}
    when: spread > {number}
"""
STORED = "id: stored\nsource: {stream: book, symbols: [BTC-USDT]}\nwhen: spread > 1\n"


def write(folder: Path, name: str, ident: str, number: object = 1) -> None:
    """Replace a file at once, as most editors do."""
    new = folder / f".{name}.new"
    new.write_text(FILE.format(id=ident, number=number))
    new.replace(folder / name)


class Told:
    """Keeps what a watch tells."""

    def __init__(self) -> None:
        self.changes: list[SpecsChanged] = []
        self.troubles: list[tuple[str, str]] = []
        self.news = threading.Condition()

    def change(self, changed: SpecsChanged) -> None:
        with self.news:
            self.changes.append(changed)
            self.news.notify_all()

    def trouble(self, key: str, text: str) -> None:
        with self.news:
            self.troubles.append((key, text))
            self.news.notify_all()

    def wait(self, what: Callable[[], bool]) -> None:
        with self.news:
            assert self.news.wait_for(what, WITHIN_S), (self.changes, self.troubles)

    @property
    def ids(self) -> list[list[str]]:
        return [[spec.id for spec in change.specs] for change in self.changes]


class NoCalls:
    """A check of targets that knows one name."""

    def __call__(self, names: object) -> None:
        if "nowhere" in str(names):
            raise ConfigError("unknown target 'nowhere'")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "specs"
    made.mkdir()
    write(made, "a.yaml", "first")
    return made


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def files(folder: Path, told: Told) -> Iterator[SpecWatch]:
    """A watch of files alone, that is not started."""
    homes = SpecHomes(folder, None, check=NoCalls())
    watch = SpecWatch(
        homes,
        first_set(homes),
        tell=told.change,
        symbols=("BTC-USDT",),
        trouble=told.trouble,
    )
    yield watch
    watch.stop()


def test_an_edit_a_new_file_and_a_removed_one_are_found(
    folder: Path, files: SpecWatch, told: Told
) -> None:
    files.start()
    write(folder, "a.yaml", "first", 2)
    told.wait(lambda: len(told.changes) == 1)
    write(folder, "b.yaml", "second")
    told.wait(lambda: len(told.changes) == 2)
    (folder / "a.yaml").unlink()
    told.wait(lambda: len(told.changes) == 3)
    assert told.ids == [["first"], ["first", "second"], ["second"]]
    assert [change.generation for change in told.changes] == [2, 3, 4]
    assert told.changes[0].specs[0].when == "spread > 2"
    assert told.changes[0].symbols == ("BTC-USDT",)
    assert told.troubles == []


def test_a_name_that_a_stored_spec_needs_keeps_the_set_when_it_goes(
    folder: Path, database: str, told: Told
) -> None:
    store = StoredSpecs(Secret(database))
    names = folder / "names.yaml"
    names.write_text("version: 1\ndefine: {gaping: spread > 3}\n")
    store.add(StoredSpec(id="stored", text=STORED.replace("spread > 1", "gaping")))
    homes = SpecHomes(folder, store)
    first = first_set(homes)
    watch = SpecWatch(homes, first, tell=told.change, trouble=told.trouble)
    assert [(spec.id, spec.when) for spec in first.specs] == [
        ("first", "spread > 1"), ("stored", "spread > 3"),
    ]  # fmt: skip
    names.unlink()
    assert not watch.reload()
    assert watch.current.specs == first.specs
    [(_, trouble)] = told.troubles
    assert "those before stay in force" in trouble
    assert "database:stored:3:7: 'book' has no field 'gaping', and no file defines" in trouble
    names.write_text("version: 1\ndefine: {gaping: spread > 4}\n")
    assert watch.reload()
    assert told.changes[-1].specs[-1].when == "spread > 4"
    assert watch.current.problem == ""


def test_a_folder_that_is_swapped_by_a_symlink_or_made_again_is_found(
    tmp_path: Path, folder: Path, told: Told
) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    homes = SpecHomes(link, None)
    watch = SpecWatch(homes, first_set(homes), tell=told.change, trouble=told.trouble)
    watch.start()
    other = tmp_path / "other"
    other.mkdir()
    write(other, "a.yaml", "swapped")
    (tmp_path / "new").symlink_to(other)
    (tmp_path / "new").replace(link)
    told.wait(lambda: len(told.changes) == 1)
    link.unlink()
    told.wait(lambda: len(told.troubles) == 1)
    assert "cannot read the folder" in told.troubles[0][1]
    link.symlink_to(folder)
    told.wait(lambda: len(told.changes) == 2)
    watch.stop()
    assert told.ids == [["swapped"], ["first"]]


def test_one_bad_file_keeps_the_whole_old_set_and_is_told_once(
    folder: Path, files: SpecWatch, told: Told
) -> None:
    write(folder, "b.yaml", "second")
    write(folder, "c.yaml", "third", "much")
    assert not files.reload()
    assert not files.reload()
    assert told.changes == []
    [(key, text)] = told.troubles
    assert key.startswith("specs/1/")
    assert f"{folder}/c.yaml:5:20" in text
    assert "those before stay in force" in text
    assert files.current.generation == 1
    assert "c.yaml:5" in files.current.problem
    write(folder, "c.yaml", "third", 3)
    assert files.reload()
    assert told.ids == [["first", "second", "third"]]
    assert files.current.problem == ""


def test_a_mistake_of_ours_is_told_loudly_and_the_next_change_is_taken(
    folder: Path, told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    def tell(change: SpecsChanged) -> None:
        if "broken" in [spec.id for spec in change.specs]:
            raise OverflowError("year 10000")
        told.change(change)

    homes = SpecHomes(folder, None)
    watch = SpecWatch(homes, first_set(homes), tell=tell, trouble=told.trouble)
    write(folder, "b.yaml", "broken")
    watch.start()
    told.wait(lambda: bool(told.troubles))
    assert "a mistake of the program itself: OverflowError('year 10000')" in told.troubles[0][1]
    assert [spec.id for spec in watch.current.specs] == ["first"]
    assert any(record.exc_info for record in caplog.records)
    write(folder, "b.yaml", "second")
    told.wait(lambda: bool(told.changes))
    watch.stop()
    assert told.ids == [["first", "second"]]


def test_what_changes_no_meaning_is_no_new_generation(
    folder: Path, files: SpecWatch, told: Told
) -> None:
    text = (folder / "a.yaml").read_text()
    (folder / "a.yaml").write_text(
        "# a word\n" + text + "    tests: [{given: {spread: [2]}, fires: [1]}]\n"
    )
    (folder / "off.yaml").write_text(FILE.format(id="off", number=1) + "    enabled: false\n")
    assert not files.reload()
    assert told.changes == []
    assert files.current.problem == ""


def test_a_spec_that_tells_nobody_known_is_refused(
    folder: Path, files: SpecWatch, told: Told
) -> None:
    (folder / "b.yaml").write_text(
        FILE.format(id="lost", number=1) + "    notify: [{to: nowhere}]\n"
    )
    assert not files.reload()
    assert "unknown target 'nowhere'" in told.troubles[0][1]


def test_specs_of_the_database_come_and_go_while_it_is_watched(
    folder: Path, told: Told, database: str
) -> None:
    store = StoredSpecs(Secret(database))
    homes = SpecHomes(folder, store)
    watch = SpecWatch(
        homes, first_set(homes), tell=told.change, dsn=Secret(database), trouble=told.trouble
    )
    watch.start()
    store.add(StoredSpec(id="stored", text=STORED))
    told.wait(lambda: len(told.changes) == 1)
    store.switch("stored", is_enabled=False)
    told.wait(lambda: len(told.changes) == 2)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'candlewax filter specs'"
        )
    store.switch("stored", is_enabled=True)
    told.wait(lambda: len(told.changes) == 3)
    watch.stop()
    assert told.ids == [["first", "stored"], ["first"], ["first", "stored"]]
    assert [change.generation for change in told.changes] == [2, 3, 4]


def test_an_id_that_appears_in_both_homes_keeps_the_old_set(
    folder: Path, told: Told, database: str
) -> None:
    store = StoredSpecs(Secret(database))
    homes = SpecHomes(folder, store)
    watch = SpecWatch(homes, first_set(homes), tell=told.change, trouble=told.trouble)
    store.add(StoredSpec(id="first", text=STORED.replace("stored", "first")))
    assert not watch.reload()
    assert "database:first:1:5: id 'first' is taken already, in" in told.troubles[0][1]


def test_processes_agree_on_the_generation_and_it_goes_on_after_a_restart(
    folder: Path, database: str
) -> None:
    homes = SpecHomes(folder, StoredSpecs(Secret(database)))
    sets: list[list[SpecsChanged]] = [[], []]
    watches = [SpecWatch(homes, first_set(homes), tell=each.append) for each in sets]
    write(folder, "a.yaml", "first", 2)
    assert [watch.reload() for watch in watches] == [True, True]
    assert sets[0] == sets[1]
    assert sets[0][0].generation == 2
    assert first_set(homes).generation == 2


def test_a_database_that_is_away_keeps_the_old_set(folder: Path, told: Told) -> None:
    homes = SpecHomes(folder, None)
    current = first_set(homes)
    homes.store = StoredSpecs(Secret("postgresql://me:hush@127.0.0.1:1/none"))
    watch = SpecWatch(homes, current, tell=told.change, trouble=told.trouble)
    write(folder, "a.yaml", "first", 2)
    assert not watch.reload()
    assert "does not answer" in watch.current.problem
    assert "hush" not in watch.current.problem


def test_a_notice_is_put_into_the_outbox_once(database: str) -> None:
    now = time.time_ns()
    for _ in range(2):
        assert notify(Secret(database), "specs/1/x", "wrong", targets=("console",), now=now)
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT alert_key, target, text, state FROM outbox").fetchall()
    assert rows == [("notice/specs/1/x", "console", "wrong", "pending")]
    away = Secret("postgresql://me@127.0.0.1:1/none")
    assert not notify(away, "k", "t", targets=("console",), now=now)


def test_the_difference_names_what_is_new_gone_and_edited(folder: Path) -> None:
    write(folder, "b.yaml", "second")
    old = first_set(SpecHomes(folder, None)).specs
    write(folder, "a.yaml", "first", 5)
    (folder / "b.yaml").unlink()
    write(folder, "c.yaml", "third")
    new = first_set(SpecHomes(folder, None)).specs
    assert difference(old, new) == {"added": ["third"], "removed": ["second"], "edited": ["first"]}
    assert difference(new, new) == {}
