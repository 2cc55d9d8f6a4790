"""Which version a database has is known without what makes versions."""

import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from alembic.script import ScriptDirectory

from market.errors import ConfigError
from migrations.schema_version import current, known_revision, newest, revisions
from migrations.upgrade import upgrade

MIGRATIONS = Path(__file__).parents[2] / "migrations"


def test_the_versions_are_alembics_in_its_order() -> None:
    scripts = list(ScriptDirectory(str(MIGRATIONS)).walk_revisions())
    assert revisions() == [script.revision for script in reversed(scripts)]
    assert newest() == scripts[0].revision


def test_the_version_of_a_database_is_what_was_run(empty_database: str) -> None:
    assert current(empty_database) is None
    upgrade(empty_database, revisions()[1])
    assert current(empty_database) == revisions()[1]
    upgrade(empty_database)
    assert current(empty_database) == newest()


def test_a_version_of_another_program_is_refused(fresh_database: str) -> None:
    with psycopg.connect(fresh_database) as session:
        assert known_revision(session) == newest()
        session.execute("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(ConfigError, match="has schema version 9999, and this program knows"):
            known_revision(session)


def test_looking_loads_nothing_that_makes_versions() -> None:
    code = (
        "import sys, migrations.schema_version, migrations.storage, migrations.session;"
        "print(sorted({'alembic', 'sqlalchemy'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"
