"""Rebuild the shipped demo: the studies of its tasks, what is measured after them, the export.

Each stage is a run of its own; a stage that is done is not done again, also one of `root`, so the
whole can be stopped and resumed at any time.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.checkpoints import checkpoint
from engine.config import Config, knob
from engine.data.starts import render_starts, save_starts
from engine.envs.factory import make_env
from engine.jobs.demo.recipe import ARMS, RECIPES, Export, TaskRecipe
from engine.protocols import Run
from engine.records.episodes import (
    STAGES,
    list_episodes,
    read_episode,
    read_record,
    write_episode,
)
from engine.records.manifest import MANIFEST, checkpoint_hash, whole_directory
from engine.records.tasks import get_task, pool_starts
from engine.runs.registry import job_config
from engine.runs.run_directory import RunDirectory, read_documents
from engine.runs.stages import find_adopted, finished_result, last_checkpoint, run_stage

GATES = "gates"
SHIPPED = "storage/demo"


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """What of the recipes is rebuilt."""

    task: str = knob("", "Only the demo of this task; empty: of all")
    root: str = knob("", "Directories whose finished stages are adopted, separated by ':'")
    studies: dict[str, str] = knob(help="Other files of studies, by task", factory=dict)
    export: str = knob("", "Where the demo is put; by default `demo` in the run directory")
    shipped: str = knob(SHIPPED, "The demo whose weights are compared with those made here")
    num_starts: int = knob(128, "Start frames shipped of a task", low=1)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Run the study of each task, then the stages after it, and export what came of them.

    Raises:
        ValueError: no recipe of such a task.
    """
    assert isinstance(run, RunDirectory)
    chosen = [recipe for recipe in RECIPES if config.task in ("", recipe.task)]
    if not chosen:
        raise ValueError(f"there is no demo of {config.task}")
    metrics: dict[str, Any] = {}
    for done, recipe in enumerate(chosen):
        demo = TaskDemo(recipe, config, run)
        if not demo.make():
            return None
        demo.export_rest(config.num_starts)
        metrics |= {f"{recipe.task}/{name}": value for name, value in demo.metrics.items()}
        metrics |= demo.compare_with(Path(config.shipped))
        run.progress(done + 1, len(chosen))
    return metrics


class TaskDemo:
    """The demo of one task: its stages, where each lies, and what ships."""

    def __init__(self, recipe: TaskRecipe, config: JobConfig, run: RunDirectory) -> None:
        self._recipe, self._run = recipe, run
        self._study = config.studies.get(recipe.task, recipe.study)
        self._roots = [Path(root).resolve() for root in config.root.split(":") if root]
        self._own = run.directory / "stages" / recipe.task
        self._demo = Path(config.export) if config.export else run.directory / "demo"
        self._room = self._demo / "checkpoints"
        self._exports = {item.name: item for item in recipe.exports}
        self._found: dict[str, Path] = {}
        self.metrics: dict[str, Any] = {}

    def locate(self, name: str) -> Path:
        """Where a shipped checkpoint or a stage lies, run here or adopted, or is to be run."""
        if name in self._exports:
            return self._room / name
        return self._found.get(name, self._own / "stages" / name)

    def make(self) -> bool:
        """Run what is not done yet and ship its checkpoints; whether all is done."""
        study = json.loads(Path(self._study).read_text())
        roots = ":".join(map(str, self._roots))
        changes = {"root": roots, "only": list(ARMS), "seeds": [self._recipe.seed]}
        options = job_config("study", study | changes).to_dict()
        if run_stage(self._recipe.task, "study", options, self._own, self._run) is None:
            return False
        stages = read_documents(self._own, STAGES)[STAGES]
        self._found = {name: Path(directory) for name, directory in stages.items()}
        later = {stage.name for stage in self._recipe.stages}
        self._export(item for item in self._exports.values() if item.stage not in later)
        for stage in self._recipe.stages:
            options = stage.config(self.locate)
            adopted = find_adopted(stage.name, stage.job, options, self._roots)
            directory = self._found[stage.name] = adopted or self.locate(stage.name)
            if adopted is None and (
                run_stage(stage.name, stage.job, options, directory, self._run) is None
            ):
                return False
        for name in sorted({name for item in self._exports.values() for name in item.figures}):
            result = finished_result(self.locate(name)) or {}
            self.metrics |= {f"{name}/{key}": value for key, value in result.items()}
        self.metrics |= _of_gates(self._gates())
        self._export(self._exports.values())
        return True

    def export_rest(self, num_starts: int) -> None:
        """Put gates, start frames and sample episodes where the app looks."""
        task = self._recipe.task
        (self._demo / GATES).mkdir(parents=True, exist_ok=True)
        checkpoint.write_json(self._demo / GATES / f"{task}.json", self._gates())
        with closing(make_env(get_task(task))) as env:
            starts = render_starts(env, [*pool_starts("rl", 0, num_starts)])
        save_starts(self._demo / "starts" / f"{task}.npz", starts)
        for old in list_episodes(self._demo / "episodes"):
            if read_record(old)["task"] == task:
                shutil.rmtree(old)
        for stage, count in self._recipe.samples.items():
            for path in list_episodes(self.locate(stage) / "episodes")[:count]:
                if (self._demo / "episodes" / path.name).exists():
                    raise ValueError(f"{path.name} is a sample of another task; change its seed")
                write_episode(self._demo / "episodes", read_episode(path))

    def compare_with(self, shipped: Path) -> dict[str, bool]:
        """Whether each checkpoint that ships has the weights made here, bit for bit."""
        found = {
            name: (self._room / name, shipped / "checkpoints" / name) for name in self._exports
        }
        return {
            f"{name}/as_shipped": checkpoint_hash(made) == checkpoint_hash(kept)
            for name, (made, kept) in found.items()
            if (kept / MANIFEST).is_file() and kept.resolve() != made.resolve()
        }

    def _gates(self) -> dict[str, Any]:
        return read_documents(self.locate(GATES), GATES)[GATES]

    def _export(self, items: Iterable[Export]) -> None:
        for item in items:
            source = last_checkpoint(self.locate(item.stage))
            with whole_directory(self._room / item.name) as directory:
                checkpoint.export_model(source, directory, self._card(source, item))

    def _card(self, source: Path, item: Export) -> dict[str, Any]:
        card = checkpoint.read_json(source / "card.json")
        card["name"], card["stage"] = item.name, item.stage
        if (source / "progress.json").is_file():
            card["step"] = checkpoint.read_progress(source)["step"]
        card["figures"] = {
            name: value
            for name, value in self.metrics.items()
            if name.split("/")[0] in item.figures and isinstance(value, (int, float, str))
        }
        if item.headline:
            card["headline"] = {
                label: in_words(self.metrics, name, unit)
                for label, name, unit in item.headline
                if name in self.metrics
            }
        return card


def _of_gates(document: Mapping[str, Any]) -> dict[str, Any]:
    """The verdicts of gates under plain names, each with its interval."""
    measured = document["measured"]
    names = ("false_successes", "missed", "balanced_accuracy", "auc")
    chosen = {name: measured["held out"][name] for name in names}
    chosen["moved"] = measured["moved"]["false_successes"]
    found: dict[str, Any] = {}
    for name, value in chosen.items():
        found[f"gates/{name}"] = value["value"]
        found |= {f"gates/{name}_{end}": value[end] for end in ("low", "high")}
    return found


def in_words(metrics: Mapping[str, Any], name: str, unit: str) -> str:
    """A result for a person: rounded, with its unit and, where it has one, its interval."""
    scale, digits, ending = (100, 1, " %") if unit == "percent" else (1, 3, "")
    text = f"{scale * metrics[name]:.{digits}f}{ending}"
    stem = name.removesuffix("_rate")
    if f"{stem}_low" not in metrics:
        return text
    low, high = (scale * metrics[f"{stem}_{end}"] for end in ("low", "high"))
    return f"{text} [{low:.{digits}f}, {high:.{digits}f}]"
