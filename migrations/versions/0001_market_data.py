"""Tables of the store."""

from migrations.sql_file import run

revision = "0001"
down_revision = None


def upgrade() -> None:
    run("0001_market_data.up.sql")


def downgrade() -> None:
    run("0001_market_data.down.sql")
