"""Small episodes whose success is that they turn white, and a tiny classifier that can see it."""

from pathlib import Path
from typing import Any

import numpy as np

from engine.checkpoints.checkpoint import write_model
from engine.records.episodes import write_episode
from engine.records.manifest import whole_directory
from engine.records.types import Outcome, Trajectory
from engine.reward.classifier import RewardConfig, VideoReward
from engine.seeding import initialisation, numpy_generator

TINY = {
    "image_size": 16,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}


def episode(number: int, **changes: Any) -> Trajectory:
    """Sixteen actions; every second one turns white at frame 10."""
    success = number % 2 == 0
    random = numpy_generator(0, "reward episode", number)
    frames = random.integers(0, 90, (17, 16, 16, 3)).astype(np.uint8)
    if success:
        frames[10:] += 150
    values: dict[str, Any] = {
        "id": f"episode-{number:03d}",
        "task": "coffee-push",
        "start_id": 200_000 + number,
        "instruction": "turn white",
        "imagined": False,
        "outcome": Outcome(True, 12) if success else Outcome(False, 16),
        "frames": frames,
        "actions": np.zeros((16, 4), np.float32),
    }
    return Trajectory(**values | changes)


def write_run(directory: Path, episodes: list[Trajectory]) -> str:
    """A run directory with episodes; its path."""
    for trajectory in episodes:
        write_episode(directory / "episodes", trajectory)
    return str(directory)


def write_reward_model(directory: Path, *, seed: int = 0, threshold: float = 0.5) -> str:
    """An untrained tiny reward model; its path."""
    with initialisation(seed, "tiny reward"):
        model = VideoReward(RewardConfig(**TINY, success_threshold=threshold))
    with whole_directory(directory) as partial:
        write_model(partial, model, {"role": "reward_model", **model.config.to_dict()}, {})
    return str(directory)
