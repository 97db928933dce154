"""A task record to the environment that realises it."""

from engine.envs.gl import use_rendering
from engine.protocols import Env
from engine.records.tasks import Task


def make_env(task: Task) -> Env:
    """Build the task's environment.

    Raises:
        ValueError: the task has no simulator here, or rendering is impossible on this machine.
    """
    if not task.env:
        raise ValueError(f"{task.name} has no simulator here: its models only imagine")
    use_rendering()
    from engine.envs.metaworld import MetaWorldEnv  # after the GL backend is chosen

    return MetaWorldEnv(task)
