"""What models and jobs do on an accelerator, seen without one: devices, dtypes, memory, waits."""

import multiprocessing
import os
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from engine.data.starts import load_starts
from engine.device import DeviceMemory, Placement
from engine.jobs.optimise.groups import ImaginedGroups, Sampling
from engine.learning.training import FitConfig, refine
from engine.loading.models import load_judge, load_policy, load_reward_model, load_world_model
from engine.memory.components import world_model_component
from engine.memory.footprint import META, on_meta
from engine.memory.planner import rows_that_fit, training_bytes
from engine.policy.config import paper_policy_config
from engine.records.tasks import get_task
from engine.reward.classifier import RewardConfig
from engine.reward.resampling import by_products, resize_and_crop
from engine.seeding import generator
from engine.world_model import blocks
from engine.world_model.model import WorldModelConfig
from engine.world_model.transformer import STDiT
from tests.app.real_demo import build_demo
from tests.engine import released_on_a_device

GIB = 1 << 30
BF16 = Placement(device="cuda:0", dtype="bfloat16")
PAPER = (paper_policy_config(), WorldModelConfig.paper(), RewardConfig.paper())


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_demo(tmp_path_factory.mktemp("demo"))


@pytest.mark.soak  # modules of 8 B parameters are built, without numbers, several times
@pytest.mark.timeout(300)
def test_the_released_models_compute_where_they_lie_and_give_float32() -> None:
    process = multiprocessing.get_context("forkserver").Process(target=released_on_a_device.main)
    process.start()
    process.join()
    assert process.exitcode == 0  # what went wrong stands on stderr


@pytest.mark.soak
def test_the_context_cache_holds_keys_and_values_and_nothing_else() -> None:
    config = WorldModelConfig.paper()
    transformer: STDiT = on_meta(lambda: STDiT(config.transformer), torch.bfloat16)
    z, y, x = config.latent_shape
    with torch.no_grad():
        cache = transformer.context(torch.empty(1, z, 4, y, x, device=META), 256, 256)
    storages = {
        t.untyped_storage()._cdata: t.untyped_storage().nbytes()
        for part in cache.past
        for t in (part.keys, part.values)
    }
    planned = world_model_component(config, BF16, 1).parts["context cache"]
    assert sum(storages.values()) == planned == 28 * 2 * 4 * 256 * 1152 * 2


def rows(gibibytes: int, *, beside: int = 0) -> int:
    card = DeviceMemory(kind="cuda", name="a card", total=gibibytes * GIB, free=gibibytes * GIB)
    return rows_that_fit(*PAPER, device=card, placement=BF16, rows=512, horizon=256, beside=beside)


def test_the_papers_rows_are_split_to_fit_the_card() -> None:
    assert rows(300) == 512
    some = rows(80)
    assert 256 <= some < 512
    more = training_bytes(PAPER[0], BF16)
    assert more == pytest.approx(7_541_237_184 * (16 + 2 - 2), rel=1e-3)
    assert rows(80 + more // GIB + 1, beside=more) in (some, some + 1, some + 2, some + 3)
    with pytest.raises(ValueError, match="training the policy takes"):
        rows(80, beside=more)


def test_groups_imagined_in_parts_are_those_imagined_at_once(demo: Path) -> None:
    sampling = Sampling(group_size=3, horizon=8, temperature=1.0, denoising_steps=1, seed=0)
    checkpoints = demo / "checkpoints"

    def imagined(most_rows: int | None) -> list[Any]:
        task = get_task("coffee-push")
        reward_model = load_reward_model(checkpoints / "reward")
        groups = ImaginedGroups(
            replace(task, judge=replace(task.judge, window=reward_model.window)),
            load_policy(checkpoints / "policy"),
            load_world_model(checkpoints / "world"),
            reward_model,
            load_starts(demo / "starts" / "coffee-push.npz"),
            sampling,
            most_rows=most_rows,
        )
        return list(groups.sample(0, [0, 2]))

    whole = imagined(None)
    for most in (1, 4):
        parts = imagined(most)
        assert [(r.start_id, r.member) for r in parts] == [(r.start_id, r.member) for r in whole]
        for ours, theirs in zip(parts, whole, strict=True):
            for name in ("frames", "tokens", "log_probs", "latents", "window_probabilities"):
                assert torch.equal(getattr(ours, name), getattr(theirs, name)), (most, name)


def test_frames_that_another_process_left_in_latents_are_decoded_here() -> None:
    shipped, task = Path("storage/demo/checkpoints"), get_task("coffee-push")
    groups = ImaginedGroups(
        task,
        load_policy(shipped / "coffee-push-base"),
        world_model := load_world_model(shipped / "coffee-push-world"),
        load_judge(shipped / "coffee-push-judge"),
        load_starts(Path("storage/demo/starts/coffee-push.npz")),
        Sampling(group_size=2, horizon=16, temperature=1.0, denoising_steps=1, seed=0),
    )
    here = groups.sample(0, [0])
    again = groups.attempts(0, [(0, 0), (0, 1)])
    decoded: list[Any] = []
    decoder = world_model.autoencoder.kl.decoder
    decoder.register_forward_hook(lambda *told: decoded.append(told[2]))
    files = len(os.listdir("/proc/self/fd"))
    sent = ForkingPickler.dumps(again)
    assert len(os.listdir("/proc/self/fd")) == files  # not a shared file for each tensor
    assert len(ForkingPickler.dumps(again[:1])) < 0.6 * len(sent)  # a row, not its whole batch
    groups.play = lambda iteration, places: ForkingPickler.loads(sent)
    there = groups.sample(0, [0])
    assert not decoded  # nobody has looked yet
    for ours, theirs in zip(here, there, strict=True):
        assert torch.equal(ours.frames, theirs.frames)
    assert decoded


def test_more_rows_than_cuda_counts_in_one_launch_are_attended_in_several() -> None:
    draw = generator(0, "attention")
    q, k, v = (torch.randn(blocks.CUDA_BATCH + 5, 1, 2, 4, generator=draw) for _ in range(3))
    mask = torch.ones(2, 2, dtype=torch.bool).tril()
    found = blocks._attend(q, k, v, mask)
    assert torch.equal(found[-7:], blocks._attend(q[-7:], k[-7:], v[-7:], mask))


@pytest.mark.parametrize(
    ("height", "width", "size"), [(256, 256, 224), (240, 320, 224), (17, 23, 30), (64, 64, 16)]
)
def test_frames_resized_by_products_are_pillows_to_the_bit(
    height: int, width: int, size: int
) -> None:
    shape = (3, height, width, 3)
    frames = torch.randint(0, 256, shape, generator=generator(0, "resize"), dtype=torch.uint8)
    short = min(height, width)
    ours = by_products(frames, int(size * height / short), int(size * width / short))
    top, left = (ours.shape[1] - size) // 2, (ours.shape[2] - size) // 2
    cropped = ours[:, top : top + size, left : left + size]
    assert torch.equal(cropped, resize_and_crop(frames, size))


@torch.no_grad()
def test_a_policy_attends_without_a_mask_as_with_one_that_allows_everything(demo: Path) -> None:
    policy = load_policy(demo / "checkpoints" / "policy")
    side = policy.config.image_size
    pixels = torch.randn(2, 6, side, side, generator=generator(0, "pixels"))
    ids = torch.tensor(policy.tokenizer.encode(["push the mug", "push the mug"]))
    assert torch.equal(policy(pixels, ids), policy(pixels, ids, torch.ones_like(ids) > 0))


class Waits(TorchDispatchMode):
    """Counts the reads of single numbers: on a GPU each waits for all that was asked of it."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_a_training_step_reads_its_numbers_at_once() -> None:
    model = nn.Linear(3, 1)
    seen = torch.ones(2, 3)

    def batch_loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        loss = model(seen).square().mean()
        return loss, {"half": loss.detach() / 2}

    with Waits() as waits:
        refine(model, batch_loss, FitConfig(steps=3, warmup_steps=1))
    assert waits.count <= 3 * len(list(model.parameters()))  # AdamW's own steps, on the CPU


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    model = nn.Linear(1, 1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def batch_loss(step: int) -> tuple[Tensor, dict[str, Tensor]]:
        return model(torch.ones(1, 1)).sum() * torch.inf, {}

    with pytest.raises(FloatingPointError, match="at step 0"):
        refine(model, batch_loss, FitConfig(steps=1))
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())
