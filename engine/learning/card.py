"""A checkpoint's card: data, seeds, code version, metrics, lineage."""

import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.config import Config
from engine.records.manifest import checkpoint_hash
from engine.records.tasks import pool_of, tasks
from engine.records.types import Trajectory
from engine.statistics.leaks import learnt_from, merge, to_ranges


def card(
    config: Config,
    metrics: Mapping[str, Any],
    *,
    episodes: Sequence[Trajectory] = (),
    parents: Mapping[str, str] | None = None,
    start_ids: Iterable[int] = (),
) -> dict[str, Any]:
    """The card of a checkpoint just trained.

    Args:
        episodes: the real or imagined episodes it learnt from; counted by source and pool.
        parents: role of each checkpoint it was made from, and that checkpoint's directory.
        start_ids: starts it learnt from beside those of the episodes.
    """
    counted = Counter(
        f"{t.task} {t.lineage.get('source', 'imagined' if t.imagined else 'real')} "
        f"({pool_of(t.start_id)})"
        for t in episodes
    )
    directories = {role: Path(path) for role, path in (parents or {}).items() if path}
    own = to_ranges([*start_ids, *(episode.start_id for episode in episodes)])
    return {
        "config": _portable(config.to_dict()),
        "data": dict(sorted(counted.items())),
        "metrics": dict(metrics),
        "starts": merge(own, *(learnt_from(directory) for directory in directories.values())),
        "lineage": {role: checkpoint_hash(path) for role, path in directories.items()},
        "tasks": _records(episode.task for episode in episodes),
        "code": code_version(),
    }


def _records(names: Iterable[str]) -> dict[str, str]:
    """The versions of the records of tasks, by name."""
    known = tasks()
    return {name: known[name].version for name in sorted(set(names)) if name in known}


def _portable(value: Any) -> Any:
    """Config values without this machine's directories: runs by name, `run/checkpoints/step-…`."""
    if isinstance(value, dict):
        return {key: _portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item) for item in value]
    if isinstance(value, str) and Path(value).is_absolute():
        parts = Path(value).parts
        return "/".join(parts[-3:] if "checkpoints" in parts[-2:] else parts[-1:])
    return value


def code_version() -> str:
    """The commit of the checkout this runs from, or `unknown` outside one."""
    root = Path(__file__).parent
    found = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"
