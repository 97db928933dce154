"""A studio over tiny checkpoints: fakes whose dreams can be worked out by hand."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.live.models import Models
from app.studio import Studio
from engine.data.starts import Starts, save_starts
from engine.device import Placement
from engine.records.manifest import write_manifest
from engine.records.types import Outcome, Trajectory
from storage.database import Database
from storage.workspace import Workspace, open_workspace
from tests.fakes import AddingWorldModel, BrightnessReward, ConstantPolicy

START = 300_000
OPTIMISE = {
    "policy": "demo/base",
    "world_model": "demo/world",
    "reward_model": "demo/reward",
    "iterations": 2,
}
CHUNK = 8
CONFIGS: dict[str, dict[str, Any]] = {
    "base": {
        "role": "policy",
        "action_dim": 4,
        "chunk_size": CHUNK,
        "dino": {"image_size": 64},
    },
    "world": {
        "role": "world_model",
        "image_size": 64,
        "transformer": {"action_dim": 4, "chunk_size": CHUNK},
        "autoencoder": {"micro_batch": 16},
    },
    "reward": {"role": "reward_model", "success_threshold": 0.6, "micro_batch": 8},
    "seven": {
        "role": "policy",
        "action_dim": 7,
        "chunk_size": CHUNK,
        "dino": {"image_size": 64},
    },
}


def three(policy: str, world_model: str, reward_model: str) -> dict[str, str]:
    """Three checkpoints by their roles."""
    return {"policy": policy, "world_model": world_model, "reward_model": reward_model}


def make_checkpoint(directory: Path, config: dict[str, Any]) -> Path:
    """A checkpoint directory of a config; the directory's name stands for the weights."""
    directory.mkdir(parents=True)
    (directory / "model.safetensors").write_text(directory.name)
    (directory / "config.json").write_text(json.dumps(config))
    (directory / "card.json").write_text(json.dumps({"metrics": {"rollout/success_rate": 0.5}}))
    write_manifest(directory)
    return directory


def load_fake(directory: Path, placement: Placement | None = None) -> Any:
    """The fake a checkpoint stands for: brightness grows by 0.125 a step from black."""
    match directory.name:
        case "base":
            return ConstantPolicy(0.125, chunk_size=CHUNK, action_dim=4)
        case "seven":
            return ConstantPolicy(0.125, chunk_size=CHUNK, action_dim=7)
        case "world":
            return AddingWorldModel(chunk_size=CHUNK, action_dim=4, side=64)
        case "reward":
            return BrightnessReward(window=8, success_threshold=0.6)
        case "broken":
            raise RuntimeError("the weights are on strike")
        case name:
            raise ValueError(f"{name} is not a checkpoint of these tests")


def make_demo(root: Path) -> Path:
    """A demo folder: four checkpoints and two start frames, one black and one grey."""
    for name, config in CONFIGS.items():
        make_checkpoint(root / "checkpoints" / name, config)
    frames = np.stack([np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 100, np.uint8)])
    starts = Starts("coffee-push", np.array([START, START + 1]), frames)
    save_starts(root / "starts" / "coffee-push.npz", starts)
    return root


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A demo folder of its own for each test."""
    return make_demo(tmp_path / "demo")


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables and nothing in them: making those takes longer than a copy."""
    root = tmp_path_factory.mktemp("empty")
    Database(root / "studio.duckdb", exports=root).close()
    return root / "studio.duckdb"


@pytest.fixture
def workspace(tmp_path: Path, empty_database: Path) -> Workspace:
    workspace = open_workspace(tmp_path / "data")
    shutil.copyfile(empty_database, workspace.database)
    return workspace


@pytest.fixture
def make_studio(workspace: Workspace, demo: Path) -> Iterator[Callable[..., Studio]]:
    """Opens studios over one data directory, one after the other; the last is closed."""
    opened: list[Studio] = []

    def make(**changes: Any) -> Studio:
        close()
        settings: dict[str, Any] = {"models": Models(load_fake), "supervise": False}
        opened.append(Studio(workspace, demo=demo, **settings | changes))
        return opened[-1]

    def close() -> None:
        while opened:
            opened.pop().close()

    yield make
    close()


@pytest.fixture
def studio(make_studio: Callable[..., Studio]) -> Studio:
    return make_studio()


@pytest.fixture
def settings() -> dict[str, Any]:
    """Settings of a dream that gets brighter and succeeds."""
    return {
        "policy": "demo/base",
        "world_model": "demo/world",
        "reward_model": "demo/reward",
        "start_id": START,
        "instruction": "get brighter",
        "seed": 7,
        "denoising_steps": 4,
        "temperature": 1.0,
        "horizon": 48,
    }


@pytest.fixture
def make_trajectory() -> Callable[..., Trajectory]:
    """A trajectory of sixteen actions that gets brighter; keyword arguments replace fields."""

    def make(episode_id: str = "episode-1", **changes: Any) -> Trajectory:
        frames = (
            np.zeros((17, 8, 8, 3), np.uint8) + np.arange(17, dtype=np.uint8)[:, None, None, None]
        )
        values: dict[str, Any] = {
            "id": episode_id,
            "task": "coffee-push",
            "start_id": START,
            "instruction": "push the mug",
            "imagined": True,
            "outcome": Outcome(True, 12),
            "frames": frames,
            "actions": np.zeros((16, 4), np.float32),
            "arrays": {
                "window_ends": np.arange(8, 18),
                "window_probabilities": np.linspace(0.0, 0.9, 10).astype(np.float32),
            },
            "lineage": {"created": 1_000.0},
            "replay": {"threshold": 0.5},
        }
        return Trajectory(**values | changes)

    return make
