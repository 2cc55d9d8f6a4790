"""What a strategy's alert says, entry or why it left, as a column, and its numbers as a view."""

from migrations.sql_file import run

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run("0005_signals.up.sql")


def downgrade() -> None:
    run("0005_signals.down.sql")
