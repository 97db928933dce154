"""A checkpoint of ours back to the official layout, whatever its role."""

import shutil
import tempfile
from pathlib import Path

from engine.checkpoints.checkpoint import read_config
from engine.released.autoencoder import export_autoencoder
from engine.released.policy import export_policy
from engine.released.reward_model import export_reward_model
from engine.released.world_model import export_world_model


def export(checkpoint: Path, directory: Path, *, like: Path | None = None) -> None:
    """Write a checkpoint so that the official code reads it; `directory` appears whole or not.

    Args:
        like: for a policy trained here, the adopted checkpoint it came from.

    Raises:
        ValueError: the directory is there already, or the checkpoint is not of a released form.
    """
    if directory.exists():
        raise ValueError(f"{directory} is there already")
    role = read_config(checkpoint).get("role")
    directory.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(dir=directory.parent, prefix=".partial-"))
    try:
        partial = room / "new"
        match role:
            case "policy":
                export_policy(checkpoint, partial, like=like)
            case "world_model":
                export_world_model(checkpoint, partial)
            case "reward_model":
                export_reward_model(checkpoint, partial)
            case "autoencoder":
                export_autoencoder(checkpoint, partial)
            case _:
                raise ValueError(f"{checkpoint.name} has the role {role!r}: no official layout")
        partial.rename(directory)
    finally:
        shutil.rmtree(room, ignore_errors=True)
