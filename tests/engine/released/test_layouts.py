"""Weights as people have them: wrapped by a trainer, or with parts beside them."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from engine.gate.inspection import inspect
from engine.released.layouts import check_nothing_beside, unwrapped


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a.weight", "b"], ["a.weight", "b"]),
        (["module.a", "module.b"], ["a", "b"]),
        (["module._orig_mod.a", "module._orig_mod.b"], ["a", "b"]),
        (["state_dict.model.a", "state_dict.head"], ["model.a", "head"]),
        (["model.a", "optimizer.state.0.step", "epoch"], ["a"]),
        (["model.layers.0", "model.norm"], ["model.layers.0", "model.norm"]),
        (["module.a", "b"], ["module.a", "b"]),
    ],
)
def test_what_a_trainer_put_around_weights_is_taken_off(names: list[str], found: list[str]) -> None:
    assert sorted(unwrapped(dict.fromkeys(names, 1))) == sorted(found)


@pytest.mark.parametrize(
    ("beside", "sentence"),
    [
        ("action_head--150000_checkpoint.pt", "action_head--150000_checkpoint.pt"),
        ("proprio_projector--150000_checkpoint.pt", "another policy"),
        ("lora_adapter/adapter_model.safetensors", "merge the LoRA adapter"),
        ("vision_backbone--5_checkpoint.pt", "not read here"),
        ("film.npz", "film.npz"),
    ],
)
def test_a_part_beside_the_weights_is_named_in_a_refusal(
    tmp_path: Path, beside: str, sentence: str
) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"")
    path = tmp_path / beside
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"")
    if "lora" in beside:
        (path.parent / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(ValueError, match=sentence):
        check_nothing_beside(tmp_path, [weights])


def test_what_only_continues_a_training_may_lie_there(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    for name in ("training_args.bin", "optimizer.pt", "rng_state.pth", weights.name):
        (tmp_path / name).write_bytes(b"")
    check_nothing_beside(tmp_path, [weights])
    check_nothing_beside(weights, [weights])


def test_a_snapshot_of_the_hubs_cache_is_read_through_its_links(tmp_path: Path) -> None:
    blob = tmp_path / "blobs" / "abc"
    blob.parent.mkdir()
    blob.write_bytes(b"")
    snapshot = tmp_path / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to(blob)
    check_nothing_beside(snapshot, [snapshot / "model.safetensors"])


def test_a_long_trainings_count_of_steps_is_no_weight_that_exploded(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"optimizer.state.0.step": torch.tensor(10_000.0), "a": torch.ones(2)}, path)
    assert inspect(path).accepted
    save_file({"a": torch.tensor(10_000.0)}, path)
    assert not inspect(path).accepted
