"""The memory plan: what three models need before any of them is loaded, and what would fit."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from engine.device import DeviceMemory, Placement
from engine.memory.components import (
    DECODE_BATCHES,
    AnyConfig,
    ComponentPlan,
    JudgeConfig,
    Sizes,
    WorldConfig,
    autoencoder_component,
    policy_component,
    reward_model_component,
    weights_of,
    world_model_component,
)
from engine.policy.config import PolicyConfig
from engine.reward.classifier import RewardConfig
from engine.reward.states import FAMILY, StateRewardConfig
from engine.served.checkpoint import FAMILY as SERVED
from engine.served.checkpoint import ServedConfig
from engine.world_model.autoencoder import AutoencoderConfig
from engine.world_model.model import WorldModelConfig

MARGIN = 0.15  # of everything but weights: workspaces of kernels and what an allocator wastes
CUDA_CONTEXT = 1 << 30  # the driver, loaded kernels and their libraries


@dataclass(frozen=True, kw_only=True)
class MemoryPlan:
    """What a rollout of some rows needs on a device.

    Attributes:
        rows: rollouts that advance together.
        history: frames and latents of the rows, kept in main memory until they are stored.
        margin: `MARGIN` of all but the weights, and on a GPU the driver's context.
        total: weights, the largest phase and the margin; on a CPU the history as well.
        sentence: for a person; names what would fit if this does not.
        proposal: rows and placement that would fit, if this does not and any would.
    """

    device: DeviceMemory
    placement: Placement
    rows: int
    components: tuple[ComponentPlan, ...]
    history: int
    margin: int
    total: int
    fits: bool
    sentence: str
    proposal: "MemoryPlan | None" = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)


def config_of(values: Mapping[str, Any]) -> AnyConfig:
    """The config that a checkpoint's `config.json` holds.

    Raises:
        ValueError: an unknown role, or values that are not a config of that role.
    """
    rest = {name: value for name, value in values.items() if name != "role"}
    match values.get("role"):
        case "policy":
            return PolicyConfig.from_dict(rest)
        case "world_model" if rest.get("family") == SERVED:
            return ServedConfig.from_dict(rest)
        case "world_model":
            return WorldModelConfig.from_dict(rest)
        case "reward_model" if rest.get("family") == FAMILY:
            return StateRewardConfig.from_dict(rest)
        case "reward_model":
            return RewardConfig.from_dict(rest)
        case "autoencoder":
            return AutoencoderConfig.from_dict(rest)
        case role:
            raise ValueError(f"there are no models of the role {role!r}")


def sizes_of(configs: Sequence[Mapping[str, Any]]) -> Sizes:
    """The configs of a policy, a world model and a reward model, in this order.

    Raises:
        ValueError: another role, or values that are not a config of theirs.
    """
    match [config_of(values) for values in configs]:
        case [
            PolicyConfig() as policy,
            (WorldModelConfig() | ServedConfig()) as world_model,
            (RewardConfig() | StateRewardConfig()) as reward_model,
        ]:
            return policy, world_model, reward_model
    raise ValueError("a policy, a world model and a reward model are needed, in this order")


def plan(
    policy: PolicyConfig,
    world_model: WorldConfig,
    reward_model: JudgeConfig,
    *,
    device: DeviceMemory,
    placement: Placement,
    rows: int,
    horizon: int,
) -> MemoryPlan:
    """The plan as asked for and, if that does not fit, the mildest one that does.

    Raises:
        ValueError: no rows.
    """
    if rows < 1:
        raise ValueError(f"a rollout has at least one row, not {rows}")
    models = (policy, world_model, reward_model)
    asked = _plan(models, device, placement, rows, horizon)
    if asked.fits:
        return asked
    smallest = asked
    for milder, fewer in _concessions(placement, rows):
        smallest = _plan(models, device, milder, fewer, horizon)
        if smallest.fits:
            break
    too_much = f"Does not fit: {size(asked.total)} are needed, {size(device.free)} are free on "
    if smallest.fits:
        sentence = f"{too_much}{device.name}. It fits {_words(asked, smallest)}."
        return replace(asked, sentence=sentence, proposal=smallest)
    least = f"Even {_words(asked, smallest)} it would not fit."
    return replace(asked, sentence=f"{too_much}{device.name}. {least}")


def rows_that_fit(
    policy: PolicyConfig,
    world_model: WorldConfig,
    reward_model: JudgeConfig,
    *,
    device: DeviceMemory,
    placement: Placement,
    rows: int,
    horizon: int,
    beside: int = 0,
) -> int:
    """The most of some rows that may advance together; the others wait for their turn.

    Args:
        device: as it is before any model is loaded.
        beside: what the policy's training keeps there as well.

    Raises:
        ValueError: not even one row fits.
    """
    models = (policy, world_model, reward_model)

    def needed(count: int) -> int:
        return _plan(models, device, placement, count, horizon).total + beside

    if needed(1) > device.free:
        raise ValueError(
            f"one row needs {size(needed(1))}, but {size(device.free)} are free on {device.name}"
            + (f": training the policy takes {size(beside)} beside its weights" if beside else "")
        )
    fit, too_many = 1, rows + 1
    while too_many - fit > 1:
        middle = (fit + too_many) // 2
        fit, too_many = (middle, too_many) if needed(middle) <= device.free else (fit, middle)
    return fit


def training_bytes(policy: PolicyConfig, placement: Placement) -> int:
    """What a policy takes while AdamW trains it, beyond its weights as they are placed.

    Weights, gradients and two averages in float32, and where it computes in less, a copy in that.
    """
    parameters, resident, _ = weights_of(policy, placement)
    copy = 0 if placement.mixed is None else placement.mixed.itemsize
    return parameters * (4 * torch.float32.itemsize + copy) - resident


def check_room(config: AnyConfig, device: DeviceMemory, placement: Placement) -> None:
    """Refuse a model whose weights alone do not fit, before anything is read.

    Raises:
        ValueError: how much is needed and how much there is.
    """
    _, resident, _ = weights_of(config, placement)
    if resident > device.free:
        raise ValueError(
            f"the model's weights take {size(resident)} in {placement.dtype}, but "
            f"{size(device.free)} are free on {device.name}"
        )


def size(number: int) -> str:
    """Bytes for a person: 38 MiB, 17.2 GiB."""
    if number >= 1 << 30:
        return f"{number / 2**30:.1f} GiB"
    return f"{max(1, round(number / 2**20))} MiB"


def _concessions(placement: Placement, rows: int) -> Iterator[tuple[Placement, int]]:
    """What to give up, in this order: precision, rows, large decodes, weights on the device.

    Decoding in tiles is not among them: at the released 256 pixels a single frame takes less than
    the finished frames that wait for it.
    """
    offloads = (False, True) if placement.device == "cuda" else (False,)
    for offload in offloads:
        for count in (placement.decode_batch, *DECODE_BATCHES):
            milder = replace(placement, dtype="bfloat16", decode_batch=count, offload=offload)
            yield from ((milder, rows >> halvings) for halvings in range(rows.bit_length()))


def _words(asked: MemoryPlan, milder: MemoryPlan) -> str:
    """What the milder plan gives up, as in "in bfloat16, with 4 rows at once (9.1 GiB)"."""
    before, after = asked.placement, milder.placement
    words = ["in bfloat16"] if after.dtype != before.dtype else []
    if milder.rows != asked.rows:
        words.append(f"with {milder.rows} row{'s' * (milder.rows > 1)} at once")
    if after.decode_batch != before.decode_batch:
        count = after.decode_batch
        words.append(f"decoding {count} frame{'s' * (count > 1)} at a time")
    if after.offload and not before.offload:
        words.append("with the policy's language layers offloaded to main memory")
    return f"{', '.join(words)} ({size(milder.total)})"


def _plan(
    models: Sizes,
    device: DeviceMemory,
    placement: Placement,
    rows: int,
    horizon: int,
) -> MemoryPlan:
    policy, world_model, reward_model = models
    components = (
        policy_component(policy, placement, rows),
        *_dreaming(world_model, placement, rows),
        reward_model_component(reward_model, world_model.transformer.chunk_size, placement, rows),
    )
    latent = 4 * torch.Size(world_model.latent_shape).numel()
    history = rows * (horizon + 1) * (3 * world_model.image_size**2 + latent)
    weights = sum(component.weights for component in components)
    largest = max(component.activations for component in components)
    held = history if device.kind == "cpu" else 0
    margin = int(MARGIN * (held + largest))
    margin += CUDA_CONTEXT if device.kind == "cuda" else 0
    total = weights + held + largest + margin
    fits = total <= device.free
    counted = f"{rows} row{'s' * (rows > 1)} in {placement.dtype}"
    return MemoryPlan(
        device=device,
        placement=placement,
        rows=rows,
        components=components,
        history=history,
        margin=margin,
        total=total,
        fits=fits,
        sentence=f"Fits: {size(total)} of {size(device.free)} free on {device.name}, {counted}.",
    )


def _dreaming(config: WorldConfig, placement: Placement, rows: int) -> tuple[ComponentPlan, ...]:
    """World model and autoencoder; what is served takes nothing here."""
    if isinstance(config, ServedConfig):
        return ()
    plans = world_model_component, autoencoder_component
    return tuple(plan(config, placement, rows) for plan in plans)
