"""A checkpoint is whole or absent, and loads into the module it fits or not at all."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.checkpoints.checkpoint import (
    STATE,
    WEIGHTS,
    load_weights,
    read_config,
    read_state,
    write_model,
    write_state,
)
from engine.records.manifest import verify_manifest, whole_directory, write_manifest
from engine.seeding import generator, initialisation

CONFIG = {"role": "policy", "width": 3}


def network(seed: int = 0) -> nn.Module:
    with initialisation(seed, "test"):
        return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 2))


def saved(directory: Path, *, seed: int = 0, half: bool = False) -> Path:
    with whole_directory(directory) as partial:
        write_model(partial, network(seed), CONFIG, {"seed": seed}, half=half)
    return directory


def train(model: nn.Module, optimizer: torch.optim.Optimizer, *, first: int, last: int) -> None:
    for step in range(first, last):
        images = torch.randn(4, 2, 3, 3, generator=generator(0, "batch", step))
        optimizer.zero_grad()
        model(images).square().mean().backward()
        optimizer.step()


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_a_directory_appears_when_it_is_full(tmp_path: Path) -> None:
    with whole_directory(tmp_path / "a" / "b") as partial:
        (partial / "config.json").write_text("{}")
        assert not (tmp_path / "a" / "b").exists()
    assert names(tmp_path / "a") == ["b"]
    assert names(tmp_path / "a" / "b") == ["config.json", "manifest.json"]
    verify_manifest(tmp_path / "a" / "b")


def test_a_failed_checkpoint_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError), whole_directory(tmp_path / "a") as partial:
        (partial / "config.json").write_text("{}")
        raise FloatingPointError
    assert names(tmp_path) == []


def test_a_failed_replacement_keeps_what_was_there(tmp_path: Path) -> None:
    saved(tmp_path / "a")
    with pytest.raises(FloatingPointError), whole_directory(tmp_path / "a"):
        raise FloatingPointError
    assert names(tmp_path) == ["a"]
    assert read_config(tmp_path / "a") == CONFIG


def test_a_replacement_leaves_nothing_of_what_was_there(tmp_path: Path) -> None:
    saved(tmp_path / "a")
    with whole_directory(tmp_path / "a") as partial:
        (partial / "config.json").write_text("{}")
    assert names(tmp_path) == ["a"]
    assert names(tmp_path / "a") == ["config.json", "manifest.json"]


def test_others_may_read_a_checkpoint(tmp_path: Path) -> None:
    with whole_directory(tmp_path / "a"):
        (tmp_path / "plain").mkdir()
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_weights_return_bit_for_bit(tmp_path: Path) -> None:
    saved(tmp_path / "a", seed=1)
    model = network(seed=2)
    load_weights(tmp_path / "a", model)
    assert_same(model, network(seed=1))


def test_half_weights_return_as_float32_within_their_precision(tmp_path: Path) -> None:
    saved(tmp_path / "a", seed=1, half=True)
    assert load_file(tmp_path / "a" / WEIGHTS)["0.weight"].dtype == torch.float16
    model = network(seed=2)
    load_weights(tmp_path / "a", model)
    expected, loaded = network(seed=1).state_dict(), model.state_dict()
    assert loaded["0.weight"].dtype == torch.float32
    torch.testing.assert_close(loaded, expected, rtol=2**-11, atol=1e-7)


def test_counts_are_not_halved(tmp_path: Path) -> None:
    saved(tmp_path / "a", half=True)
    assert load_file(tmp_path / "a" / WEIGHTS)["1.num_batches_tracked"].dtype == torch.int64


def test_the_config_and_the_card_lie_beside_the_weights(tmp_path: Path) -> None:
    saved(tmp_path / "a", seed=4)
    assert names(tmp_path / "a") == ["card.json", "config.json", "manifest.json", WEIGHTS]
    assert read_config(tmp_path / "a") == CONFIG
    assert json.loads((tmp_path / "a" / "card.json").read_text()) == {"seed": 4}


def rewrite(directory: Path, weights: dict[str, Tensor]) -> None:
    save_file(weights, directory / WEIGHTS)
    write_manifest(directory)


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    directory = saved(tmp_path / "a")
    weights = network().state_dict()
    weights["3.weight"] = torch.zeros(2, 4)
    weights["3.scale"] = weights.pop("3.bias")
    rewrite(directory, weights)
    message = r"3\.scale is unexpected; 3\.bias is missing; 3\.weight is \[2, 4\], not \[2, 3\]"
    with pytest.raises(ValueError, match=message):
        load_weights(directory, network())


@pytest.mark.parametrize("content", [b"", b"not safetensors", bytes(64), b"\xff" * 64])
def test_weights_that_cannot_be_read_are_a_value_error(content: bytes, tmp_path: Path) -> None:
    directory = saved(tmp_path / "a")
    (directory / WEIGHTS).write_bytes(content)
    with pytest.raises(ValueError, match=r"a/model\.safetensors cannot be read"):
        load_weights(directory, network())


def test_absent_weights_are_a_value_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.safetensors cannot be read"):
        load_weights(tmp_path, network())


def test_a_changed_checkpoint_is_refused(tmp_path: Path) -> None:
    directory = saved(tmp_path / "a")
    (directory / "config.json").write_text('{"role": "policy", "width": 4}')
    with pytest.raises(ValueError, match=r"a/config\.json is not the file its manifest names"):
        read_config(directory)


def test_a_directory_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no checkpoint directory"):
        read_config(tmp_path / "absent")
    with pytest.raises(ValueError, match="not a complete checkpoint"):
        read_config(tmp_path)
    write_manifest(tmp_path)
    with pytest.raises(ValueError, match=r"has no config\.json"):
        read_config(tmp_path)


@pytest.mark.parametrize("cut", [0, 1, 3])
def test_training_goes_on_as_if_never_interrupted(cut: int, tmp_path: Path) -> None:
    whole = network()
    train(whole, torch.optim.AdamW(whole.parameters(), lr=0.1), first=0, last=5)

    begun = network()
    optimizer = torch.optim.AdamW(begun.parameters(), lr=0.1)
    train(begun, optimizer, first=0, last=cut)
    with whole_directory(tmp_path / "step-000003") as partial:
        write_state(partial, begun, optimizer, progress={"step": cut})

    resumed = network(seed=9)
    optimizer = torch.optim.AdamW(resumed.parameters(), lr=0.1)
    progress = read_state(tmp_path / "step-000003", resumed, optimizer)
    train(resumed, optimizer, first=progress["step"], last=5)
    assert_same(resumed, whole)


def test_the_averaged_weights_return_in_place(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    written = {"0.bias": torch.tensor([1.0, 2.0, 3.0])}
    with whole_directory(tmp_path / "a") as partial:
        write_state(partial, model, optimizer, average=written, progress={})
    average = {"0.bias": torch.zeros(3)}
    read_state(tmp_path / "a", model, optimizer, average=average)
    assert torch.equal(average["0.bias"], written["0.bias"])


def test_state_in_another_memory_order_is_stored(tmp_path: Path) -> None:
    model = network().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    train(model, optimizer, first=0, last=1)
    with whole_directory(tmp_path / "a") as partial:
        write_state(partial, model, optimizer, progress={})
    momentum = load_file(tmp_path / "a" / STATE)["optimizer.0.exp_avg"]
    assert torch.equal(momentum, optimizer.state_dict()["state"][0]["exp_avg"])


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    model = network()
    optimizer = torch.optim.AdamW(model.parameters())
    with whole_directory(tmp_path / "a") as partial:
        write_state(partial, model, optimizer, progress={})
    content = bytearray((tmp_path / "a" / STATE).read_bytes())
    content[-1] ^= 1
    (tmp_path / "a" / STATE).write_bytes(content)
    with pytest.raises(ValueError, match="is not the file its manifest names"):
        read_state(tmp_path / "a", model, optimizer)
