"""The ledger of real rollouts in a run directory: one JSON line each (design.md §4)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.records.tasks import pool_of


def ledger_entry(
    directory: Path,
    *,
    task: str,
    start_id: int,
    use: str,
    policy: str | None,
    success: bool,
    episode: str | None,
) -> dict[str, Any]:
    """A real rollout as a line of a directory's ledger."""
    return {
        "episode": episode,
        "task": task,
        "start_id": start_id,
        "pool": pool_of(start_id),
        "use": use,
        "run": directory.name,
        "policy": policy,
        "success": success,
    }


def append_ledger(directory: Path, entry: Mapping[str, Any]) -> None:
    """Append a real rollout to a directory's ledger."""
    with (directory / "ledger.jsonl").open("a") as stream:
        stream.write(json.dumps(entry) + "\n")


def read_ledger(directory: Path) -> list[dict[str, Any]]:
    """The real rollouts of a run directory; a last line still being written is left out."""
    path = directory / "ledger.jsonl"
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]
