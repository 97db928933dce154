"""A checkpoint directory to the model it names, in evaluation mode, placed as asked.

Models are built on the meta device and filled tensor by tensor: loading needs the memory of the
model once, and no time for weights that would be thrown away.
"""

from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from engine.checkpoints.checkpoint import load_weights, read_config_of, read_role
from engine.device import Placement
from engine.policy.files import read_policy
from engine.policy.model import OpenVLAPolicy
from engine.records.types import Normalization
from engine.reward.classifier import RewardConfig, VideoReward
from engine.reward.states import FAMILY, StateReward, StateRewardConfig
from engine.served.checkpoint import is_served, load_served
from engine.served.client import ServedWorldModel
from engine.world_model.autoencoder import Autoencoder, AutoencoderConfig
from engine.world_model.model import LatentWorldModel, WorldModelConfig

World = LatentWorldModel | ServedWorldModel
Model = OpenVLAPolicy | World | VideoReward | StateReward | Autoencoder
M = TypeVar("M", bound=nn.Module)

ROLES = ("policy", "world_model", "reward_model", "autoencoder")
ON_CPU = Placement()


def load_policy(
    directory: Path, placement: Placement = ON_CPU, *, trained: bool = False
) -> OpenVLAPolicy:
    """The policy of a checkpoint.

    Offloaded language layers visit the device one at a time; what is trained is never offloaded.

    Raises:
        ValueError: incomplete, changed, of another role, or weights that do not fit.
    """
    if not placement.offload or trained:
        dtype = _parameters(placement, trained)
        policy = read_policy(directory, dtype=dtype, device=placement.where)
        policy.mixed = placement.mixed if trained else None
        return policy
    from accelerate import cpu_offload  # seconds to import, and rarely needed

    policy = read_policy(directory, dtype=placement.precision)
    for layer in policy.language_model.model.layers:
        cpu_offload(layer, placement.where)
    for tensor in (*policy.parameters(), *policy.buffers()):
        if tensor.device.type != "meta":  # what is offloaded has no data of its own any more
            tensor.data = tensor.data.to(placement.where)
    return policy


def load_world_model(
    directory: Path, placement: Placement = ON_CPU, *, trained: bool = False
) -> LatentWorldModel:
    """The world model of a checkpoint, its autoencoder included.

    Raises:
        ValueError: as `load_policy`.
    """
    values = read_config_of(directory, "world_model")
    if is_served(directory):
        raise ValueError(f"{directory.name} is served elsewhere and takes no part in this")
    config = WorldModelConfig.from_dict(values)
    if placement.decode_batch:
        autoencoder = config.autoencoder.replace(micro_batch=placement.decode_batch)
        config = config.replace(autoencoder=autoencoder)
    with torch.device("meta"):
        model = LatentWorldModel(config, compiled=placement.compiled and not trained)
    return _filled(directory, model, placement, trained)


def load_dreaming(directory: Path, placement: Placement = ON_CPU) -> World:
    """The world model of a checkpoint to dream in, here or where it is served.

    Raises:
        ValueError: as `load_policy`, or the server does not answer.
    """
    if is_served(directory):
        return load_served(directory)
    return load_world_model(directory, placement)


def load_judge(directory: Path, placement: Placement = ON_CPU) -> VideoReward | StateReward:
    """The reward model of a checkpoint, of whichever family it is.

    Raises:
        ValueError: as `load_policy`.
    """
    if read_config_of(directory, "reward_model").get("family") == FAMILY:
        return load_state_reward(directory, placement)
    return load_reward_model(directory, placement)


def load_state_reward(directory: Path, placement: Placement = ON_CPU) -> StateReward:
    """A reward model that reads states; always float32.

    Raises:
        ValueError: as `load_policy`.
    """
    values = read_config_of(directory, "reward_model")
    if values.get("family") != FAMILY:
        raise ValueError(f"{directory.name} has no state model: it comes from train_states")
    config = StateRewardConfig.from_dict(values)
    with torch.device("meta"):
        model = StateReward(config)
    load_weights(directory, model, device=placement.where)
    return model.eval()


def load_reward_model(
    directory: Path, placement: Placement = ON_CPU, *, trained: bool = False
) -> VideoReward:
    """The video classifier of a checkpoint.

    Raises:
        ValueError: as `load_policy`, or a reward model of another family.
    """
    values = read_config_of(directory, "reward_model")
    if values.get("family") == FAMILY:
        raise ValueError(f"{directory.name} judges by states and takes no part in this")
    config = RewardConfig.from_dict(values)
    with torch.device("meta"):
        model = VideoReward(config)
    return _filled(directory, model, placement, trained)


def load_autoencoder(
    directory: Path, placement: Placement = ON_CPU, *, trained: bool = False
) -> Autoencoder:
    """The autoencoder of a checkpoint.

    Raises:
        ValueError: as `load_policy`.
    """
    config = AutoencoderConfig.from_dict(read_config_of(directory, "autoencoder"))
    with torch.device("meta"):
        model = Autoencoder(config)
    return _filled(directory, model, placement, trained)


def load(directory: Path, placement: Placement = ON_CPU) -> Model:
    """Whatever model a checkpoint directory holds.

    Raises:
        ValueError: as `load_policy`, or an unknown role.
    """
    match read_role(directory):
        case "policy":
            return load_policy(directory, placement)
        case "world_model":
            return load_dreaming(directory, placement)
        case "reward_model":
            return load_judge(directory, placement)
        case "autoencoder":
            return load_autoencoder(directory, placement)
        case role:
            raise ValueError(f"{directory.name} has the role {role!r}; known: {', '.join(ROLES)}")


def load_normalization(directory: Path) -> Normalization:
    """The action statistics stored with a policy or a world model.

    Raises:
        ValueError: the checkpoint has none.
    """
    found = Normalization.of(directory)
    if found is None:
        raise ValueError(f"{directory.name} has no normalization.json")
    return found


def check_same_actions(policy: Path, world_model: Path) -> None:
    """Refuse a world model that takes a policy's actions for other movements.

    Raises:
        ValueError: both keep action statistics, and they differ.
    """
    ours, theirs = Normalization.of(policy), Normalization.of(world_model)
    if ours is not None and theirs is not None and not ours.agrees_with(theirs):
        raise ValueError(
            f"one action is not the same movement for the policy {policy.name} and the world model "
            f"{world_model.name}: their action statistics differ; train state model and world "
            "model with normalization_of=POLICY"
        )


def _parameters(placement: Placement, trained: bool) -> torch.dtype:
    """Of what is trained: float32, or small updates would be rounded away."""
    return torch.float32 if trained else placement.precision


def _filled(directory: Path, model: M, placement: Placement, trained: bool) -> M:
    """The model with its stored weights, in evaluation mode."""
    dtype = _parameters(placement, trained)
    # A state model reads metres off latents, which are float32 everywhere.
    load_weights(directory, model, dtype=dtype, device=placement.where, exact="state_model.")
    return model.eval()
