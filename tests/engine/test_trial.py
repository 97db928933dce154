"""A whole checkpoint is tried in the sandbox before the app loads it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from engine.checkpoints.checkpoint import write_model
from engine.gate.verdict import Reason, RefusedError
from engine.loading.trial import check_model, main
from engine.records.manifest import whole_directory, write_manifest
from engine.reward.classifier import RewardConfig, VideoReward
from engine.seeding import initialisation
from engine.world_model.autoencoder import Autoencoder, AutoencoderConfig

SHIPPED = Path(__file__).resolve().parents[2] / "storage" / "demo" / "checkpoints"


def written(directory: Path, role: str, model: nn.Module, config: object) -> Path:
    with whole_directory(directory) as partial:
        write_model(partial, model, {"role": role, **config.to_dict()}, {})
    return directory


@pytest.fixture
def reward(tmp_path: Path) -> Path:
    config = RewardConfig.tiny()
    with initialisation(0, "reward"):
        return written(tmp_path / "reward", "reward_model", VideoReward(config), config)


def change(directory: Path, name: str, edit: Callable[[Path], None]) -> None:
    """Edit a file and make the manifest fit again, as somebody hostile would."""
    edit(directory / name)
    write_manifest(directory)


def swell(path: Path) -> None:
    """Weights that are all fine by themselves, and too large together."""
    save_file({name: torch.full_like(w, 9e3) for name, w in load_file(path).items()}, path)


@pytest.mark.parametrize("name", ["coffee-push-reward", "coffee-push-world", "coffee-push-base"])
def test_the_shipped_models_compute_finite_numbers(name: str) -> None:
    assert main([str(SHIPPED / name)])["outputs"]


def test_an_autoencoder_computes_finite_numbers(tmp_path: Path) -> None:
    config = AutoencoderConfig(block_channels=(8, 8, 8), norm_groups=4, mid_attention=False)
    directory = written(tmp_path / "autoencoder", "autoencoder", Autoencoder(config), config)
    assert main([str(directory)])["outputs"] == ["frames", "latents"]


def test_a_model_that_overflows_is_refused(tmp_path: Path) -> None:
    config = AutoencoderConfig(block_channels=(8, 8, 8), norm_groups=4, mid_attention=False)
    directory = written(tmp_path / "autoencoder", "autoencoder", Autoencoder(config), config)
    change(directory, "model.safetensors", swell)
    with pytest.raises(RefusedError) as refusal:
        main([str(directory)])
    assert refusal.value.reason == Reason.NOT_FINITE


@pytest.mark.slow  # processes that import the models
@pytest.mark.timeout(240)
def test_a_checkpoint_is_accepted_through_the_sandbox(reward: Path) -> None:
    (reward / "README.md").write_text("# What a published checkpoint has beside it")
    verdict = check_model(reward)
    assert verdict.accepted, verdict.sentence
    assert verdict.path == reward
    assert verdict.tensors.keys() == load_file(reward / "model.safetensors").keys()


@pytest.mark.soak
def test_a_config_that_asks_for_a_terabyte_is_refused(reward: Path) -> None:
    def widen(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), "intermediate_size": 10**12}))

    change(reward, "config.json", widen)
    verdict = check_model(reward)  # by its shapes, before anything of that size is made
    assert verdict.reason == Reason.UNREADABLE and "does not fit its config" in verdict.sentence


def test_one_bad_file_refuses_the_checkpoint(reward: Path) -> None:
    change(reward, "card.json", lambda path: path.write_text('{"a": NaN}'))
    verdict = check_model(reward)
    assert (verdict.reason, verdict.path.name) == (Reason.NOT_FINITE, "card.json")


def test_a_file_that_does_not_belong_refuses_the_checkpoint(reward: Path) -> None:
    change(reward, "model.safetensors", lambda path: shutil.copy(path, reward / "run.sh"))
    assert check_model(reward).reason == Reason.UNKNOWN_KIND


def test_a_folder_without_weights_is_no_checkpoint(tmp_path: Path) -> None:
    assert check_model(tmp_path).reason == Reason.MISSING
    assert check_model(tmp_path / "nowhere").reason == Reason.MISSING
