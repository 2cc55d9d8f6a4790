"""Updates of books, and views for people."""

from migrations.sql_file import run

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run("0002_book_updates.up.sql")


def downgrade() -> None:
    run("0002_book_updates.down.sql")
