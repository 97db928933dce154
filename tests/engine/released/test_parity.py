"""Official folders, adopted and loaded, give the reference's numbers."""

from pathlib import Path

import pytest
import torch
from einops import rearrange

from engine.dream.fit import check_together
from engine.dream.imagine import imagine
from engine.loading.models import load_autoencoder, load_policy, load_reward_model, load_world_model
from engine.parity.items import Item, compare, load_vectors
from engine.policy.tokens import first_action_id
from engine.records.manifest import whole_directory
from engine.records.types import JudgeRules
from engine.released.tasks import RELEASED, ReleasedTask
from engine.released.world_model import read_world_model
from engine.seeding import generator
from tests.engine.released.conftest import Places, adopt
from tests.engine.released.official import GOLDEN, write_release

BF16_MEAN = 0.02


def failed(*items: Item) -> list[Item]:
    return [item for item in items if not item.passed]


def test_the_policy(adopted: Places) -> None:
    scalars, tensors = load_vectors(GOLDEN / "vla_a")
    policy = load_policy(adopted["policy"])
    ids, mask = tensors["in.input_ids"], tensors["in.attention_mask"].bool()
    first = first_action_id(policy.config.vocab_without_padding)
    with torch.no_grad():
        logits = policy(tensors["in.pixel_values"], ids, mask)
    reference = tensors["out.logits_action"][..., first : first + 256]
    assert failed(compare("logits", logits, reference)) == []
    assert torch.equal(logits.argmax(dim=2) + first, tensors["out.greedy_tokens"])
    raw = policy.normalization.denormalize(tensors["unnorm.in"].numpy())
    assert failed(compare("actions", torch.from_numpy(raw), tensors["unnorm.out"])) == []
    assert first == scalars["action_token_range"][0]


def test_the_world_model(adopted: Places) -> None:
    _, tensors = load_vectors(GOLDEN / "wm_transformer_a")
    model = load_world_model(adopted["world_model"])
    mask = tensors["in.x_mask"].bool()
    size, context = model.config.image_size, model.context_frames
    with torch.no_grad():
        out = model.transformer(
            tensors["in.x"], tensors["in.timestep"], tensors["in.actions"], mask, size, size
        )
    z = rearrange(tensors["in.z"], "b c t y x -> b t c y x")
    noise = tensors["in.z"][:, :, context:]
    future = model.predict_from(z[:, :context], tensors["in.actions"], noise, 30)
    sampled = tensors["out.sample_steps30_tt1"][:, :, context:]
    assert (
        failed(
            compare("velocity", out, tensors["out.model"]),
            compare("30 steps", rearrange(future, "b t c y x -> b c t y x"), sampled),
        )
        == []
    )


def test_a_bf16_release_has_its_times_rounded(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release", "square", dtype="bf16")
    with whole_directory(tmp_path / "ours") as directory:
        read_world_model(release["world_model"], directory)
    model = load_world_model(tmp_path / "ours")
    assert model.config.transformer.round_timestep_to_bf16
    _, tensors = load_vectors(GOLDEN / "wm_transformer_a")
    mask = tensors["in.x_mask"].bool()
    with torch.no_grad():
        out = model.transformer(
            tensors["in.x"], tensors["in.timestep"], tensors["in.actions"], mask, 64, 64
        )
    assert (out - tensors["out.model_bf16"]).abs().mean() < BF16_MEAN
    assert (out - tensors["out.model"]).abs().mean() > BF16_MEAN


@pytest.mark.parametrize("role", ["autoencoder", "world_model"])
def test_the_autoencoder_alone_and_inside_a_world_model(adopted: Places, role: str) -> None:
    _, tensors = load_vectors(GOLDEN / "vae_a")
    model = (
        load_autoencoder(adopted[role])
        if role == "autoencoder"
        else load_world_model(adopted[role]).autoencoder
    )
    frames = rearrange(tensors["in.video"], "b c t h w -> (b t) c h w")
    latents = rearrange(tensors["out.latent"], "b z t y x -> (b t) z y x")
    with torch.no_grad():
        encoded = model.encode_from(frames, tensors["in.noise_per_frame"])
        decoded = model.decode(latents)
    video = rearrange(tensors["out.decoded"], "b c t h w -> (b t) c h w")
    assert failed(compare("latent", encoded, latents), compare("video", decoded, video)) == []


def test_the_reward_model(adopted: Places) -> None:
    _, tensors = load_vectors(GOLDEN / "reward_videomae_a")
    model = load_reward_model(adopted["reward_model"])
    rules = JudgeRules(window=model.window, first_end=model.window)
    _, probabilities = model.probabilities(tensors["in.frames"], rules)
    with torch.no_grad():
        logits = model(tensors["in.pixel_values"])
    assert (
        failed(
            compare("pixels", model.preprocess(tensors["in.frames"]), tensors["in.pixel_values"]),
            compare("logits", logits, tensors["out.logits"]),
            compare("probability", probabilities[:, 0], tensors["out.success_prob"]),
        )
        == []
    )
    assert model.success_threshold == 0.82


@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    [
        pytest.param(task, id=name, marks=[pytest.mark.soak] * (number > 0))
        for number, (name, task) in enumerate(RELEASED.items())
    ],
)
def test_the_three_of_a_task_imagine_together(task: ReleasedTask, tmp_path: Path) -> None:
    name = task.task.name
    release = write_release(tmp_path / "release", name)
    ours = adopt(release, name, tmp_path / "ours")
    policy, world_model = load_policy(ours["policy"]), load_world_model(ours["world_model"])
    reward_model = load_reward_model(ours["reward_model"])
    for model in (world_model.autoencoder, reward_model):  # 64 as released: too many for one row
        model.config = model.config.replace(micro_batch=8)
    check_together(policy, world_model, reward_model, task.task)
    start = torch.randint(
        0, 256, (1, 64, 64, 3), dtype=torch.uint8, generator=generator(0, "start")
    )
    [rollout] = imagine(
        world_model,
        policy,
        reward_model,
        start,
        [task.task.instruction],
        rows=[(0, 0)],
        horizon=112,  # the shortest whose last windows count
        seed=3,
        temperature=1.6,
        denoising_steps=1,
        rules=task.task.judge,
        threshold=1.0,
    )
    assert rollout.frames.shape == (113, 64, 64, 3)
    assert rollout.window_ends.tolist() == list(range(108, 114))
    assert not rollout.outcome.success and rollout.outcome.end_step == 112
