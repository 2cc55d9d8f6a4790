"""Rows as columns, in Parquet or Arrow files; pyarrow, an extra, is loaded by whoever uses this."""

from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from sinks.tables import TIME, Table

GROUP_ROWS = 100_000
GROUP_BYTES = 32 * 1024 * 1024
"""A group of rows is written when it is so large; no more is held."""

_TYPES = {
    "text": pa.string(),
    "float8": pa.float64(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "bool": pa.bool_(),
    TIME: pa.timestamp("us", tz="UTC"),
    "float8[]": pa.list_(pa.float64()),
}


def schema_of(table: Table) -> pa.Schema:
    """Return the columns of a table: times as `timestamp[us, UTC]`, levels as lists."""
    return pa.schema([(name, _TYPES[kind]) for name, kind in table.columns])


def write_parquet(
    table: Table,
    pages: Iterable[Sequence[Any]],
    file: IO[bytes],
    *,
    report: Callable[[int], None],
) -> int:
    """Write a Parquet file, compressed with zstd; return how many rows it has.

    Args:
        table: what the rows are of.
        pages: as `sinks.selection.row_pages` gives them.
        file: to write to; it need not be able to seek.
        report: told how many rows have been read.
    """
    with pq.ParquetWriter(file, schema_of(table), compression="zstd") as writer:
        return _write(table, pages, writer.write_table, report)


def write_arrow(
    table: Table,
    pages: Iterable[Sequence[Any]],
    file: IO[bytes],
    *,
    is_stream: bool,
    report: Callable[[int], None],
) -> int:
    """Write an Arrow IPC file, or a stream for a pipe; return how many rows it has.

    The arguments are those of `write_parquet`.
    """
    make = pa.ipc.new_stream if is_stream else pa.ipc.new_file
    with make(file, schema_of(table)) as writer:
        return _write(table, pages, writer.write_table, report)


def _write(
    table: Table,
    pages: Iterable[Sequence[Any]],
    write: Callable[[pa.Table], None],
    report: Callable[[int], None],
) -> int:
    schema = schema_of(table)
    group: list[pa.RecordBatch] = []
    count = rows = size = 0
    for page in pages:
        batch = pa.record_batch(
            [
                pa.array(cells, field.type)
                for cells, field in zip(zip(*page, strict=True), schema, strict=True)
            ],
            schema=schema,
        )
        group.append(batch)
        rows += len(page)
        size += batch.nbytes
        count += len(page)
        report(count)
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            write(pa.Table.from_batches(group))
            group, rows, size = [], 0, 0
    if group:
        write(pa.Table.from_batches(group))
    return count
