"""What lies on the disk, and what of it may go."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.records.types import Trajectory
from storage.cabinet import Cabinet
from storage.upkeep.space import clean_up, free_bytes, leftovers, usage


def put(path: Path, size: int, *, hours: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    for old in (path, path.parent):
        os.utime(old, (time.time() - hours * 3600,) * 2)
    return path


@pytest.fixture
def full(cabinet: Cabinet, make_trajectory: Callable[..., Trajectory]) -> Cabinet:
    space = cabinet.workspace
    cabinet.trajectories.add(make_trajectory("here"))
    put(space.episodes / ".partial-old" / "episode.npz", 300, hours=2)
    put(space.episodes / ".partial-new" / "episode.npz", 30)
    put(space.thumbnails / "here.webp", 40, hours=2)
    put(space.thumbnails / "gone.webp", 50, hours=2)
    put(space.exports / "ab-episodes.hdf5", 60, hours=30)
    put(space.exports / "cd-episodes.hdf5", 70)
    put(space.runs / "run-1" / "checkpoints" / "step-1" / "model.safetensors", 80, hours=99)
    put(space.quarantine / "20260101" / "studio.duckdb", 90, hours=999)
    return cabinet


def test_every_byte_is_counted_once(full: Cabinet) -> None:
    root = full.workspace.root
    whole = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    found = {one.kind: one for one in usage(full.workspace)}
    assert sum(one.bytes for one in found.values()) == whole
    assert (found["runs"].files, found["runs"].bytes) == (1, 80)
    assert found["films"].bytes == 90
    assert free_bytes(full.workspace) > 0


def test_only_what_nobody_misses_may_go(full: Cabinet) -> None:
    found = leftovers(full.workspace, full.database)
    assert {one.kind: [path.name for path in one.paths] for one in found} == {
        "halves": [".partial-old"],
        "exports": ["ab-episodes.hdf5"],
        "films": ["gone.webp"],
    }
    assert [one.bytes for one in found] == [300, 60, 50]


def test_a_clean_up_deletes_what_was_asked_for_and_nothing_else(full: Cabinet) -> None:
    assert clean_up(full.workspace, full.database, ["halves", "films", "quarantine"]) == 350
    assert [one.kind for one in leftovers(full.workspace, full.database)] == ["exports"]
    assert (full.workspace.quarantine / "20260101" / "studio.duckdb").exists()
    assert (full.workspace.episodes / ".partial-new").exists()
    assert full.trajectories.get("here").id == "here"
