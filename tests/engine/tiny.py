"""Tiny models of the real classes, trained for a few steps by the real jobs."""

from pathlib import Path
from typing import Any

from engine.jobs.registry import job_config, run_job
from engine.run_directory import RunDirectory

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


def do(job: str, directory: Path, **options: Any) -> dict[str, Any] | None:
    """Run a job in this process; its metrics."""
    run = RunDirectory(directory)
    try:
        return run_job(job, job_config(job, options).to_dict(), run)
    finally:
        run.close()


def last_checkpoint(directory: Path) -> str:
    """The newest checkpoint of a run directory."""
    return str(sorted((directory / "checkpoints").glob("step-*"))[-1])


def fit(steps: int) -> dict[str, Any]:
    """A few steps."""
    return {"steps": steps, "warmup_steps": 1, "log_every": 2, "checkpoint_every": 100}


def build_tiny_world(root: Path) -> dict[str, str]:
    """Collect, clone and train everything in miniature; checkpoint directories by role."""
    do("collect", root / "demos", episodes=4, only_successes=True, noise=0.1)
    do("collect", root / "play", source="play", pool="play", episodes=4)
    both = [str(root / "demos"), str(root / "play")]
    do(
        "train_autoencoder",
        root / "ae",
        episodes_from=both,
        held_out=1,
        batch_size=4,
        model=AUTOENCODER,
        fit=fit(4),
    )
    do(
        "train_world_model",
        root / "wm",
        episodes_from=both,
        held_out=1,
        batch_size=4,
        autoencoder=last_checkpoint(root / "ae"),
        transformer=TRANSFORMER,
        fit=fit(4),
    )
    do(
        "clone",
        root / "policy",
        episodes_from=both[:1],
        held_out=1,
        batch_size=4,
        model=POLICY,
        fit=fit(4),
    )
    do(
        "train_reward",
        root / "reward",
        episodes_from=both,
        held_out_share=0.3,
        batch_size=4,
        autoencoder=last_checkpoint(root / "ae"),
        model=REWARD,
        fit=fit(4),
    )
    roles = {"policy": "policy", "world_model": "wm", "reward_model": "reward"}
    return {role: last_checkpoint(root / name) for role, name in roles.items()}
