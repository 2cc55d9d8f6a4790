"""One transaction at a time, and whether the database may have one that it did not confirm."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.pq import TransactionStatus

from sinks.store_connection import LIMITS


class Commit:
    """The transactions of one connection's owner.

    Attributes:
        is_in_doubt: the last one got as far as its commit. When that raised, nobody knows whether
            the database has its rows. Also when it has some rows and the rest of them failed.
    """

    def __init__(self) -> None:
        self.is_in_doubt = False

    def forget(self) -> None:
        """Begin anew: whatever fails now is no transaction's."""
        self.is_in_doubt = False

    def doubt(self) -> None:
        """Note that of what is written in several transactions some is in the database."""
        self.is_in_doubt = True

    @contextmanager
    def of(self, connection: psycopg.Connection) -> Iterator[None]:
        """Begin a transaction with limits of its own; commit it at the end of the block.

        The connection is closed when what failed cannot be rolled back either: a statement timeout
        can hit the rollback too, and whatever came next would fail in the same transaction.
        """
        self.is_in_doubt = False
        try:
            with connection.transaction():
                connection.execute(LIMITS)
                yield
                self.is_in_doubt = True
        finally:
            if connection.info.transaction_status is not TransactionStatus.IDLE:
                connection.close()
