"""Whether models can be used with each other and for a task."""

import pytest

from engine.dream.fit import check_together
from engine.records.tasks import Task
from engine.records.types import JudgeRules
from tests.fakes import AddingWorldModel, BrightnessReward, ConstantPolicy

TASK = Task(name="t", instruction="go", env="t", action_dim=2, image_size=4, horizon=4)


def test_models_that_fit_each_other_and_the_task_pass() -> None:
    task = Task(
        name="t",
        instruction="",
        env="t",
        action_dim=2,
        image_size=8,
        judge=JudgeRules(window=2, first_end=2),
    )
    check_together(ConstantPolicy(), AddingWorldModel(), BrightnessReward(), task)


@pytest.mark.parametrize(
    ("policy", "world_model", "reward_model", "sentence"),
    [
        (ConstantPolicy(action_dim=3), AddingWorldModel(), None, "actions have 3 numbers"),
        (ConstantPolicy(chunk_size=4), AddingWorldModel(), None, "in chunks of 4"),
        (
            ConstantPolicy(action_dim=1),
            AddingWorldModel(action_dim=1),
            None,
            "t takes actions of 2 numbers, but the policy's have 1",
        ),
        (ConstantPolicy(), AddingWorldModel(side=3), None, "3 x 3 latents do not divide"),
        (ConstantPolicy(), AddingWorldModel(), BrightnessReward(), "judged on windows of 8"),
    ],
)
def test_models_that_do_not_fit_are_refused_in_one_sentence(
    policy: ConstantPolicy,
    world_model: AddingWorldModel,
    reward_model: BrightnessReward | None,
    sentence: str,
) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_together(policy, world_model, reward_model, TASK)
