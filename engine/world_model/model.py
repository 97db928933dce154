"""The world model of the studio: an autoencoder and a transformer that dreams in its latents."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from engine.config import Config, knob
from engine.records.types import DreamContext
from engine.seeding import randn
from engine.world_model.autoencoder import Autoencoder, AutoencoderConfig
from engine.world_model.conditions import Conditions
from engine.world_model.flow import Denoise, add_noise, predict_latents
from engine.world_model.memory import Memory, MemorySizes
from engine.world_model.states import StateConfig, StateModel, StateSizes
from engine.world_model.transformer import STDiT, TransformerConfig


@dataclass(frozen=True, kw_only=True)
class WorldModelConfig(Config):
    """Sizes of both parts and of the images between them.

    Raises:
        ValueError: latents of different channels, or an image the autoencoder cannot divide.
    """

    transformer: TransformerConfig = knob(factory=TransformerConfig, help="The transformer")
    autoencoder: AutoencoderConfig = knob(factory=AutoencoderConfig, help="The autoencoder")
    image_size: int = knob(64, "Height and width of a frame in pixels", low=8)
    timestep_ratio: float = knob(
        0.0,
        "If above 0, times of training and sampling are moved towards noise by this ratio; "
        "0 follows the image size, as the released checkpoints",
        low=0.0,
    )
    change_scale: float = knob(
        0.0,
        "If above 0, futures are predicted as changes from the last context latent, divided by "
        "this; 0 predicts the latents themselves, as the released checkpoints",
        low=0.0,
    )
    anchored: bool = knob(
        False, "The first context latent stays the start's, so that it is never forgotten"
    )

    deterministic: bool = knob(
        False,
        "Variant: the mean future in one step from no noise (time 1000); denoising steps and "
        "noise are ignored",
    )
    states: StateConfig = knob(
        factory=StateConfig,
        help="Variant: a small state model whose forecast is carried through the dream; its "
        "training needs simulator states (privileged), a dream only its start frame",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        channels, latent = self.transformer.in_channels, self.autoencoder.latent_channels
        if channels != latent:
            raise ValueError(
                f"WorldModelConfig.transformer.in_channels must be the autoencoder's "
                f"latent_channels {latent}, not {channels}"
            )
        if self.image_size % self.autoencoder.downsampling:
            raise ValueError(
                f"WorldModelConfig.image_size must be a multiple of "
                f"{self.autoencoder.downsampling}, not {self.image_size}"
            )
        foreseen = self.states.num_features
        if self.transformer.state_features != foreseen:
            raise ValueError(
                f"WorldModelConfig.transformer.state_features must be {foreseen} with this state "
                f"model, not {self.transformer.state_features}"
            )
        if self.transformer.state_map and not foreseen:
            raise ValueError("transformer.state_map needs a state model")
        if self.transformer.state_map not in (0, self.latent_shape[1]):
            raise ValueError(
                f"WorldModelConfig.transformer.state_map must be {self.latent_shape[1]} or 0, not "
                f"{self.transformer.state_map}"
            )
        if self.transformer.convolutions and self.latent_shape[1] % self.transformer.patch_size:
            raise ValueError("convolutions need latents that patches divide")

    @classmethod
    def paper(cls) -> "WorldModelConfig":
        """The released world model: # paper: 1.2 B in its file, 0.9 B used (method.md §1.1)."""
        return cls(
            transformer=TransformerConfig(
                hidden_size=1152,
                depth=28,
                num_heads=16,
                in_channels=4,
                predict_sigma=True,
                action_dim=7,
                round_timestep_to_bf16=True,
            ),
            autoencoder=AutoencoderConfig.sdxl(),
            image_size=256,
        )

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of a latent."""
        side = self.image_size // self.autoencoder.downsampling
        return self.autoencoder.latent_channels, side, side

    @property
    def state_sizes(self) -> StateSizes:
        """What a state model of this world model works on."""
        sizes = self.transformer
        return StateSizes(
            latent_shape=self.latent_shape,
            context_frames=sizes.context_frames,
            chunk_size=sizes.chunk_size,
            action_dim=sizes.action_dim,
        )

    @property
    def memory_sizes(self) -> MemorySizes | None:
        """What is remembered of a dream beside its latents, if anything is."""
        sizes, states = self.transformer, self.states
        if not sizes.context_actions:
            return None
        fixed = states.fixed if states.moving else 0
        return MemorySizes(sizes.context_frames, states.moving, fixed, sizes.action_dim)


class LatentWorldModel(nn.Module):
    """`engine.protocols.WorldModel`: encode a start, predict latents chunk by chunk, decode.

    Rows are independent: a row's result is the same alone and in any batch, bit for bit on one
    CPU. Matrix products keep that by themselves (`blocks.steady`), convolutions run in the
    autoencoder's fixed micro-batches.

    Args:
        compiled: let `torch.compile` build the denoising step, where nearly all the work is.
    """

    def __init__(self, config: WorldModelConfig, *, compiled: bool = False) -> None:
        super().__init__()
        self.config = config
        self.autoencoder = Autoencoder(config.autoencoder)
        self.transformer = STDiT(config.transformer)
        denoise = self.transformer.denoise
        self.state_model: StateModel | None = None
        if config.states.moving:
            self.state_model = StateModel(config.states, config.state_sizes).requires_grad_(False)
        self._denoise: Denoise = torch.compile(denoise) if compiled else denoise
        self._dream_context = DreamContext()

    def with_context(self, context: DreamContext, micro_batch: int = 0) -> "LatentWorldModel":
        """The same weights, shared, that dream with another context.

        Args:
            micro_batch: frames that its convolutions take at once; 0: as many as here.
        """
        other = copy.copy(self)
        other._dream_context = context
        if micro_batch:
            autoencoder = self.autoencoder.in_micro_batches_of(micro_batch)
            other._modules = self._modules | {"autoencoder": autoencoder}
        return other

    @property
    def context_frames(self) -> int:
        """Latents `predict` needs."""
        return self.config.transformer.context_frames

    @property
    def anchored(self) -> bool:
        """Whether the first of the context latents is always the start's."""
        return self.config.anchored or self._dream_context.anchored

    @property
    def chunk_size(self) -> int:
        """Latents `predict` returns, and actions it takes."""
        return self.config.transformer.chunk_size

    @property
    def action_dim(self) -> int:
        """Numbers in one action."""
        return self.config.transformer.action_dim

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of a latent."""
        return self.config.latent_shape

    @property
    def micro_batch(self) -> int:
        """Frames that its convolutions take at once: what the bits of a frame depend on."""
        return self.autoencoder.config.micro_batch

    @torch.no_grad()
    def encode(
        self, frames: Float[Tensor, "b c h w"], generators: Sequence[torch.Generator]
    ) -> Float[Tensor, "b z y x"]:
        """Frames in [-1, 1] to scaled latents, sampled from the posterior.

        Raises:
            ValueError: frames of another size.
        """
        size = self.config.image_size
        if frames.shape[1:] != (3, size, size):
            raise ValueError(
                f"the world model takes frames of 3 x {size} x {size}, "
                f"not {' x '.join(map(str, frames.shape[1:]))}"
            )
        return self.autoencoder.encode(frames.to(self.transformer.rope.freqs.device), generators)

    def begin(self, latents: Float[Tensor, "b z y x"]) -> Float[Tensor, "b n"]:
        """What is remembered of a dream at its start, beside the latents."""
        latents = latents.to(self.transformer.rope.freqs.device)
        context = repeat(latents, "b z y x -> b t z y x", t=self.context_frames)
        actions = latents.new_zeros(len(latents), self.context_frames, self.action_dim)
        return self.recall(context, actions, torch.zeros_like(actions[..., 0]))

    @torch.no_grad()
    def recall(
        self,
        latents: Float[Tensor, "b t z y x"],
        actions: Float[Tensor, "b t a"],
        known: Float[Tensor, "b t"],
    ) -> Float[Tensor, "b n"]:
        """What is remembered where a dream goes on from frames that were seen.

        Args:
            actions: the normalised action that led to each frame.
            known: 1 where there was one, 0 before an episode's start.
        """
        sizes = self.config.memory_sizes
        if sizes is None:
            return latents.new_zeros(len(latents), 0)
        device = self.transformer.rope.freqs.device
        latents, actions, known = latents.to(device), actions.to(device), known.to(device)
        states, fixed = latents.new_zeros(*latents.shape[:2], 0), latents.new_zeros(len(latents), 0)
        if self.state_model is not None:
            seen = self.state_model.read(rearrange(latents, "b t z y x -> (b t) z y x"))
            seen = seen.unflatten(0, latents.shape[:2])
            states, fixed = seen[..., : sizes.moving], seen[:, -1, sizes.moving :]
        return Memory(states, fixed, actions * known[..., None], known).pack()

    @torch.no_grad()
    def remember(
        self, memory: Float[Tensor, "b n"], actions: Float[Tensor, "b k a"]
    ) -> Float[Tensor, "b n"]:
        """What is remembered after a chunk of actions."""
        sizes = self.config.memory_sizes
        if sizes is None:
            return memory
        device = self.transformer.rope.freqs.device
        known, actions = Memory.unpack(memory.to(device), sizes), actions.to(device)
        return known.later(self._foresee(known, actions), actions).pack()

    @torch.no_grad()
    def conditions(
        self, memory: Float[Tensor, "b n"] | None, actions: Float[Tensor, "b k a"]
    ) -> Conditions | None:
        """What the transformer is told beside the actions; None for the published network.

        Raises:
            ValueError: a world model that remembers is not given its memory.
        """
        sizes = self.config.memory_sizes
        if sizes is None:
            return None
        if memory is None:
            raise ValueError("this world model remembers its dream: begin it with `begin`")
        known = Memory.unpack(memory, sizes)
        past, states = known.states, self._foresee(known, actions)
        if self.state_model is not None:
            past, states = self.state_model.features(past), self.state_model.features(states)
        return Conditions(known.actions, known.known, past, states)

    def _foresee(self, memory: Memory, actions: Tensor) -> Tensor:
        if self.state_model is None:
            return actions.new_zeros(*actions.shape[:2], 0)
        return self.state_model.foresee(0, memory.states, memory.fixed, actions)

    def predict(
        self,
        latents: Float[Tensor, "b t z y x"],
        actions: Float[Tensor, "b k a"],
        generators: Sequence[torch.Generator],
        denoising_steps: int,
        memory: Float[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b k z y x"]:
        """The k latents that follow `context_frames` latents under normalised actions.

        Each row's noise is one float32 draw of shape [z, k, y, x] (channel before frame) from its
        generator: the layout of the released rollouts. Noise of the context, if any, comes after
        it, so that the future begins from the same noise with it and without it.

        Raises:
            ValueError: a wrong number of context latents, actions or numbers in an action.
        """
        latents = latents.contiguous()  # convolutions round by how their input lies in memory
        device = self.transformer.rope.freqs.device
        latents, actions = latents.to(device), actions.to(device)
        memory = None if memory is None else memory.to(device)
        z, y, x = self.latent_shape
        noise = randn((z, self.chunk_size, y, x), generators).to(latents)
        context_noise = None
        if self._dream_context.noise:
            context_noise = randn(latents.shape[1:], generators).to(latents)
        return self.predict_from(latents, actions, noise, denoising_steps, context_noise, memory)

    @torch.no_grad()
    def predict_from(
        self,
        latents: Float[Tensor, "b t z y x"],
        actions: Float[Tensor, "b k a"],
        noise: Float[Tensor, "b z k y x"],
        denoising_steps: int,
        context_noise: Float[Tensor, "b t z y x"] | None = None,
        memory: Float[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b k z y x"]:
        """`predict` with its noise given; deterministic.

        # paper: the context of a rollout is clean; noise on it is a variant of the dream's.
        """
        size = self.config.image_size
        given = latents
        if context_noise is not None:
            times = latents.new_full(latents.shape[:1], self._dream_context.noise)
            given = add_noise(latents, context_noise, times)
        if self.config.deterministic:
            noise, denoising_steps = torch.zeros_like(noise), 1
        future = predict_latents(
            self.transformer,
            given,
            actions,
            noise,
            denoising_steps,
            size,
            size,
            ratio=self.config.timestep_ratio,
            denoise=self._denoise,
            conditions=self.conditions(memory, actions),
        )
        if self.config.change_scale:
            future = latents[:, -1:] + self.config.change_scale * future
        return future

    @torch.no_grad()
    def decode(self, latents: Float[Tensor, "b z y x"]) -> Float[Tensor, "b c h w"]:
        """Latents to frames in about [-1, 1], not clipped."""
        return self.autoencoder.decode(latents.to(self.transformer.rope.freqs.device))


def build(config: WorldModelConfig) -> LatentWorldModel:
    """A world model with fresh weights, not training."""
    return LatentWorldModel(config).eval()
