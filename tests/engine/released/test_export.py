"""Back to the official layout: complete, and read again without a difference."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine.checkpoints.checkpoint import write_model
from engine.loading.models import load_policy
from engine.parity.items import load_vectors, weights_of
from engine.policy.files import write_policy
from engine.records.manifest import checkpoint_hash, whole_directory
from engine.released.__main__ import main
from engine.released.configs import read_python_config
from engine.released.export import export
from engine.released.policy import export_policy
from engine.released.world_model import export_world_model, python_config
from engine.world_model.autoencoder import AutoencoderConfig
from engine.world_model.model import LatentWorldModel, WorldModelConfig
from engine.world_model.transformer import TransformerConfig
from tests.engine.released.conftest import Places, adopt
from tests.engine.released.official import GOLDEN


@pytest.fixture(scope="module")
def exported(adopted: Places, tmp_path_factory: pytest.TempPathFactory) -> Places:
    root = tmp_path_factory.mktemp("exported")
    for role, checkpoint in adopted.items():
        export(checkpoint, root / role)
    return {role: root / role for role in adopted}


@pytest.mark.soak
def test_an_export_adopted_again_is_the_same_checkpoint(
    adopted: Places, exported: Places, tmp_path: Path
) -> None:
    again = adopt(exported, "coffee", tmp_path)
    for role, checkpoint in adopted.items():
        assert checkpoint_hash(again[role]) == checkpoint_hash(checkpoint), role


@pytest.mark.parametrize(
    ("role", "vectors", "file"),
    [
        ("policy", "vla_a", "model.safetensors"),
        ("world_model", "wm_transformer_a", "model/model.safetensors"),
        ("world_model", "vae_a", "vae/diffusion_pytorch_model.safetensors"),
        ("autoencoder", "vae_a", "diffusion_pytorch_model.safetensors"),
        ("reward_model", "reward_videomae_a", "videomae.pth"),
    ],
)
def test_every_official_tensor_is_back_bit_for_bit(
    exported: Places, role: str, vectors: str, file: str
) -> None:
    path = exported[role] / file
    back = torch.load(path) if path.suffix == ".pth" else load_file(path)
    _, tensors = load_vectors(GOLDEN / vectors)
    released = weights_of(tensors)
    assert set(back) == set(released)
    assert [name for name, tensor in released.items() if not torch.equal(back[name], tensor)] == []


def test_a_policys_other_files_are_back_and_its_code_is_not(
    release: Places, exported: Places
) -> None:
    for path in release["policy"].glob("*.json"):
        if not path.name.endswith(".index.json"):
            assert json.loads((exported["policy"] / path.name).read_text()) == json.loads(
                path.read_text()
            )
    assert list(exported["policy"].glob("*.py")) == []


def test_a_policy_trained_further_is_exported_like_the_one_it_came_from(
    adopted: Places, tmp_path: Path
) -> None:
    policy = load_policy(adopted["policy"])
    with torch.no_grad():
        policy.projector.fc1.bias += 1.0
    with whole_directory(tmp_path / "trained") as directory:
        write_policy(directory, policy, {})
    with pytest.raises(ValueError, match="was not adopted from a released policy"):
        export_policy(tmp_path / "trained", tmp_path / "nothing")
    export(tmp_path / "trained", tmp_path / "out", like=adopted["policy"])
    back = load_file(tmp_path / "out" / "model.safetensors")
    assert torch.equal(back["projector.fc1.bias"], policy.projector.fc1.bias)
    assert (tmp_path / "out" / "config.json").is_file()


def test_a_world_model_of_our_own_kind_is_not_exported(tmp_path: Path) -> None:
    config = WorldModelConfig(
        transformer=TransformerConfig(hidden_size=32, depth=1, num_heads=2, in_channels=4),
        autoencoder=AutoencoderConfig(
            patch=2, block_channels=(8, 8), latent_channels=4, norm_groups=4
        ),
    )
    model = LatentWorldModel(config)
    with whole_directory(tmp_path / "ours") as directory:
        write_model(directory, model, {"role": "world_model", **config.to_dict()}, {})
    with pytest.raises(ValueError, match="folds pixels or subtracts a frame"):
        export_world_model(tmp_path / "ours", tmp_path / "out")
    with pytest.raises(ValueError, match="predicts changes"):
        python_config(config.replace(change_scale=2.0))


def test_the_config_of_a_full_size_export_names_the_registered_network(tmp_path: Path) -> None:
    (tmp_path / "inference_cfg.py").write_text(python_config(WorldModelConfig.paper()))
    settings = read_python_config(tmp_path / "inference_cfg.py")
    assert settings.get("model")["type"] == "STDiT3-XL/2"
    assert "hidden_size" not in settings.get("model")
    assert (settings.get("num_frames"), settings.get("dtype")) == (12, "bf16")
    assert settings.get("image_size") == (256, 256)


def test_the_command_writes_a_folder_once(
    adopted: Places, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(adopted["autoencoder"]), str(tmp_path / "vae")]
    assert main(arguments) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["vae"]
    assert main(arguments) == 2
    assert "is there already" in capsys.readouterr().err


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with whole_directory(tmp_path / "odd") as directory:
        (directory / "config.json").write_text('{"role": "poet"}')
    with pytest.raises(ValueError, match="role 'poet': no official layout"):
        export(tmp_path / "odd", tmp_path / "deep" / "out")
    assert list((tmp_path / "deep").iterdir()) == []
