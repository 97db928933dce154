"""Our imagined rollout (`engine.dream.imagine`) against the reference loop (method.md §1.6).

The file's toy autoencoder and policy stand behind the studio's protocols; the transformer is real.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from einops import einsum, rearrange, reduce, repeat
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from engine.dream.imagine import group_starts, imagine
from engine.parity.items import Item, compare, load_vectors
from engine.parity.transformer import released_transformer
from engine.protocols import ActionChunk
from engine.records.types import DreamContext, JudgeRules, Normalization
from engine.world_model.flow import predict_latents
from engine.world_model.transformer import STDiT

ONE_GREY_LEVEL = 1.0 / 255.0
OFF_BY_ONE_SHARE = 0.03
FULL_FRAME = 9
TOY_PIXELS = 8


class ToyWorldModel:
    """A `WorldModel` of a rollout file: the real transformer, the file's linear autoencoder, and
    its stored noise, a chunk at a time."""

    anchored = False
    micro_batch = 1

    def __init__(self, scalars: dict[str, Any], tensors: dict[str, Tensor], stdit: STDiT) -> None:
        self.transformer = stdit
        self.tensors = tensors
        self.height, self.width = scalars["image_hw"]
        self.latents: list[Tensor] = []

    @property
    def context_frames(self) -> int:
        return self.transformer.config.context_frames

    @property
    def chunk_size(self) -> int:
        return self.transformer.config.chunk_size

    @property
    def action_dim(self) -> int:
        return self.transformer.config.action_dim

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        return (
            self.transformer.config.in_channels,
            self.height // TOY_PIXELS,
            self.width // TOY_PIXELS,
        )

    def with_context(self, context: DreamContext, micro_batch: int = 0) -> "ToyWorldModel":
        """The reference knows no other context."""
        return self

    def encode(
        self, frames: Float[Tensor, "b c h w"], generators: Sequence[torch.Generator]
    ) -> Float[Tensor, "b z y x"]:
        """Pooled colours times a matrix; nothing is drawn."""
        pooled = reduce(frames, "b c (y p) (x q) -> b c y x", "mean", p=TOY_PIXELS, q=TOY_PIXELS)
        return einsum(self.tensors["vae.enc"], pooled, "z c, b c y x -> b z y x")

    def begin(self, latents: Float[Tensor, "b z y x"]) -> Float[Tensor, "b m"]:
        """Nothing is remembered."""
        return latents.new_zeros(len(latents), 0)

    def remember(
        self, memory: Float[Tensor, "b m"], actions: Float[Tensor, "b k a"]
    ) -> Float[Tensor, "b m"]:
        """Still nothing."""
        return memory

    def predict(
        self,
        latents: Float[Tensor, "b t z y x"],
        actions: Float[Tensor, "b k a"],
        generators: Sequence[torch.Generator],
        denoising_steps: int,
        memory: Float[Tensor, "b m"] | None = None,
    ) -> Float[Tensor, "b k z y x"]:
        """The studio's prediction from the file's next noise."""
        noise = self.tensors["noise"][len(self.latents)]
        future = predict_latents(
            self.transformer, latents, actions, noise, denoising_steps, self.height, self.width
        )
        self.latents.append(future)
        return future

    def decode(self, latents: Float[Tensor, "b z y x"]) -> Float[Tensor, "b c h w"]:
        """Latents times a matrix, tanh, each pixel repeated."""
        colours = torch.tanh(einsum(self.tensors["vae.dec"], latents, "c z, b z y x -> b c y x"))
        return repeat(colours, "b c y x -> b c (y p) (x q)", p=TOY_PIXELS, q=TOY_PIXELS)


class ToyPolicy:
    """A `Policy` of a rollout file: a linear map of the frame's mean colour; no tokens."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors
        self.chunk_size, self.action_dim = tensors["actions"].shape[-2:]
        self.actions: list[Tensor] = []

    @property
    def normalization(self) -> Normalization:
        """Actions stay as they are."""
        n = self.action_dim
        return Normalization(q01=(-1.0,) * n, q99=(1.0,) * n, mask=(False,) * n)

    def act(
        self,
        images: UInt8[Tensor, "b h w 3"],
        instructions: Sequence[str],
        generators: Sequence[torch.Generator],
        temperature: float,
    ) -> ActionChunk:
        """The next chunk, of a frame in which rounding is undone."""
        if self.actions:
            reference = self.tensors["video"][:, len(self.actions) * self.chunk_size]
            images = steadied(images, reference)
        colours = reduce(images.float() / 255.0, "b h w c -> b c", "mean")
        flat = torch.tanh(colours @ self.tensors["policy.W"].T + self.tensors["policy.b"])
        self.actions.append(rearrange(flat, "b (k a) -> b k a", a=self.action_dim))
        return ActionChunk(
            torch.zeros_like(flat, dtype=torch.int64),
            self.actions[-1],
            *[torch.zeros_like(flat)] * 2,
        )

    def log_probs(
        self,
        images: UInt8[Tensor, "b h w 3"],
        instructions: Sequence[str],
        tokens: Int64[Tensor, "b l"],
        temperature: float,
    ) -> tuple[Float[Tensor, "b l"], Float[Tensor, "b l"]]:
        """Nothing is drawn: all zero."""
        return torch.zeros(tokens.shape), torch.zeros(tokens.shape)


class NoReward:
    """A `RewardModel` that never sees a success: the reference loop has none."""

    window = 1
    micro_batch = 1
    success_threshold = 1.0

    def probabilities(
        self, frames: UInt8[Tensor, "b t h w 3"], rules: JudgeRules
    ) -> tuple[Int64[Tensor, " windows"], Float[Tensor, "b windows"]]:
        """Zero for every frame."""
        return torch.arange(frames.shape[1]) + 1, torch.zeros(frames.shape[:2])


def steadied(frame: Tensor, reference: Tensor) -> Tensor:
    """Put back the values of a frame [b h w 3] that rounding alone moved by one grey level.

    The toy policy reads the mean colour: one grey level in one cell of the toy decoder would
    already move its actions by more than 1e-4.

    Args:
        reference: the file's frame, one value a cell, [b y x 3].
    """
    cells = repeat(reference, "b y x c -> b (y p) (x q) c", p=TOY_PIXELS, q=TOY_PIXELS)
    return torch.where((frame.int() - cells.int()).abs() <= 1, cells, frame)


def check_rollout(path: Path) -> list[Item]:
    """The studio's own loop: latents carried on, frames truncated to uint8 (method.md §1.6).

    A grey level can fall on either side of an integer by rounding alone, so frames may be off by
    one in a few values of a hundred; rounding instead of truncating would move half of them.
    """
    scalars, tensors = load_vectors(path)
    weights = path.with_name(scalars["world_model_weights"].split()[0])
    world_model = ToyWorldModel(scalars, tensors, released_transformer(*load_vectors(weights)))
    policy = ToyPolicy(tensors)
    starts, rows = group_starts(tensors["images"], range(len(tensors["images"])), scalars["repeat"])
    rollouts = imagine(
        world_model,
        policy,
        NoReward(),
        starts,
        [""] * len(rows),
        rows=rows,
        horizon=scalars["chunks"] * world_model.chunk_size,
        seed=scalars["seed"],
        temperature=0.0,
        denoising_steps=scalars["sampling_steps"],
        rules=JudgeRules(window=1, first_end=1),
    )
    frames = torch.stack([rollout.frames for rollout in rollouts])
    latents = rearrange(torch.stack(world_model.latents), "n b k z y x -> n b z k y x")
    return [
        compare("actions", torch.stack(policy.actions), tensors["actions"]),
        compare("latents", latents, tensors["latents"]),
        *_pixels("video", frames[:, :, ::TOY_PIXELS, ::TOY_PIXELS], tensors["video"]),
        *_pixels("video_full_first", frames[0, FULL_FRAME], tensors["video_full_first"]),
    ]


def _pixels(name: str, ours: Tensor, reference: Tensor) -> list[Item]:
    if ours.shape != reference.shape:
        return [compare(name, ours, reference)]
    difference = (ours.int() - reference.int()).abs()
    return [
        Item(f"{name} (grey levels / 255)", difference.max().item() / 255.0, ONE_GREY_LEVEL),
        Item(f"{name} (share off)", (difference > 0).float().mean().item(), OFF_BY_ONE_SHARE),
    ]
