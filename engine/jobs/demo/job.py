"""Rebuild the shipped demo: every job in order, then the export (design.md §3, §4).

Each stage is a run of its own below the run directory; a stage that is done is not done again, so
the whole can be stopped and resumed at any time.
"""

import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.checkpoints import checkpoint
from engine.config import Config, knob
from engine.data.starts import render_starts, save_starts
from engine.envs.factory import make_env
from engine.jobs.demo.recipe import EXPORTS, SAMPLES, STAGES
from engine.protocols import Run
from engine.records.episodes import list_episodes, read_episode, write_episode
from engine.records.manifest import whole_directory
from engine.records.tasks import get_task, pool_starts
from engine.runs.run_directory import RunDirectory
from engine.runs.stages import last_checkpoint, run_stage


@dataclass(frozen=True, kw_only=True)
class JobConfig(Config):
    """What of the recipe is rebuilt."""

    task: str = knob("coffee-push", "Task record")
    root: str = knob("", "Directory of the stages; by default `stages` in the run directory")
    export: str = knob("", "Where the demo is put; by default `demo` in the run directory")
    last_stage: str = knob("", "Stop after this stage; empty runs all")
    num_starts: int = knob(128, "Start frames shipped", low=1)


def run(config: JobConfig, run: Run) -> dict[str, Any] | None:
    """Run every stage in a directory of its own, then export."""
    assert isinstance(run, RunDirectory)
    root = Path(config.root) if config.root else run.directory / "stages"
    metrics: dict[str, Any] = {}
    for done, stage in enumerate(STAGES):
        if run.stop_requested or run.pause_requested:
            return None
        config_now = stage.config(root.joinpath)
        found = run_stage(stage.name, stage.job, config_now, root / stage.name, run)
        if found is None:
            return None
        metrics |= {f"{stage.name}/{name}": value for name, value in found.items()}
        run.progress(done + 1, len(STAGES) + 1)
        if stage.name == config.last_stage:
            return metrics
    export = Path(config.export) if config.export else run.directory / "demo"
    export_demo(config, root, export, metrics)
    run.progress(len(STAGES) + 1, len(STAGES) + 1)
    return metrics


def export_demo(config: JobConfig, root: Path, export: Path, metrics: dict[str, Any]) -> None:
    """Put checkpoints (half precision), start frames and sample episodes where the app looks."""
    for item in EXPORTS:
        source = last_checkpoint(root / item.stage)
        card = checkpoint.read_json(source / "card.json")
        card["name"], card["stage"] = item.name, item.stage
        card["step"] = checkpoint.read_progress(source)["step"]
        card["figures"] = {
            name: value
            for name, value in metrics.items()
            if name.split("/")[0] in item.figures and not isinstance(value, list)
        }
        card["headline"] = {
            label: in_words(metrics, name, unit) for label, name, unit in item.headline
        }
        with whole_directory(export / "checkpoints" / item.name) as directory:
            checkpoint.export_model(source, directory, card)
    task = get_task(config.task)
    starts = [*pool_starts("rl", 0, config.num_starts)]
    with closing(make_env(task)) as env:
        save_starts(export / "starts.npz", render_starts(env, starts))
    shutil.rmtree(export / "episodes", ignore_errors=True)
    for stage, count in SAMPLES.items():
        for path in list_episodes(root / stage / "episodes")[:count]:
            write_episode(export / "episodes", read_episode(path))


def in_words(metrics: dict[str, Any], name: str, unit: str) -> str:
    """A result for a person: rounded, with its unit and, where it has one, its interval."""
    scale, digits, ending = {"percent": (100, 1, " %"), "decibel": (1, 1, " dB")}.get(
        unit, (1, 3, "")
    )
    text = f"{scale * metrics[name]:.{digits}f}{ending}"
    stem = name.removesuffix("_rate")
    if f"{stem}_low" not in metrics:
        return text
    low, high = (scale * metrics[f"{stem}_{end}"] for end in ("low", "high"))
    return f"{text} [{low:.{digits}f}, {high:.{digits}f}]"
