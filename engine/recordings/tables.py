"""Parquet, JSON and CSV tables of strangers: bounded, and read without threads of their own."""

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.recordings.description import Array, UnusableError

LARGEST = 512 * 2**20  # bytes that one read may unpack to
_UNREADABLE = (pa.ArrowException, OSError, ValueError, KeyError, TypeError, EOFError)


def read_columns(path: Path, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Some columns of a Parquet file.

    Raises:
        UnusableError: it is damaged or too large, or lacks one of them.
    """
    return pa.concat_tables(list(row_groups(path, name, columns))[:])


def row_groups(path: Path, name: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """The row groups of a Parquet file, one after the other.

    Raises:
        UnusableError: as `read_columns`.
    """
    try:
        # Without a buffer ahead, for it takes threads, which the sandbox has none of.
        with pq.ParquetFile(path, pre_buffer=False) as file:
            missing = [column for column in columns or () if column not in file.schema_arrow.names]
            if missing:
                raise UnusableError(name, f"has no column {missing[0]}")
            if not file.num_row_groups:
                yield file.schema_arrow.empty_table().select(columns or file.schema_arrow.names)
            for group in range(file.num_row_groups):
                if file.metadata.row_group(group).total_byte_size > LARGEST and columns is None:
                    raise UnusableError(name, f"unpacks to more than {LARGEST // 2**20} MB at once")
                yield file.read_row_group(group, columns=columns, use_threads=False)
    except UnusableError:
        raise
    except _UNREADABLE as error:
        raise UnusableError(name, f"is damaged, or no Parquet file: {error}") from error


def column_names(path: Path, name: str) -> list[str]:
    """The columns of a Parquet file.

    Raises:
        UnusableError: it is damaged.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            return list(file.schema_arrow.names)
    except _UNREADABLE as error:
        raise UnusableError(name, f"is damaged, or no Parquet file: {error}") from error


def column_vectors(column: pa.ChunkedArray, place: str) -> Array:
    """float64 [rows, n] of a column; one of numbers and nothing else is not taken apart in Python.

    Raises:
        UnusableError: as `vectors`.
    """
    found = [_plain(chunk) for chunk in column.chunks]
    parts = [part for part in found if part is not None]
    if len(parts) == len(found) and len({part.shape[1] for part in parts}) == 1:
        return np.concatenate(parts)
    return vectors(column.to_pylist(), place)


def _plain(chunk: pa.Array) -> Array | None:
    """Numbers, or lists of them that are all of one length; None for anything else."""
    rows, kind = len(chunk), chunk.type
    listed = pa.types.is_list(kind)
    flat = chunk.flatten() if listed else chunk
    if not (pa.types.is_integer(flat.type) or pa.types.is_floating(flat.type)):
        return None
    width = len(flat) // max(rows, 1)
    even = not listed or (np.diff(np.from_dlpack(chunk.offsets)) == width).all()
    if not even or chunk.null_count or flat.null_count:
        return None
    return np.asarray(np.from_dlpack(flat), np.float64).reshape(rows, width)


def vectors(rows: Sequence[Any], place: str) -> Array:
    """float64 [rows, n] of numbers, or of lists of one length.

    Raises:
        UnusableError: a number is missing, or the lists differ in length; says in which row.
    """
    found = [row if isinstance(row, list) else [row] for row in rows]
    width = len(found[0]) if found else 0
    for number, row in enumerate(found):
        if len(row) != width:
            raise UnusableError(place, f"has {len(row)} numbers, the rows before {width}", number)
        if any(value is None or isinstance(value, (str, bytes, list, dict)) for value in row):
            raise UnusableError(place, "is missing a number", number)
    return np.array(found, np.float64).reshape(len(found), width)


def read_json(path: Path, name: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        UnusableError: there is none.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnusableError(name, f"is missing, or no JSON: {error}") from error
    if not isinstance(values, dict):
        raise UnusableError(name, "must be a JSON object")
    return values


def read_json_lines(path: Path, name: str) -> list[dict[str, Any]]:
    """One JSON object a line.

    Raises:
        UnusableError: there is something else.
    """
    rows = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UnusableError(name, f"is missing, or no text: {error}") from error
    for number, line in enumerate(lines):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UnusableError(name, f"is no JSON: {error}", number) from error
        if not isinstance(row, dict):
            raise UnusableError(name, "must be an object", number)
        rows.append(row)
    return rows


def read_csv(path: Path, name: str) -> dict[str, list[str]]:
    """The columns of a CSV file, as text.

    Raises:
        UnusableError: no head, or a row of another length.
    """
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, ValueError, csv.Error) as error:
        raise UnusableError(name, f"is no CSV table: {error}") from error
    if not rows:
        raise UnusableError(name, "is empty")
    head, body = rows[0], rows[1:]
    for number, row in enumerate(body):
        if len(row) != len(head):
            raise UnusableError(name, f"has {len(row)} cells, the head {len(head)}", number)
    return {column: [row[at] for row in body] for at, column in enumerate(head)}
