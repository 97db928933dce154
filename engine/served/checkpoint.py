"""A checkpoint that is an address: the world model is elsewhere, its sizes are kept here."""

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.checkpoints.checkpoint import read_config_of, read_json, write_json
from engine.config import Config, knob
from engine.records.types import Normalization
from engine.served.client import ServedWorldModel

FAMILY = "served"
TOKEN = "WMPO_WORLD_MODEL_TOKEN"  # not in the checkpoint: that is copied and published


@dataclass(frozen=True, kw_only=True)
class ServedSizes(Config):
    """What a policy must fit."""

    chunk_size: int = knob(help="Actions of a step", low=1)
    action_dim: int = knob(help="Numbers of an action", low=1)


@dataclass(frozen=True, kw_only=True)
class ServedConfig(Config):
    """The `config.json` of a served world model."""

    family: str = knob(FAMILY, choices=(FAMILY,))
    address: str = knob(help="Where it answers")
    served: str = knob(help="Identity of the checkpoint that is served there, as it says")
    image_size: int = knob(help="Pixels along a side of a frame", low=1)
    latent_shape: tuple[int, ...] = knob(help="Of a frame: channels, rows, columns")
    transformer: ServedSizes = knob(help="Of a step")


def is_served(directory: Path) -> bool:
    """Whether a checkpoint directory stands for a served world model."""
    path = directory / "config.json"
    values = read_json(path) if path.is_file() else {}
    return (values.get("role"), values.get("family")) == ("world_model", FAMILY)


def write_served(address: str, directory: Path) -> None:
    """Ask a served world model what it is, and write the checkpoint that stands for it.

    Raises:
        ValueError: it does not answer, or does not say what a checkpoint needs.
    """
    with closing(ServedWorldModel(address, token=os.environ.get(TOKEN, ""))) as model:
        about = model.about
        config = _config(address.rstrip("/"), about)
    write_json(directory / "config.json", {"role": "world_model", **config.to_dict()})
    if about.get("normalization"):
        statistics = Normalization.from_dict(about["normalization"])
        write_json(directory / "normalization.json", statistics.to_dict())
    told = {name: about[name] for name in ("task", "starts", "privileged") if about.get(name)}
    card = {"name": str(about.get("name", "")), "summary": f"served at {config.address}", **told}
    write_json(directory / "card.json", card)


def load_served(directory: Path) -> ServedWorldModel:
    """The world model that a checkpoint stands for.

    Raises:
        ValueError: it does not answer, or another one does.
    """
    config = ServedConfig.from_dict(read_config_of(directory, "world_model"))
    model = ServedWorldModel(config.address, token=os.environ.get(TOKEN, ""))
    if _config(config.address, model.about) != config:
        model.close()
        raise ValueError(
            f"the world model at {config.address} is another one than {directory.name} stands "
            "for: adopt it anew"
        )
    return model


def _config(address: str, about: Mapping[str, Any]) -> ServedConfig:
    try:
        return ServedConfig(
            address=address,
            served=str(about["hash"]),
            image_size=int(about["image_size"]),
            latent_shape=tuple(int(side) for side in about["latent_shape"]),
            transformer=ServedSizes(
                chunk_size=int(about["chunk_size"]), action_dim=int(about["action_dim"])
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the world model at {address} does not say its {error}") from error
