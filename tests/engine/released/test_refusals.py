"""Official folders that are not what they should be: one clear sentence each."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.loading.models import load_world_model
from engine.records.manifest import checkpoint_hash, whole_directory
from engine.released.autoencoder import read_autoencoder
from engine.released.policy import read_policy
from engine.released.reward_model import read_reward_model
from engine.released.source import weight_files
from engine.released.tasks import get_released
from engine.released.world_model import read_world_model
from tests.engine.released.conftest import Places
from tests.engine.released.official import fake_converter, write_sharded

Weights = dict[str, Tensor]


@pytest.fixture
def copy(release: Places, tmp_path: Path) -> Places:
    """A release of one's own to damage."""
    root = release["reward_model"].parents[1]
    shutil.copytree(root, tmp_path / "release")
    return {role: tmp_path / "release" / p.relative_to(root) for role, p in release.items()}


def read(release: Places, role: str, target: Path, **options: Any) -> Path:
    facts = get_released("coffee")
    with whole_directory(target) as directory:
        match role:
            case "policy":
                read_policy(release[role], directory, task=facts, **options)
            case "world_model":
                read_world_model(release[role], directory, **options)
            case "reward_model":
                read_reward_model(
                    release[role], directory, task=facts, convert=fake_converter, **options
                )
            case _:
                read_autoencoder(release[role], directory, **options)
    return target


def change_weights(place: Path, change: Callable[[Weights], object]) -> None:
    weights: Weights = {}
    for path in sorted(place.glob("*.safetensors")):
        weights |= load_file(path)
        path.unlink()
    change(weights)
    if (place / "diffusion_pytorch_model.safetensors").exists() or place.name == "vae":
        save_file(weights, place / "diffusion_pytorch_model.safetensors")
    else:
        write_sharded(place, weights, num_shards=2)


WEIGHTS = {
    "policy": ("", "projector.fc2.bias"),
    "world_model": ("epoch0-global_step10/model", "temporal_blocks.1.mlp.fc1.weight"),
    "autoencoder": ("", "quant_conv.bias"),
}


@pytest.mark.parametrize("role", list(WEIGHTS))
def test_a_tensor_too_few_too_many_or_of_another_shape_is_named(
    copy: Places, role: str, tmp_path: Path
) -> None:
    folder, name = WEIGHTS[role]

    def change(weights: Weights) -> None:
        weights["stowaway"] = torch.zeros(1)
        weights[f"{name}.twin"] = weights.pop(name)
        other = next(n for n in sorted(weights) if n.endswith(".bias"))
        weights[other] = torch.zeros(3, 3)

    change_weights(copy[role] / folder, change)
    with pytest.raises(ValueError, match="stowaway is unexpected") as caught:
        read(copy, role, tmp_path / "ours")
    assert f"{name} is missing" in str(caught.value)
    assert "is [3, 3], not [" in str(caught.value)
    assert not (tmp_path / "ours").exists()


def test_a_world_model_without_its_unused_layers_is_complete(copy: Places, tmp_path: Path) -> None:
    unused = ("fps_embedder", "y_embedder", "cross_attn")

    def change(weights: Weights) -> None:
        for name in [n for n in weights if any(part in n for part in unused)]:
            del weights[name]

    change_weights(copy["world_model"] / "epoch0-global_step10/model", change)
    ours = read(copy, "world_model", tmp_path / "ours")
    assert not (ours / "unused.safetensors").exists()
    assert load_world_model(ours).action_dim == 7


def test_an_unused_layer_of_another_shape_is_refused(copy: Places, tmp_path: Path) -> None:
    change_weights(
        copy["world_model"] / "epoch0-global_step10/model",
        lambda weights: weights.update({"fps_embedder.mlp.2.bias": torch.zeros(5)}),
    )
    with pytest.raises(ValueError, match=r"fps_embedder\.mlp\.2\.bias is \[5\], not \[32\]"):
        read(copy, "world_model", tmp_path / "ours")


def test_the_same_weights_from_any_place_are_the_same_checkpoint(
    copy: Places, tmp_path: Path
) -> None:
    epoch = copy["world_model"] / "epoch0-global_step10"
    single = copy["world_model"] / "world.safetensors"
    save_file({n: t.contiguous() for n, t in torch.load(epoch / "ema.pt").items()}, single)
    places = [copy["world_model"] / "epoch0-global_step10", epoch / "model", epoch / "ema.pt"]
    hashes = {
        checkpoint_hash(
            read(copy | {"world_model": place}, "world_model", tmp_path / "ours", **convert)
        )
        for place in [*places, single]
        for convert in [{"convert": fake_converter}]
    }
    assert len(hashes) == 1


def test_a_pickle_is_not_opened_without_a_converter(copy: Places, tmp_path: Path) -> None:
    ema = copy["world_model"] / "epoch0-global_step10" / "ema.pt"
    with pytest.raises(ValueError, match=r"ema\.pt is a pickle"):
        read(copy | {"world_model": ema}, "world_model", tmp_path / "ours")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ([], "holds no weights"),
        (["a.safetensors", "b.safetensors"], "holds a.safetensors, b.safetensors: name the one"),
        (["epoch0/x.pt", "epoch1/x.pt"], "holds epoch0, epoch1: name the one"),
        (["a.index.json", "b.index.json"], "name the one"),
    ],
)
def test_a_folder_that_is_not_clear_is_refused(
    tmp_path: Path, files: list[str], sentence: str
) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    with pytest.raises(ValueError, match=sentence):
        weight_files(tmp_path)


def test_nothing_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no checkpoint"):
        weight_files(tmp_path / "nowhere")


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("role", "file", "changes", "sentence"),
    [
        ("policy", "config.json", {"n_action_bins": 512}, "n_action_bins 512; only 256"),
        ("policy", "config.json", {"model_type": "llava"}, "model_type 'llava'"),
        ("policy", "config.json", {"text_config": {"rope_theta": 5e5}}, "rope_theta 500000.0"),
        ("policy", "config.json", {"text_config": 7}, "text_config is 7"),
        ("policy", "config.json", {"timm_overrides": [1]}, "timm_overrides is"),
        ("policy", "config.json", {"pad_to_multiple_of": "64"}, "no whole number"),
        ("policy", "preprocessor_config.json", {"means": [[0.5]]}, "not two rows"),
        ("policy", "preprocessor_config.json", {"stds": [[0, 0, 0], [1, 1]]}, "two rows of three"),
        ("policy", "dataset_statistics.json", {"coffee_d0_300_demos": {}}, "lack q01, q99"),
        ("autoencoder", "config.json", {"act_fn": "mish"}, "act_fn 'mish'; only 'silu'"),
        ("autoencoder", "config.json", {"down_block_types": ["X"]}, "down_block_types"),
        ("autoencoder", "config.json", {"block_out_channels": "wide"}, "must be a list"),
    ],
)
def test_an_architecture_we_do_not_build_is_refused(
    copy: Places, role: str, file: str, changes: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    edit(copy[role] / file, **changes)
    with pytest.raises(ValueError, match=sentence):
        read(copy, role, tmp_path / "ours")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("qk_norm=True", "qk_norm=False", "qk_norm False, but the tensors say True"),
        ("action_dim=7", "action_dim=4", "action_dim 4, but the tensors say 7"),
        ("num_frames = 4 + 8", "num_frames = count()", "line 4: num_frames is `count"),
        ("num_frames = 4 + 8", "num_frames = 4", "chunk_size must be at least 1"),
        ("(resolution, resolution)", "(64, 48)", "two equal sides"),
        ("model = dict(", "model = build(", "line 8: model is `build"),
    ],
)
def test_a_world_models_config_is_checked_against_its_tensors(
    copy: Places, old: str, new: str, sentence: str, tmp_path: Path
) -> None:
    path = copy["world_model"] / "inference_cfg.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=sentence):
        read(copy, "world_model", tmp_path / "ours")


def test_statistics_are_found_by_key_by_fallback_or_because_they_are_the_only_ones(
    copy: Places, tmp_path: Path
) -> None:
    path = copy["policy"] / "dataset_statistics.json"
    [own] = json.loads(path.read_text()).values()
    other = {"action": own["action"] | {"q01": [-9.0] * 7}}
    for known, options, q01 in [
        ({"coffee_d0_300_demos_no_noops": other, "x": own}, {}, -9.0),
        ({"anything": other}, {}, -9.0),
        ({"a": own, "b": other}, {"statistics_key": "b"}, -9.0),
    ]:
        path.write_text(json.dumps(known))
        ours = read(copy, "policy", tmp_path / "ours", **options)
        assert json.loads((ours / "normalization.json").read_text())["q01"][0] == q01
    path.write_text(json.dumps({"a": own, "b": own}))
    with pytest.raises(ValueError, match=r"no action statistics coffee_d0_300_demos.*has a, b"):
        read(copy, "policy", tmp_path / "ours")


def test_without_a_statistics_file_the_configs_are_taken(copy: Places, tmp_path: Path) -> None:
    (copy["policy"] / "dataset_statistics.json").unlink()
    ours = read(copy, "policy", tmp_path / "ours")
    assert json.loads((ours / "normalization.json").read_text())["q99"][0] == 0.7


def test_the_real_robots_bounds_are_the_extremes(copy: Places, tmp_path: Path) -> None:
    with whole_directory(tmp_path / "ours") as directory:
        read_policy(copy["policy"], directory, task=get_released("aloha"))
    assert json.loads((tmp_path / "ours" / "normalization.json").read_text())["q01"] == [-1.0] * 7


def test_a_reward_model_without_a_published_threshold_needs_one(
    copy: Places, tmp_path: Path
) -> None:
    with (
        pytest.raises(ValueError, match="no success threshold is published for aloha"),
        whole_directory(tmp_path / "ours") as directory,
    ):
        read_reward_model(copy["reward_model"], directory, task=get_released("aloha"))


def test_bf16_stays_bf16_and_shards_stay_shards(copy: Places, tmp_path: Path) -> None:
    def halve(weights: Weights) -> None:
        weights.update({name: tensor.bfloat16() for name, tensor in weights.items()})

    change_weights(copy["policy"], halve)
    sizes: list[tuple[int, int]] = []
    ours = read(
        copy,
        "policy",
        tmp_path / "ours",
        shard_bytes=100_000,
        progress=lambda done, total: sizes.append((done, total)),
    )
    shards = sorted(ours.glob("model-*.safetensors"))
    assert len(shards) == len(sizes) == 4
    assert sizes[-1][0] == sizes[-1][1] == 2 * 175_412
    kinds = {tensor.dtype for path in shards for tensor in load_file(path).values()}
    assert kinds == {torch.bfloat16}
