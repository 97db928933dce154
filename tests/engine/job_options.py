"""A config in miniature for each job of the registry."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.records.episodes import list_episodes, read_episode, write_episode
from engine.records.types import Outcome
from tests.engine.released.official import write_release
from tests.engine.reward_episodes import episode, write_run
from tests.engine.state_models import (
    TINY_LEARNING,
    TINY_STATES,
    episode_with_states,
    sibling_with_states,
)
from tests.engine.tiny import AUTOENCODER, POLICY, REWARD, TRANSFORMER, do, last_checkpoint

# Points are means over steps that lie on both sides of a checkpoint.
RECORDINGS = Path(__file__).parents[1] / "golden" / "recordings"
FIT = {"steps": 7, "warmup_steps": 1, "log_every": 3, "checkpoint_every": 2}


def job_options(root: Path, models: dict[str, str], made: Path) -> dict[str, dict[str, Any]]:
    """A config in miniature for each job but `demo`, a study with stages of the full size.

    Args:
        root, models: of the tiny world.
        made: where the data goes that some jobs need beside it.
    """
    both = [str(root / "demos"), str(root / "play")]
    fitted = {"episodes_from": both, "batch_size": 4, "fit": FIT}
    last = {name: str(max((root / name / "checkpoints").iterdir())) for name in ("ae", "policy")}
    rollouts = {"source": "policy", "policy": models["policy"], "pool": "budget"}
    pairs = _pairs(made, rollouts)
    imagination = {**models, "num_starts": 2, "groups": 1, "max_groups": 1, "group_size": 2}
    imagination |= {"horizon": 8, "denoising_steps": 1, "keep_low": 0.0, "keep_high": 1.0}
    stated = write_run(made / "stated", [episode_with_states(n) for n in range(4)])
    states = {"episodes_from": [stated], "autoencoder": last["ae"], "held_out": 1}
    states |= {"model": TINY_STATES, "learning": TINY_LEARNING}
    do("train_states", made / "states", **states)
    judge = last_checkpoint(made / "states")
    varied_options = {"episodes_from": [stated], "autoencoder": last["ae"], "state_model": judge}
    varied_options |= {"held_out": 1, "batch_size": 4, "mix": "balanced", "carried_share": 0.5}
    varied_options |= {"transformer": TRANSFORMER | {"convolutions": 4, "state_map": 8}, "fit": FIT}
    do("train_world_model", made / "varied", **varied_options)
    varied = last_checkpoint(made / "varied")
    return {
        "adopt": {
            "role": "autoencoder",
            "source": str(write_release(made, "coffee")["autoencoder"]),
            "trial_megabytes": 0,
        },
        "collect": {**rollouts, "episodes": 3},
        "clone": fitted | {"episodes_from": both[:1], "held_out": 1, "model": POLICY},
        "train_autoencoder": fitted | {"held_out": 1, "model": AUTOENCODER},
        # With its variants: what is drawn for them is drawn again by step, too.
        "train_world_model": varied_options | {"deterministic": True},
        "distil": {
            "world_model": models["world_model"],
            "reward_model": models["reward_model"],
            "episodes_from": [str(pairs.parent / "run")],
            "steps": 2,
            "teacher_steps": 2,
            "held_out": 2,
            "batch_size": 4,
            "fit": FIT,
        },
        "train_states": states,
        "calibrate": {"reward_model": judge, "world_model": varied, "episodes_from": [stated]},
        "gates": {
            "reward_model": judge,
            "world_model": varied,
            "held_out": [write_run(made / "aside", [episode_with_states(n) for n in (30, 31)])],
            "siblings": [
                write_run(made / "siblings", [sibling_with_states(20, m) for m in range(3)])
            ],
            "sibling_chunks": 1,
            "policy": models["policy"],
            "starts": 1,
            "denoising_steps": 1,
        },
        "train_reward": fitted | {"held_out_share": 0.3, "model": REWARD},
        "optimise": imagination
        | {"iterations": 3, "real_every": 1, "real_episodes": 1, "checkpoint_every": 2},
        "prefer": {
            "episodes_from": [str(pairs)],
            "policy": models["policy"],
            "held_out_share": 0.0,
            "batch_size": 2,
            "fit": FIT,
        },
        "choose": {
            "candidates": [str(root / "policy")] * 2,
            "lowest": "policy/held_out_loss",
        },
        "rejudge": {
            "episodes_from": [write_run(made / "judged", [episode(n) for n in range(5)])],
            "reward_model": models["reward_model"],
            "batch_size": 1,
        },
        "import_recordings": {
            "dataset": str(RECORDINGS / "drawer_v21_video"),
            "task": "coffee-push",
            "plan": {"size": 16},
        },
        "trials": {"task": "coffee-push", "policies": ["base", "wmpo"], "starts": 3},
        "train_task": {
            "episodes_from": both[:1],
            "size": "quick look",
            "last_stage": "policy",
            "changes": {
                "autoencoder": {"held_out": 1, "model": AUTOENCODER, "fit": FIT},
                "policy": {"held_out": 1, "model": POLICY, "fit": FIT},
            },
        },
        "evaluate": {"policy": models["policy"], "pool": "calibration", "episodes": 3},
        "fidelity": {
            "world_model": models["world_model"],
            "reward_model": models["reward_model"],
            "episodes_from": [str(pairs.parent / "run")],  # no model has learnt from them
            "episodes": 3,
            "denoising_steps": 1,
            "batch_size": 1,
        },
        "study": {
            "seeds": [0],
            "shared": [
                {
                    "name": "base",
                    "job": "clone",
                    "options": fitted | {"episodes_from": both[:1], "held_out": 1, "model": POLICY},
                }
            ],
            "per_seed": [
                {
                    "name": "wmpo",
                    "job": "optimise",
                    "options": imagination | {"policy": "{base@last}", "iterations": 2},
                }
            ],
            "arms": [
                {"name": "base", "title": "base", "policy": "{base@last}"},
                {"name": "wmpo", "title": "WMPO", "policy": "{wmpo@last}"},
            ],
            "test": {"episodes": 2},
        },
    }


def _pairs(made: Path, rollouts: dict[str, Any]) -> Path:
    """Rollouts of two starts, twice each; the first of each is declared a success."""
    do("collect", made / "run", **rollouts, episodes=4, episodes_per_start=2)
    for path in list_episodes(made / "run" / "episodes"):
        episode = read_episode(path)
        won = episode.lineage["seed"] == 0
        length = 12 if won else len(episode.actions)
        write_episode(made / "pairs", replace(episode, outcome=Outcome(won, length)))
    return made / "pairs"
