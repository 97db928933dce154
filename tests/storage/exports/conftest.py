"""A LeRobot dataset with exact frames, and one with a video."""

from pathlib import Path

import numpy as np
import pytest

from engine.records.types import Outcome
from storage.exports.lerobot.writing import write_lerobot
from tests.storage.exports.lerobot_episodes import labelled, silent


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("exact")
    write_lerobot(root, [labelled(0), silent(1), silent(2, outcome=Outcome(False, 4))])
    return root


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("filmed")
    smooth = np.linspace(60, 190, 5).astype(np.uint8)[:, None, None, None]
    frames = np.broadcast_to(smooth, (5, 32, 32, 3)).copy()
    write_lerobot(root, [silent(0, frames=frames), silent(1, frames=frames)], images=False)
    return root
