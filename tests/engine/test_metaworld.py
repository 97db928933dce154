"""The simulator's frames show the state that its steps begin from."""

from contextlib import closing

import numpy as np
import pytest

from engine.envs.episode import ScriptedEnv
from engine.envs.factory import make_env
from engine.protocols import StatefulEnv
from engine.records.tasks import get_task, tasks

SIMULATED = [name for name, task in tasks().items() if task.simulator]


@pytest.mark.parametrize(
    "name",
    [*SIMULATED[:3], *(pytest.param(name, marks=pytest.mark.soak) for name in SIMULATED[3:])],
)
def test_the_first_frame_is_the_one_after_a_step_of_no_motion(name: str) -> None:
    """The hand still comes to rest in that step: at most 60 of 4096 pixels; a machine shows 80."""
    with closing(make_env(get_task(name))) as env:
        for start_id in (0, 1, 2):
            env.reset(start_id)
            first = env.render().astype(np.int64)
            env.step(np.array([0.0, 0.0, 0.0, -1.0], dtype=np.float32))
            change = np.abs(env.render() - first).max(axis=2)
            assert (change > 40).sum() <= 60, f"start {start_id}"


def test_the_state_says_where_things_are_and_success_when_they_are_together() -> None:
    """Coffee-push succeeds within 7 cm; the expert sees its goal from the start."""
    with closing(make_env(get_task("coffee-push"))) as env:
        assert isinstance(env, StatefulEnv)
        assert isinstance(env, ScriptedEnv)
        env.reset(0)
        first = env.state()
        assert first.shape == (10,)
        assert np.linalg.norm(first[4:7] - first[7:10]) > 0.1
        for _ in range(env.task.horizon):
            if env.step(env.expert_action()):
                break
        last = env.state()
        assert np.linalg.norm(last[4:7] - last[7:10]) <= 0.07
        np.testing.assert_array_equal(last[7:10], first[7:10])


def test_an_expert_that_mistakes_the_objects_place_reaches_beside_it() -> None:
    with closing(make_env(get_task("coffee-push"))) as env:
        assert isinstance(env, StatefulEnv)
        assert isinstance(env, ScriptedEnv)
        env.reset(0)
        begin = env.state()
        mistake = np.array([0.10, 0.0, 0.0, 0.0, 0.0, 0.0])
        for _ in range(env.task.horizon):
            assert not env.step(env.expert_action(mistake))
        moved = np.linalg.norm(env.state()[4:7] - begin[4:7])
        assert moved < 0.03


def test_the_mistaken_expert_leaves_the_experts_own_wish_as_it_was() -> None:
    """Door-open's expert writes into what it reads."""
    with closing(make_env(get_task("door-open"))) as env:
        assert isinstance(env, ScriptedEnv)
        env.reset(0)
        wanted = env.expert_action()
        env.expert_action(np.full(6, 0.1))
        np.testing.assert_array_equal(env.expert_action(), wanted)


@pytest.mark.parametrize(
    "name",
    ["coffee-push", "coffee-pull", "plate-slide", "drawer-open", "window-open", "door-open"],
)
def test_the_expert_achieves_a_task_of_the_study_within_its_horizon(name: str) -> None:
    with closing(make_env(get_task(name))) as env:
        assert isinstance(env, ScriptedEnv)
        env.reset(0)
        assert any(env.step(env.expert_action()) for _ in range(env.task.horizon))
