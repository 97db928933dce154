"""Rows advancing together inside a world model, with models predictable by hand."""

import pytest
import torch

from engine.dream.imagination import Imagination, check_together, next_context
from engine.protocols import Env, LabelStore, Policy, RewardModel, Run, TrajectoryStore, WorldModel
from engine.records.tasks import Task
from engine.records.types import JudgeRules, Outcome
from tests.fakes import (
    AddingWorldModel,
    BrightnessReward,
    ConstantPolicy,
    CountingEnv,
    DictTrajectories,
    ListLabels,
    MemoryRun,
)

TASK = Task(name="t", instruction="go", env="t", action_dim=2, image_size=4, horizon=4)


def _starts(rows: int, side: int = 4) -> torch.Tensor:
    return torch.full((rows, side, side, 3), 100, dtype=torch.uint8)


def _dream(
    rows: int = 1,
    *,
    world_model: AddingWorldModel | None = None,
    policy: ConstantPolicy | None = None,
    keep_every_frame: bool = True,
) -> Imagination:
    return Imagination(
        world_model or AddingWorldModel(),
        policy or ConstantPolicy(),
        _starts(rows),
        ["go"] * rows,
        rows=[(7, member) for member in range(rows)],
        seed=3,
        temperature=1.0,
        denoising_steps=2,
        keep_every_frame=keep_every_frame,
    )


@pytest.mark.parametrize(
    ("fake", "protocol"),
    [
        (AddingWorldModel(), WorldModel),
        (ConstantPolicy(), Policy),
        (BrightnessReward(), RewardModel),
        (CountingEnv(), Env),
        (MemoryRun(), Run),
        (DictTrajectories(), TrajectoryStore),
        (ListLabels(), LabelStore),
    ],
)
def test_each_fake_satisfies_its_protocol(fake: object, protocol: type) -> None:
    assert isinstance(fake, protocol)


def test_an_action_of_an_eighth_brightens_every_frame_by_an_eighth() -> None:
    dream = _dream()
    dream.step()
    assert dream.frames()[0, :, 0, 0, 0].tolist() == [100, 115, 131]
    assert dream.num_frames == 3


def test_latents_are_carried_unrounded_into_the_next_chunk() -> None:
    dream = _dream(policy=ConstantPolicy(0.001))
    for _ in range(10):
        dream.step()
    # Twenty steps of 0.001 are 2.55 grey levels; carried rounded they would never leave 100.
    assert dream.frames()[0, -1, 0, 0, 0].item() == 102


def test_the_context_slides_unless_the_world_is_anchored() -> None:
    context = torch.arange(3.0).reshape(1, 3, 1, 1, 1)
    future = torch.tensor([8.0, 9.0]).reshape(1, 2, 1, 1, 1)
    assert next_context(context, future, anchored=False).flatten().tolist() == [2.0, 8.0, 9.0]
    assert next_context(context, future, anchored=True).flatten().tolist() == [0.0, 8.0, 9.0]


class FirstLatentWorld(AddingWorldModel):
    """The future is a quarter darker than the first context latent, which it thus tells."""

    def predict(self, latents, actions, generators, denoising_steps):  # type: ignore[no-untyped-def]
        return latents[:, :1].repeat(1, self.chunk_size, 1, 1, 1) - 0.25


@pytest.mark.parametrize(("anchored", "last"), [(False, 36), (True, 68)])
def test_only_an_anchored_world_remembers_its_first_frame(anchored: bool, last: int) -> None:
    dream = _dream(world_model=FirstLatentWorld(anchored=anchored))
    for _ in range(3):
        dream.step()
    assert dream.frames()[0, -1, 0, 0, 0].item() == last


def test_the_policy_is_asked_once_a_chunk() -> None:
    dream = _dream(policy=ConstantPolicy(spread=1.0))
    proposal = dream.propose()
    assert dream.propose() is proposal
    assert dream.step() is proposal
    assert dream.propose() is not proposal


def test_a_person_overrides_single_numbers_within_the_range() -> None:
    dream = _dream()
    overrides = torch.full((1, 2, 2), torch.nan)
    overrides[0, 0] = torch.tensor([9.0, 0.0])
    dream.step(overrides=overrides)
    rollout = dream.rollout(0, torch.zeros(0).long(), torch.zeros(0), Outcome(False, 2))
    assert rollout.normalized_actions.tolist() == [[1.0, 0.0], [0.125, 0.125]]
    assert rollout.overridden.tolist() == [[True, True], [False, False]]
    assert rollout.frames[:, 0, 0, 0].tolist() == [100, 163, 179]


def test_overrides_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"overrides must be \[1, 2, 2\] numbers"):
        _dream().step(overrides=torch.zeros(1, 3, 2))


def test_only_the_last_frame_of_a_chunk_is_decoded_until_someone_looks() -> None:
    world_model = AddingWorldModel(chunk_size=4)
    dream = _dream(
        world_model=world_model, policy=ConstantPolicy(chunk_size=4), keep_every_frame=False
    )
    dream.step()
    dream.step()
    assert world_model.decoded_frames == 2
    dream.frames()
    assert world_model.decoded_frames == 8
    dream.frames()
    assert world_model.decoded_frames == 8


@pytest.mark.parametrize("first", range(7))
def test_late_decoding_gives_the_same_frames(first: int) -> None:
    lazy, eager = _dream(keep_every_frame=False), _dream(keep_every_frame=True)
    for _ in range(3):
        lazy.step()
        eager.step()
    assert torch.equal(lazy.frames(first), eager.frames()[:, first:])


def test_dropping_a_row_leaves_the_others_as_they_were() -> None:
    noisy = AddingWorldModel(noise=0.1)
    whole = _dream(3, world_model=noisy, policy=ConstantPolicy(spread=0.5))
    thinned = _dream(3, world_model=noisy, policy=ConstantPolicy(spread=0.5))
    whole.step()
    thinned.step()
    thinned.propose()
    thinned.drop([1])
    whole.step()
    thinned.step()
    assert thinned.rows == [(7, 0), (7, 2)]
    assert torch.equal(whole.frames()[[0, 2]], thinned.frames())


def test_rows_of_one_start_differ_in_their_noise() -> None:
    dream = _dream(2, world_model=AddingWorldModel(noise=0.1))
    dream.step()
    assert not torch.equal(dream.frames()[0], dream.frames()[1])


def test_rows_must_be_distinguishable() -> None:
    with pytest.raises(ValueError, match="every row needs its own"):
        Imagination(
            AddingWorldModel(),
            ConstantPolicy(),
            _starts(2),
            ["go", "go"],
            rows=[(1, 0), (1, 0)],
            seed=0,
            temperature=1.0,
            denoising_steps=1,
            keep_every_frame=True,
        )


def test_every_row_needs_a_start() -> None:
    with pytest.raises(ValueError, match="1 starts, 2 instructions and 2 rows"):
        Imagination(
            AddingWorldModel(),
            ConstantPolicy(),
            _starts(1),
            ["go", "go"],
            rows=[(1, 0), (1, 1)],
            seed=0,
            temperature=1.0,
            denoising_steps=1,
            keep_every_frame=True,
        )


def test_a_start_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="a start of 6 x 6 pixels encodes to latents of"):
        Imagination(
            AddingWorldModel(),
            ConstantPolicy(),
            _starts(1, side=6),
            ["go"],
            rows=[(1, 0)],
            seed=0,
            temperature=1.0,
            denoising_steps=1,
            keep_every_frame=True,
        )


def test_no_denoising_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="denoising steps 0 must be at least 1"):
        Imagination(
            AddingWorldModel(),
            ConstantPolicy(),
            _starts(1),
            ["go"],
            rows=[(1, 0)],
            seed=0,
            temperature=1.0,
            denoising_steps=0,
            keep_every_frame=True,
        )


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
