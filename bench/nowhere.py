"""A store that takes rows as the real one does and keeps none."""

import zlib

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from sinks.rows import RowBatch


class RowsNowhere(FixedPartitionedSink[RowBatch, None]):
    """Takes batches of rows."""

    def list_parts(self) -> list[str]:
        """Two partitions, as the store has."""
        return ["store-0", "store-1"]

    def part_fn(self, item_key: str) -> int:
        """Choose as the store does."""
        return zlib.crc32(item_key.encode())

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
