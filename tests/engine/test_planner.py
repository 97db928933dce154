"""Memory plans: the released models on 24, 48 and 80 GB cards, the demo on a CPU."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from engine.device import DeviceMemory, Placement
from engine.images import to_pixels
from engine.memory.components import weights_of, world_model_component
from engine.memory.planner import MARGIN, MemoryPlan, check_room, config_of, plan
from engine.policy.config import paper_policy_config, tiny_policy_config
from engine.policy.model import OpenVLAPolicy
from engine.policy.prompt import demo_tokenizer
from engine.records.types import JudgeRules, Normalization
from engine.reward.classifier import RewardConfig, VideoReward
from engine.seeding import row_generators
from engine.world_model.model import LatentWorldModel, WorldModelConfig

GIB = 1 << 30
DEMO = (tiny_policy_config(), WorldModelConfig(), RewardConfig())
PAPER = (paper_policy_config(), WorldModelConfig.paper(), RewardConfig.paper())
BF16 = Placement(device="cuda", dtype="bfloat16")


def card(gibibytes: int) -> DeviceMemory:
    """A GPU whose driver keeps half a GiB."""
    total = gibibytes * GIB
    name = f"a {gibibytes} GB card"
    return DeviceMemory(kind="cuda", name=name, total=total, free=total - GIB // 2)


def paper_plan(gibibytes: int, placement: Placement = BF16, rows: int = 16) -> MemoryPlan:
    return plan(*PAPER, device=card(gibibytes), placement=placement, rows=rows, horizon=256)


def cpu(free: int) -> DeviceMemory:
    return DeviceMemory(kind="cpu", name="the CPU", total=24 * GIB, free=free)


def test_the_released_models_have_the_documented_sizes() -> None:
    found = [weights_of(config, BF16)[0] for config in PAPER]
    # method.md §2.6, §1.1 (0.908 B used, and the autoencoder of §1.5), §3.
    assert found == [7_541_237_184, 907_789_856 + 83_653_863, 86_228_738]


def test_weights_take_the_bytes_of_their_precision() -> None:
    _, bf16, _ = weights_of(PAPER[0], BF16)
    _, full, _ = weights_of(PAPER[0], replace(BF16, dtype="float32"))
    # Rotary frequencies stay float32, and little else is not a parameter.
    assert bf16 == pytest.approx(2 * 7_541_237_184, abs=1_000)
    assert full == pytest.approx(4 * 7_541_237_184, abs=1_000)


def test_the_context_cache_is_keys_and_values_of_every_temporal_block() -> None:
    found = world_model_component(PAPER[1], BF16, 16)
    assert found.parts["context cache"] == 16 * 28 * 2 * 4 * 256 * 1152 * 2
    assert found.activations > found.parts["context cache"]


@pytest.mark.soak
def test_an_80_gb_card_holds_everything_even_in_float32() -> None:
    assert paper_plan(80).fits
    full = paper_plan(80, replace(BF16, dtype="float32"))
    assert full.fits
    assert 40 * GIB < full.total < 60 * GIB


def test_a_40_gb_card_holds_sixteen_rows_in_bfloat16_but_not_in_float32() -> None:
    assert paper_plan(40).fits
    full = paper_plan(40, replace(BF16, dtype="float32"))
    assert not full.fits
    assert full.proposal is not None
    assert full.proposal.placement == BF16
    assert full.proposal.rows == 16
    assert "It fits in bfloat16 (" in full.sentence


def test_a_24_gb_card_needs_smaller_decodes_and_fewer_rows() -> None:
    found = paper_plan(24, rows=64)
    assert not found.fits
    assert found.proposal is not None
    assert found.proposal.placement == replace(BF16, decode_batch=8)
    assert found.proposal.rows == 16
    assert found.sentence.startswith("Does not fit: 3")
    assert "with 16 rows at once, decoding 8 frames at a time" in found.sentence


def test_a_16_gb_card_needs_the_policy_offloaded() -> None:
    found = paper_plan(16, rows=1)
    assert found.proposal is not None
    assert found.proposal.placement.offload
    policy = found.proposal.components[0]
    assert policy.host > 12 * GIB
    assert policy.weights < 3 * GIB
    assert "the policy's language layers offloaded to main memory" in found.sentence


def test_what_cannot_fit_is_refused_in_one_sentence_that_says_so() -> None:
    found = paper_plan(4)
    assert (found.fits, found.proposal) == (False, None)
    assert "Even in bfloat16" not in found.sentence  # that was asked for already
    assert found.sentence.endswith("it would not fit.")


def test_the_demo_fits_a_cpu_in_float32() -> None:
    found = plan(*DEMO, device=cpu(2 * GIB), placement=Placement(), rows=8, horizon=48)
    assert found.fits
    assert found.total < GIB // 4
    assert found.sentence.endswith("free on the CPU, 8 rows in float32.")
    largest = max(component.activations for component in found.components)
    weights = sum(component.weights for component in found.components)
    assert found.margin == int(MARGIN * (largest + found.history))
    assert found.total == weights + largest + found.history + found.margin


def test_on_a_small_cpu_precision_goes_first_and_then_rows() -> None:
    asked = plan(*DEMO, device=cpu(2 * GIB), placement=Placement(), rows=64, horizon=48)
    halved = plan(*DEMO, device=cpu(asked.total - 1), placement=Placement(), rows=64, horizon=48)
    assert halved.proposal is not None
    assert (halved.proposal.placement.dtype, halved.proposal.rows) == ("bfloat16", 64)
    fewer = plan(
        *DEMO, device=cpu(halved.proposal.total - 1), placement=Placement(), rows=64, horizon=48
    )
    assert fewer.proposal is not None
    assert fewer.proposal.rows == 32


def test_a_plan_is_plain_json_values() -> None:
    asked = plan(*DEMO, device=cpu(1 << 20), placement=Placement(), rows=1, horizon=48).to_dict()
    assert asked["components"][0]["name"] == "policy"
    assert asked["placement"]["dtype"] == "float32"


def test_a_model_whose_weights_do_not_fit_is_not_read() -> None:
    check_room(DEMO[0], cpu(GIB), Placement())
    with pytest.raises(ValueError, match=r"weights take 14\.0 GiB in bfloat16, but 8\.0 GiB are"):
        check_room(PAPER[0], cpu(8 * GIB), Placement(dtype="bfloat16"))


def test_a_config_is_read_by_its_role() -> None:
    values = {"role": "reward_model", **RewardConfig().to_dict()}
    assert config_of(values) == RewardConfig()
    with pytest.raises(ValueError, match="no models of the role 'chef'"):
        config_of({"role": "chef"})


def test_no_rows_are_no_rollout() -> None:
    with pytest.raises(ValueError, match="at least one row, not 0"):
        plan(*DEMO, device=cpu(GIB), placement=Placement(), rows=0, horizon=48)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("rows", [1, 16])
def test_the_planned_peak_is_close_to_the_measured_one(rows: int) -> None:
    asked = plan(*DEMO, device=cpu(2 * GIB), placement=Placement(), rows=rows, horizon=48)
    planned = [component.activations for component in asked.components]
    measured = [measured_peak(phase) for phase in phases(rows)]
    largest, taken = max(planned), max(measured)
    assert largest * (1 + MARGIN) >= taken
    assert largest <= 1.5 * taken


def phases(rows: int) -> list[Callable[[], Any]]:
    """The policy acts, the world model predicts, the autoencoder decodes, the judge judges."""
    ones = (1.0,) * 4
    statistics = Normalization(q01=tuple(-one for one in ones), q99=ones, mask=(True,) * 4)
    policy = OpenVLAPolicy(DEMO[0], normalization=statistics, tokenizer=demo_tokenizer()).eval()
    world_model, judge = LatentWorldModel(DEMO[1]).eval(), VideoReward(DEMO[2])
    generators = row_generators(0, "plan", rows=[(row, 0) for row in range(rows)])
    frames = torch.zeros(rows, 64, 64, 3, dtype=torch.uint8)
    video = torch.zeros(rows, 15, 64, 64, 3, dtype=torch.uint8)
    latents, actions = torch.zeros(rows, 4, 8, 8, 8), torch.zeros(rows, 8, 4)
    chunk = torch.zeros(rows * 8, 8, 8, 8)
    rules = JudgeRules(window=8, first_end=8)
    return [
        lambda: policy.act(frames, ["push the mug"] * rows, generators, 1.0),
        lambda: world_model.predict(latents, actions, generators, 2),
        lambda: to_pixels(world_model.decode(chunk)),
        lambda: judge.probabilities(video, rules),
    ]


def test_a_cpu_holds_the_world_models_matrices_twice_and_the_plan_says_so() -> None:
    model = LatentWorldModel(DEMO[1]).eval()
    cpu_bytes, gpu_bytes = (
        weights_of(DEMO[1], Placement(device=device))[1] for device in ("cpu", "cuda")
    )
    rows = row_generators(0, "plan", rows=[(0, 0), (1, 0)])
    latents = torch.zeros(2, model.context_frames, *model.latent_shape)
    actions = torch.zeros(2, model.chunk_size, model.action_dim)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        for _ in range(2):
            model.predict(latents, actions, rows, 1)
    laid = [event for event in record.events() if "reorder_linear_weight" in event.name]
    assert sum(event.self_cpu_memory_usage for event in laid) == cpu_bytes - gpu_bytes > 3_000_000
    half = weights_of(DEMO[1], Placement(dtype="bfloat16"))[1]
    assert half < gpu_bytes / 1.9  # nothing is laid in bfloat16


def measured_peak(run: Callable[[], Any]) -> int:
    """Most bytes that PyTorch's CPU allocator had handed out at once."""
    run()
    with torch.no_grad(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        run()
    events = record.profiler.kineto_results.events()
    live = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return peak
