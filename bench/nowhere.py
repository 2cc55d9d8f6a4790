"""A store that takes rows as the real one does and keeps none."""

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.row_placement import row_placement
from sinks.rows import RowBatch

PARTITIONS = 2


class RowsNowhere(FixedPartitionedSink[RowBatch, None]):
    """Takes batches of rows.

    Args:
        workers: of the whole cluster.
    """

    def __init__(self, workers: int) -> None:
        self._place = row_placement(PARTITIONS, workers)

    def list_parts(self) -> list[str]:
        """As many partitions as the store has."""
        return [f"store-{number}" for number in range(PARTITIONS)]

    def part_fn(self, item_key: str) -> int:
        """Choose as the store does."""
        return self._place(item_key)

    def build_part(
        self, _step_id: str, _for_part: str, _resume_state: None
    ) -> StatefulSinkPartition[RowBatch, None]:
        """Make one partition."""
        return _Nowhere()


class _Nowhere(StatefulSinkPartition[RowBatch, None]):
    def write_batch(self, values: list[RowBatch]) -> None:
        """Forget the rows."""

    def snapshot(self) -> None:
        """Nothing to remember."""
