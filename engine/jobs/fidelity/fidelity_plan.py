"""What a fidelity run is asked, and whether it may be: light, so that the screen can check it."""

from dataclasses import dataclass
from pathlib import Path

from engine.config import Config, knob
from engine.records.tasks import pool_starts
from engine.statistics.leaks import check_apart, learnt_from

# How the dreams of each world model are stored: what ids begin with, and their `source`.
NAMES = {"imagined": ("pair", "fidelity"), "baseline": ("base", "fidelity baseline")}


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """Which world model is compared with which real episodes."""

    world_model: str = knob("", "World model checkpoint")
    baseline_world_model: str = knob(
        "", "A second one on the same episodes, such as one without the policy's own rollouts"
    )
    reward_model: str = knob("", "Reward model checkpoint; without one only pixels are compared")
    episodes_from: tuple[str, ...] = knob((), "Run directories of held-out real episodes")
    label_set: str = knob("", "Frozen labels: what people say of real episodes counts; optional")
    labelled_from: tuple[str, ...] = knob((), "Directories that hold the labelled episodes")
    policy: str = knob("", "Policy that plays the real episodes where episodes_from names none")
    task: str = knob("coffee-push", "Task record, of the episodes played")
    pool: str = knob("calibration", "Pool the episodes played start from")
    first_start: int = knob(0, "Offset of their first start in the pool", low=0)
    temperature: float = knob(1.0, "Sampling temperature of the policy; 0 is greedy", low=0.0)
    episodes: int = knob(100, "Episodes compared", low=2)
    denoising_steps: int = knob(4, "Sampler evaluations per chunk", low=1)
    record_pairs: int = knob(200, "Judged pairs whose imagined video is stored", low=0)
    batch_size: int = knob(16, "Episodes imagined at once", low=1)
    seed: int = knob(0, "Root of randomness", low=0)


def check_planned(config: JobConfig) -> None:
    """Refuse episodes yet to be played from starts that a model has learnt from.

    Raises:
        ValueError: nothing to compare with, or the pools overlap.
    """
    if config.episodes_from:
        return
    if not config.policy:
        raise ValueError("fidelity needs real episodes: episodes_from, or a policy to play them")
    starts = pool_starts(config.pool, config.first_start, config.episodes)
    for role in ("world_model", "baseline_world_model", "reward_model"):
        if name := getattr(config, role):
            check_apart(f"the {role.replace('_', ' ')}", learnt_from(Path(name)), starts)
