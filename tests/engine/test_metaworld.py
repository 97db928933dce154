"""The simulator's first frame shows the state that the episode starts from."""

import importlib
from contextlib import closing

import numpy as np
import pytest

from engine.envs.gl import rendering_backend, use_rendering
from engine.tasks import get_task

pytestmark = pytest.mark.skipif(not rendering_backend(), reason="frames need the simulator")

START = 300_000


def test_the_first_frame_shows_the_machine_and_the_goal_of_this_start() -> None:
    use_rendering()
    mujoco = importlib.import_module("mujoco")
    simulator = importlib.import_module("engine.envs.metaworld")
    with closing(simulator.MetaWorldEnv(get_task("coffee-push"))) as env:
        env.reset(START + 1)  # machine and goal stand elsewhere
        env.reset(START)
        first = env.render()
        inner = env._env
        np.testing.assert_allclose(
            inner.data.body("coffee_machine").xpos, inner.model.body("coffee_machine").pos
        )
        mujoco.mj_forward(inner.model, inner.data)
        np.testing.assert_array_equal(env.render(), first)
        env.reset(START + 1)
        env.reset(START)
        np.testing.assert_array_equal(env.render(), first)
