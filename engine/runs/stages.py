"""Stages: jobs that build on each other, each in a run directory of its own, done once.

A finished stage is adopted when its config is what would be run now; that is all that makes a
recipe or a study resumable.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engine.config import Config, knob
from engine.records.durable import write_json_durably
from engine.records.episodes import STAGES, list_episodes, read_record
from engine.records.events import read_run_events
from engine.runs.registry import job_config, run_job
from engine.runs.retention import Retention
from engine.runs.run_directory import RunDirectory

Locate = Callable[[str], Path]


@dataclass(frozen=True, kw_only=True)
class Stage(Config):
    """One job of a recipe or a study.

    `options` names what differs from the job's defaults; `{name}` in a string stands for the
    directory of a stage, `{name@last}` for its last checkpoint.
    """

    name: str = knob(help="Its name, and its directory's")
    job: str = knob(help="Which job it is")
    options: dict[str, Any] = knob(help="What differs from the job's defaults", factory=dict)

    def config(self, locate: Locate) -> dict[str, Any]:
        """The job's whole config for stages that lie where `locate` says.

        Raises:
            ValueError: unknown options, or a stage whose checkpoint is not there yet.
        """
        return job_config(self.job, resolve(self.options, locate)).to_dict()


def references(value: Any) -> Iterator[str]:
    """Names of the stages that options mention."""
    if isinstance(value, str) and value.startswith("{"):
        yield value.strip("{}").partition("@")[0]
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from references(item)


def resolve(value: Any, locate: Locate) -> Any:
    """Options with their references replaced by directories."""
    if isinstance(value, str) and value.startswith("{"):
        name, _, last = value.strip("{}").partition("@")
        directory = locate(name)
        return str(last_checkpoint(directory) if last else directory)
    if isinstance(value, Mapping):
        return {key: resolve(item, locate) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [resolve(item, locate) for item in value]
    return value


def last_checkpoint(directory: Path) -> Path:
    """The last checkpoint of a stage.

    Raises:
        ValueError: it has none.
    """
    found = list((directory / "checkpoints").glob("step-*"))
    if not found:
        raise ValueError(f"stage {directory.name} has no checkpoint yet")
    return max(found, key=lambda path: int(path.name.removeprefix("step-")))


def finished_result(directory: Path) -> dict[str, Any] | None:
    """What the run in a directory returned, without touching the directory; None if unfinished."""
    path = directory / "events.jsonl"
    if not path.is_file():
        return None
    results = [event["metrics"] for event in read_run_events(path) if event["kind"] == "result"]
    return results[-1] if results else None


def is_same(directory: Path, job: str, config: Mapping[str, Any]) -> bool:
    """Whether a directory holds a run of this job with this config."""
    path = directory / "config.json"
    if not path.is_file():
        return False
    stored = json.loads(path.read_text())
    if stored["job"] != job:
        return False
    # Options newer than the stored run count as their defaults.
    return job_config(job, stored["config"]).to_dict() == config


def find_adopted(
    name: str, job: str, config: Mapping[str, Any], roots: Iterable[Path]
) -> Path | None:
    """Where in `roots` a finished run of just this stage lies; None if it is to be run."""
    return next(
        (
            root / name
            for root in roots
            if is_same(root / name, job, config) and finished_result(root / name) is not None
        ),
        None,
    )


def tell_episodes(stage: str, parent: RunDirectory) -> None:
    """Say, once each, that the episodes of a stage are its parent's, too: a studio shows them."""
    known = parent.episode_ids()
    for path in list_episodes(parent.directory / STAGES / stage / "episodes"):
        if path.name in known:
            continue
        record = read_record(path)
        parent.emit(
            "episode",
            episode=record["id"],
            stage=stage,
            success=record["success"],
            end_step=record["end_step"],
            iteration=record["lineage"].get("iteration"),
        )


def prepare_stage(name: str, job: str, config: Mapping[str, Any], directory: Path) -> None:
    """Say in a directory which stage it is.

    Raises:
        ValueError: the directory holds a run with other options.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if (directory / "config.json").exists():
        if not is_same(directory, job, config):
            raise ValueError(f"stage {name} was run with other options; remove {directory}")
        return
    write_json_durably(directory / "config.json", {"job": job, "config": dict(config)})


def tell_parent(name: str, event: Mapping[str, Any], parent: RunDirectory) -> None:
    """What a stage measured, and its alarms, in its parent's log."""
    if event["kind"] == "metric":
        parent.log(event["step"], {f"{name}/{key}": v for key, v in event["metrics"].items()})
    elif event["kind"] == "alarm":
        parent.alarm(f"{name}, {event['message']}")


def run_stage(
    name: str, job: str, config: Mapping[str, Any], directory: Path, parent: RunDirectory
) -> dict[str, Any] | None:
    """Run a stage, unless it is done; None where the parent was asked to stop or to pause.

    Raises:
        ValueError: the directory holds a run with other options.
    """
    prepare_stage(name, job, config, directory)
    forward = partial(tell_parent, name, parent=parent)
    run = RunDirectory(directory, listener=forward, obeys=parent)
    try:
        return perform(run, job, config)
    finally:
        run.close()


def perform(run: RunDirectory, job: str, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a stage returns, now or long ago; None where it was asked to stop or to pause."""
    done = run.finished_result()
    if done is not None:
        return done
    run.retain(Retention())
    run.state("running")
    metrics = run_job(job, config, run)
    if metrics is None:
        run.state("paused")
        return None
    run.result(metrics)
    run.state("done")
    return metrics
