"""Processes that learn together, and savings of memory: the results of one process that has all."""

import os
import signal
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from engine.checkpoints.checkpoint import load_learnt
from engine.device import Placement
from engine.learning.economy import Economy
from engine.loading.learner import make_learner
from engine.loading.models import load_policy
from tests.engine import forked_worker
from tests.engine.test_exact_resume import account, check_same, num_events, prepared
from tests.engine.tiny import do, last_checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

Tiny = tuple[Path, dict[str, str]]
LEARNT = {"steps": 3, "warmup_steps": 1, "log_every": 1, "checkpoint_every": 2}
DREAMT = {
    "num_starts": 2,
    "iterations": 2,
    "groups": 2,
    "max_groups": 2,
    "group_size": 3,
    "horizon": 16,
    "denoising_steps": 1,
    "keep_low": 0.0,
    "keep_high": 1.0,
    "success_threshold": 0.45,  # some of the tiny world's dreams succeed, and some do not
    "learning_rate": 1e-3,
    "slice_rows": 4,
    "kl_limit": 0.0,
}


def check_alike(ours: Path, theirs: Path, tolerance: float = 2e-5) -> None:
    """Same metrics, checkpoints and weights, up to the order of summation."""
    one, other = account(ours), account(theirs)
    assert one["announced"] == other["announced"]
    assert one["metrics"].keys() == other["metrics"].keys()
    for key, value in other["metrics"].items():
        assert one["metrics"][key] == pytest.approx(value, rel=1e-3, abs=1e-4), key
    weights, wanted = (
        load_file(Path(last_checkpoint(run)) / "model.safetensors") for run in (ours, theirs)
    )
    assert weights.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert (weights[name] - tensor).abs().max() <= tolerance, name


def fits(tiny: Tiny) -> dict[str, dict[str, Any]]:
    root, models = tiny
    both = [str(root / "demos"), str(root / "play")]
    common = {"batch_size": 5, "fit": LEARNT}
    return {
        "clone": common
        | {"episodes_from": both[:1], "play_from": both[1:], "held_out": 1}
        | {"policy": models["policy"]},
        "train_world_model": common
        | {"episodes_from": both, "held_out": 1, "world_model": models["world_model"]},
        "train_reward": common
        | {"episodes_from": both, "held_out_share": 0.3, "reward_model": models["reward_model"]},
    }


FITS = [
    pytest.param("clone", marks=pytest.mark.soak),
    pytest.param("train_world_model", marks=pytest.mark.soak),
    "train_reward",
]


@pytest.mark.parametrize("job", FITS)
def test_a_fit_by_two_is_that_of_one(tiny: Tiny, job: str, tmp_path: Path) -> None:
    options = fits(tiny)[job]
    do(job, tmp_path / "one", **options)
    do(job, tmp_path / "two", **options, learners=2)
    check_alike(tmp_path / "two", tmp_path / "one")


@pytest.mark.soak
@pytest.mark.parametrize("lora_rank", [0, 2])
def test_wmpo_with_a_policy_spread_over_two_is_that_of_one(
    tiny: Tiny, lora_rank: int, tmp_path: Path
) -> None:
    options = {**tiny[1], **DREAMT}
    economy = {"lora_rank": lora_rank, "recompute": True}
    do("optimise", tmp_path / "one", **options, economy=economy)
    do("optimise", tmp_path / "two", **options, economy=economy | {"spread": True}, learners=2)
    check_alike(tmp_path / "two", tmp_path / "one")
    metrics = account(tmp_path / "one")["metrics"]
    norms = [metrics[step, "grpo/gradient_norm"] for step in (1, 2)]
    assert max(norms) > 0.01  # else nothing was learnt


@pytest.mark.soak
@pytest.mark.parametrize("job", ["clone", "optimise"])
def test_one_of_two_that_is_killed_costs_steps_and_nothing_else(
    tiny: Tiny, job: str, tmp_path: Path
) -> None:
    options = {**tiny[1], **DREAMT, "iterations": 4} if job == "optimise" else fits(tiny)[job]
    options |= {"learners": 2, "economy": {"spread": True, "lora_rank": 2}}
    events: list[dict[str, Any]] = []

    def kill_once(event: dict[str, Any]) -> None:
        events.append(event)
        if len([e for e in events if e["kind"] == "metric"]) == 2 and event["kind"] == "metric":
            [follower] = active_children()
            assert follower.pid is not None
            os.kill(follower.pid, signal.SIGKILL)

    do(job, tmp_path / "whole", **options)
    do(job, tmp_path / "hurt", **options, listener=kill_once)
    assert account(tmp_path / "hurt") == account(tmp_path / "whole")
    alarms = [event["message"] for event in events if event["kind"] == "alarm"]
    assert [a for a in alarms if "(exit code -9): all go on from the last checkpoint" in a]
    assert not active_children()


@pytest.mark.soak
def test_a_run_of_learners_that_is_killed_ends_as_if_nothing_had_happened(
    tiny: Tiny, tmp_path: Path
) -> None:
    options = {**tiny[1], **DREAMT, "iterations": 4, "learners": 2}
    options |= {"economy": {"spread": True, "lora_rank": 2, "bfloat16": True}}
    whole, killed = (prepared(tmp_path / name, "optimise", options) for name in ("whole", "killed"))
    assert forked_worker.run(whole) == 0
    for _ in range(2):
        third = num_events(whole) // 3
        assert forked_worker.run(killed, kill_at_event=third) == -signal.SIGKILL
    assert forked_worker.run(killed) == 0
    check_same("optimise", whole, killed)


def test_what_is_stored_of_adapters_is_a_policy_without_them(tiny: Tiny, tmp_path: Path) -> None:
    options = fits(tiny)["clone"] | {"economy": {"lora_rank": 2, "recompute": True}}
    do("clone", tmp_path / "run", **options)
    last = Path(last_checkpoint(tmp_path / "run"))
    before, after = (
        load_file(Path(path) / "model.safetensors") for path in (tiny[1]["policy"], last)
    )
    assert after.keys() == before.keys()
    changed = {name for name, tensor in after.items() if not tensor.equal(before[name])}
    maps = {name for name in changed if name.endswith(".weight") and before[name].ndim == 2}
    assert changed == maps and any("q_proj" in name for name in maps)
    kept = load_file(last / "state.safetensors")
    assert all("lora_" in name for name in kept if name.startswith("model."))

    learner = make_learner(
        lambda where, trained: load_policy(Path(tiny[1]["policy"]), where, trained=trained),
        Economy(lora_rank=2),
        Placement(),
        seed=0,
    )
    average = {n.removeprefix("average."): t for n, t in kept.items() if n.startswith("average.")}
    load_learnt(learner, average)
    images = torch.randint(0, 255, (2, 64, 64, 3), dtype=torch.uint8)
    words = ["push the cup"] * 2
    with torch.no_grad():
        stored, acting = load_policy(last).logits(images, words), learner.logits(images, words)
    assert (stored - acting).abs().max() < 1e-4
    assert (load_policy(Path(tiny[1]["policy"])).logits(images, words) - acting).abs().max() > 1e-4


def test_what_cannot_be_is_said_in_a_sentence(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose workers or learners, not both"):
        do("optimise", tmp_path / "both", **tiny[1], workers=2, learners=2)
