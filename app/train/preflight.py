"""Preflight: what can be known of a run before it starts, and the refusal of what cannot work."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.live.lent_gpu import ON_THE_CPU
from app.models.catalogue import describe_together, is_aligned
from app.models.gates import Gates
from app.models.loader import Loader, Three
from app.runs.launcher import MIN_FREE_BYTES, Launcher
from engine.config import Config
from engine.jobs.gates.report import in_words
from engine.records.tasks import Task, tasks
from engine.runs.job import Finding, Job, Lessons, Pace
from engine.runs.registry import declared, job_config, objections
from engine.runs.tracker import NONE, missing
from storage.cabinet import Cabinet
from storage.checkpoints.catalogue import ROLES, Checkpoint
from storage.episodes.episode_filter import EpisodeFilter
from storage.episodes.trajectories import EpisodeRow

if TYPE_CHECKING:
    from engine.memory.speed import Speed

GIB = 2**30
STATE_SHARE = 3  # a training state: the weights and AdamW's two moments
KEPT_CHECKPOINTS = 3  # two, and the one being written
STORED_SHARE = 0.6  # of an episode's bytes that compression leaves
LATENT_BYTES = 2_048  # of one frame
MODELS = ("policy", "world_model", "reward_model")
Check = dict[str, Any]


class Preflight:
    """Looks at a run's options before it is queued.

    Args:
        gates: where the gates of a world model are found.
        task: of checkpoints that name none.
        lent: whether the GPU is lent call by call, so that no run can hold it.
        workers: the most that a run here may have.
    """

    def __init__(
        self,
        cabinet: Cabinet,
        launcher: Launcher,
        loader: Loader,
        *,
        gates: Gates,
        task: Task,
        lent: bool = False,
        workers: int = 1,
    ) -> None:
        self._cabinet, self._gates, self._lent = cabinet, gates, lent
        self._launcher = launcher
        self._loader = loader
        self._task, self._workers = task, workers

    def look(self, job: object, values: object) -> dict[str, Any]:
        """{ok, checks: [{name, ok, text}], seconds}; a check whose ok is None could not be made.

        A wrong option is the only thing said: nothing else can be known then. The seconds that
        the run will take are None where nothing like it was measured.
        """
        try:
            chosen, config = self._launcher.config(job, values)
        except (ValueError, LookupError) as error:
            wrong = _check("options", False, str(error))
            return {"ok": False, "checks": [wrong], "seconds": None}
        assert isinstance(values, Mapping)
        checks = list(self._checks(chosen, values, config))
        known = [check.pop("seconds") for check in checks if "seconds" in check]
        return {
            "ok": all(check["ok"] is not False for check in checks),
            "checks": checks,
            "seconds": known[0] if known else None,
        }

    def _checks(
        self, job: str, values: Mapping[str, Any], config: Mapping[str, Any]
    ) -> Iterator[Check]:
        own, options = declared(job), job_config(job, config)
        refused = objections(job, options)
        yield from map(_plain, refused)
        yield from (_plain(each) for each in own.check(options) if each not in refused)
        if lacking := missing(config.get("logger", NONE)):
            yield _check("logger", False, lacking)
        if self._lent:
            yield _check("device", None, ON_THE_CPU)
        models, needed = self._models(values), own.needs(options)
        absent = [role.replace("_", " ") for role in needed if not values.get(role)]
        if absent:
            yield _check("models", False, f"choose a {' and a '.join(absent)}")
            return
        if not models.keys() >= set(needed):
            yield _check("models", None, "a directory named by its path is not looked into")
        elif needed == MODELS:
            three = (models["policy"], models["world_model"], models["reward_model"])
            together = self._together(three)
            yield together
            if together["ok"] is False:
                return
            yield self._memory(three, config)
            yield self._speed(three, config)
            yield _alignment(models["world_model"], wanted=_wants_unaligned(own, config))
            yield _reward(models["reward_model"])
            yield self._check_gates(three)
        if own.learns:
            yield self._episodes(own, values, options)
        yield self._time(job, config, models)
        yield self._disk(job, config, models)

    def _models(self, values: Mapping[str, Any]) -> dict[str, Checkpoint]:
        """Catalogue entries by role; a directory of the command line is not looked into."""
        return {
            role: self._cabinet.checkpoints.get(str(values[role]))
            for role in ROLES
            if values.get(role) and not Path(str(values[role])).is_absolute()
        }

    def _together(self, three: Three) -> Check:
        try:
            return _check("models", True, describe_together(*three))
        except ValueError as error:
            return _check("models", False, str(error))

    def _check_gates(self, three: Three) -> Check:
        """What the last run of gates on this world model and judge found."""
        found = self._gates.of(three[1].hash, three[2].hash)
        if found is not None:
            words = in_words(found, found["checkpoints"], most=1)
            return _check("gates", True if found["passed"] else None, words)
        text = "not measured: how often do dreams of this world model lie to this judge?"
        return _check("gates", None, text)

    def _memory(self, three: Three, config: Mapping[str, Any]) -> Check:
        rows = config["groups"] * config["group_size"]
        horizon = config["horizon"] or self._task_of(config).horizon
        try:
            plan = self._loader.plan(three, rows=rows, horizon=horizon)
        except ValueError as error:
            return _check("memory", None, f"cannot be planned: {error}")
        weights = self._loader.parameters(three[0]) * 4
        total, free = plan["total"] + STATE_SHARE * weights, plan["device"]["free"]
        text = (
            f"{total / GIB:.2f} of {free / GIB:.1f} GB free: {rows} dreams at once, and gradients "
            "and moments of the policy"
        )
        if not plan["fits"]:
            return _check("memory", False, plan["sentence"])
        return _check("memory", total <= free, text)

    def _episodes(self, own: Job, values: Mapping[str, Any], options: Config) -> Check:
        names = [str(name) for name in values.get("episodes_from") or ()]
        if not names:
            return _check("episodes", False, "choose the runs whose episodes are learnt from")
        if any(Path(name).is_absolute() for name in names):
            return _check("episodes", None, "a directory named by its path is not looked into")
        rows = [
            row
            for name in names
            for row in self._cabinet.trajectories.episodes(EpisodeFilter(run=name))
        ]
        lessons = Lessons(len(rows), sum(row.success for row in rows), _mixed_starts(rows))
        if (found := own.check_lessons(options, lessons)) is not None:
            return _plain(found)
        return _check(
            "episodes", bool(rows), str(lessons) if rows else "those runs have no episodes"
        )

    def _time(self, job: str, config: Mapping[str, Any], models: Mapping[str, Checkpoint]) -> Check:
        """From the last run like this one, else as planned."""
        before = self._run_like(job, config)
        if "fit" in config:
            step = self._last(before, "time/step_seconds")
            return _duration(step and step * config["fit"]["steps"], before)
        pace = Pace(
            last=lambda name: self._last(before, name),
            seconds_a_frame=lambda: self._planned(config, models),
        )
        options, task = job_config(job, config), self._task_of(config)
        return _duration(declared(job).seconds(options, task, pace), before)

    def _planned(self, config: Mapping[str, Any], models: Mapping[str, Checkpoint]) -> float | None:
        """Seconds a frame of three models that are chosen."""
        if any(role not in models for role in MODELS):
            return None
        three = (models["policy"], models["world_model"], models["reward_model"])
        try:
            return self._speed_of(three, config).seconds_a_frame
        except ValueError:
            return None  # the check of the speed says why

    def _speed(self, three: Three, config: Mapping[str, Any]) -> Check:
        rows = config["groups"] * config["group_size"]
        horizon = config["horizon"] or self._task_of(config).horizon
        try:
            speed = self._speed_of(three, config)
            text = speed.sentence(rows, horizon)
            if speed.on_cpu and self._workers > max(speed.workers, config["learners"]):
                rate = speed.frames_per_second * self._workers / speed.workers
                text += f"; with workers {self._workers}, on all cores, about {rate:.0f} frames/s"
            return _check("speed", True, text)
        except ValueError as error:
            return _check("speed", None, f"cannot be planned: {error}")

    def _speed_of(self, three: Three, config: Mapping[str, Any]) -> "Speed":
        steps, workers = config["denoising_steps"], config["workers"]
        return self._loader.speed(three, denoising_steps=steps, workers=workers)

    def _run_like(self, job: str, config: Mapping[str, Any]) -> str | None:
        same = (*MODELS, "environment", "denoising_steps")
        for run in self._cabinet.runs.all():
            if run.job == job and run.step and _agree(run.config, config, same):
                return run.id
        return None

    def _last(self, run_id: str | None, name: str) -> float | None:
        if run_id is None:
            return None
        points = self._cabinet.curves.of(run_id, most=300).series.get(name)
        return points[-1][1] if points else None

    def _disk(self, job: str, config: Mapping[str, Any], models: Mapping[str, Checkpoint]) -> Check:
        free = shutil.disk_usage(self._cabinet.workspace.root).free - MIN_FREE_BYTES
        task, needed, own = self._task_of(config), 0, declared(job)
        if "policy" in models and own.keeps_checkpoints:
            weights = sum(f.stat().st_size for f in models["policy"].directory.iterdir())
            needed = KEPT_CHECKPOINTS * (1 + STATE_SHARE) * weights
        if episodes := own.recorded(job_config(job, config)):
            side = task.image_size
            if "world_model" in models:
                side = int(models["world_model"].config.get("image_size") or side)
            frames = (config["horizon"] or task.horizon) + 1
            needed += int(episodes * frames * (3 * side * side * STORED_SHARE + LATENT_BYTES))
        text = f"{needed / GIB:.2f} GB needed, {max(free, 0) / GIB:.1f} GB free above the reserve"
        return _check("disk", needed <= free, text)

    def _task_of(self, config: Mapping[str, Any]) -> Task:
        return tasks().get(config.get("task", ""), self._task)


def _check(name: str, ok: bool | None, text: str) -> Check:
    return {"name": name, "ok": ok, "text": text}


def _plain(finding: Finding) -> Check:
    return _check(finding.name, finding.ok, finding.text)


def _wants_unaligned(own: Job, config: Mapping[str, Any]) -> bool:
    """Whether the method of a run is to dream in a world model without alignment."""
    return any(each.unaligned and each.name == config.get("method") for each in own.methods)


def _alignment(world_model: Checkpoint, *, wanted: bool) -> Check:
    match is_aligned(world_model):
        case True if wanted:
            text = "this world model has seen a policy's own rollouts: choose one that has not"
            return _check("alignment", False, text)
        case True:
            return _check("alignment", True, "the world model has seen a policy's own rollouts")
        case False:
            text = "a variant: the world model has never seen a policy's own rollouts"
            return _check("alignment", None, text)
        case None:
            text = "the world model's card does not say whether it has seen a policy's rollouts"
            return _check("alignment", None, text)


def _reward(reward_model: Checkpoint) -> Check:
    threshold = reward_model.config.get("success_threshold")
    labels = reward_model.card.get("labels")
    learnt = f"labels {labels}" if labels else "verdicts of the simulator, no human labels"
    if not isinstance(threshold, (int, float)):
        return _check(
            "reward", False, f"{reward_model.id} has no threshold τ: choose one on Reward"
        )
    return _check("reward", True, f"threshold τ {threshold:.2f}; learnt from {learnt}")


def _duration(seconds: float | None, run: str | None) -> Check:
    if not seconds:
        text = "not measured yet: see after the first step"
        return _check("time", None, text)
    words = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
    if seconds >= 5_400:
        words = f"{seconds / 3600:.1f} h"
    source = "as the last run like it" if run else "as planned"
    return {**_check("time", True, f"about {words}, {source}"), "seconds": seconds}


def _agree(one: Mapping[str, Any], other: Mapping[str, Any], names: tuple[str, ...]) -> bool:
    return all(one.get(name) == other.get(name) for name in names)


def _mixed_starts(rows: list[EpisodeRow]) -> int:
    outcomes: dict[int, set[bool]] = {}
    for row in rows:
        outcomes.setdefault(row.start_id, set()).add(row.success)
    return sum(len(seen) == 2 for seen in outcomes.values())
