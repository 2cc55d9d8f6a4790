"""Signal and labels of alerts as columns, and the numbers of signals as a view."""

from migrations.sql_file import run

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run("0005_signals.up.sql")


def downgrade() -> None:
    run("0005_signals.down.sql")
