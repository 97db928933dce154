"""The simulator, on a thread of its own: a GL context belongs to the thread that made it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from engine.envs.factory import make_env
from engine.envs.gl import missing_rendering
from engine.protocols import Env
from engine.records.tasks import Task

Frame = npt.NDArray[np.uint8]


class Simulator:
    """Renders starts and plays actions; the environment of the last task is kept.

    Args:
        make: builds an environment; `engine.envs.factory.make_env` if not given, imported at the
            first use because it drags the physics in.
    """

    def __init__(self, make: Callable[[Task], Env] | None = None) -> None:
        self._make = make
        self._env: Env | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="simulator")

    @property
    def missing(self) -> str:
        """Empty when the simulator can render, else one sentence naming what to install."""
        return "" if self._make is not None else missing_rendering()

    def close(self) -> None:
        """Free the environment and end the thread."""
        self._thread.submit(self._forget)
        self._thread.shutdown(wait=True)

    def frame(self, task: Task, start_id: int) -> Frame:
        """The first frame of a start, uint8 [h, w, 3].

        Raises:
            ValueError: rendering is impossible on this machine.
        """
        return self._thread.submit(self._render, task, start_id).result()

    def play(
        self, task: Task, start_id: int, actions: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.uint8], int | None]:
        """(frames [t + 1, h, w, 3], number of the action that achieved the task, if one did).

        All raw actions [t, a] are played, also those after a success.

        Raises:
            ValueError: rendering is impossible on this machine.
        """
        return self._thread.submit(self._play, task, start_id, actions).result()

    def _render(self, task: Task, start_id: int) -> Frame:
        env = self._env_of(task)
        env.reset(start_id)
        return env.render()

    def _play(
        self, task: Task, start_id: int, actions: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.uint8], int | None]:
        env = self._env_of(task)
        env.reset(start_id)
        frames, end_step = [env.render()], None
        for number, action in enumerate(actions, start=1):
            if env.step(action) and end_step is None:
                end_step = number
            frames.append(env.render())
        return np.stack(frames), end_step

    def _env_of(self, task: Task) -> Env:
        if self._env is None or self._env.task != task:
            self._forget()
            make = self._make or make_env
            self._env = make(task)
        return self._env

    def _forget(self) -> None:
        if self._env is not None:
            self._env.close()
            self._env = None
