"""Step 8 of the gate: a checkpoint is loaded and run once, in the sandbox, before the app does it.

The rest of the gate looks at single files; only a forward pass shows that a whole checkpoint is a
model: that its files belong together, and that its numbers stay finite.
"""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from engine.checkpoints.checkpoint import STATE, WEIGHTS
from engine.checkpoints.tensor_files import stored_files
from engine.gate import sandbox
from engine.gate.inspection import inspect
from engine.gate.sandbox import Allowance
from engine.gate.verdict import Limits, Reason, RefusedError, Verdict, refused
from engine.images import to_model
from engine.loading.models import Model, load
from engine.policy.model import OpenVLAPolicy
from engine.reward.classifier import VideoReward
from engine.reward.states import StateReward
from engine.seeding import generator
from engine.served.checkpoint import is_served
from engine.world_model.autoencoder import Autoencoder
from engine.world_model.model import LatentWorldModel

_GB = 1_000_000_000
# A model in memory is float32, beside the file it is read from; float16 files double.
_BYTES_A_STORED_BYTE = 5
_AUTOENCODER_SIDE = 64
# What loading a model never reads: training state, and what a repository has beside a checkpoint.
_UNREAD = (STATE, "README.md", ".gitattributes")


def check_model(directory: Path, *, limits: Limits = Limits()) -> Verdict:
    """Whether a checkpoint directory is a working model of ours: every file, then one forward pass.

    A policy chooses one chunk, a world model dreams one, a reward model judges one window, an
    autoencoder sees one frame; inputs are fixed, outputs must be finite. Training state and a
    README.md are not looked at, because they are not loaded with a model.
    """
    verdict = Verdict(path=directory, accepted=False)
    try:
        for path in _files(directory):
            verdict = inspect(path, limits=limits)
            if not verdict.accepted:
                return verdict
        _run_in_sandbox(directory)
    except RefusedError as refusal:
        return refused(directory, refusal)
    return dataclasses.replace(verdict, path=directory)


def _files(directory: Path) -> list[Path]:
    """The files that loading would read; the weights come last, because they take longest."""
    weights = _weights(directory)
    others = [
        path
        for path in sorted(directory.rglob("*"))
        if (path.is_symlink() or not path.is_dir())
        and path.name not in _UNREAD
        and path not in weights
    ]
    return others + weights


def _weights(directory: Path) -> list[Path]:
    try:
        weights = stored_files(directory, Path(WEIGHTS).stem)
    except ValueError as error:
        raise RefusedError(Reason.MISSING, f"cannot be loaded: {error}") from error
    if directory.is_symlink() or not all(path.is_file() for path in weights):
        raise RefusedError(Reason.MISSING, f"is not a checkpoint directory with {WEIGHTS}")
    return weights


def _run_in_sandbox(directory: Path) -> None:
    size = sum(path.stat().st_size for path in _weights(directory))
    allowance = Allowance(
        memory_bytes=2 * _GB + _BYTES_A_STORED_BYTE * size, cpu_seconds=10 + size // 10_000_000
    )
    with tempfile.TemporaryDirectory(prefix="trial-") as room:
        sandbox.run(
            "engine.loading.trial",
            [str(directory.resolve())],
            room=Path(room),
            allowance=allowance,
        )


def main(arguments: list[str]) -> dict[str, Any]:
    """In the sandbox: load `[directory]` and run it once.

    Raises:
        ValueError: no whole checkpoint, or outputs that are not finite.
    """
    directory = Path(arguments[0])
    if is_served(directory):
        raise RefusedError(Reason.MISSING, "is the address of a world model, not one")
    try:
        model = load(directory)
    except ValueError as error:
        raise RefusedError(Reason.UNREADABLE, f"cannot be loaded: {error}") from error
    with torch.inference_mode():
        outputs = _run(model)
    for name, output in outputs.items():
        if not bool(output.isfinite().all()):
            raise RefusedError(Reason.NOT_FINITE, f"computes {name} that are not finite")
    return {"outputs": sorted(outputs)}


def _run(model: Model) -> dict[str, Tensor]:
    """Named outputs of one forward pass on frames and actions that are always the same."""
    match model:
        case OpenVLAPolicy():
            images = _frames(1, model.config.image_size)
            chunk = model.act(images, ["push the cup"], [generator(0, "trial")], 0.0)
            return {"actions": chunk.actions, "log-probabilities": chunk.log_probs}
        case LatentWorldModel():
            row = [generator(0, "trial")]
            frames = to_model(_frames(1, model.config.image_size))
            start = model.encode(frames, row)
            context = start[:, None].repeat(1, model.context_frames, 1, 1, 1)
            actions = torch.zeros(1, model.chunk_size, model.action_dim)
            latents = model.predict(context, actions, row, 1, model.begin(start))
            return {"latents": latents, "frames": model.decode(latents[:, -1])}
        case VideoReward():
            window = model.preprocess(_frames(model.window, model.config.image_size))
            return {"logits": model(window[None])}
        case StateReward():
            return {"states": model.read_frames(_frames(2, model.config.image_size)[None])}
        case Autoencoder():
            frames = to_model(_frames(1, _AUTOENCODER_SIDE))
            latents = model.encode(frames, [generator(0, "trial")])
            return {"latents": latents, "frames": model.decode(latents)}
    raise AssertionError(model)


def _frames(count: int, side: int) -> UInt8[Tensor, "b h w 3"]:
    """Slanted grey ramps, each a little further than the one before it."""
    steps = torch.arange(count)[:, None, None, None] * 8
    ramp = torch.arange(side)[:, None, None] * 3 + torch.arange(side)[None, :, None] * 2
    return ((steps + ramp) % 256).to(torch.uint8).repeat(1, 1, 1, 3)
