"""What each part of a rollout needs on a device, from its config alone.

Modules are built on the meta device and their computations traced there
(`engine.memory.footprint`). Of policy and world model one row is traced and multiplied: many rows
take at most as much.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from engine.device import Placement, precision
from engine.images import to_pixels
from engine.memory.footprint import META, count_parameters, on_meta, peak_bytes, weight_bytes
from engine.policy.config import PolicyConfig
from engine.policy.model import OpenVLAPolicy, inverse_cdf, token_log_probs
from engine.policy.prompt import demo_tokenizer
from engine.records.types import Normalization
from engine.reward.classifier import RewardConfig, VideoReward
from engine.reward.states import StateReward, StateRewardConfig
from engine.served.checkpoint import ServedConfig
from engine.world_model.autoencoder import Autoencoder, AutoencoderConfig
from engine.world_model.flow import sample
from engine.world_model.linear import laid_bytes
from engine.world_model.model import WorldModelConfig
from engine.world_model.states import StateModel
from engine.world_model.transformer import STDiT, TransformerConfig

PROMPT_TOKENS = 32
DECODE_BATCHES = (8, 1)

DREAM_FRAMES = 65  # what a judge of states reads at once of a row

JudgeConfig = RewardConfig | StateRewardConfig
WorldConfig = WorldModelConfig | ServedConfig
Sizes = tuple[PolicyConfig, WorldConfig, JudgeConfig]  # of three models used together
AnyConfig = PolicyConfig | WorldConfig | JudgeConfig | AutoencoderConfig
_PartConfig = PolicyConfig | TransformerConfig | AutoencoderConfig | JudgeConfig


@dataclass(frozen=True, kw_only=True)
class ComponentPlan:
    """What one part needs on the device, in bytes.

    Attributes:
        weights: resident parameters and buffers, and second copies of them that stay.
        activations: most bytes alive at once while it computes, its outputs included.
        parts: what is worth knowing about the activations, by name.
        host: weights that stay in main memory.
    """

    name: str
    parameters: int
    dtype: str
    weights: int
    activations: int
    parts: Mapping[str, int]
    host: int = 0


def weights_of(config: AnyConfig, placement: Placement) -> tuple[int, int, int]:
    """(parameters, bytes on the device, bytes in main memory) of one checkpoint's model."""
    parts: tuple[tuple[int, int, int], ...]
    match config:
        case WorldModelConfig():
            transformer = _transformer_weights(config, placement)
            parts = transformer, _weights(config.autoencoder, placement.dtype)
        case ServedConfig():
            parts = ((0, 0, 0),)
        case PolicyConfig():
            parts = (_policy_weights(config, placement),)
        case _:
            parts = (_weights(config, placement.dtype),)
    parameters, resident, host = (sum(column) for column in zip(*parts, strict=True))
    return parameters, resident, host


def policy_component(config: PolicyConfig, placement: Placement, rows: int) -> ComponentPlan:
    """The policy, acting on one frame a row."""
    parameters, resident, host = _policy_weights(config, placement)
    return ComponentPlan(
        name="policy",
        parameters=parameters,
        dtype=placement.dtype,
        weights=resident,
        activations=rows * _act_peak(config, placement.dtype),
        parts={"logits": rows * config.num_tokens * 256 * 4},
        host=host,
    )


def world_model_component(
    config: WorldModelConfig, placement: Placement, rows: int
) -> ComponentPlan:
    """The transformer, predicting one chunk a row."""
    parameters, resident, _ = _transformer_weights(config, placement)
    sizes = config.transformer
    tokens = (-(-config.latent_shape[1] // sizes.patch_size)) ** 2
    numbers = 2 * sizes.depth * sizes.context_frames * tokens * sizes.hidden_size
    element = placement.precision.itemsize
    return ComponentPlan(
        name="world model",
        parameters=parameters,
        dtype=placement.dtype,
        weights=resident,
        activations=rows * _predict_peak(config, placement.dtype),
        parts={"context cache": rows * numbers * element},
    )


def autoencoder_component(
    config: WorldModelConfig, placement: Placement, rows: int
) -> ComponentPlan:
    """The autoencoder, decoding one chunk a row."""
    parameters, resident, _ = _weights(config.autoencoder, placement.dtype)
    frames = rows * config.transformer.chunk_size
    own = config.autoencoder.micro_batch
    chosen = placement.decode_batch or own
    ways = {"at once": frames, f"{own} at a time": own}
    ways |= {f"{count} at a time": count for count in DECODE_BATCHES}
    parts = {
        name: _decode_peak(config, placement.dtype, batch, frames) for name, batch in ways.items()
    }
    return ComponentPlan(
        name="autoencoder",
        parameters=parameters,
        dtype=placement.dtype,
        weights=resident,
        activations=_decode_peak(config, placement.dtype, chosen, frames),
        parts=parts,
    )


def reward_model_component(
    config: JudgeConfig, chunk_size: int, placement: Placement, rows: int
) -> ComponentPlan:
    """The reward model, judging the windows that end in one chunk of each row."""
    parameters, resident, _ = _weights(config, placement.dtype)
    if isinstance(config, StateRewardConfig):
        peak = rows * _read_peak(config, placement.dtype)
    else:
        peak = _judge_peak(config, placement.dtype, rows, chunk_size)
    return ComponentPlan(
        name="reward model",
        parameters=parameters,
        dtype=placement.dtype,
        weights=resident,
        activations=peak,
        parts={},
    )


def build_model(config: _PartConfig) -> nn.Module:
    """The model of a config with weights as they are first made."""
    match config:
        case PolicyConfig():
            ones = (1.0,) * config.action_dim
            statistics = Normalization(
                q01=tuple(-one for one in ones), q99=ones, mask=(True,) * config.action_dim
            )
            return OpenVLAPolicy(config, normalization=statistics, tokenizer=demo_tokenizer())
        case TransformerConfig():
            return STDiT(config)
        case AutoencoderConfig():
            return Autoencoder(config)
        case RewardConfig():
            return VideoReward(config)
        case StateRewardConfig():
            return StateReward(config)


@functools.lru_cache(maxsize=16)
def meta_model(config: _PartConfig, dtype: str) -> Any:
    """The model of a config, without data, in a precision."""
    return on_meta(lambda: build_model(config), precision(dtype))


@functools.lru_cache(maxsize=64)
def _weights(config: _PartConfig, dtype: str) -> tuple[int, int, int]:
    module = meta_model(config, dtype)
    return count_parameters(module), weight_bytes(module), 0


@functools.lru_cache(maxsize=64)
def _transformer_weights(config: WorldModelConfig, placement: Placement) -> tuple[int, int, int]:
    """The transformer, its matrices twice on a CPU, and, if there is one, the state model."""
    parameters, resident, host = _weights(config.transformer, placement.dtype)
    if placement.device == "cpu":
        resident += laid_bytes(meta_model(config.transformer, placement.dtype))
    if not config.states.moving:
        return parameters, resident, host
    module = on_meta(lambda: StateModel(config.states, config.state_sizes), placement.precision)
    return parameters + count_parameters(module), resident + weight_bytes(module), host


@functools.lru_cache(maxsize=64)
def _read_peak(config: StateRewardConfig, dtype: str) -> int:
    """One row's dream read by a judge of states."""
    judge = meta_model(config, dtype)
    shape = config.sizes.latent_shape
    latents = torch.empty(1, DREAM_FRAMES, *shape, dtype=precision(dtype), device=META)
    return peak_bytes(judge, lambda: judge.read(latents))


@functools.lru_cache(maxsize=64)
def _policy_weights(config: PolicyConfig, placement: Placement) -> tuple[int, int, int]:
    module = meta_model(config, placement.dtype)
    layers = module.language_model.model.layers
    whole, all_layers = weight_bytes(module), weight_bytes(layers)
    if not placement.offload:
        return count_parameters(module), whole, 0
    # Offloaded layers visit the device one at a time.
    return count_parameters(module), whole - all_layers + weight_bytes(layers[0]), all_layers


@functools.lru_cache(maxsize=64)
def _act_peak(config: PolicyConfig, dtype: str) -> int:
    """One row: pixels to tokens and their probabilities."""
    policy = meta_model(config, dtype)
    side = config.image_size
    pixels = torch.empty(1, 6, side, side, dtype=precision(dtype), device=META)
    ids = torch.zeros(1, PROMPT_TOKENS, dtype=torch.int64, device=META)
    noise = torch.empty(1, config.num_tokens, device=META)

    def act() -> None:
        scores = policy(pixels, ids)
        chosen = inverse_cdf(F.log_softmax(scores, dim=2), noise)
        token_log_probs(scores, chosen, 1.0)

    return peak_bytes(policy, act) + pixels.nbytes


@functools.lru_cache(maxsize=64)
def _predict_peak(config: WorldModelConfig, dtype: str) -> int:
    """One row: the context cache and one denoising step; the others take no more."""
    transformer = meta_model(config.transformer, dtype)
    sizes, (z, y, x) = config.transformer, config.latent_shape
    context = torch.empty(1, z, sizes.context_frames, y, x, device=META)
    noise = torch.empty(1, z, sizes.chunk_size, y, x, device=META)
    actions = torch.empty(1, sizes.chunk_size, sizes.action_dim, device=META)
    side = config.image_size
    return peak_bytes(
        transformer, lambda: sample(transformer, context, noise, actions, 1, side, side)
    )


@functools.lru_cache(maxsize=64)
def _decode_peaks(config: WorldModelConfig, dtype: str) -> tuple[int, int, int]:
    """(on its way through the decoder, decoded, becoming pixels) of one frame."""
    autoencoder = meta_model(config.autoencoder, dtype)
    latent = torch.empty(1, *config.latent_shape, device=META)
    decoding = peak_bytes(autoencoder, lambda: autoencoder.reconstruct(latent))
    frame = torch.empty(1, 3, config.image_size, config.image_size, device=META)
    return decoding, frame.nbytes, peak_bytes(autoencoder, lambda: to_pixels(frame))


def _decode_peak(config: WorldModelConfig, dtype: str, batch: int, frames: int) -> int:
    """A micro-batch on its way while finished frames wait; then those, joined or converted."""
    decoding, decoded, converting = _decode_peaks(config, dtype)
    return frames * decoded + max(batch * decoding, frames * max(decoded, converting))


def _judge_peak(config: RewardConfig, dtype: str, rows: int, chunk_size: int) -> int:
    """Rows add to what waits beside one micro-batch of windows, or cutting their clips is more."""
    one, two, cutting = _judge_peaks(config, dtype, chunk_size)
    return max(one + (two - one) * (rows - 1), cutting * rows)


@functools.lru_cache(maxsize=64)
def _judge_peaks(config: RewardConfig, dtype: str, chunk_size: int) -> tuple[int, int, int]:
    """(judging the windows that end in a chunk of one row, of two, cutting those of one)."""
    judge = meta_model(config, dtype)
    count, side = chunk_size + config.num_frames - 1, config.image_size
    ends = torch.arange(config.num_frames, count + 1)
    one, two = (
        torch.empty(rows, count, side, side, 3, dtype=torch.uint8, device=META) for rows in (1, 2)
    )
    return (
        peak_bytes(judge, lambda: judge.window_logits(one, ends)),
        peak_bytes(judge, lambda: judge.window_logits(two, ends)),
        peak_bytes(judge, lambda: judge.clips(one, ends)),
    )
