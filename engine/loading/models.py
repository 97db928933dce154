"""A checkpoint directory to the model it names, in evaluation mode; float32 unless asked.

Models are built on the meta device and filled tensor by tensor: loading needs the memory of the
model once, and no time for weights that would be thrown away.
"""

import json
from pathlib import Path
from typing import Any

import torch

from engine.checkpoints.checkpoint import load_weights, read_config, read_role
from engine.device import DTYPES, Placement
from engine.policy.files import read_policy
from engine.policy.model import OpenVLAPolicy
from engine.records.types import Normalization
from engine.reward.classifier import RewardConfig, VideoReward
from engine.reward.states import FAMILY, StateReward, StateRewardConfig
from engine.world_model.autoencoder import Autoencoder, AutoencoderConfig
from engine.world_model.model import LatentWorldModel, WorldModelConfig

Device = torch.device | str
Model = OpenVLAPolicy | LatentWorldModel | VideoReward | StateReward | Autoencoder

ROLES = ("policy", "world_model", "reward_model", "autoencoder")


def load_policy(
    directory: Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: Device = "cpu",
    offload: bool = False,
) -> OpenVLAPolicy:
    """The policy of a checkpoint; offloaded language layers visit the device one at a time.

    Raises:
        ValueError: incomplete, changed, of another role, or weights that do not fit.
    """
    if not offload:
        return read_policy(directory, dtype=dtype, device=device)
    from accelerate import cpu_offload  # seconds to import, and rarely needed

    policy = read_policy(directory, dtype=dtype)
    for layer in policy.language_model.model.layers:
        cpu_offload(layer, torch.device(device))
    for tensor in (*policy.parameters(), *policy.buffers()):
        if tensor.device.type != "meta":  # what is offloaded has no data of its own any more
            tensor.data = tensor.data.to(device)
    return policy


def load_world_model(
    directory: Path,
    *,
    dtype: torch.dtype = torch.float32,
    device: Device = "cpu",
    decode_batch: int = 0,
    compiled: bool = False,
) -> LatentWorldModel:
    """The world model of a checkpoint, its autoencoder included.

    Args:
        decode_batch: frames in one convolution call, in place of the checkpoint's own number.
        compiled: let `torch.compile` build the denoising step.

    Raises:
        ValueError: as `load_policy`.
    """
    config = WorldModelConfig.from_dict(_config(directory, "world_model"))
    if decode_batch:
        autoencoder = config.autoencoder.replace(micro_batch=decode_batch)
        config = config.replace(autoencoder=autoencoder)
    with torch.device("meta"):
        model = LatentWorldModel(config, compiled=compiled)
    load_weights(directory, model, dtype=dtype, device=device)
    return model.eval()


def load_judge(
    directory: Path, *, dtype: torch.dtype = torch.float32, device: Device = "cpu"
) -> VideoReward | StateReward:
    """The reward model of a checkpoint, of whichever family it is.

    Raises:
        ValueError: as `load_policy`.
    """
    if _config(directory, "reward_model").get("family") == FAMILY:
        return load_state_reward(directory, device=device)
    return load_reward_model(directory, dtype=dtype, device=device)


def load_state_reward(directory: Path, *, device: Device = "cpu") -> StateReward:
    """A reward model that reads states; always float32.

    Raises:
        ValueError: as `load_policy`.
    """
    values = _config(directory, "reward_model")
    if values.get("family") != FAMILY:
        raise ValueError(f"{directory.name} has no state model: it comes from train_states")
    config = StateRewardConfig.from_dict(values)
    with torch.device("meta"):
        model = StateReward(config)
    load_weights(directory, model, device=device)
    return model.eval()


def load_reward_model(
    directory: Path, *, dtype: torch.dtype = torch.float32, device: Device = "cpu"
) -> VideoReward:
    """The video classifier of a checkpoint.

    Raises:
        ValueError: as `load_policy`, or a reward model of another family.
    """
    values = _config(directory, "reward_model")
    if values.get("family") == FAMILY:
        raise ValueError(f"{directory.name} judges by states and takes no part in this")
    config = RewardConfig.from_dict(values)
    with torch.device("meta"):
        model = VideoReward(config)
    load_weights(directory, model, dtype=dtype, device=device)
    return model.eval()


def load_autoencoder(
    directory: Path, *, dtype: torch.dtype = torch.float32, device: Device = "cpu"
) -> Autoencoder:
    """The autoencoder of a checkpoint.

    Raises:
        ValueError: as `load_policy`.
    """
    config = AutoencoderConfig.from_dict(_config(directory, "autoencoder"))
    with torch.device("meta"):
        model = Autoencoder(config)
    load_weights(directory, model, dtype=dtype, device=device)
    return model.eval()


def load(directory: Path, *, dtype: torch.dtype = torch.float32, device: Device = "cpu") -> Model:
    """Whatever model a checkpoint directory holds.

    Raises:
        ValueError: as `load_policy`, or an unknown role.
    """
    match read_role(directory):
        case "policy":
            return load_policy(directory, dtype=dtype, device=device)
        case "world_model":
            return load_world_model(directory, dtype=dtype, device=device)
        case "reward_model":
            return load_judge(directory, dtype=dtype, device=device)
        case "autoencoder":
            return load_autoencoder(directory, dtype=dtype, device=device)
        case role:
            raise ValueError(f"{directory.name} has the role {role!r}; known: {', '.join(ROLES)}")


def load_placed(directory: Path, placement: Placement) -> Model:
    """Whatever model a checkpoint directory holds, placed as asked.

    Raises:
        ValueError: as `load`.
    """
    dtype, device = DTYPES[placement.dtype], placement.device
    match read_role(directory):
        case "policy":
            return load_policy(directory, dtype=dtype, device=device, offload=placement.offload)
        case "world_model":
            return load_world_model(
                directory,
                dtype=dtype,
                device=device,
                decode_batch=placement.decode_batch,
                compiled=placement.compiled,
            )
        case _:
            return load(directory, dtype=dtype, device=device)


def load_normalization(directory: Path) -> Normalization:
    """The action statistics stored with a policy or a world model.

    Raises:
        ValueError: the checkpoint has none.
    """
    path = directory / "normalization.json"
    if not path.is_file():
        raise ValueError(f"{directory.name} has no normalization.json")
    return Normalization.from_dict(json.loads(path.read_text()))


def _config(directory: Path, role: str) -> dict[str, Any]:
    values = read_config(directory)
    found = values.pop("role", None)
    if found != role:
        raise ValueError(f"{directory.name} is a checkpoint of role {found!r}, not a {role}")
    return values
