"""Train a task from nothing: autoencoder, policy, world model, alignment, reward, GRPO.

Each stage is a run of its own below the run directory; one that is done is not done again, so the
whole can be stopped, resumed and, by giving a checkpoint, entered anywhere.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.config import Config, knob
from engine.data.episode_set import load_episodes
from engine.data.starts import Starts, save_starts
from engine.jobs.train_task.recipe import SIZES, STAGES, Data, stages
from engine.protocols import Run
from engine.records.label_set import NOW
from engine.records.tasks import Task, get_task
from engine.records.types import Trajectory
from engine.runs.job import CHOSEN_BY_STUDIO, Job, Method
from engine.runs.run_directory import RunDirectory
from engine.runs.stages import Stage, run_stage, tell_episodes


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """Which recordings, and how much of it."""

    task: str = knob("", "Task record; empty: that of the recordings")
    episodes_from: tuple[str, ...] = knob((), "Runs with recordings: demonstrations")
    rollouts_from: tuple[str, ...] = knob((), "Runs with what a policy played, for the alignment")
    label_set: str = knob("", "Labels, frozen; of recordings that say no success, what they are")
    labelled_from: tuple[str, ...] = knob((), "Directories that hold the labelled episodes")
    size: str = knob("", "How long it trains; empty: what suits the device", choices=("", *SIZES))
    num_starts: int = knob(128, "First frames that dreams begin from", low=1)
    last_stage: str = knob("", "Stop after this stage; empty: the last", choices=("", *STAGES))
    given: dict[str, str] = knob(
        help="Checkpoints in place of stages, by stage; a world model also of the alignment",
        factory=dict,
    )
    changes: dict[str, Any] = knob(help="Options of stages that differ, by stage", factory=dict)
    seed: int = knob(0, "Root of randomness", low=0)


JOB = Job(
    methods=(
        Method(
            name="Train this task",
            about="all four models of your own recordings, then GRPO in imagination: one run, "
            "stage after stage",
            kind="step",
            sizes={name: {"size": name, "label_set": NOW} for name in SIZES},
            needs="recordings of your robot: take them in on the page Data, and label some",
        ),
    ),
    place=5,
    shown=("episodes_from", "rollouts_from", "label_set"),
    hidden=(
        *CHOSEN_BY_STUDIO,
        "labelled_from",
        "last_stage",
        "given",
        "changes",
        "num_starts",
        "seed",
    ),
)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Every stage in a directory of its own; its results under its name.

    Raises:
        ValueError: which stage cannot be done, and why.
    """
    assert isinstance(run, RunDirectory)
    episodes = load_episodes(config.episodes_from)
    if not episodes:
        raise ValueError("train_task needs episodes_from=RUN_DIRECTORIES: take recordings in first")
    task = _task_of(config, episodes)
    planned = _planned(config, run, task, episodes)
    metrics: dict[str, Any] = {}
    for done, stage in enumerate(planned):
        if run.stop_requested or run.pause_requested:
            return None
        found = _done(stage, done + 1, run)
        if found is None:
            return None
        metrics |= {f"{stage.name}/{name}": value for name, value in found.items()}
        run.progress(done + 1, len(planned))
        if stage.name == config.last_stage:
            break
    return metrics


def _planned(
    config: JobConfig, run: RunDirectory, task: Task, episodes: Sequence[Trajectory]
) -> list[Stage]:
    starts = run.directory / "starts.npz"
    if not starts.is_file():
        save_starts(starts, _first_frames(episodes, task, config.num_starts))
    labels = {"label_set": config.label_set, "labelled_from": list(config.labelled_from)}
    data = Data(
        recordings=config.episodes_from,
        rollouts=config.rollouts_from,
        labels=labels if config.label_set else {},
        episodes=len(episodes),
        frames=sum(len(episode.frames) for episode in episodes),
        judged=bool(config.label_set) or any(episode.judged for episode in episodes),
        starts=str(starts),
    )
    size = config.size or ("long" if run.placement.where.type == "cuda" else "demo")
    for unknown in sorted({*config.changes, *config.given} - set(STAGES)):
        raise ValueError(f"{unknown} is none of the stages {', '.join(STAGES)}")
    return [
        stage.replace(options={**stage.options, **config.changes.get(stage.name, {})})
        for stage in stages(task, data, size, config.given, config.seed)
    ]


def _done(stage: Stage, done: int, run: RunDirectory) -> dict[str, Any] | None:
    """What a stage returned; how long it took is a metric."""
    root, began = run.directory / "stages", time.monotonic()
    try:
        found = run_stage(
            stage.name, stage.job, stage.config(root.joinpath), root / stage.name, run
        )
    except (ValueError, LookupError) as error:
        raise ValueError(f"stage {stage.name} ({stage.job}): {error}") from error
    if found is not None:
        tell_episodes(stage.name, run)
        run.log(done, {f"time/{stage.name}": time.monotonic() - began})
    return found


def _task_of(config: JobConfig, episodes: Sequence[Trajectory]) -> Task:
    names = sorted({episode.task for episode in episodes})
    if config.task and names != [config.task]:
        raise ValueError(f"the recordings are of {', '.join(names)}, not of {config.task}")
    if len(names) > 1:
        raise ValueError(f"the recordings are of several tasks: {', '.join(names)}")
    return get_task(names[0]).replace(image_size=episodes[0].frames.shape[1])


def _first_frames(episodes: Sequence[Trajectory], task: Task, most: int) -> Starts:
    chosen = sorted(episodes, key=lambda episode: episode.start_id)[:most]
    return Starts(
        task=task.name,
        start_ids=np.array([episode.start_id for episode in chosen], np.int64),
        frames=np.stack([episode.frames[0] for episode in chosen]),
    )
