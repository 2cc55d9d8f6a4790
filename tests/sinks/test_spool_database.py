"""What a demo invented does not end in somebody's database."""

from pathlib import Path

import pytest

from market.errors import ConfigError
from sinks.spool import Spool
from sinks.spool_database import EMBEDDED, bind, name_of
from sinks.spool_lane import Entry

REAL = name_of("postgresql://me:s3cret@db.example/market")


def wait(folder: Path, name: str) -> None:
    spool = Spool(folder / name, limit=1 << 20)
    spool.append(0, [Entry("trades", 7, 1, b"rows")])
    spool.close()


def test_a_database_has_a_name_without_secrets() -> None:
    assert REAL == "db.example:5432/market"
    assert name_of("host=a port=1 user=u password=x") == "a:1/u"
    assert name_of("") == "localhost:5432/"


def test_processes_that_start_at_once_note_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def late(self: Path, target: Path) -> Path:
        monkeypatch.setattr(Path, "replace", replace)
        bind(tmp_path, REAL)  # another one, from its beginning to its end
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", late)
    bind(tmp_path, REAL)
    assert [path.name for path in tmp_path.iterdir()] == ["database"]
    assert (tmp_path / "database").read_text() == f"{REAL}\n"


@pytest.mark.parametrize("name", ["store-0", "alerts-3"])
def test_rows_for_another_database_are_refused(tmp_path: Path, name: str) -> None:
    bind(tmp_path, EMBEDDED)
    wait(tmp_path, name)
    bind(tmp_path, EMBEDDED)
    with pytest.raises(ConfigError, match="7 rows wait there for the embedded PostgreSQL") as told:
        bind(tmp_path, REAL)
    assert "s3cret" not in str(told.value)
    (tmp_path / "database").unlink()
    bind(tmp_path, REAL)
    with pytest.raises(ConfigError, match=r"db\.example"):
        bind(tmp_path, EMBEDDED)


def test_an_empty_spool_serves_any_database(tmp_path: Path) -> None:
    for database in (EMBEDDED, REAL, EMBEDDED):
        bind(tmp_path / "spool", database)
    assert (tmp_path / "spool" / "database").read_text() == f"{EMBEDDED}\n"


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="CANDLEWAX_HOME"):
        bind(tmp_path / "file" / "spool", REAL)
