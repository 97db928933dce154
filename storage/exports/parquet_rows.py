"""Rows of a Parquet file from anybody, read in the gate's sandbox: only JSON comes out.

Half a megabyte can unpack to gigabytes, and is cut off by the child's limits, not by ours.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.gate import sandbox
from engine.gate.verdict import RefusedError

MOST_ROWS = 200_000
MEMORY, OUTPUT = 2**29, 2**26  # bytes


def parquet_rows(data: bytes) -> list[dict[str, Any]]:
    """The rows of a file, of plain values alone.

    Raises:
        ValueError: it is no Parquet file, or it is too large when it is unpacked.
    """
    seconds = sandbox.decoding_seconds(len(data))
    allowance = sandbox.Allowance(memory_bytes=MEMORY, cpu_seconds=seconds, file_bytes=OUTPUT)
    with tempfile.TemporaryDirectory() as directory:
        room = Path(directory)
        source, target = room / "rows.parquet", room / "rows.json"
        source.write_bytes(data)
        arguments = [str(source), str(target)]
        try:
            answer = sandbox.run(__name__, arguments, room=room, allowance=allowance)
        except RefusedError as refusal:
            raise ValueError(f"it {refusal.sentence}") from refusal
        if "sentence" in answer:
            raise ValueError(str(answer["sentence"]))
        rows: list[dict[str, Any]] = json.loads(target.read_bytes())
        return rows


def main(arguments: list[str]) -> dict[str, Any]:
    """In the child: write the rows as JSON; {} or {sentence}."""
    source, target = arguments
    try:
        with pq.ParquetFile(source, pre_buffer=False) as file:  # it takes threads
            if file.metadata.num_rows > MOST_ROWS:
                return {"sentence": f"it has more than {MOST_ROWS:,} rows"}
            rows = file.read(use_threads=False).to_pylist()
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError) as error:
        return {"sentence": str(error)[:500]}
    Path(target).write_text(json.dumps(rows, default=repr))
    return {}
