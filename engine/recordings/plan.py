"""What is done with recordings: which camera, which pixels, how often, what counts as success."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.config import Config, knob
from engine.recordings.description import Array, Cut, Description
from engine.records.tasks import Task

COMBINE = ("sum", "last")
TURNS = ("as it is", "upside down", "half turn", "mirrored")
SUCCESS = ("flag", "last frame", "nobody yet")


@dataclass(frozen=True, kw_only=True)
class RecordingPlan(Config):
    """How recordings become episodes; what is empty is decided where only one answer fits."""

    camera: str = knob("", "Camera whose frames are kept; needed where there are several")
    crop: tuple[int, int, int, int] | None = knob(
        None, "Top, left, height, width of what is kept; null: the largest square in the middle"
    )
    turn: str = knob("as it is", "How frames are turned", choices=TURNS)
    size: int = knob(0, "Side of a frame in pixels; 0: the task's", low=0, high=1024)
    stride: int = knob(1, "Recorded steps that one action stands for", low=1, high=1000)
    combine: tuple[str, ...] = knob(
        (), "How actions become one over a stride: one word, or one a dimension", choices=COMBINE
    )
    success: str = knob("", "Who says what succeeded; empty: the dataset", choices=("", *SUCCESS))
    instruction: str = knob("", "In place of the recordings' own")

    @property
    def cut(self) -> Cut:
        """What a settled plan keeps of a film."""
        assert self.crop is not None
        top, left, height, width = self.crop
        return Cut(
            top=top, left=left, height=height, width=width, size=self.size, every=self.stride
        )


def settled(plan: RecordingPlan, found: Description) -> RecordingPlan:
    """The plan with every choice made that has one answer.

    Raises:
        ValueError: a choice is a person's, or cannot be met.
    """
    names = [view["name"] for view in found.views]
    camera = plan.camera or (names[0] if len(names) == 1 else "")
    if not camera:
        raise ValueError(f"several cameras: choose one with camera, of {', '.join(names)}")
    if camera not in names:
        raise ValueError(f"there is no camera {camera!r}: {', '.join(names)}")
    combine = plan.combine * (found.action_dim if len(plan.combine) == 1 else 1)
    if plan.stride == 1:
        combine = ("last",) * found.action_dim
    elif len(combine) != found.action_dim:
        raise ValueError(
            f"a stride of {plan.stride} needs to know how actions combine: combine=sum for "
            f"displacements, last for absolute values, for all or for each of {found.action_dim}"
        )
    success = plan.success or ("flag" if found.success_found else "nobody yet")
    if success == "flag" and not found.success_found:
        raise ValueError("nothing says what succeeded: choose last frame or nobody yet")
    crop = plan.crop or _middle(next(view for view in found.views if view["name"] == camera))
    instruction = plan.instruction
    if not instruction and "" in found.instructions:
        raise ValueError("some recordings have no instruction: say instruction")
    return plan.replace(
        camera=camera, combine=combine, success=success, crop=crop, instruction=instruction
    )


def fitted(plan: RecordingPlan, found: Description, task: Task) -> RecordingPlan:
    """The settled plan for a task.

    Raises:
        ValueError: the recordings are not of this task.
    """
    if found.action_dim != task.action_dim:
        raise ValueError(
            f"the recordings have {found.action_dim} action dimensions, the task {task.name} "
            f"{task.action_dim}: choose another, or make a new task of them (new_task=NAME)"
        )
    low, high = combined_range(plan, found)
    for dim, name in enumerate(task.dimension_names):
        if low[dim] < task.action_low - 1e-6 or high[dim] > task.action_high + 1e-6:
            raise ValueError(
                f"the action {name} reaches from {low[dim]:.4g} to {high[dim]:.4g}, outside the "
                f"box of the task {task.name}: make a new task of them (new_task=NAME)"
            )
    longest = max(found.lengths)
    if (longest - 1) // plan.stride < 1:
        raise ValueError(f"a stride of {plan.stride} leaves no action of {longest} recorded steps")
    return plan.replace(size=plan.size or task.image_size)


def combined_range(plan: RecordingPlan, found: Description) -> tuple[list[float], list[float]]:
    """The furthest that each dimension can reach: sums reach as many times as far."""
    times = [plan.stride if how == "sum" else 1 for how in plan.combine]
    low = [value * (many if value < 0 else 1) for value, many in zip(found.low, times, strict=True)]
    high = [
        value * (many if value > 0 else 1) for value, many in zip(found.high, times, strict=True)
    ]
    return low, high


def proposed_task(
    name: str, plan: RecordingPlan, found: Description, *, chunk_size: int = 8
) -> Task:
    """A task for recordings of a robot that no simulator has.

    Its box is [-1, 1] where all actions lie in it, else none; a dimension that only ever is -1 or 1
    passes unscaled, as a gripper does.
    """
    low, high = combined_range(plan, found)
    inside = min(low) >= -1.0 - 1e-6 and max(high) <= 1.0 + 1e-6
    ordered = sorted(found.instructions, key=lambda text: (-found.instructions[text], text))
    texts = [plan.instruction] if plan.instruction else ordered
    switches = tuple(
        dim
        for dim, counts in enumerate(found.histograms)
        if sum(counts[1:-1]) == 0 and low[dim] >= -1.0 and high[dim] <= 1.0
    )
    steps = math.ceil(max(found.lengths) / plan.stride)
    view = next(view for view in found.views if view["name"] == plan.camera)
    return Task(
        name=name,
        instruction=texts[0],
        other_instructions=tuple(texts[1:]),
        action_dim=found.action_dim,
        dimensions=found.action_names if len(found.action_names) == found.action_dim else (),
        box=(-1.0, 1.0) if inside else None,
        unscaled=switches,
        image_size=plan.size or min(64, view["height"], view["width"]),
        action_repeat=1,
        stride=plan.stride,
        horizon=math.ceil(max(steps, chunk_size) / chunk_size) * chunk_size,
        camera=None,
    )


def shaped_frame(plan: RecordingPlan, frame: Array) -> Array:
    """One frame as the plan says: cropped, resized to a square and turned."""
    return turned(plan.cut.of(frame), plan.turn)


def shaped_actions(plan: RecordingPlan, actions: Array, num_frames: int) -> Array:
    """float32 [frames - 1, a]: the actions from each kept frame to the next, as one."""
    count = (num_frames - 1) // plan.stride
    used = actions[: count * plan.stride].reshape(count, plan.stride, -1).astype(np.float64)
    summed = np.array([how == "sum" for how in plan.combine])
    return np.where(summed, used.sum(axis=1), used[:, -1]).astype(np.float32)


def outcome_of(
    plan: RecordingPlan, said: bool | None, at: int | None, num_actions: int
) -> tuple[bool | None, int]:
    """(success or None where nobody says, end step) of what a dataset said."""
    if plan.success == "last frame":
        return True, num_actions
    if plan.success == "nobody yet" or said is None:
        return None, num_actions
    if not said or at is None:
        return said, num_actions
    return True, min(math.ceil((at + 1) / plan.stride), num_actions)


def words(plan: RecordingPlan, found: Description, task: Task) -> list[str]:
    """What will be done, a sentence a line."""
    view: Mapping[str, Any] = next(v for v in found.views if v["name"] == plan.camera)
    assert plan.crop is not None
    top, left, height, width = plan.crop
    whole = (top, left, height, width) == (0, 0, view["height"], view["width"])
    kept = "the whole frame" if whole else f"{height}×{width} from row {top}, column {left}"
    said = [f"camera {plan.camera}: {kept}, {plan.turn}, becomes {plan.size}×{plan.size}"]
    names = list(task.dimension_names)
    if plan.stride > 1:
        sums = [name for name, how in zip(names, plan.combine, strict=True) if how == "sum"]
        lasts = [name for name, how in zip(names, plan.combine, strict=True) if how == "last"]
        parts = [
            f"{how} of {', '.join(these)}"
            for how, these in (("the sum", sums), ("the last", lasts))
            if these
        ]
        said.append(f"{plan.stride} recorded steps become one action: {' and '.join(parts)}")
    else:
        said.append("every recorded step is an action")
    said.append(
        f"instruction: {plan.instruction!r} for all" if plan.instruction else "instructions stay"
    )
    success = {
        "flag": f"success as {found.success_found} says",
        "last frame": "every recording counts as a success, at its last frame",
        "nobody yet": "success is unknown until somebody labels it",
    }
    return [*said, success[plan.success]]


def _middle(view: Mapping[str, Any]) -> tuple[int, int, int, int]:
    side = min(view["height"], view["width"])
    return ((view["height"] - side) // 2, (view["width"] - side) // 2, side, side)


def turned(frame: Array, turn: str) -> Array:
    """A frame as a person would look at it."""
    match turn:
        case "upside down":
            frame = frame[::-1]
        case "half turn":
            frame = frame[::-1, ::-1]
        case "mirrored":
            frame = frame[:, ::-1]
    return np.ascontiguousarray(frame)
