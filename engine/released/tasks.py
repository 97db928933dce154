"""The five tasks of the release, as data (method.md §1.6, §2.2, §2.3, §3)."""

from dataclasses import dataclass

from engine.records.tasks import Task, get_task


@dataclass(frozen=True, kw_only=True)
class ReleasedTask:
    """What fixes a task's checkpoints beyond the task record itself.

    Attributes:
        task: the studio's record: instruction, horizon, action dimension, window rules.
        success_threshold: probability the released reward model counts as success; None where
            none was published.
        statistics_key: name of its action statistics in a policy's folder.
        bounds: which statistics become -1 and 1: 1 % and 99 % quantiles, or the extremes.
    """

    task: Task
    success_threshold: float | None
    statistics_key: str
    bounds: tuple[str, str] = ("q01", "q99")


def _mimicgen(name: str, success_threshold: float) -> ReleasedTask:
    return ReleasedTask(
        task=get_task(name),
        success_threshold=success_threshold,
        statistics_key=f"{name}_d0_300_demos",
    )


RELEASED: dict[str, ReleasedTask] = {
    released.task.name: released
    for released in (
        _mimicgen("coffee", 0.82),
        _mimicgen("square", 0.96),
        _mimicgen("stack_three", 0.66),
        _mimicgen("three_piece_assembly", 0.62),
        ReleasedTask(
            task=get_task("aloha"),
            success_threshold=None,
            statistics_key="aloha",
            bounds=("min", "max"),
        ),
    )
}
# Tried in this order after the key itself; a folder with a single set of statistics needs no key.
STATISTICS_SUFFIXES = ("", "_no_noops")


def get_released(name: str) -> ReleasedTask:
    """The released facts of a task.

    Raises:
        ValueError: nothing was released for a task of that name.
    """
    if name not in RELEASED:
        raise ValueError(f"nothing was released for the task {name!r}: {', '.join(RELEASED)}")
    return RELEASED[name]
