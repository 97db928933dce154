"""A task record to the environment that realises it."""

from importlib import import_module
from pkgutil import iter_modules

from engine.envs import simulators
from engine.envs.gl import use_rendering
from engine.protocols import Env
from engine.records.tasks import Task


def make_env(task: Task) -> Env:
    """Build the task's environment with the adapter that its record names.

    An adapter is a file in `engine/envs/simulators` with `make_env(task) -> Env`.

    Raises:
        ValueError: the task has no simulator here, or it cannot run on this machine.
    """
    if not task.simulator:
        raise ValueError(f"{task.name} has no simulator here: its models only imagine")
    known = [found.name for found in iter_modules(simulators.__path__)]
    if task.simulator not in known:
        raise ValueError(
            f"{task.name} asks for the simulator {task.simulator!r}; known: {', '.join(known)}"
        )
    use_rendering()  # before the adapter imports a library that draws
    env: Env = import_module(f"{simulators.__name__}.{task.simulator}").make_env(task)
    return env
