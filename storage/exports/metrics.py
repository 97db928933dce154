"""Metrics as tables to take away: one row a point, as CSV or Parquet."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_SCHEMA = pa.schema(
    [
        pa.field("run", pa.string(), nullable=False),
        pa.field("step", pa.int64(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("time", pa.float64(), nullable=False),
        pa.field("attempt", pa.int32(), nullable=False),
    ]
)


def to_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The rows of `Curves.table` with a header, UTF-8."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _SCHEMA.names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def to_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The rows of `Curves.table` as one Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=_SCHEMA), buffer)
    return buffer.getvalue()
