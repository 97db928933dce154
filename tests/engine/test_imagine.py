"""Imagined rollouts and their judgement, with models predictable by hand."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from engine.dream.imagine import group_starts, imagine
from engine.dream.rollout import Rollout, to_trajectory
from engine.records.tasks import Task
from engine.records.types import JudgeRules, Outcome
from tests.fakes import AddingWorldModel, BrightnessReward, ConstantPolicy

RULES = JudgeRules(window=2, first_end=2)
ROWS = [(5, 0), (5, 1), (9, 0), (9, 1), (11, 0), (11, 1), (12, 0), (12, 1)]


def _starts(rows: Sequence[tuple[int, int]]) -> torch.Tensor:
    return torch.stack([torch.full((4, 4, 3), 20 * s, dtype=torch.uint8) for s, _ in rows])


def _imagine(
    rows: Sequence[tuple[int, int]] = ROWS,
    /,
    *,
    world_model: AddingWorldModel | None = None,
    reward_model: BrightnessReward | None = None,
    noise: float = 0.0,
    spread: float = 0.0,
    **changes: Any,
) -> list[Rollout]:
    settings: dict[str, Any] = {
        "starts": _starts(rows),
        "instructions": ["go"] * len(rows),
        "rows": rows,
        "horizon": 8,
        "seed": 1,
        "temperature": 1.0,
        "denoising_steps": 2,
        "rules": RULES,
    }
    return imagine(
        world_model or AddingWorldModel(noise=noise),
        ConstantPolicy(spread=spread),
        reward_model or BrightnessReward(),
        **settings | changes,
    )


def _same(one: Rollout, other: Rollout) -> None:
    names = (
        "frames tokens normalized_actions log_probs entropy latents window_ends "
        "window_probabilities"
    )
    for name in names.split():
        assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert (one.start_id, one.member, one.outcome) == (other.start_id, other.member, other.outcome)


def test_a_rollout_has_a_frame_more_than_actions() -> None:
    [rollout] = _imagine([(1, 0)], horizon=4)
    assert rollout.frames.shape == (5, 4, 4, 3)
    assert rollout.latents.shape == (5, 3, 4, 4)
    assert rollout.normalized_actions.shape == (4, 2)
    assert rollout.tokens.shape == rollout.log_probs.shape == rollout.entropy.shape == (2, 4)


def test_success_is_the_first_window_bright_enough() -> None:
    # 100, 115, 131, 147: the mean of frames 2 and 3 is the first above 127.5.
    [rollout] = _imagine([(5, 0)])
    assert rollout.frames[:4, 0, 0, 0].tolist() == [100, 115, 131, 147]
    assert rollout.outcome == Outcome(True, 3)
    assert rollout.window_ends.tolist() == [2, 3, 4, 5]


def test_a_failure_counts_every_action() -> None:
    [rollout] = _imagine([(0, 0)], horizon=4)
    assert rollout.outcome == Outcome(False, 4)


def test_a_row_that_succeeded_leaves_at_the_end_of_its_chunk() -> None:
    dark, bright = _imagine([(0, 0), (5, 0)])
    assert len(dark.normalized_actions) == 8
    assert len(bright.normalized_actions) == 4


def test_staying_changes_no_outcome_and_no_common_frame() -> None:
    for early, late in zip(_imagine(), _imagine(leave_early=False), strict=True):
        assert early.outcome == late.outcome
        assert torch.equal(early.frames, late.frames[: len(early.frames)])
        assert len(late.frames) == 9


def test_every_window_is_judged_once() -> None:
    reward = BrightnessReward()
    [rollout] = _imagine([(0, 0)], reward_model=reward)
    assert rollout.window_ends.tolist() == [2, 3, 4, 5, 6, 7, 8, 9]
    assert reward.judged_windows == 8


@pytest.mark.parametrize("rules", [RULES, JudgeRules(window=2, first_end=3, stride=3)])
def test_judging_on_the_way_equals_judging_the_whole_video(rules: JudgeRules) -> None:
    for rollout in _imagine(rules=rules, noise=0.2, leave_early=False):
        ends, probabilities = BrightnessReward().probabilities(rollout.frames[None], rules)
        assert torch.equal(rollout.window_ends, ends)
        assert torch.equal(rollout.window_probabilities, probabilities[0])


def test_a_hit_at_the_horizon_counts_only_by_the_rules() -> None:
    strict = JudgeRules(window=2, first_end=2, last_window_counts=False)
    [counted] = _imagine([(5, 0)], horizon=4, reward_model=BrightnessReward(success_threshold=0.6))
    [ignored] = _imagine(
        [(5, 0)], horizon=4, rules=strict, reward_model=BrightnessReward(success_threshold=0.6)
    )
    assert counted.outcome == Outcome(True, 4)
    assert ignored.outcome == Outcome(False, 4)


@pytest.mark.parametrize("position", range(8))
def test_a_row_is_the_same_alone_and_in_a_batch_of_eight(position: int) -> None:
    together = _imagine(noise=0.2, spread=1.0)[position]
    [alone] = _imagine([ROWS[position]], noise=0.2, spread=1.0)
    _same(alone, together)


def test_a_batch_is_the_same_split_in_two() -> None:
    together = _imagine(noise=0.2, spread=1.0)
    halves = _imagine(ROWS[:3], noise=0.2, spread=1.0) + _imagine(ROWS[3:], noise=0.2, spread=1.0)
    for one, other in zip(together, halves, strict=True):
        _same(one, other)


def test_rollouts_come_in_the_order_of_the_rows() -> None:
    rollouts = _imagine(ROWS[::-1])
    assert [(r.start_id, r.member) for r in rollouts] == ROWS[::-1]


def test_a_horizon_that_is_no_multiple_of_the_chunk_is_refused() -> None:
    with pytest.raises(ValueError, match="horizon 5 is not a multiple of the chunk size 2"):
        _imagine(horizon=5)


def test_a_horizon_in_which_nothing_can_succeed_is_refused() -> None:
    with pytest.raises(ValueError, match="a video of 3 frames can never succeed"):
        _imagine(horizon=2, rules=JudgeRules(window=2, first_end=4))


def test_every_chunk_is_announced() -> None:
    seen: list[int] = []
    world_model = AddingWorldModel()
    _imagine(
        [(0, 0), (5, 0)],
        horizon=6,
        world_model=world_model,
        on_chunk=lambda: seen.append(world_model.decoded_frames),
    )
    # Two rows of two frames; the bright one leaves after its second chunk.
    assert seen == [4, 8, 10]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rows": [(1, 0), (1, 0)]}, "every row needs its own"),
        ({"instructions": ["go"]}, "2 starts, 1 instructions and 2 rows"),
        ({"starts": torch.zeros(2, 6, 6, 3).byte()}, "a start of 6 x 6 pixels encodes to latents"),
        ({"denoising_steps": 0}, "denoising steps 0 must be at least 1"),
        ({"temperature": -0.5}, "temperature -0.5 at least 0"),
    ],
)
def test_what_cannot_be_imagined_is_refused_in_a_sentence(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        _imagine([(1, 0), (1, 1)], **changes)


def test_the_policy_saw_the_frame_before_each_chunk() -> None:
    [rollout] = _imagine([(0, 0)], horizon=6)
    assert torch.equal(rollout.policy_frames, rollout.frames[[0, 2, 4]])


def test_a_group_is_one_start_and_its_members() -> None:
    frames = torch.stack([torch.zeros(4, 4, 3), torch.ones(4, 4, 3)]).byte()
    starts, rows = group_starts(frames, [3, 8], 2)
    assert rows == [(3, 0), (3, 1), (8, 0), (8, 1)]
    assert starts[:, 0, 0, 0].tolist() == [0, 0, 1, 1]


def test_a_trajectory_stores_raw_actions_clipped_to_the_box() -> None:
    task = Task(name="t", instruction="", env="t", action_dim=2, box=(-1.0, 0.2))
    policy = ConstantPolicy(0.125)
    [rollout] = _imagine([(1, 0)], horizon=4)
    trajectory = to_trajectory(
        rollout, task, "go", policy.normalization, id="x", lineage={"run": "r"}, replay={"seed": 1}
    )
    # 0.125 of a range from -2 to 2 is 0.25, more than the box allows.
    np.testing.assert_allclose(trajectory.actions, 0.2, atol=1e-6)
    np.testing.assert_array_equal(trajectory.arrays["normalized_actions"], 0.125)
    assert trajectory.imagined
    assert trajectory.start_id == 1
    assert trajectory.arrays["latents"].shape == (5, 3, 4, 4)
    assert "overridden" not in trajectory.arrays
