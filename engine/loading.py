"""A checkpoint directory to the model it names, in float32 and evaluation mode."""

import json
from pathlib import Path
from typing import Any

from engine.checkpoint import load_weights, read_config
from engine.policy.files import read_policy
from engine.policy.model import OpenVLAPolicy
from engine.reward.classifier import RewardConfig, VideoReward
from engine.types import Normalization
from engine.world_model.autoencoder import Autoencoder, AutoencoderConfig
from engine.world_model.model import LatentWorldModel, WorldModelConfig

ROLES = ("policy", "world_model", "reward_model", "autoencoder")


def load_policy(directory: Path) -> OpenVLAPolicy:
    """The policy of a checkpoint.

    Raises:
        ValueError: incomplete, changed, of another role, or weights that do not fit.
    """
    return read_policy(directory)


def load_world_model(directory: Path) -> LatentWorldModel:
    """The world model of a checkpoint, its autoencoder included.

    Raises:
        ValueError: as `load_policy`.
    """
    model = LatentWorldModel(WorldModelConfig.from_dict(_config(directory, "world_model")))
    load_weights(directory, model)
    return model.eval()


def load_reward_model(directory: Path) -> VideoReward:
    """The reward model of a checkpoint.

    Raises:
        ValueError: as `load_policy`.
    """
    model = VideoReward(RewardConfig.from_dict(_config(directory, "reward_model")))
    load_weights(directory, model)
    return model.eval()


def load_autoencoder(directory: Path) -> Autoencoder:
    """The autoencoder of a checkpoint.

    Raises:
        ValueError: as `load_policy`.
    """
    model = Autoencoder(AutoencoderConfig.from_dict(_config(directory, "autoencoder")))
    load_weights(directory, model)
    return model.eval()


def load(directory: Path) -> OpenVLAPolicy | LatentWorldModel | VideoReward | Autoencoder:
    """Whatever model a checkpoint directory holds.

    Raises:
        ValueError: as `load_policy`, or an unknown role.
    """
    match read_config(directory).get("role"):
        case "policy":
            return load_policy(directory)
        case "world_model":
            return load_world_model(directory)
        case "reward_model":
            return load_reward_model(directory)
        case "autoencoder":
            return load_autoencoder(directory)
        case role:
            raise ValueError(f"{directory.name} has the role {role!r}; known: {', '.join(ROLES)}")


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
