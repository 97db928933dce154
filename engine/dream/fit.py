"""Whether models can be used with each other, and for a task."""

from engine.protocols import Policy, RewardModel, WorldModel
from engine.records.tasks import Task


def check_together(
    policy: Policy,
    world_model: WorldModel,
    reward_model: RewardModel | None = None,
    task: Task | None = None,
) -> None:
    """Refuse models that cannot be used with each other, or not for a task.

    Raises:
        ValueError: what does not fit, in one sentence.
    """
    if policy.action_dim != world_model.action_dim:
        raise ValueError(
            f"the policy's actions have {policy.action_dim} numbers, but the world model takes "
            f"{world_model.action_dim}"
        )
    if policy.chunk_size != world_model.chunk_size:
        raise ValueError(
            f"the policy acts in chunks of {policy.chunk_size}, but the world model advances by "
            f"{world_model.chunk_size}"
        )
    if task is None:
        return
    if task.action_dim != policy.action_dim:
        raise ValueError(
            f"{task.name} takes actions of {task.action_dim} numbers, but the policy's have "
            f"{policy.action_dim}"
        )
    rows, columns = world_model.latent_shape[1:]
    if task.image_size % rows or task.image_size % columns:
        raise ValueError(
            f"frames of {task.name} have {task.image_size} pixels a side, which the world model's "
            f"{rows} x {columns} latents do not divide"
        )
    if reward_model is not None and reward_model.window != task.judge.window:
        raise ValueError(
            f"{task.name} is judged on windows of {task.judge.window} frames, but the reward model "
            f"reads windows of {reward_model.window}"
        )
