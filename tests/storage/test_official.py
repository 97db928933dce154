"""What one task needs of the released repository."""

import pytest

from storage.downloads.listings import RemoteFile
from storage.downloads.official import (
    DEFAULT_PARTS,
    PARTS,
    TASKS,
    has_official_layout,
    part_path,
    select,
)


def files(*paths: str) -> list[RemoteFile]:
    return [RemoteFile(path=path, bytes=1) for path in paths]


COFFEE = files(
    "checkpoint_files/SFT_models/coffee/config.json",
    "checkpoint_files/SFT_models/coffee/model-00001-of-00004.safetensors",
    "checkpoint_files/SFT_models/coffee/modeling_prismatic.py",
    "checkpoint_files/SFT_models/coffee/lora_adapter/adapter_model.safetensors",
    "checkpoint_files/SFT_models/square/config.json",
    "checkpoint_files/WMPO_models/coffee/P_128/config.json",
    "checkpoint_files/WMPO_models/coffee/P_1280/config.json",
    "checkpoint_files/reward_models/videomae_coffee.pth",
    "checkpoint_files/reward_models/videomae_coffee.pth.old",
    "checkpoint_files/reward_models/videomae_square.pth",
    "checkpoint_files/world_models/OpenX_pretrained/ema.pt",
    "checkpoint_files/world_models/coffee/P_128/inference_cfg.py",
    "checkpoint_files/world_models/coffee/P_128/train_mimicgen_cfg.py",
    "checkpoint_files/world_models/coffee/P_128/epoch1-global_step9/ema.pt",
    "checkpoint_files/world_models/coffee/P_128/epoch1-global_step9/model/a.safetensors",
    "checkpoint_files/world_models/coffee/P_128/epoch1-global_step9/optimizer/b.bin",
    "checkpoint_files/world_models/coffee/P_128/epoch1-global_step9/lr_scheduler",
    "checkpoint_files/world_models/coffee/P_128/epoch1-global_step9/running_states.json",
    "checkpoint_files/world_models/coffee/P_1280/ema.pt",
    "checkpoint_files/world_models/vae/config.json",
    "checkpoint_files/world_models/vae/diffusion_pytorch_model.safetensors",
)


def test_one_task_needs_policy_world_model_reward_model_and_autoencoder() -> None:
    assert [
        (f.part, f.path.removeprefix("checkpoint_files/")) for f in select(COFFEE, "coffee")
    ] == [
        ("policy", "SFT_models/coffee/config.json"),
        ("policy", "SFT_models/coffee/model-00001-of-00004.safetensors"),
        ("world_model", "world_models/coffee/P_128/inference_cfg.py"),
        ("world_model", "world_models/coffee/P_128/train_mimicgen_cfg.py"),
        ("world_model", "world_models/coffee/P_128/epoch1-global_step9/ema.pt"),
        ("reward_model", "reward_models/videomae_coffee.pth"),
        ("autoencoder", "world_models/vae/config.json"),
        ("autoencoder", "world_models/vae/diffusion_pytorch_model.safetensors"),
    ]


def test_without_averaged_weights_the_raw_ones_are_taken() -> None:
    raw = files(
        "world_models/coffee/P_128/e/model/a.safetensors", "world_models/coffee/P_128/e/optimizer/a"
    )
    [chosen] = select(raw, "coffee", ["world_model"])
    assert chosen.path == "world_models/coffee/P_128/e/model/a.safetensors"


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ("policy_128", "checkpoint_files/WMPO_models/coffee/P_128/config.json"),
        ("policy_1280", "checkpoint_files/WMPO_models/coffee/P_1280/config.json"),
        ("world_model_1280", "checkpoint_files/world_models/coffee/P_1280/ema.pt"),
    ],
)
def test_other_budgets_are_parts_of_their_own(part: str, path: str) -> None:
    assert [file.path for file in select(COFFEE, "coffee", [part])] == [path]


def test_a_part_that_the_source_lacks_is_named() -> None:
    with pytest.raises(ValueError, match="no policy_128 for square: nothing lies at WMPO_models"):
        select(COFFEE, "square", ["policy_128"])


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ValueError, match="task must be one of coffee, square"):
        select(COFFEE, "tea")


@pytest.mark.parametrize("parts", [["oracle"], []])
def test_an_unknown_part_is_refused(parts: list[str]) -> None:
    with pytest.raises(ValueError, match="parts must be among policy, policy_128"):
        select(COFFEE, "coffee", parts)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_every_task_has_a_place(task: str, part: str) -> None:
    place = PARTS[part].format(task=task)
    path = f"checkpoint_files/{place}" + ("a" if place.endswith("/") else "")
    [chosen] = select(files(path), task, [part])
    assert part_path(chosen.path, task, part) == f"checkpoint_files/{place}".removesuffix("/")


def test_the_default_parts_are_parts() -> None:
    assert set(DEFAULT_PARTS) <= PARTS.keys()


@pytest.mark.parametrize(
    ("path", "official"),
    [("checkpoint_files/SFT_models/a", True), ("world_models/vae/a", True), ("config.json", False)],
)
def test_the_official_layout_is_told_by_its_folders(path: str, official: bool) -> None:
    assert has_official_layout(files(path)) is official
