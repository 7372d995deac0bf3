"""Tables as Parquet files, which pandas, R, Spark and DuckDB read with their types."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from db.export.lines import json_text
from db.sql.reading.fields import Column, Kind, Session, Table


def is_available() -> bool:
    """Tell whether pyarrow, which writes the files, is installed."""
    import importlib.util

    return importlib.util.find_spec("pyarrow") is not None


def write_parquet(table: Table, session: Session, path: Path) -> None:
    """Write a table; times are UTC with microseconds, JSON is text, what is not known is null.

    Args:
        table: The table.
        session: Where to read.
        path: The file; it is made or overwritten.

    Raises:
        OSError: The file could not be written.
        DatabaseError: The database gave no more.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        Kind.INT: pa.int64(),
        Kind.FLOAT: pa.float64(),
        Kind.TEXT: pa.string(),
        Kind.BOOL: pa.bool_(),
        Kind.TIME: pa.timestamp("us", tz="UTC"),
        Kind.JSON: pa.string(),
    }
    schema = pa.schema([(column.name, types[column.kind]) for column in table.columns])
    with pq.ParquetWriter(path, schema) as writer:
        for page in table.pages(session):
            values = zip(*page, strict=True)
            arrays = [
                pa.array(_values(column, entries), types[column.kind])
                for column, entries in zip(table.columns, values, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _values(column: Column, entries: Sequence[Any]) -> Sequence[Any]:
    if column.kind is not Kind.JSON:
        return entries
    return [None if entry is None else json_text(entry) for entry in entries]
