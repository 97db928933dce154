"""From a checkpoint directory to a model in memory, once."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from engine.checkpoints.checkpoint import STATE, read_json, write_json, write_model
from engine.checkpoints.tensor_files import StoredTensor, write_shards
from engine.device import Placement
from engine.loading.models import load, load_policy, load_world_model
from engine.policy.files import write_policy
from engine.policy.model import language_model
from engine.records.manifest import whole_directory, write_manifest
from engine.reward.classifier import RewardConfig, VideoReward
from engine.world_model.autoencoder import Autoencoder, AutoencoderConfig
from engine.world_model.model import LatentWorldModel, WorldModelConfig
from engine.world_model.transformer import TransformerConfig
from tests.engine.test_policy_model import tiny

CODER = AutoencoderConfig(patch=1, block_channels=(4, 8), latent_channels=3, norm_groups=2)
WORLD = WorldModelConfig(
    transformer=TransformerConfig(hidden_size=32, depth=1, num_heads=2, in_channels=3),
    autoencoder=CODER,
    image_size=16,
)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checkpoints")
    with whole_directory(root / "policy") as directory:
        write_policy(directory, tiny(), {})
    models = {
        "world_model": (LatentWorldModel(WORLD), WORLD),
        "reward_model": (VideoReward(RewardConfig.tiny()), RewardConfig.tiny()),
        "autoencoder": (Autoencoder(CODER), CODER),
    }
    for role, (model, config) in models.items():
        with whole_directory(root / role) as directory:
            write_model(directory, model, {"role": role, **config.to_dict()}, {})
    return root


ROLES = ["policy", "world_model", "reward_model", "autoencoder"]


def tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    return dict(model.named_parameters()) | dict(model.named_buffers())


@pytest.mark.parametrize("role", ROLES)
def test_every_tensor_is_in_memory_and_as_stored(checkpoints: Path, role: str) -> None:
    model = load(checkpoints / role)
    assert {tensor.device.type for tensor in tensors(model).values()} == {"cpu"}
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not model.training
    for name, value in load_file(checkpoints / role / "model.safetensors").items():
        assert torch.equal(tensors(model)[name], value), name


@pytest.mark.parametrize("role", ROLES)
def test_parameters_take_the_type_asked_for_and_buffers_keep_theirs(
    checkpoints: Path, role: str
) -> None:
    model = load(checkpoints / role, Placement(dtype="bfloat16"))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert {buffer.dtype for buffer in model.buffers()} <= {torch.float32}


def test_the_rotary_frequencies_that_no_file_holds_are_real(checkpoints: Path) -> None:
    policy = load_policy(checkpoints / "policy")
    fresh = language_model(policy.config.language)
    frequencies = policy.language_model.model.rotary_emb.inv_freq
    assert torch.equal(frequencies, fresh.model.rotary_emb.inv_freq)


def test_shards_are_read_like_one_file(checkpoints: Path, tmp_path: Path) -> None:
    weights = load_file(checkpoints / "world_model" / "model.safetensors")
    with whole_directory(tmp_path / "sharded") as directory:
        write_json(directory / "config.json", read_json(checkpoints / "world_model/config.json"))
        stored = [
            (name, StoredTensor(tuple(value.shape), value.dtype, lambda value=value: value))
            for name, value in weights.items()
        ]
        write_shards(directory, "model", stored, shard_bytes=20_000)
    assert len(list((tmp_path / "sharded").glob("model-*"))) > 3
    model = load_world_model(tmp_path / "sharded")
    assert all(torch.equal(tensors(model)[name], value) for name, value in weights.items())


def test_a_loaded_model_does_not_change_with_its_file(checkpoints: Path, tmp_path: Path) -> None:
    with whole_directory(tmp_path / "own") as directory:
        for path in (checkpoints / "autoencoder").glob("*"):
            (directory / path.name).write_bytes(path.read_bytes())
    model = load(tmp_path / "own")
    before = {name: tensor.clone() for name, tensor in tensors(model).items()}
    file = tmp_path / "own" / "model.safetensors"
    with file.open("r+b") as stream:
        stream.seek(-4096, 2)
        stream.write(bytes(4096))
    assert all(torch.equal(tensors(model)[name], value) for name, value in before.items())


def test_weights_beside_a_training_state_are_the_weights(checkpoints: Path, tmp_path: Path) -> None:
    for path in (checkpoints / "autoencoder").glob("*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    save_file({"model.kl.quant_conv.bias": torch.zeros(1)}, tmp_path / STATE)
    write_manifest(tmp_path)
    assert isinstance(load(tmp_path), Autoencoder)
