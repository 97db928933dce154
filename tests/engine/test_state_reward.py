"""The judge of states, worked by hand: distances, two frames in a row, chains that must agree."""

import pytest
import torch

from engine.dream.draw import Draw
from engine.dream.imagine import imagine
from engine.dream.tree import Dreamer
from engine.protocols import LatentRewardModel, RewardModel
from engine.records.types import JudgeRules
from engine.reward.states import StateRewardConfig, nearest
from tests.engine.state_models import STATES, latents_at, linear_judge
from tests.fakes import AddingWorldModel, BrightnessReward, ConstantPolicy

RULES = JudgeRules(window=2, first_end=2)


def test_the_nearest_distance_is_that_of_two_frames_in_a_row() -> None:
    states = torch.zeros(1, 5, 9)
    states[0, :, 3] = torch.tensor([5.0, 1.0, 4.0, 3.0, 2.5])
    # |x - 0| of pairs: 5, 4, 4, 3; the single frame at 1 does not count.
    assert nearest(states)[0].tolist() == [torch.inf, 5.0, 4.0, 4.0, 3.0]


def test_the_goal_is_read_from_the_first_frame() -> None:
    states = torch.zeros(1, 3, 9)
    states[0, 0, 6], states[0, 1:, 6] = 2.0, 50.0
    assert nearest(states)[0, 1:].tolist() == [2.0, 2.0]


def test_a_window_is_a_success_once_the_object_was_within_the_radius() -> None:
    judge = linear_judge(window=2)
    assert isinstance(judge, RewardModel) and isinstance(judge, LatentRewardModel)
    assert not isinstance(BrightnessReward(), LatentRewardModel)
    latents = latents_at([[0.0, 0.4, 0.6, 0.7, 0.0], [0.0, 0.6, 0.4, 0.6, 0.4]])
    ends, found = judge.latent_probabilities(latents, torch.zeros(2, 4, 4), RULES)
    assert ends.tolist() == [2, 3, 4, 5]
    # The goal is at 1, the radius 0.5: frames 2 and 3 of the first row are near, and stay so.
    assert (found >= 0.5).tolist() == [[False, False, True, True], [False] * 4]
    assert found[0, 2].item() == pytest.approx(torch.tensor(10.0).sigmoid().item())


def test_chains_must_agree_where_they_are_asked() -> None:
    latents = latents_at([[0.0, 1.0, 1.0]])
    pushed = torch.zeros(1, 2, 4)
    pushed[0, :, 0] = 0.6
    still = torch.zeros(1, 2, 4)

    def said(members: int, actions: torch.Tensor) -> bool:
        states = STATES.replace(members=members)
        judge = linear_judge(window=2, chains=1, chain_radius=0.5, states=states)
        return bool(judge.latent_probabilities(latents, actions, RULES)[1][0, -1] >= 0.5)

    # With one member the chain follows actions: 0.6, then 1.2. With two, the last stands still.
    assert said(1, pushed) and not said(1, still) and not said(2, pushed)


def test_rules_of_another_window_are_refused() -> None:
    with pytest.raises(ValueError, match="asks for windows of 2 frames"):
        linear_judge().latent_probabilities(latents_at([[0.0]]), torch.zeros(1, 0, 4), RULES)
    with pytest.raises(ValueError, match="3 chains cannot agree"):
        StateRewardConfig(states=STATES, chains=3)


def test_a_dream_is_judged_by_latents_and_nothing_more_is_decoded() -> None:
    judge = linear_judge(window=2, radius=0.4)
    world = AddingWorldModel(action_dim=4, side=8)
    start = torch.full((8, 8, 3), 128, dtype=torch.uint8)  # nearly 0 in [-1, 1]
    options = {"horizon": 8, "seed": 0, "temperature": 1.0, "denoising_steps": 1, "rules": RULES}
    policy = ConstantPolicy(0.25, action_dim=4)
    starts = start.expand(2, -1, -1, -1)
    rows = [(0, 0), (0, 1)]
    dream, _ = imagine(world, policy, judge, starts, ["go"] * 2, rows=rows, **options)
    # Latents brighten by a quarter a frame: frames 3 and 4 are within 0.4 of 1.
    assert dream.outcome.success and dream.outcome.end_step == 4
    decoded = world.decoded_frames
    assert decoded == 4 and len(dream.policy_frames) == 2  # the last frame of each chunk
    assert len(dream.frames) == len(dream.frames) == 5
    assert world.decoded_frames == decoded + 2  # the others, once, because somebody asked
    dreamer = Dreamer(policy, world, judge, rules=RULES, threshold=0.5, horizon=8)
    draw = Draw(instruction="go", seed=0, temperature=1.0, denoising_steps=1)
    [node] = dreamer.start(start[None], [(0, 0)], 0)
    for _ in range(2):
        [node] = dreamer.grow([node], [draw])
    grown = dreamer.rollout(node)
    assert torch.equal(grown.latents, dream.latents)
    assert torch.equal(grown.window_probabilities, dream.window_probabilities)
    assert grown.outcome == dream.outcome


def test_frames_are_judged_without_chains() -> None:
    judge = linear_judge(window=2, chains=2)
    frames = torch.randint(0, 256, (2, 3, 32, 32, 3), dtype=torch.uint8)
    ends, found = judge.probabilities(frames, RULES)
    assert ends.tolist() == [2, 3] and found.shape == (2, 2)
    alone = torch.cat([judge.probabilities(row[None], RULES)[1] for row in frames])
    assert torch.equal(found, alone)
