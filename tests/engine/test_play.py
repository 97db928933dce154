"""Play, siblings and states, with an expert that is predictable by hand."""

import numpy as np
import pytest

from engine.envs.episode import record_episode
from engine.envs.play import FIRST_BRANCH, KINDS, PlayActor, draw_style
from engine.jobs.collect import JobConfig, plan
from engine.records.types import Trajectory
from engine.seeding import numpy_generator
from tests.fakes import CountingEnv


class LeaningEnv(CountingEnv):
    """The expert wants what it mistakes; the state is the number of steps."""

    def __init__(self) -> None:
        super().__init__(succeed_at=1000)

    def expert_action(self, mistake: np.ndarray | None = None) -> np.ndarray:
        wanted = np.zeros(4, dtype=np.float32)
        if mistake is not None:
            wanted[:3] = mistake[:3]
        return wanted

    def state(self) -> np.ndarray:
        return np.full(10, self.steps, dtype=np.float32)


def play(start_id: int, seed: int, trunk_seed: int | None = None) -> Trajectory:
    env = LeaningEnv()
    actor = PlayActor(env, trunk_seed=trunk_seed)
    return record_episode(
        env,
        actor,
        episode_id="play",
        start_id=start_id,
        seed=seed,
        steps_after_success=0,
        lineage={},
    )


def test_the_state_of_every_frame_is_stored_where_the_environment_tells_it() -> None:
    episode = play(0, 0)
    assert episode.arrays["states"].shape == (len(episode.actions) + 1, 10)
    np.testing.assert_array_equal(episode.arrays["states"][:, 0], episode.frames[:, 0, 0, 0])


def test_siblings_are_equal_up_to_the_branch_and_differ_after_it() -> None:
    for start_id in range(5):
        first, second = (play(start_id, seed, trunk_seed=7) for seed in (7, 8))
        branch = int(first.arrays["branch_step"])
        assert FIRST_BRANCH <= branch == second.arrays["branch_step"] < 36
        np.testing.assert_array_equal(first.actions[:branch], second.actions[:branch])
        assert not np.array_equal(first.actions[branch:], second.actions[branch:])


def test_episodes_that_are_no_siblings_differ_from_the_start() -> None:
    first, second = play(0, 7), play(0, 8)
    assert first.arrays["branch_step"] == -1
    assert not np.array_equal(first.actions[0], second.actions[0])


def test_the_labels_are_what_the_unmistaken_expert_wants() -> None:
    """Here it wants nothing, whatever is executed."""
    for start_id in range(5):
        episode = play(start_id, 0)
        assert np.abs(episode.actions).max() > 0.0
        np.testing.assert_array_equal(episode.arrays["expert_actions"], 0.0)


def test_every_kind_is_drawn_as_often_as_its_share_and_mistakes_only_what_it_should() -> None:
    styles = [draw_style(numpy_generator(0, "style", i), 4) for i in range(1000)]
    for kind, share in KINDS.items():
        own = [style for style in styles if style.kind == kind]
        assert abs(len(own) / 1000 - share) < 0.05  # three standard errors
        beside = np.array([np.linalg.norm(style.mistake[:2]) for style in own])
        if kind == "empty_hand":
            assert beside.min() >= 0.04 - 1e-9
            assert beside.max() <= 0.12
        elif kind == "near_miss":
            assert beside.max() <= 0.05
            assert all(np.linalg.norm(style.mistake[3:5]) >= 0.02 - 1e-9 for style in own)
        else:
            assert not beside.any()


def test_siblings_are_refused_where_there_would_be_none() -> None:
    for options in ({"source": "play"}, {"source": "expert", "episodes_per_start": 4}):
        with pytest.raises(ValueError, match="siblings are play with more than one"):
            plan(JobConfig(siblings=True, episodes=16, **options), "coffee-push")  # type: ignore[arg-type]
