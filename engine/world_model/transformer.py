"""STDiT: velocity of future latents, given past latents and actions (method.md §1.1 to §1.3).

The last `chunk_size` frames are denoised, the first `context_frames` are given. The features of
context frames depend on nothing else (fact 5): causal attention across time, a fixed time, no
action. `context` computes them once and `denoise` runs the other frames alone, exactly.
"""

import math
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from engine.config import Config, knob
from engine.world_model.blocks import (
    ActionEmbedding,
    Block,
    FinalLayer,
    FramePlaces,
    KeysValues,
    PatchEmbedding,
    TimestepEmbedding,
    linear_velocity,
    position_table,
    steady,
)
from engine.world_model.conditions import Conditions, Moments
from engine.world_model.convolutions import MAPS, Head, Painter, Stem

CUMULATIVE_SCALE = 4.0


@dataclass(frozen=True, kw_only=True)
class TransformerConfig(Config):
    """Sizes of the transformer; the defaults are the demo's, method.md §1.1 has the released."""

    hidden_size: int = knob(128, "Width of a token", low=8)
    depth: int = knob(4, "Spatial blocks, and as many temporal ones", low=1)
    num_heads: int = knob(4, "Attention heads", low=1)
    mlp_ratio: float = knob(4.0, "Width of the MLP relative to the token", low=1.0)
    in_channels: int = knob(8, "Channels of a latent", low=1)
    patch_size: int = knob(2, "Rows and columns of a latent in one token", low=1)
    predict_sigma: bool = knob(False, "Twice the output channels, as the released; half is unused")
    action_dim: int = knob(4, "Numbers in an action", low=1)
    chunk_size: int = knob(8, "Frames denoised at once, one for each action", low=1)
    context_frames: int = knob(4, "Past frames that are given", low=1)
    input_sq_size: int = knob(512, "Side of the image at which positions count in patches", low=1)
    context_timestep: float = knob(15.0, "Diffusion time of context frames", low=0.0, high=1000.0)
    round_timestep_to_bf16: bool = knob(False, "Round the time first, as released weights expect")
    precondition: bool = knob(
        False, "Add the best linear guess of the velocity, so that only the rest is learnt"
    )
    convolutions: int = knob(
        0, "Variant: channels of a 3 x 3 convolutional stem and head; 0: none, as released", low=0
    )
    cumulative_actions: bool = knob(
        False, "Variant: a frame also knows the sum of the chunk's actions so far, and its number"
    )
    context_actions: bool = knob(False, "Variant: context frames know the actions that led to them")
    state_features: int = knob(
        0, "Variant: numbers that a state model foresees of each frame; 0: none", low=0
    )

    state_map: int = knob(
        0,
        "Variant: side of the latents that foreseen states are painted on for the convolutions; "
        "0: none",
        low=0,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.state_map and not self.convolutions:
            raise ValueError("TransformerConfig.state_map needs convolutions")
        if self.state_features and not self.context_actions:
            raise ValueError("TransformerConfig.state_features needs context_actions")
        if self.hidden_size % 4 or self.hidden_size % (2 * self.num_heads):
            raise ValueError(
                f"TransformerConfig.hidden_size must be a multiple of 4 and of 2 * num_heads = "
                f"{2 * self.num_heads}, not {self.hidden_size}"
            )

    @property
    def frame_features(self) -> int:
        """Numbers that the vector of a frame is made from: its action and what variants add."""
        added = self.action_dim + self.chunk_size if self.cumulative_actions else 0
        return self.action_dim + added + self.state_features

    @property
    def is_published(self) -> bool:
        """Whether no variant is on that changes what the network computes from."""
        return not (self.convolutions or self.cumulative_actions or self.context_actions)

    @property
    def out_channels(self) -> int:
        """Channels of the output, of which the first `in_channels` are the velocity."""
        return 2 * self.in_channels if self.predict_sigma else self.in_channels


@dataclass(frozen=True)
class ContextCache:
    """Everything a chunk needs of its context frames, whatever the time and the actions.

    Attributes:
        past: keys and values of each temporal block.
        places: what temporal blocks know of the chunk's frames.
        positions: the table added to every frame's tokens.
        last: the newest context latent, as it was given.
        maps: states foreseen of the chunk's frames, painted where latents are.
    """

    past: tuple[KeysValues, ...]
    places: FramePlaces
    positions: Float[Tensor, "s d"]
    last: Float[Tensor, "b c 1 y x"]
    maps: Float[Tensor, "b m k y x"] | None = None


class Rope(nn.Module):
    """Holds the rotary frequencies under their released name."""

    freqs: Tensor

    def __init__(self, head_size: int) -> None:
        super().__init__()
        exponents = torch.arange(0, head_size, 2, dtype=torch.float32) / head_size
        self.register_buffer("freqs", 1.0 / (10000.0**exponents))


class STDiT(nn.Module):
    """Diffusion transformer with attention within frames and, causal, across frames.

    # paper: Table 3 says noise prediction; code and checkpoints predict v = x0 - noise.
    """

    def __init__(self, config: TransformerConfig, *, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        width, heads = config.hidden_size, config.num_heads
        self.rope = Rope(width // heads)
        self.x_embedder = PatchEmbedding(config.in_channels, width, config.patch_size)
        self.t_embedder = TimestepEmbedding(width)
        self.action_embedder = ActionEmbedding(config.frame_features, width)
        self.t_block = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))
        self.spatial_blocks = nn.ModuleList(
            Block(width, heads, config.mlp_ratio) for _ in range(config.depth)
        )
        self.temporal_blocks = nn.ModuleList(
            Block(width, heads, config.mlp_ratio) for _ in range(config.depth)
        )
        self.final_layer = FinalLayer(width, config.patch_size**2 * config.out_channels)
        self.stem: Stem | None = None
        self.head: Head | None = None
        if config.convolutions:
            sizes = config.in_channels, config.convolutions, config.patch_size, width
            maps = MAPS if config.state_map and config.state_features else 0
            self.stem, self.head = Stem(*sizes, maps), Head(*sizes)
        self.painter: Painter | None = None
        if config.state_map and config.state_features:
            self.painter = Painter(config.state_features, config.state_map)
        self.initialise(torch.Generator().manual_seed(seed))

    def initialise(self, generator: torch.Generator) -> None:
        """Fresh weights, a function of the generator alone.

        Xavier matrices and zero biases as in DiT; tables N(0, 1/width) and small time layers as in
        Open-Sora, so that gates start small but open; the last layer zero, so that the first
        prediction is zero velocity. Temporal blocks start like spatial ones: here they are not
        added to a trained image model.
        """
        width = self.config.hidden_size
        for name, parameter in self.named_parameters():
            if name.endswith("norm.weight"):
                nn.init.ones_(parameter)
            elif name.endswith("bias") or name.startswith(("final_layer.linear", "head.layers.2")):
                nn.init.zeros_(parameter)
            elif name.endswith("scale_shift_table"):
                nn.init.normal_(parameter, std=width**-0.5, generator=generator)
            elif name.startswith(("t_embedder", "t_block", "action_embedder.none_action")):
                nn.init.normal_(parameter, std=0.02, generator=generator)
            else:
                nn.init.xavier_uniform_(parameter.flatten(1), generator=generator)

    def forward(
        self,
        x: Float[Tensor, "b c t y x"],
        timestep: Float[Tensor, " b"],
        actions: Float[Tensor, "b k a"],
        mask: Bool[Tensor, "b t"],
        height: int,
        width: int,
    ) -> Float[Tensor, "b out t y x"]:
        """The network as published, for any mask; `denoise` is the fast way for the usual one.

        Args:
            x: latents, noisy where `mask` is True.
            timestep: diffusion time in [0, 1000] of the masked frames.
            actions: normalised actions of the last k frames.
            mask: True = frame being denoised, False = context.
            height, width: size of the image in pixels.

        Returns:
            Velocity in the first `in_channels` channels, float32; meaningless where mask is False.

        Raises:
            ValueError: a network with variants, which only `denoise` computes.
        """
        if not self.config.is_published:
            raise ValueError("only the published network has a forward pass for any mask")
        c = x.shape[2] - actions.shape[1]
        time, given = self._time(timestep), self._context_time()
        pads = self.action_embedder.none_action.weight.expand(len(x), c, -1)
        action = torch.cat([pads, self.action_embedder(actions)], dim=1).transpose(0, 1)
        chosen = mask.transpose(0, 1)[:, :, None, None]
        still = self._modulation(given)
        spatial = torch.where(chosen, self._modulation(time + action), still)
        temporal = torch.where(chosen, self._modulation(time), still)
        places = FramePlaces.of(self.rope.freqs, 0, x.shape[2])

        tokens = self._embed(x, self._positions(x, height, width))
        for within, across in self._pairs():
            tokens = within.within_frames(tokens, spatial)
            tokens, _ = across.across_frames(tokens, temporal, places)
        moved = self.final_layer.modulate(tokens, time)
        # The released code modulates context frames a second time; nobody reads their output.
        moved = torch.where(chosen, moved, self.final_layer.modulate(moved, given))
        return self._frames(self.final_layer.linear(moved), x.shape[-2], x.shape[-1])

    def context(
        self,
        latents: Float[Tensor, "b c n y x"],
        height: int,
        width: int,
        conditions: Conditions | None = None,
    ) -> ContextCache:
        """Features of the n context frames, in training noised to `context_timestep`."""
        positions = self._positions(latents, height, width)
        given = self._context_time()
        modulation = within_frames = self._modulation(given)
        if self.config.context_actions and conditions is not None:
            past_actions = self._embed_past(conditions).transpose(0, 1)
            within_frames = self._modulation(given + past_actions)
        places = FramePlaces.of(self.rope.freqs, 0, latents.shape[2])
        tokens = self._embed(latents, positions)
        last = latents[:, :, -1:]
        past_maps = maps = None
        if self.painter is not None and conditions is not None:
            past_maps = self.painter(conditions.past_states)
            maps = self.painter(conditions.states)
        if self.stem is not None:
            tokens = tokens + self.stem(latents, last, past_maps)[1]
        later = FramePlaces.of(self.rope.freqs, latents.shape[2], self.config.chunk_size)
        past = []
        for within, across in self._pairs():
            tokens = within.within_frames(tokens, within_frames)
            if across is self.temporal_blocks[-1]:
                past.append(across.keys_values(tokens, modulation, places).before(later))
            else:
                tokens, own = across.across_frames(tokens, modulation, places)
                past.append(own.before(later))
        return ContextCache(tuple(past), later, positions, last, maps)

    def embed_actions(
        self, actions: Float[Tensor, "b k a"], conditions: Conditions | None = None
    ) -> Float[Tensor, "b k d"]:
        """Vectors of normalised actions, for `denoise`: the same at all denoising steps."""
        features = [actions]
        if self.config.cumulative_actions:
            numbers = torch.eye(actions.shape[1]).to(actions).expand(len(actions), -1, -1)
            features += [actions.cumsum(dim=1) / CUMULATIVE_SCALE, numbers]
        if self.config.state_features:
            none = actions.new_zeros(*actions.shape[:2], self.config.state_features)
            features.append(none if conditions is None else conditions.states)
        return self.action_embedder(torch.cat(features, dim=-1))

    def _embed_past(self, conditions: Conditions) -> Float[Tensor, "b c d"]:
        """Vectors of context frames: nothing was summed up, and their states are not foreseen."""
        actions = conditions.past_actions * conditions.known[..., None]
        config, features = self.config, [actions]
        if config.cumulative_actions:
            features.append(
                actions.new_zeros(*actions.shape[:2], config.action_dim + config.chunk_size)
            )
        if config.state_features:
            features.append(conditions.past_states)
        embedded = self.action_embedder(torch.cat(features, dim=-1))
        none = self.action_embedder.none_action.weight
        unknown = (1.0 - conditions.known[..., None]).to(embedded.dtype)
        return embedded + unknown * none

    def embed_times(self, times: Float[Tensor, " n"]) -> Moments:
        """What `denoise` has to know of diffusion times: those of all steps at once."""
        vectors = self._time(times)
        return Moments(times, vectors, self._modulation(vectors))

    def denoise(
        self,
        cache: ContextCache,
        noisy: Float[Tensor, "b c k y x"],
        moments: Moments,
        embedded_actions: Float[Tensor, "b k d"],
    ) -> Float[Tensor, "b c k y x"]:
        """Velocity of the k frames after the context, equal to `forward`'s to rounding.

        Args:
            cache: `context` of the frames before; all of them context.
            noisy: latents at those times.
            moments: `embed_times` of each row's time, or of one for all of them.
            embedded_actions: `embed_actions` of the k actions.
        """
        spatial = self._modulation(moments.vectors + embedded_actions.transpose(0, 1))
        tokens = self._embed(noisy, cache.positions)
        details = None
        if self.stem is not None:
            details, added = self.stem(noisy, cache.last, cache.maps)
            tokens = tokens + added
        for (within, across), past in zip(self._pairs(), cache.past, strict=True):
            tokens = within.within_frames(tokens, spatial)
            tokens, _ = across.across_frames(tokens, moments.modulation, cache.places, past)
        moved = self.final_layer.modulate(tokens, moments.vectors)
        velocity = self._frames(self.final_layer.linear(moved), noisy.shape[-2], noisy.shape[-1])
        velocity = velocity[:, : self.config.in_channels]
        if self.head is not None and details is not None:
            velocity = velocity + self.head(details, moved)
        if self.config.precondition:
            velocity = velocity + linear_velocity(noisy, moments.times)
        return velocity

    def _pairs(self) -> list[tuple[Block, Block]]:
        """The spatial and the temporal block of each level."""
        pairs = zip(self.spatial_blocks, self.temporal_blocks, strict=True)
        return [(cast(Block, within), cast(Block, across)) for within, across in pairs]

    def _time(self, timestep: Tensor) -> Tensor:
        """Embeddings of times, [b] to [b d]."""
        if self.config.round_timestep_to_bf16:
            timestep = timestep.bfloat16().float()
        return self.t_embedder(timestep)

    def _context_time(self) -> Tensor:
        """Embedding [1 d] of the time of context frames."""
        return self._time(self.rope.freqs.new_full((1,), self.config.context_timestep))

    def _modulation(self, vectors: Tensor) -> Tensor:
        """[... b d] to [#t b 6 d]: shift, gain (1 + scale) and gate of attention and MLP."""
        parts = steady(self.t_block, vectors).unflatten(-1, (6, -1))
        parts[..., 1::3, :] += 1.0
        return parts

    def _positions(self, latents: Tensor, height: int, width: int) -> Tensor:
        patch = self.config.patch_size
        rows, columns = (math.ceil(side / patch) for side in latents.shape[-2:])
        scale = math.sqrt(height * width) / self.config.input_sq_size
        table = position_table(rows, columns, self.config.hidden_size, scale, latents.device)
        return table.to(self.x_embedder.proj.weight.dtype)

    def _embed(self, latents: Tensor, positions: Tensor) -> Tensor:
        """[b c t y x] to tokens [t b s d]; rows and columns are padded to whole patches."""
        patch = self.config.patch_size
        padded = F.pad(latents, (0, -latents.shape[-1] % patch, 0, -latents.shape[-2] % patch))
        patches = rearrange(padded, "b c t (i p) (j q) -> t b (i j) (c p q)", p=patch, q=patch)
        return self.x_embedder(patches) + positions

    def _frames(self, patches: Tensor, rows: int, columns: int) -> Tensor:
        """Patches [t b s (p q c)] to [b c t y x], without the padding, float32."""
        patch = self.config.patch_size
        frames = rearrange(
            patches,
            "t b (i j) (p q c) -> b c t (i p) (j q)",
            j=math.ceil(columns / patch),
            p=patch,
            q=patch,
        )
        return frames[..., :rows, :columns].float()
