"""Fidelity's use cases: how far the dream is from reality, each number with its videos."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from app.access import Access
from app.evaluate.suites import path_name
from app.live.pairs import CELLS, dreams_of, real_ids
from app.live.simulator import Simulator
from app.models.catalogue import unaligned
from app.runs.launcher import Launcher, OneRun
from engine.config import Config, knob
from engine.jobs.fidelity.fidelity_plan import NAMES, JobConfig, check_planned
from engine.records.tasks import POOLS, TASKS
from storage.cabinet import Cabinet
from storage.checkpoints.catalogue import Checkpoint
from storage.episodes.trajectories import EpisodeRow
from storage.runs.runs import RunRow

SAMPLE = "sample"
POOLS_OFFERED = ("calibration", "free")
ROLES = ("policy", "world_model", "baseline_world_model", "reward_model")
MOST_EPISODES = 1_000
# Seconds an episode on one core of a small CPU, until this machine has compared some itself.
PLAY_SECONDS, COMPARE_SECONDS, BASELINE_SECONDS, START_SECONDS = 0.85, 3.0, 0.9, 15.0


@dataclass(frozen=True, kw_only=True)
class Comparison(Config):
    """A run of fidelity: whose dreams are compared with reality, and on what."""

    policy: str = knob(help="checkpoint id", high=300)
    world_model: str = knob(help="checkpoint id", high=300)
    reward_model: str = knob(help="checkpoint id", high=300)
    task: str = knob(help="of the simulator", choices=tuple(TASKS))
    pool: str = knob(help="of starts", choices=POOLS_OFFERED)
    first_start: int = knob(help="of the pool", low=0, high=10**6)
    episodes: int = knob(help="real ones, on as many starts", low=2, high=MOST_EPISODES)
    temperature: float = knob(help="of the policy", low=0.0, high=10.0)
    denoising_steps: int = knob(help="of the world model", low=1, high=100)
    baseline_world_model: str | None = knob(None, "checkpoint id, compared as well", high=300)


@dataclass(frozen=True, kw_only=True)
class Pairs(Config):
    """Pairs of a run: real episodes beside their dreams."""

    run: str = knob(help="its id")
    model: str = knob("imagined", "whose dreams", choices=tuple(NAMES))
    depth: int = knob(0, "frame that a pair reaches; 0: all", low=0, high=10_000)
    cell: str | None = knob(None, "of the matrix of success", choices=tuple(CELLS.values()))
    outcome: str = knob("all", "in reality", choices=("all", "success", "failure"))


class Fidelity:
    """What the Fidelity page asks. Every method may be called from any thread.

    What a user can get wrong raises a `ValueError` (an unknown run: `LookupError`) of one sentence.

    Args:
        sample: a result of shipped checkpoints, shown where nothing was measured here.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        launcher: Launcher,
        simulator: Simulator,
        *,
        sample: Path,
        access: Access,
    ) -> None:
        self._cabinet = cabinet
        self._launcher = launcher
        self._simulator = simulator
        self._sample = sample
        self._access = access

    def choices(self) -> dict[str, Any]:
        """{policy, world_model, reward_model: [[label, id]…], unaligned, tasks, pools, refusal}.

        `unaligned`: ids of the world models that have never seen a policy's rollouts, newest first.
        """
        known = {
            role: self._cabinet.checkpoints.all(role)
            for role in ("policy", "world_model", "reward_model")
        }
        return {
            **{
                role: [[c.id.split("/", 1)[1], c.id] for c in found]
                for role, found in known.items()
            },
            "unaligned": unaligned(known["world_model"]),
            "tasks": [task.name for task in TASKS.values() if task.env],
            "pools": {name: min(len(POOLS[name]), 2**31) for name in POOLS_OFFERED},
            "refusal": self._access.refusal("fidelity.start") or self._simulator.missing,
        }

    def plan(self, question: Comparison) -> dict[str, Any]:
        """{seconds, measured}: how long a comparison would take.

        Raises:
            ValueError: a wrong value, or a model that has learnt from these starts.
        """
        config = self._config(question)
        known = [
            (run.updated - run.started) / run.config["episodes"]
            for run in self._cabinet.runs.all()
            if run.job == "fidelity"
            and run.result is not None
            and run.attempt == 1
            and run.started is not None
            and run.updated is not None
            and bool(run.config.get("baseline_world_model")) == bool(config["baseline_world_model"])
            and run.config.get("policy")
        ]
        guess = PLAY_SECONDS + COMPARE_SECONDS
        guess += BASELINE_SECONDS if config["baseline_world_model"] else 0.0
        pace = median(known) if known else guess
        return {"seconds": START_SECONDS + pace * config["episodes"], "measured": bool(known)}

    def start(self, question: Comparison) -> dict[str, str]:
        """Queue a run as `plan` describes it; {run: its id}.

        Raises:
            ValueError: as `plan`, or there is no simulator here.
        """
        if self._simulator.missing:
            raise ValueError(self._simulator.missing)
        return {"run": self._launcher.start("fidelity", self._config(question))}

    def runs(self) -> dict[str, list[dict[str, Any]]]:
        """{runs}: newest first, and the shipped sample: {id, title, state, done, total}."""
        found = [
            {
                "id": run.id,
                "title": f"{run.id} · {run.config.get('episodes', '?')} episodes",
                "state": run.state,
                "busy": run.state.busy,
                "error": run.error,
                "done": run.done or 0,
                "total": run.total or 0,
                "seconds_left": run.seconds_left,
            }
            for run in self._cabinet.runs.all()
            if run.job == "fidelity"
        ]
        if self._sample.is_file():
            title = "shipped demo, as measured"
            found.append({"id": SAMPLE, "title": title, "state": "sample", "done": 0, "total": 0})
        return {"runs": found}

    def results(self, question: OneRun) -> dict[str, Any]:
        """{models, metrics, curves or null, notes, videos} of a finished run.

        Raises:
            ValueError: it has no result yet.
        """
        name = question.run
        if name == SAMPLE and self._sample.is_file():
            shipped: dict[str, Any] = json.loads(self._sample.read_text())
            return {"run": SAMPLE, "videos": False, **shipped}
        run = self._run(name)
        if run.result is None:
            raise ValueError(f"{run.id} is {run.state}: its numbers come when it is done")
        metrics = {
            key: value for key, value in run.result.items() if isinstance(value, (int, float))
        }
        return {
            "run": run.id,
            "videos": bool(self._rows(run.id)),
            "models": self._models(run),
            "settings": {
                name: run.config[name]
                for name in ("task", "pool", "first_start", "temperature", "denoising_steps")
                if name in run.config and (run.config.get("policy") or name == "denoising_steps")
            },
            "metrics": metrics,
            "curves": run.result.get("curves"),
            "notes": run.result.get("notes", []),
        }

    def pairs(self, question: Pairs) -> dict[str, Any]:
        """{pairs}: real episodes beside their dreams.

        A depth keeps the pairs that reach that frame, the worst by PSNR there first; a cell is of
        the success matrix by that depth. Each: {imagined, real, start_id, frame, text}.
        """
        depth, cell, outcome = question.depth, question.cell, question.outcome
        run, source = self._run(question.run), NAMES[question.model][1]
        rows = [row for row in self._rows(run.id) if row.lineage["source"] == source]
        if outcome != "all":
            rows = [r for r in rows if r.lineage["real_success"] == (outcome == "success")]
        if cell:
            rows = [row for row in rows if cell_of(row, depth) == cell]
        elif depth:
            rows = [row for row in rows if row.num_actions >= depth]
        rows.sort(key=lambda row: (quality_at(row, depth), row.id))
        real = real_ids(self._cabinet.trajectories, rows)
        return {
            "pairs": [
                {
                    "imagined": row.id,
                    "real": real[row.id],
                    "start_id": row.start_id,
                    "frame": 0 if cell else min(depth, row.num_actions),
                    "text": _words(row, depth),
                }
                for row in rows
            ]
        }

    def _config(self, question: Comparison) -> dict[str, Any]:
        values = question.to_dict()
        found = {role: self._checkpoint(role, values.pop(role)) for role in ROLES if values[role]}
        values.pop("baseline_world_model", None)
        models = {role: str(checkpoint.directory) for role, checkpoint in found.items()}
        whole = JobConfig.from_dict(values | models)
        check_planned(whole)
        return whole.to_dict()

    def _checkpoint(self, role: str, name: str) -> Checkpoint:
        checkpoint = self._cabinet.checkpoints.get(name)
        wanted = "world_model" if role == "baseline_world_model" else role
        if checkpoint.role != wanted:
            raise ValueError(f"{checkpoint.id} is no {wanted.replace('_', ' ')}")
        return checkpoint

    def _run(self, name: str) -> RunRow:
        run = self._cabinet.runs.get(name)
        if run.job != "fidelity":
            raise ValueError(f"{run.id} is a run of {run.job}, not of fidelity")
        return run

    def _models(self, run: RunRow) -> dict[str, str]:
        known = {str(c.directory): c.id for c in self._cabinet.checkpoints.all()}
        return {
            role: known.get(str(path), path_name(str(path)))
            for role in ROLES
            if (path := run.config.get(role))
        }

    def _rows(self, run: str) -> list[EpisodeRow]:
        sources = {source for _, source in NAMES.values()}
        return dreams_of(self._cabinet.trajectories, run, sources)


def cell_of(row: EpisodeRow, depth: int) -> str:
    """Where a pair stands in the matrix of what had happened by a depth; 0 means by the end."""
    lineage: Mapping[str, Any] = row.lineage
    real = bool(lineage["real_success"])
    imagined = row.success
    if depth:
        real = real and lineage.get("real_end_step", 0) <= depth
        imagined = imagined and row.end_step <= depth
    return CELLS[real, imagined]


def quality_at(row: EpisodeRow, depth: int) -> float:
    """PSNR of a dream at a frame, in dB, or its mean; what was not measured comes last."""
    values = row.lineage.get("psnr") or []
    if not values:
        return float("inf")
    return float(values[depth - 1]) if 0 < depth <= len(values) else sum(values) / len(values)


def _words(row: EpisodeRow, depth: int) -> str:
    real = "succeeded" if row.lineage["real_success"] else "failed"
    quality = quality_at(row, depth)
    where = f" at frame {depth}" if 0 < depth <= row.num_actions else " on average"
    measured = "" if quality == float("inf") else f", {quality:.1f} dB{where}"
    return f"really {real}, judged {'a success' if row.success else 'a failure'}{measured}"
