"""An import killed by the system at ten moments, however far it was, ends as one that never was."""

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
from tests.engine.recordings.datasets import lerobot_v3

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
EPISODES, KILLS = 60, 10


def begin(dataset: Path, out: Path) -> "subprocess.Popen[bytes]":
    words = ["import", str(dataset), "--out", str(out), "--set", "new_task=mine"]
    return subprocess.Popen(
        [sys.executable, "-m", "engine", *words],
        env={**os.environ, "WMPO_DATA_DIR": str(out.parent / f"{out.name}-data")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def written(out: Path) -> int:
    """How far it is: every recording is stored, and then published."""
    stored = sum(1 for _ in out.glob("work/set-*"))
    published = sum(1 for _ in out.glob("episodes/set-*"))
    return stored + 2 * published


def test_an_import_killed_at_ten_random_points_is_the_same(tmp_path: Path) -> None:
    root = lerobot_v3(tmp_path / "set", (12,) * EPISODES, files=6)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert begin(root, whole).wait() == 0
    points = np.sort(np.random.default_rng(14).integers(0, 2 * EPISODES, KILLS))
    seen, pause = [], threading.Event()
    for point in points:
        process = begin(root, killed)
        while written(killed) <= point and process.poll() is None:
            pause.wait(0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        seen.append(written(killed))
    assert seen[-1] < 2 * EPISODES  # it was not done before the last kill
    last = begin(root, killed)
    _, complaint = last.communicate()
    assert last.returncode == 0, complaint.decode()
    assert len(read_ledger(killed)) == EPISODES
    assert not (killed / "work").exists()
    names = [path.name for path in list_episodes(whole / "episodes")]
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
