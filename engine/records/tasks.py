"""Task records: what fixes a task, as data. No branch anywhere asks for a task's name."""

import math
from dataclasses import dataclass, field, replace
from typing import Any

from engine.records.types import JudgeRules


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A free camera: looks at a point (metres) from a distance, azimuth and elevation (degrees)."""

    lookat: tuple[float, float, float] = (0.03, 0.64, 0.08)
    distance: float = 0.95
    azimuth: float = 135.0
    elevation: float = -42.0


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task.

    Attributes:
        name: its name everywhere (records, checkpoints, URLs).
        instruction: default language command.
        env: the simulator's own name for it; empty where none is at hand.
        action_dim: numbers in one action; `dimensions` names them, in order.
        action_low, action_high: the environment's box, the same for each dimension.
        image_size: side of a frame in pixels.
        action_repeat: simulator steps one action is held for.
        horizon: most actions in a rollout; a multiple of the chunk size.
        camera: where a frame is taken from.
        judge: window rules of the reward model (method.md §3).
        rule: when it counts as done, in words for people who judge.
    """

    name: str
    instruction: str
    env: str
    action_dim: int = 4
    dimensions: tuple[str, ...] = ("x", "y", "z", "gripper")
    action_low: float = -1.0
    action_high: float = 1.0
    image_size: int = 64
    action_repeat: int = 2
    horizon: int = 64
    camera: Camera = field(default_factory=Camera)
    judge: JudgeRules = field(default_factory=JudgeRules)
    rule: str = ""

    @property
    def dimension_names(self) -> tuple[str, ...]:
        """`dimensions`, or numbered names where the record does not name them all."""
        if len(self.dimensions) == self.action_dim:
            return self.dimensions
        return tuple(f"a{index}" for index in range(self.action_dim))


def _metaworld(
    name: str, instruction: str, horizon: int = 64, *, rule: str = "", **camera: Any
) -> Task:
    return Task(
        name=name,
        instruction=instruction,
        env=f"{name}-v3",
        horizon=horizon,
        camera=Camera(**camera),
        rule=rule,
    )


def _released(name: str, instruction: str, horizon: int) -> Task:
    """A task of the paper: no simulator of it here, only the released models' imagination.

    The first 100 frames are never judged, and a hit in the very last window does not count
    (method.md §1.6, §3). Most instructions are the bare names the policies were trained with.
    """
    return Task(
        name=name,
        instruction=instruction,
        env="",
        action_dim=7,
        dimensions=("x", "y", "z", "roll", "pitch", "yaw", "gripper"),
        image_size=256,
        action_repeat=1,
        horizon=horizon,
        judge=JudgeRules(first_end=108, last_window_counts=False),
    )


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        _metaworld(
            "coffee-push",
            "push the mug under the coffee machine",
            48,
            rule="It succeeds as soon as the mug is under the machine, within 7 cm of its spot. It"
            " fails where the mug stays on the table, tips over, or the arm comes without it.",
        ),
        _metaworld("coffee-button", "press the button of the coffee machine"),
        _metaworld(
            "coffee-pull",
            "pull the mug away from the coffee machine",
            lookat=(0.0, 0.66, 0.06),
            distance=0.85,
            azimuth=200.0,
            elevation=-38.0,
        ),
        _metaworld("assembly", "put the ring on the peg"),
        _metaworld("peg-insert-side", "insert the peg into the hole in the wall"),
        _metaworld("push", "push the puck to the goal"),
        _metaworld("pick-place", "pick the puck and bring it to the goal"),
        _metaworld("bin-picking", "move the cube to the other bin", 96),
        _metaworld(
            "drawer-open",
            "open the drawer",
            lookat=(0.0, 0.69, 0.08),
            distance=0.9,
            azimuth=190.0,
            elevation=-45.0,
        ),
        _metaworld("hammer", "hammer the nail into the wall"),
        _metaworld("plate-slide", "slide the plate into the goal", 48),
        # From behind: in front the arm hides the pane.
        _metaworld(
            "window-open",
            "open the window",
            lookat=(0.02, 0.72, 0.14),
            distance=1.0,
            azimuth=-75.0,
            elevation=-45.0,
        ),
        _metaworld("door-open", "open the door", lookat=(0.0, 0.62, 0.12), distance=1.15),
        _released("coffee", "coffee", 256),
        _released("square", "Insert the square into the stick", 184),
        _released("stack_three", "stack_three", 320),
        _released("three_piece_assembly", "three_piece_assembly", 384),
        # Absolute joint angles of a real arm: no box is known.
        replace(
            _released("aloha", "Insert the square into the stick", 224),
            dimensions=(),
            action_low=-math.inf,
            action_high=math.inf,
        ),
    )
}


def get_task(name: str) -> Task:
    """The record of a task.

    Raises:
        ValueError: there is no task of that name.
    """
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; known tasks: {', '.join(TASKS)}")
    return TASKS[name]


# Start ids by use (design.md §9): the pools are disjoint, the ledger proves it.
POOLS: dict[str, range] = {
    "demonstrations": range(100_000),
    "play": range(100_000, 200_000),
    "budget": range(200_000, 300_000),
    "rl": range(300_000, 400_000),
    "calibration": range(400_000, 500_000),
    "test": range(1_000_000, 1_000_400),
    "free": range(2_000_000, 2**31),
}


def pool_of(start_id: int) -> str:
    """The pool a start id belongs to; `unassigned` between pools, `upload` for negative ids."""
    if start_id < 0:
        return "upload"
    return next((name for name, ids in POOLS.items() if start_id in ids), "unassigned")


def pool_starts(pool: str, first_start: int, episodes: int) -> range:
    """`episodes` start ids of a pool, beginning `first_start` ids into it.

    Raises:
        ValueError: unknown pool, or the pool is too small.
    """
    if pool not in POOLS:
        raise ValueError(f"unknown pool {pool!r}; known pools: {', '.join(POOLS)}")
    ids = POOLS[pool]
    if first_start + episodes > len(ids) or first_start < 0 or episodes < 1:
        raise ValueError(
            f"pool {pool} has {len(ids)} starts; {episodes} from {first_start} are not in it"
        )
    return ids[first_start : first_start + episodes]
