"""Digests, quiet hours, mutes, acknowledgements and the commands of a bot."""

from migrations.sql_file import run

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run("0003_alert_delivery.up.sql")


def downgrade() -> None:
    run("0003_alert_delivery.down.sql")
