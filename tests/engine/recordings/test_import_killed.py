"""An import killed by the system at ten moments, however far it was, ends as one that never was.

Once with small recordings, and once with two thousand of 100 frames at 256 px, a minute of video
coding before it: `pytest -m soak tests/engine/recordings/test_import_killed.py`.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from engine.records.episodes import list_episodes, read_episode
from engine.records.ledger import read_ledger
from tests.benchmarks import test_import
from tests.engine.recordings.datasets import lerobot_v3

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]
KILLS = 10


def begin(dataset: Path, out: Path) -> "subprocess.Popen[bytes]":
    words = ["import", str(dataset), "--out", str(out), "--set", "new_task=mine"]
    with out.with_suffix(".log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "engine", *words],
            env={**os.environ, "WMPO_DATA_DIR": str(out.parent / f"{out.name}-data")},
            stdout=subprocess.DEVNULL,
            stderr=log,
        )


def written(out: Path) -> int:
    """How far it is: every recording is stored, and then published."""
    stored, published = (
        sum(name.startswith("set-") for name in os.listdir(out / part))
        if (out / part).is_dir()
        else 0
        for part in ("work", "episodes")
    )
    return stored + 2 * published


@pytest.mark.parametrize("episodes", [60, test_import.EPISODES])
def test_an_import_killed_at_ten_random_points_is_the_same(tmp_path: Path, episodes: int) -> None:
    if episodes == test_import.EPISODES:
        root = test_import.dataset(tmp_path / "set")
    else:
        root = lerobot_v3(tmp_path / "set", (12,) * episodes, files=6)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert begin(root, whole).wait() == 0
    points = np.sort(np.random.default_rng(14).integers(0, 3 * episodes // 2, KILLS))
    seen, pause = [], threading.Event()
    for point in points:
        process = begin(root, killed)
        while written(killed) <= point and process.poll() is None:
            pause.wait(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
        seen.append(written(killed))
    assert seen[-1] < 2 * episodes, seen  # it was not done before the last kill
    assert begin(root, killed).wait() == 0, killed.with_suffix(".log").read_text()
    assert len(read_ledger(killed)) == episodes
    assert not (killed / "work").exists()
    names = [path.name for path in list_episodes(whole / "episodes")]
    assert len(names) == episodes
    assert names == [path.name for path in list_episodes(killed / "episodes")]
    for name in names:
        one, other = (read_episode(out / "episodes" / name) for out in (whole, killed))
        np.testing.assert_array_equal(one.frames, other.frames)
        np.testing.assert_array_equal(one.actions, other.actions)
        assert (one.lineage, one.outcome, one.start_id) == (
            other.lineage,
            other.outcome,
            other.start_id,
        )
