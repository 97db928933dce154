"""The released sizes, on the meta device: every name and shape of the official files."""

import functools
import json
from pathlib import Path

import pytest
import torch

from engine.checkpoints.tensor_files import Shape
from engine.policy.config import paper_policy_config
from engine.released.autoencoder import autoencoder_shapes
from engine.released.keys import unused_world_model_shapes
from engine.released.policy import policy_shapes
from engine.released.reward_model import reward_shapes
from engine.released.world_model import transformer_shapes
from engine.reward.classifier import RewardConfig
from engine.world_model.autoencoder import AutoencoderConfig
from engine.world_model.model import WorldModelConfig
from tests.engine.released.official import GOLDEN, load_vectors, weights_of

TABLES = json.loads((GOLDEN / "released_shapes.json").read_text())
UNITS = {"B": 1e9, "M": 1e6}


def world_model_shapes() -> dict[str, Shape]:
    config = WorldModelConfig.paper().transformer
    return transformer_shapes(config) | unused_world_model_shapes(config)


SHAPES = {
    "world_model": world_model_shapes,
    "policy": lambda: policy_shapes(paper_policy_config()),
    "reward_model": lambda: reward_shapes(RewardConfig.paper()),
    "autoencoder": lambda: autoencoder_shapes(AutoencoderConfig.sdxl()),
}


@functools.cache
def shapes_of_role(role: str) -> dict[str, Shape]:
    """What we build, by official names."""
    return SHAPES[role]()


def official_shapes(role: str) -> dict[str, Shape]:
    """The table of a role, `<i>` written out."""
    shapes = {}
    for name, shape, *repeats in TABLES[role]["tensors"]:
        for index in range(*repeats or [1]):
            shapes[name.replace("<i>", str(index))] = tuple(shape)
    return shapes


@pytest.mark.parametrize("role", ["world_model", "policy", "reward_model"])
def test_every_name_and_shape_is_the_released_one(role: str) -> None:
    assert shapes_of_role(role) == official_shapes(role)


@pytest.mark.parametrize("role", list(SHAPES))
def test_tensors_and_parameters_are_as_many_as_released(role: str) -> None:
    shapes = shapes_of_role(role)
    published, unit = TABLES[role]["parameters"].split()
    parameters = sum(torch.Size(shape).numel() for shape in shapes.values())
    assert len(shapes) == TABLES[role]["num_tensors"]
    digits = len(published.partition(".")[2])
    assert round(parameters / UNITS[unit], digits) == float(published)


def test_the_autoencoders_names_are_those_of_diffusers() -> None:
    # The tables give only its totals; the reference vectors hold its names, at tiny widths: there
    # the first two levels are equally wide, not the last two, so shortcuts sit one level later.
    _, tensors = load_vectors(GOLDEN / "vae_a")
    names = {name: tensor.dim() for name, tensor in weights_of(tensors).items()}
    for theirs, here in (("encoder.down_blocks.3", 1), ("decoder.up_blocks.1", 3)):
        for part in ("weight", "bias"):
            name = f"{theirs}.resnets.0.conv_shortcut.{part}"
            names[f"{theirs[:-1]}{here}.resnets.0.conv_shortcut.{part}"] = names.pop(name)
    released = shapes_of_role("autoencoder")
    assert {name: len(shape) for name, shape in released.items()} == names


def test_what_runs_of_the_world_model_is_three_quarters_of_its_file() -> None:
    runs = transformer_shapes(WorldModelConfig.paper().transformer)
    assert round(sum(torch.Size(s).numel() for s in runs.values()) / 1e9, 3) == 0.908


def test_the_tables_are_whole() -> None:
    listed = {role: len(official_shapes(role)) for role in SHAPES}
    assert listed == {"world_model": 978, "policy": 982, "reward_model": 186, "autoencoder": 0}
    assert Path(GOLDEN / "released_shapes.json").stat().st_size < 20_000
