"""Runs as the screen wants them: started from checkpoint ids, shown as plain values."""

import re
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from app.access import Access
from app.rates import TooMuchError
from app.runs.about import Abouts, method_of, run_name
from app.runs.journal import owner
from app.runs.supervisor import Supervisor
from app.visitors import may_change, visitor
from app.web.checks import check_choice, check_integer
from engine.config import Config, knob
from engine.records.label_set import NOW
from engine.records.states import RunState
from engine.records.tasks import tasks
from engine.runs.control import CONTROLS
from engine.runs.registry import job_config, job_names
from storage.cabinet import Cabinet
from storage.checkpoints.catalogue import ROLES
from storage.episodes.episode_filter import EpisodeFilter
from storage.judging.label_sets import LabelFilter
from storage.runs.runs import RunRow

MIN_FREE_BYTES = 2 * 2**30


@dataclass(frozen=True, kw_only=True)
class OneRun(Config):
    """A run by its id."""

    run: str = knob(help="its id")


@dataclass(frozen=True, kw_only=True)
class Control(Config):
    """What a run is told."""

    run: str = knob(help="its id")
    control: str = knob(help="pause, run (resume), stop (save and end) or cancel", choices=CONTROLS)


@dataclass(frozen=True, kw_only=True)
class Describe(Config):
    """What is said of a run; what is left out stays as it is."""

    run: str = knob(help="its id")
    name: str | None = knob(None, "in place of method and time", high=120)
    note: str | None = knob(None, "anything worth knowing", high=2_000)
    tags: tuple[str, ...] | None = knob(None, "words to find it by", high=20)
    hidden: bool | None = knob(None, "whether lists leave it out")


class RunRecord(TypedDict):
    """A run as lists show it.

    `phase` is what it does now where its progress is not counted yet; `waits_for` says behind what
    a queued run stands.
    """

    id: str
    name: str
    method: str
    note: str
    tags: tuple[str, ...]
    hidden: bool
    job: str
    state: str
    phase: str
    waits_for: str
    busy: bool
    done: int
    total: int
    started: float | None
    created: float
    seconds: float | None
    seconds_left: float | None
    attempt: int
    error: str | None


class RunStatus(RunRecord):
    """A run with its options and its result."""

    config: Mapping[str, Any]
    result: Mapping[str, Any] | None


class Launcher:
    """Starts and shows runs."""

    def __init__(
        self,
        cabinet: Cabinet,
        supervisor: Supervisor,
        *,
        starts: Path,
        access: Access,
    ) -> None:
        """`starts` is the folder of shipped start frames, used where a job is given none."""
        self._cabinet = cabinet
        self._supervisor = supervisor
        self._starts = starts
        self._access = access
        access.full["runs"] = self._check_waiting
        self._abouts = Abouts()
        self._expected: dict[str, float] = {}  # seconds, until its own pace is known

    def start(
        self, job: object, values: object, *, name: str = "", expected: float | None = None
    ) -> str:
        """Queue a run; its id. Checkpoints may be named by catalogue id.

        Args:
            name: what its id begins with, in place of the job.
            expected: seconds that it will take, if that is known.

        Raises:
            ValueError: unknown job, option or checkpoint, a value out of range, a full disk, or
                an option beyond what a public studio allows.
            TooMuchError: on a public studio there are enough runs for now.
        """
        chosen, config = self.config(job, values)
        self._check_room(config)
        self._access.spend("runs")
        run_id = f"{name or chosen}-{time.strftime('%y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        if expected:
            self._expected[run_id] = expected
        return self._supervisor.submit(run_id, chosen, config, owner=visitor()).id

    def config(self, job: object, values: object) -> tuple[str, dict[str, Any]]:
        """(job, its whole config, with directories in place of ids), as `start` would queue it.

        Where no task is named, it is that of the models.

        Raises:
            ValueError: unknown job, option, checkpoint or run, or a value out of range.
        """
        chosen = check_choice("job", job, self._access.limits.run_jobs or job_names())
        if not isinstance(values, Mapping):
            raise ValueError("the options of a run must be an object with named values")
        config = job_config(chosen, self._resolved(values)).to_dict()
        if "task" in config and "task" not in values:
            config["task"] = self._task_of(values, config["task"])
        shipped = self._starts / f"{config.get('task')}.npz"
        if "starts" in config and not config["starts"] and shipped.is_file():
            config["starts"] = str(shipped)
        if "success_threshold" in config and not config["success_threshold"]:
            config["success_threshold"] = self._threshold(config.get("reward_model"))
        return chosen, config

    def all(self) -> list[RunRecord]:
        """Every run, newest first."""
        runs = self._cabinet.runs.all()
        waiting = [run for run in runs if run.state.busy]
        return [self._shown(run, waiting) for run in runs]

    def describe(self, question: Describe) -> RunRecord:
        """Rename a run, note something, tag it, or leave it out of lists; the run then.

        Raises:
            LookupError: no such run.
            ValueError: a text that is too long, or on a Space somebody else began it.
        """
        run = self._cabinet.runs.get(question.run)
        if self._access.guest and not self._is_own(run.id):
            raise ValueError("only who began a run may rename it")
        said = {k: v for k, v in question.to_dict().items() if k != "run" and v is not None}
        self._abouts.change(self._cabinet.runs.directory(run.id), said)
        return self._shown(run, [])

    def status(self, run_id: str) -> RunStatus:
        """One run, with its config and result.

        Raises:
            LookupError: no such run.
        """
        run = self._cabinet.runs.get(run_id)
        config = self._nameable(run.config) if self._access.guest else dict(run.config)
        waiting = [each for each in self._cabinet.runs.unfinished() if each.state.busy]
        return {**self._shown(run, waiting), "config": config, "result": run.result}

    def control(self, question: Control) -> RunStatus:
        """Tell a run what to do; its status then.

        Raises:
            LookupError: no such run.
            ValueError: the run has ended, or on a Space somebody else began it.
        """
        if self._access.guest and not self._is_own(question.run):
            raise ValueError("only who began a run may pause, resume or stop it")
        self._supervisor.control(question.run, question.control)
        return self.status(question.run)

    def _is_own(self, run_id: str) -> bool:
        return bool(visitor()) and may_change(owner(self._cabinet.runs.directory(run_id)))

    def iterations(self, run_id: str) -> list[int]:
        """Iterations that left episodes.

        Raises:
            LookupError: no such run.
        """
        self._cabinet.runs.get(run_id)
        return self._cabinet.runs.iterations(run_id)

    def events(self, run_id: str, limit: object) -> list[dict[str, Any]]:
        """The newest events of a run in words: {at, kind, text}.

        Raises:
            LookupError: no such run.
            ValueError: a limit out of range.
        """
        self._cabinet.runs.get(run_id)
        events = self._cabinet.runs.events(run_id, limit=check_integer("limit", limit, 1, 500))
        return [{"at": e["time"], "kind": e["kind"], "text": event_text(e)} for e in events]

    def name_of(self, run_id: str) -> str:
        """What a run is called; its id where nothing is known of it."""
        try:
            return self._name(self._cabinet.runs.get(run_id))
        except LookupError:
            return run_id

    def checkpoint_name(self, checkpoint_id: str) -> str:
        """What a checkpoint is called: one of a run by the run and its step, any other by its own
        name."""
        source, _, name = checkpoint_id.partition("/")
        run, _, step = name.partition("/")
        if source != "run" or not step:
            return name or checkpoint_id
        return f"{self.name_of(run)}, {re.sub('step-0*', 'step ', step)}"

    def _name(self, run: RunRow) -> str:
        about = self._abouts.of(self._cabinet.runs.place(run.id))
        return about.name or run_name(run.job, run.config, run.created)

    def _shown(self, run: RunRow, busy: Sequence[RunRow]) -> RunRecord:
        about = self._abouts.of(self._cabinet.runs.place(run.id))
        alive = run.state.alive
        return {
            "id": run.id,
            "name": self._name(run),
            "method": method_of(run.job, run.config),
            "note": about.note,
            "tags": about.tags,
            "hidden": about.hidden,
            "job": run.job,
            "state": run.state,
            "phase": self._cabinet.runs.phase(run.id) if alive else "",
            "waits_for": self._waits_for(run, busy),
            "busy": run.state.busy,
            "done": run.done or 0,
            "total": run.total or 0,
            "started": run.started,
            "created": run.created,
            "seconds": (run.updated or 0.0) - run.started if run.started else None,
            "seconds_left": self._seconds_left(run),
            "attempt": run.attempt,
            "error": run.error,
        }

    def _seconds_left(self, run: RunRow) -> float | None:
        expected = self._expected.get(run.id)
        if run.seconds_left is not None or expected is None or not run.state.busy:
            return run.seconds_left
        return max(1.0, expected - (time.time() - run.started if run.started else 0.0))

    def _waits_for(self, run: RunRow, busy: Sequence[RunRow]) -> str:
        """Behind what a queued run stands, in words."""
        if run.state is not RunState.QUEUED:
            return ""
        before = [other for other in busy if other.state.alive or other.created < run.created]
        if not before:
            return "starting"
        first = min(before, key=lambda other: (not other.state.alive, other.created))
        others = f" and {len(before) - 1} more" if len(before) > 1 else ""
        return f"behind {self._name(first)}{others}"

    def _task_of(self, values: Mapping[str, Any], default: str) -> str:
        """The task that the models of a run were made for."""
        asked = [values.get(role) for role in ROLES]
        named = [each.task for each in self._cabinet.checkpoints.all() if each.id in asked]
        return next((task for task in named if task in tasks()), default)

    def _resolved(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Ids of checkpoints, label sets and runs to directories; on a public studio nothing else
        may name a file."""
        config = dict(values)
        for role in ROLES:
            if config.get(role):
                config[role] = self._directory(config[role])
        if config.get("restart_from"):
            config["restart_from"] = self._directory(config["restart_from"])
        if config.get("label_set") == NOW:
            config["label_set"] = self._labels_by_now(config)
        if config.get("label_set"):
            label_set = self._cabinet.label_sets.get(str(config["label_set"]))
            config["label_set"] = str(label_set.directory)
            config["labelled_from"] = self._cabinet.label_sets.roots(label_set.version)
        for name, value in config.items():
            if name.endswith("_from") and isinstance(value, list | tuple):
                config[name] = [self._episodes(item) for item in value]
        if self._access.guest:
            paths = [
                name
                for name, value in config.items()
                if value and (name in ("starts", "out", "gates") or name.endswith("_from"))
            ]
            if paths:
                raise ValueError(f"{', '.join(paths)} cannot be chosen on a public studio")
        for name, only in self._access.limits.run_choices.items():
            if config.get(name, only) != only:
                told = "as it is" if isinstance(only, dict) else only or "left empty"
                raise ValueError(f"on a public studio {name} is {told}, not {config[name]!r:.40}")
        return config

    def _labels_by_now(self, config: Mapping[str, Any]) -> str:
        """What people have said of the task of the episodes, frozen; empty if they said nothing."""
        found = [
            self._cabinet.trajectories.episodes(EpisodeFilter(run=str(name)), limit=1)
            for name in config.get("episodes_from") or ()
        ]
        tasks = {row.task for rows in found for row in rows}
        wanted = LabelFilter(task=tasks.pop() if len(tasks) == 1 else None)
        sets = self._cabinet.label_sets
        return sets.freeze(wanted).version if sets.standing(wanted) else ""

    def _episodes(self, name: object) -> str:
        """Where the episodes of a run lie; the command line's directories are left as they are."""
        if not isinstance(name, str):
            raise ValueError(f"a run is named by its id, not by {name!r}")
        if Path(name).is_absolute():
            return name
        return str(self._cabinet.runs.directory(name))

    def _directory(self, name: object) -> str:
        if not isinstance(name, str):
            raise ValueError(f"a checkpoint is named by its id, not by {name!r}")
        if not self._access.guest and Path(name).is_absolute():
            return name
        return str(self._cabinet.checkpoints.get(name).directory)

    def _threshold(self, directory: object) -> float:
        """The threshold saved for a reward model; 0 (its own) if there is none."""
        for checkpoint in self._cabinet.checkpoints.all("reward_model"):
            if str(checkpoint.directory) == directory:
                current = self._cabinet.thresholds.current(checkpoint.hash)
                return current.threshold if current else 0.0
        return 0.0

    def _nameable(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in config.items() if not str(value).startswith("/")}

    def _check_room(self, config: Mapping[str, Any]) -> None:
        free = shutil.disk_usage(self._cabinet.workspace.root).free
        if free < MIN_FREE_BYTES:
            raise ValueError(f"only {free / 2**30:.1f} GB are free: a run needs at least 2")
        for name, most in self._access.limits.run_options.items():
            if config.get(name, 0) > most:
                raise ValueError(
                    f"on a public studio {name} may be at most {most}, not {config[name]}"
                )

    def _check_waiting(self) -> None:
        waiting = self._access.limits.waiting_runs
        if waiting is not None and len(self._cabinet.runs.unfinished()) >= waiting:
            raise TooMuchError("other visitors' runs are waiting already: again in some minutes")


def event_text(event: Mapping[str, Any]) -> str:
    """An event of a run's log in words."""
    match event["kind"]:
        case "state":
            again = event["state"] == "running" and event.get("attempt", 1) > 1
            words = ": ".join(str(event[name]) for name in ("state", "error") if event.get(name))
            return f"{words} again, attempt {event['attempt']}" if again else words
        case "phase":
            return str(event["phase"])
        case "checkpoint":
            return f"checkpoint of step {event['step']} saved"
        case "alarm":
            return str(event["message"])
        case "result":
            numbers = {k: v for k, v in event["metrics"].items() if isinstance(v, (int, float))}
            return ", ".join(
                f"{name.replace('/', ' ').replace('_', ' ')} {value:.4g}"
                for name, value in list(numbers.items())[:4]
            )
        case "placement":
            return f"computes on {event['device'].upper()} in {event['dtype']}"
        case kind:
            return str(kind)
