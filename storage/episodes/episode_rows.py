"""The index row of an episode, made from its record and arrays without its frames."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.records.episodes import check_episode_id, check_record, index_id, latent_drift
from storage.database import Cursor, Row

WINDOWS = "windows"  # in an index row: (ends, probabilities), which go into a table of their own


def index_row(
    record: Mapping[str, Any],
    arrays: Mapping[str, Any],
    location: str,
    *,
    run: str | None = None,
) -> Row:
    """The index row of an episode record (`engine.records.episodes.episode_record`).

    Raises:
        ValueError: no row can hold it.
    """
    check_record(dict(record))
    lineage = record["lineage"]
    probabilities = arrays.get("window_probabilities", np.zeros(0, np.float32))
    latents = arrays.get("latents")
    group = lineage.get("group")
    return {
        "id": check_episode_id(index_id(run, record["id"])),
        "task": record["task"],
        "start_id": record["start_id"],
        "instruction": record["instruction"],
        "imagined": record["imagined"],
        "success": record["success"],
        "end_step": record["end_step"],
        "num_actions": record["num_actions"],
        "probability": round(float(np.max(probabilities)), 4) if len(probabilities) else None,
        "threshold": lineage.get("threshold", _number(record["replay"].get("threshold"))),
        "run": run or lineage.get("run"),
        "iteration": lineage.get("iteration"),
        "group_name": None if group is None else str(group),
        "member": lineage.get("member"),
        "advantage": lineage.get("advantage"),
        "reward": lineage.get("reward"),
        "lineage": json.dumps(lineage),
        "location": location,
        "created": lineage.get("created") or time.time(),
        **{role: lineage.get(role) for role in ("policy", "world_model", "reward_model")},
        "drift": round(float(latent_drift(latents)[-1]), 4) if latents is not None else None,
        WINDOWS: _checked_windows(arrays.get("window_ends", ()), probabilities),
    }


def insert_rows(cursor: Cursor, rows: Sequence[Row]) -> None:
    """Insert index rows inside a transaction; ids that are there already are kept."""
    unique = {row["id"]: row for row in rows}
    plain = [{name: row[name] for name in row if name != WINDOWS} for row in unique.values()]
    cursor.insert("episodes", plain, conflict="on conflict (id) do nothing")
    judged = [
        window_row(row["id"], row["reward_model"], row[WINDOWS])
        for row in unique.values()
        if WINDOWS in row
    ]
    cursor.insert("window_scores", judged, conflict="on conflict do nothing")


def window_row(episode_id: str, reward_model: str | None, windows: Sequence[Any]) -> Row:
    """(ends, probabilities) as a row of `window_scores`."""
    ends, probabilities = windows
    return {
        "episode_id": episode_id,
        "judged_by": reward_model or "",
        "ends": ends,
        "probabilities": probabilities,
    }


def _checked_windows(ends: Any, probabilities: Any) -> tuple[list[int], list[float]]:
    """(ends, probabilities) of one length and as numbers.

    Raises:
        ValueError: they are something else.
    """
    found, said = np.asarray(ends), np.asarray(probabilities)
    if found.ndim != 1 or found.shape != said.shape or not np.all(np.isfinite(said)):
        raise ValueError("its windows are no list of ends with a probability each")
    return found.astype(np.int32).tolist(), said.astype(np.float32).tolist()


def _number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None
