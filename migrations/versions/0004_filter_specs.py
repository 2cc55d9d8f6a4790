"""Filter specs that are kept in the database, and the numbers of the sets that were in force."""

from migrations.sql_file import run

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run("0004_filter_specs.up.sql")


def downgrade() -> None:
    run("0004_filter_specs.down.sql")
