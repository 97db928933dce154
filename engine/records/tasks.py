"""Task records: what fixes a task, as data. No branch anywhere asks for a task's name.

A record is a JSON file: the shipped ones lie beside this module, a user's in the folder `tasks` of
the data directory. They are read when they are asked for, so a record made by the studio, or by
hand, is known at once.
"""

import functools
import hashlib
import json
import logging
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config import Config, knob
from engine.records.durable import write_json_durably
from engine.records.types import JudgeRules

SHIPPED = Path(__file__).parent / "shipped"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
LARGEST_RECORD = 64 * 2**10
DATA_DIRECTORY = "WMPO_DATA_DIR"  # where everything is kept that a studio must not lose

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Camera(Config):
    """A free camera: looks at a point (metres) from a distance, azimuth and elevation (degrees)."""

    lookat: tuple[float, float, float] = knob((0.03, 0.64, 0.08), "Point in the middle, in metres")
    distance: float = knob(0.95, "Metres from there", low=0.0)
    azimuth: float = knob(135.0, "Degrees around the vertical")
    elevation: float = knob(-42.0, "Degrees above the horizon; negative looks down")


@dataclass(frozen=True, kw_only=True)
class Task(Config):
    """One task: `dimensions` names the numbers of an action, in order."""

    name: str = knob(help="Its name everywhere: records, checkpoints, addresses")
    instruction: str = knob(help="Default language command")
    other_instructions: tuple[str, ...] = knob((), "Commands that its recordings carry as well")
    simulator: str = knob("", "Adapter that realises it (engine.envs.simulators); empty: none")
    env: str = knob("", "The simulator's own name for it")
    action_dim: int = knob(4, "Numbers in one action", low=1, high=128)
    dimensions: tuple[str, ...] = knob(("x", "y", "z", "gripper"), "Names of an action's numbers")
    box: tuple[float, float] | None = knob((-1.0, 1.0), "Least and most of each; null: no bounds")
    unscaled: tuple[int, ...] | None = knob(
        None, "Dimensions that no statistics scale, being in [-1, 1]; null: the last one"
    )
    image_size: int = knob(64, "Side of a frame in pixels", low=4, high=1024)
    action_repeat: int = knob(2, "Simulator steps that one action is held for", low=1)
    stride: int = knob(1, "Recorded steps that one action stands for", low=1)
    horizon: int = knob(64, "Most actions in a rollout; a multiple of the chunk size", low=1)
    camera: Camera | None = knob(help="Where a simulator takes frames from", factory=Camera)
    judge: JudgeRules = knob(help="Window rules of the reward model", factory=JudgeRules)
    rule: str = knob("", "When it counts as done, in words for people who judge")
    place: int = knob(100, "Tasks with a lower number are listed first", low=0)

    @property
    def action_low(self) -> float:
        """The least of every dimension."""
        return -math.inf if self.box is None else self.box[0]

    @property
    def action_high(self) -> float:
        """The most of every dimension."""
        return math.inf if self.box is None else self.box[1]

    @property
    def passthrough(self) -> tuple[int, ...]:
        """Dimensions that pass unchanged into models."""
        return (self.action_dim - 1,) if self.unscaled is None else self.unscaled

    @property
    def dimension_names(self) -> tuple[str, ...]:
        """`dimensions`, or numbered names where the record does not name them all."""
        if len(self.dimensions) == self.action_dim:
            return self.dimensions
        return tuple(f"a{index}" for index in range(self.action_dim))

    @functools.cached_property
    def version(self) -> str:
        """Hash of all that changes what a model of the task sees or does."""
        values = self.to_dict()
        del values["place"], values["rule"]
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def parse_task(values: Mapping[str, Any]) -> Task:
    """A record from plain values, checked.

    Raises:
        ValueError: an unknown or absent name, a value out of its range, or values that contradict
            each other.
    """
    task = Task.from_dict(values)
    if not NAME.fullmatch(task.name):
        raise ValueError(f"{task.name!r} cannot be a task's name: letters, digits, '-' and '_'")
    if not task.instruction.strip():
        raise ValueError(f"the task {task.name} needs an instruction")
    if task.box is not None and task.box[0] >= task.box[1]:
        raise ValueError(f"the box {list(task.box)} of the task {task.name} is empty")
    if task.dimensions and len(task.dimensions) != task.action_dim:
        raise ValueError(
            f"the task {task.name} has {task.action_dim} action dimensions, "
            f"but {len(task.dimensions)} names"
        )
    if any(not 0 <= dim < task.action_dim for dim in task.passthrough):
        raise ValueError(f"unscaled names a dimension that the task {task.name} does not have")
    if not task.horizon >= task.judge.first_end >= task.judge.window:
        raise ValueError(
            f"the task {task.name} needs horizon ≥ first_end ≥ window, not {task.horizon}, "
            f"{task.judge.first_end}, {task.judge.window}"
        )
    return task


def read_task(path: Path) -> Task:
    """The record in a JSON file; its name is the file's.

    Raises:
        ValueError: with the file's name, what is wrong with it.
    """
    try:
        if path.stat().st_size > LARGEST_RECORD:
            raise ValueError("it is larger than a record can be")
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it must be a JSON object")
        task = parse_task(values)
        if task.name != path.stem:
            raise ValueError(f"it is named {task.name}: call the file {task.name}.json")
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"the task record {path.name} cannot be used: {error}") from error
    return task


def task_folder() -> Path:
    """Where a user's records lie."""
    root = os.environ.get(DATA_DIRECTORY) or "~/.wmpo/studio"
    return Path(root).expanduser() / "tasks"


def add_task(task: Task) -> Path:
    """Keep a user's record; what is there already must be the same.

    Raises:
        ValueError: there is another task of that name, or the record contradicts itself.
    """
    parse_task(task.to_dict())
    known = tasks().get(task.name)
    if known is not None and known.version != task.version:
        raise ValueError(f"there is another task {task.name}: choose another name")
    path = task_folder() / f"{task.name}.json"
    if known is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json_durably(path, task.to_dict())
    return path


def tasks() -> dict[str, Task]:
    """Every task by name, shipped ones first; a file that is no record is left out.

    `get_task` says what is wrong with it.
    """
    return {**_shipped(), **_users(_listing(task_folder()))}


def get_task(name: str) -> Task:
    """The record of a task.

    Raises:
        ValueError: there is no task of that name, or its file is no record.
    """
    known = tasks()
    if name in known:
        return known[name]
    if NAME.fullmatch(name) and (own := task_folder() / f"{name}.json").is_file():
        return read_task(own)
    raise ValueError(f"unknown task {name!r}; known tasks: {', '.join(known)}")


@functools.cache
def _shipped() -> dict[str, Task]:
    return _in_order(read_task(path) for path in SHIPPED.glob("*.json"))


_Listing = tuple[tuple[str, int, int], ...]


def _listing(folder: Path) -> _Listing:
    """The records of a folder as far as they can change: paths, times, sizes."""
    found = [(path, path.stat()) for path in sorted(folder.glob("[!.]*.json"))]
    return tuple((str(path), about.st_mtime_ns, about.st_size) for path, about in found)


@functools.lru_cache(maxsize=8)
def _users(listing: _Listing) -> dict[str, Task]:
    found = []
    for path, _, _ in listing:
        try:
            found.append(read_task(Path(path)))
        except ValueError as error:
            logger.warning("%s", error)
    return _in_order(task for task in found if task.name not in _shipped())


def _in_order(found: Iterable[Task]) -> dict[str, Task]:
    return {task.name: task for task in sorted(found, key=lambda task: (task.place, task.name))}


# Start ids by use (design.md §9): the pools are disjoint, the ledger proves it.
POOLS: dict[str, range] = {
    "demonstrations": range(100_000),
    "play": range(100_000, 200_000),
    "budget": range(200_000, 300_000),
    "rl": range(300_000, 400_000),
    "calibration": range(400_000, 500_000),
    "test": range(1_000_000, 1_000_400),
    "free": range(2_000_000, 2**31),
    "recordings": range(2**31, 2**32),  # made elsewhere: numbers by what they are
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
