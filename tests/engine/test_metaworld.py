"""The simulator's frames show the state that its steps begin from."""

from contextlib import closing

import numpy as np
import pytest

from engine.envs.factory import make_env
from engine.tasks import TASKS, get_task

SIMULATED = [name for name, task in TASKS.items() if task.env]


@pytest.mark.parametrize("name", SIMULATED)
def test_the_first_frame_is_the_one_after_a_step_of_no_motion(name: str) -> None:
    """The hand still comes to rest in that step: at most 60 of 4096 pixels; a machine shows 80."""
    with closing(make_env(get_task(name))) as env:
        for start_id in (0, 1, 2):
            env.reset(start_id)
            first = env.render().astype(np.int64)
            env.step(np.array([0.0, 0.0, 0.0, -1.0], dtype=np.float32))
            change = np.abs(env.render() - first).max(axis=2)
            assert (change > 40).sum() <= 60, f"start {start_id}"
