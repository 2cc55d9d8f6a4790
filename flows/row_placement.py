"""Which partition of the store takes a symbol's rows: one on the symbol's own worker.

Bytewax deals partitions out to the workers in turn. Rows that stay with the worker that made them
are neither pickled nor sent; a wrong guess would cost speed, never correctness.
"""

import zlib
from collections.abc import Callable
from functools import cache

from connectors.placement import owner_of


def row_placement(partitions: int, workers: int) -> Callable[[str], int]:
    """Return the choice of a partition, 0 to `partitions` - 1, by a symbol.

    The same symbol always gets the same one, in every process. A worker without a partition of
    its own shares those of the others.

    Args:
        partitions: of the store, in the whole cluster.
        workers: of the whole cluster.
    """

    @cache  # asked for every batch of rows, and the hash takes 10 µs
    def place(symbol: str) -> int:
        own = range(owner_of(symbol, workers), partitions, workers) or range(partitions)
        return own[zlib.crc32(symbol.encode()) % len(own)]

    return place
