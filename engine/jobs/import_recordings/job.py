"""Take in recordings made elsewhere: told first, then streamed, all or nothing.

The dataset is described, and with `dry_run` that is all. Then each recording is decoded in the
sandbox, shaped as planned and stored beside the run; only when all are there do they become its
episodes. A run that was killed goes on with the first recording that is not there yet.
"""

import base64
import hashlib
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.config import Config, knob
from engine.recordings.plan import (
    RecordingPlan,
    fitted,
    outcome_of,
    proposed_task,
    settled,
    words,
)
from engine.recordings.reading import Found, Recording, find, recordings, slug
from engine.records.room import check_room
from engine.records.tasks import POOLS, Task, add_task, get_task
from engine.records.types import Outcome, Trajectory
from engine.runs.job import Job

if TYPE_CHECKING:  # it loads torch
    from engine.protocols import Run

WRITERS, WRITTEN_AT_ONCE = 3, 96 * 2**20  # episodes that are packed and put on the disk at once
USES = {"demonstration": "expert", "world model": "policy", "play": "play"}
STORED_SHARE = 0.8  # of a frame's bytes that are left of it when it is compressed


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """Which recordings, and what becomes of them."""

    dataset: str = knob(help="File or folder: LeRobot, robomimic HDF5, WMPO tar, .mp4 with tables")
    dataset_name: str = knob("", "What the episodes are named after; empty: the file's name")
    revision: str = knob("", "Of a dataset from a hub; empty: a hash of its files")
    filter_key: str = knob("", "Of robomimic's masks: only these demonstrations")
    task: str = knob("", "Task record that the recordings are of")
    new_task: str = knob("", "In place of task: name of a record to make for them")
    use: str = knob("demonstration", "What they are, in the ledger", choices=tuple(USES))
    policy: str = knob("", "Who played, if they are rollouts of a policy")
    dry_run: bool = knob(False, "Tell what is there and what would be done; take nothing in")
    plan: RecordingPlan = knob(help="What is done with them", factory=RecordingPlan)


JOB = Job(keeps_checkpoints=False, has_models=False)


def run(config: JobConfig, run: "Run") -> dict[str, Any] | None:
    """Take in a dataset; its metrics, or None where it was asked to end before.

    Raises:
        ValueError: the dataset, or a part of it, cannot be used as planned; nothing is taken in.
    """
    work = run.workroom()
    found = find(Path(config.dataset), work, filter_key=config.filter_key, name=config.dataset_name)
    _check_same(found, run)
    if config.dry_run:
        run.write_document("report", report(found, config))
        told = {name: value for name, value in report(found, config).items() if name != "strips"}
        return {"import/episodes": 0, "import/found": len(found.description.lengths)} | told
    plan, task = decided(found, config)
    if config.new_task:
        add_task(task)
    run.write_document("report", report(found, config.replace(task=task.name, new_task="")))
    names = [_episode_id(found, index) for index in range(len(found.description.names))]
    if not _store(config, run, found, plan, task, names):
        return None
    for number, name in enumerate(names):
        run.publish(name)
        run.progress(len(names) + number + 1, 2 * len(names))
    shutil.rmtree(work)
    succeeded = [outcome for outcome in found.description.succeeded if outcome]
    return {
        "import/episodes": len(names),
        "import/frames": _num_frames(found, plan),
        "import/successes": len(names) if plan.success == "last frame" else len(succeeded),
        "import/unlabelled": _unlabelled(found, plan),
    }


def decided(found: Found, config: JobConfig) -> tuple[RecordingPlan, Task]:
    """What is done, and the task it is done for.

    Raises:
        ValueError: a choice is open, or the recordings are not of the task.
    """
    plan = config.plan
    if config.new_task and config.task:
        raise ValueError("choose task or new_task, not both")
    if not config.new_task and not config.task:
        raise ValueError("say of which task they are (task), or name a new one (new_task)")
    known = None if config.new_task else get_task(config.task)
    if not plan.instruction and "" in found.description.instructions and known is not None:
        plan = plan.replace(instruction=known.instruction)
    if known is not None and plan.stride == 1:
        plan = plan.replace(stride=known.stride)
    plan = settled(plan, found.description)
    task = known or proposed_task(config.new_task, plan, found.description)
    return fitted(plan, found.description, task), task


def report(found: Found, config: JobConfig) -> dict[str, Any]:
    """The description, and what would be done in words, or the choice that is still open."""
    answer: dict[str, Any] = {
        "name": found.name,
        "revision": config.revision or found.revision,
        **found.description.to_dict(),
        "strips": [base64.b64encode(strip).decode() for strip in found.strips],
        "open": "",
        "words": [],
    }
    try:
        plan, task = decided(found, config)
    except ValueError as error:
        return answer | {"open": str(error)}
    return answer | {
        "words": words(plan, found.description, task),
        "plan": plan.to_dict(),
        "task": task.to_dict(),
        "bytes": _bytes(found, plan),
    }


def _store(
    config: JobConfig, run: "Run", found: Found, plan: RecordingPlan, task: Task, names: list[str]
) -> bool:
    """Store what is not there yet; False where the run was asked to stop or to pause."""
    work, known = run.workroom(), run.episode_ids()
    moved = work.parent / "episodes"  # by an attempt that was killed before it said so
    there = [name in known or (work / name).is_dir() or (moved / name).is_dir() for name in names]
    first = there.index(False) if False in there else len(names)
    check_room(work, _bytes(found, plan) * (len(names) - first) // max(len(names), 1))
    wanted = range(first, len(names))
    episodes = (
        _trajectory(config, found, plan, task, recording)
        for recording in recordings(found, plan, work, wanted, filter_key=config.filter_key)
    )
    done, largest = first, _bytes(found, plan) // max(len(names), 1)
    writers = max(1, min(WRITERS, WRITTEN_AT_ONCE // max(largest, 1)))
    for _ in _written(run.store, _unless_asked(episodes, run), writers):
        done += 1
        run.progress(done, 2 * len(names))
    return done == len(names)


def _written(
    store: Callable[[Trajectory], None], episodes: Iterator[Trajectory], writers: int
) -> Iterator[None]:
    """Packs and stores some episodes at once; says when the next one is on the disk."""
    waiting: deque[Future[None]] = deque()
    with ThreadPoolExecutor(writers) as pool:
        for episode in episodes:
            waiting.append(pool.submit(store, episode))
            if len(waiting) > writers:
                yield waiting.popleft().result()
        for last in waiting:
            yield last.result()


def _unless_asked(episodes: Iterator[Trajectory], run: "Run") -> Iterator[Trajectory]:
    """The episodes until the run is asked to stop or to pause."""
    for episode in episodes:
        if run.stop_requested or run.pause_requested:
            return
        run.give_way()
        yield episode


def _trajectory(
    config: JobConfig, found: Found, plan: RecordingPlan, task: Task, recording: Recording
) -> Trajectory:
    about, index = found.description, recording.index
    success, end_step = outcome_of(
        plan, about.succeeded[index], about.succeeded_at[index], len(recording.actions)
    )
    lineage: dict[str, Any] = {
        "source": USES[config.use],
        "use": config.use,
        "dataset": found.name,
        "revision": config.revision or found.revision,
        "recording": about.names[index],
        "index": index,
        "camera": plan.camera,
        "plan": plan.to_dict(),
    }
    if config.policy:
        lineage["policy"] = config.policy
    if success is None:
        lineage["unjudged"] = True
    return Trajectory(
        id=_episode_id(found, index),
        task=task.name,
        start_id=_start_id(found, index),
        instruction=plan.instruction or about.said[index],
        imagined=False,
        outcome=Outcome(bool(success), end_step),
        frames=recording.frames,
        actions=recording.actions,
        lineage=lineage,
    )


def _check_same(found: Found, run: "Run") -> None:
    """A run goes on with the dataset that it began with."""
    before = run.documents("dataset").get("dataset", {}).get("revision", found.revision)
    if before != found.revision:
        raise ValueError(f"the dataset {found.name} changed since this import began: start another")
    run.write_document("dataset", {"name": found.name, "revision": found.revision})


def _episode_id(found: Found, index: int) -> str:
    return f"{found.name}-{index:06d}-{slug(found.description.names[index])}"[:120]


def _start_id(found: Found, index: int) -> int:
    """A number in the pool of recordings, by what the recording is."""
    pool = POOLS["recordings"]
    digest = hashlib.sha256(f"{found.revision}/{found.description.names[index]}".encode()).digest()
    return pool.start + int.from_bytes(digest[:8], "big") % len(pool)


def _bytes(found: Found, plan: RecordingPlan) -> int:
    return int(_num_frames(found, plan) * 3 * plan.size * plan.size * STORED_SHARE)


def _num_frames(found: Found, plan: RecordingPlan) -> int:
    return sum(1 + (count - 1) // plan.stride for count in found.description.frames)


def _unlabelled(found: Found, plan: RecordingPlan) -> int:
    if plan.success == "nobody yet":
        return len(found.description.lengths)
    return sum(said is None for said in found.description.succeeded) * (plan.success == "flag")
