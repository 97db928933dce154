"""Tiny models of the real classes, trained for a few steps by the real jobs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.checkpoints.checkpoint import write_json
from engine.runs.registry import job_config, run_job
from engine.runs.run_directory import RunDirectory
from engine.runs.stages import Stage, resolve
from engine.runs.stages import last_checkpoint as last

TRUNK = {"width": 16, "depth": 2, "num_heads": 2, "mlp_dim": 32, "patch_size": 16}
POLICY = {
    "dino": TRUNK | {"prefix_tokens": 5, "layer_scale": True, "stem": "patch"},
    "siglip": TRUNK | {"stem": "patch"},
    "language": {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    },
}
AUTOENCODER = {"block_channels": [8, 8, 8], "norm_groups": 4, "mid_attention": False}
TRANSFORMER = {"hidden_size": 32, "depth": 1, "num_heads": 2}
REWARD = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}


def do(
    job: str,
    directory: Path,
    *,
    listener: Callable[[dict[str, Any]], None] | None = None,
    **options: Any,
) -> dict[str, Any] | None:
    """Run a job in this process and leave what a worker leaves; its metrics."""
    run = RunDirectory(directory, listener=listener)
    try:
        config = job_config(job, options).to_dict()
        write_json(directory / "config.json", {"job": job, "config": config})
        metrics = run_job(job, config, run)
        if metrics is not None:
            run.result(metrics)
        return metrics
    finally:
        run.close()


def last_checkpoint(directory: Path) -> str:
    """The newest checkpoint of a run directory."""
    return str(last(directory))


def fit(steps: int) -> dict[str, Any]:
    """A few steps."""
    return {"steps": steps, "warmup_steps": 1, "log_every": 2, "checkpoint_every": 100}


BOTH = ["{demos}", "{play}"]
STAGES = (
    Stage(
        name="demos",
        job="collect",
        options={"episodes": 4, "only_successes": True, "noise": 0.1},
    ),
    Stage(name="play", job="collect", options={"source": "play", "pool": "play", "episodes": 4}),
    Stage(
        name="ae",
        job="train_autoencoder",
        options={
            "episodes_from": BOTH,
            "held_out": 1,
            "batch_size": 4,
            "model": AUTOENCODER,
            "fit": fit(4),
        },
    ),
    Stage(
        name="wm",
        job="train_world_model",
        options={
            "episodes_from": BOTH,
            "normalization_from": ["{demos}"],
            "held_out": 1,
            "batch_size": 4,
            "autoencoder": "{ae@last}",
            "transformer": TRANSFORMER,
            "fit": fit(4),
        },
    ),
    Stage(
        name="policy",
        job="clone",
        options={
            "episodes_from": ["{demos}"],
            "held_out": 1,
            "batch_size": 4,
            "model": POLICY,
            "fit": fit(4),
        },
    ),
    Stage(
        name="reward",
        job="train_reward",
        options={
            "episodes_from": BOTH,
            "held_out_share": 0.3,
            "batch_size": 4,
            "autoencoder": "{ae@last}",
            "model": REWARD,
            "fit": fit(4),
        },
    ),
)


def build_tiny_world(root: Path) -> dict[str, str]:
    """Collect, clone and train everything in miniature; checkpoint directories by role."""
    for stage in STAGES:
        do(stage.job, root / stage.name, **resolve(stage.options, root.joinpath))
    roles = {"policy": "policy", "world_model": "wm", "reward_model": "reward"}
    return {role: last_checkpoint(root / name) for role, name in roles.items()}
