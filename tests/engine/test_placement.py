"""Placing models: precision, decode batches, offloading and compilation change no meaning."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.checkpoints.checkpoint import write_model
from engine.device import Placement
from engine.images import to_model
from engine.loading.models import load, load_policy, load_reward_model, load_world_model
from engine.loading.warm_up import time_models
from engine.records.manifest import whole_directory
from engine.records.types import JudgeRules
from engine.seeding import generator, row_generators
from engine.world_model.transformer import STDiT
from tests.app.real_demo import build_demo

ROWS = [(0, 0), (1, 0)]
IMAGES = torch.arange(2 * 64 * 64 * 3).reshape(2, 64, 64, 3).remainder(251).to(torch.uint8)
PROMPTS = ["push the mug", "push the mug"]
BF16 = Placement(dtype="bfloat16")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo of random weights, and `moved`: its world model with no layer left at zero."""
    folder = build_demo(tmp_path_factory.mktemp("placed")) / "checkpoints"
    model = load_world_model(folder / "world")
    noise = generator(0, "moved")
    for parameter in model.transformer.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=noise)
    with whole_directory(folder / "moved") as directory:
        write_model(directory, model, {"role": "world_model", **model.config.to_dict()}, {})
    return folder


def predicted(checkpoints: Path, placement: Placement) -> tuple[Tensor, Tensor]:
    """(latents, decoded frames) of one chunk."""
    world_model = load(checkpoints / "moved", placement)
    generators = row_generators(0, "placed", rows=ROWS)
    latents = world_model.encode(to_model(IMAGES), generators)
    context = latents[:, None].expand(-1, 4, -1, -1, -1)
    future = world_model.predict(context, torch.zeros(2, 8, 4), generators, 2)
    return future, world_model.decode(future[:, -1])


def test_a_world_model_in_bfloat16_takes_and_gives_float32(checkpoints: Path) -> None:
    exact, rounded = predicted(checkpoints, Placement()), predicted(checkpoints, BF16)
    for ours, theirs in zip(rounded, exact, strict=True):
        assert ours.dtype == torch.float32
        assert not torch.equal(ours, theirs)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0.1)


def test_parameters_take_the_precision_and_frequencies_keep_theirs(checkpoints: Path) -> None:
    transformer: STDiT = load(checkpoints / "world", BF16).transformer
    assert {parameter.dtype for parameter in transformer.parameters()} == {torch.bfloat16}
    assert transformer.rope.freqs.dtype == torch.float32


def test_a_policy_in_bfloat16_scores_in_float32(checkpoints: Path) -> None:
    with torch.no_grad():
        exact = load_policy(checkpoints / "policy").logits(IMAGES, PROMPTS)
        rounded = load(checkpoints / "policy", BF16).logits(IMAGES, PROMPTS)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0, atol=0.1)


def test_a_reward_model_in_bfloat16_judges_nearly_the_same(checkpoints: Path) -> None:
    video = IMAGES[:, None].expand(-1, 9, -1, -1, -1)
    rules = JudgeRules(window=8, first_end=8)
    _, exact = load_reward_model(checkpoints / "reward").probabilities(video, rules)
    _, rounded = load(checkpoints / "reward", BF16).probabilities(video, rules)
    torch.testing.assert_close(rounded, exact, rtol=0, atol=0.02)


def test_offloaded_layers_give_the_same_scores(checkpoints: Path) -> None:
    offloaded = load(checkpoints / "policy", Placement(offload=True))
    layers = offloaded.language_model.model.layers
    assert {parameter.device.type for parameter in layers.parameters()} == {"meta"}
    with torch.no_grad():
        expected = load_policy(checkpoints / "policy").logits(IMAGES, PROMPTS)
        assert torch.equal(offloaded.logits(IMAGES, PROMPTS), expected)


def test_a_decode_batch_takes_the_place_of_the_checkpoints_own(checkpoints: Path) -> None:
    placed = load(checkpoints / "world", Placement(decode_batch=1))
    assert placed.autoencoder.config.micro_batch == 1
    ours, theirs = (
        predicted(checkpoints, Placement(decode_batch=1)),
        predicted(checkpoints, Placement()),
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_any_role_can_be_placed(checkpoints: Path) -> None:
    model = load(checkpoints / "reward", BF16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    assert not model.training


COMPILED = """
import torch
from pathlib import Path
from engine.device import Placement
from engine.loading.models import load
from engine.seeding import row_generators

def predicted(compiled):
    placement = Placement(compiled=compiled)
    world_model = load(Path({directory!r}), placement)
    generators = row_generators(0, "compiled", rows=[(0, 0)])
    return world_model.predict(torch.ones(1, 4, 8, 8, 8), torch.zeros(1, 8, 4), generators, 2)

print((predicted(True) - predicted(False)).abs().max().item())
"""


@pytest.mark.soak  # the compiler takes minutes; it cannot read functions that check their shapes
def test_a_compiled_denoising_step_predicts_the_same(checkpoints: Path) -> None:
    script = COMPILED.format(directory=str(checkpoints / "moved"))
    finished = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert float(finished.stdout) < 1e-4


def test_the_first_use_is_timed(checkpoints: Path) -> None:
    times = time_models(
        load_policy(checkpoints / "policy"),
        load_world_model(checkpoints / "world"),
        load_reward_model(checkpoints / "reward"),
        image_size=64,
        instruction="push the mug",
        rules=JudgeRules(window=8, first_end=8),
        denoising_steps=1,
    )
    assert set(times) == {"act", "chunk", "decode", "judge"}
    assert all(milliseconds > 0.0 for milliseconds in times.values())
